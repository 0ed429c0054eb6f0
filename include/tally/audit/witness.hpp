// The witness of other logs (C2SP tlog-witness): it cosigns a checkpoint only if it continues the
// one that it cosigned before, and remembers which that was before it answers. What it says about a
// log it also writes into its own log, so that two logs hold each other.
//
// One state for each origin, in the store. Deciding and storing are one step: every cosignature is
// a commit with a version check, so that of two requests that were decided on the same state one
// decides again. Home executor only.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "tally/audit/contradictions.hpp"
#include "tally/audit/journal.hpp"
#include "tally/audit/key_rotation.hpp"
#include "tally/audit/witness_message.hpp"
#include "tally/core/clock.hpp"
#include "tally/core/ids.hpp"
#include "tally/core/instant.hpp"
#include "tally/core/store.hpp"

namespace tally::audit {

// A log that may be witnessed here.
struct Watched {
  std::vector<VerifierKey> keys;  // first ones: which key counts now is the witness's to know
  // Whose log it is; empty: one that the operator named. A partner's log is nobody else's business:
  // for others it does not exist.
  PartyId owner;
  // Of one that the operator named: the partner whose log it is all the same; empty: nobody's here.
  // It answers for contradictions, and that is all.
  PartyId partner = {};
};

// The same, as people call it.
struct WatchedName {
  std::string origin;
  PartyId owner;
};

// Which logs are watched. Whoever implements it says an origin of one party to that party alone.
class WatchList {
 public:
  virtual ~WatchList() = default;
  // nullopt: not watched, or not for `from`.
  [[nodiscard]] virtual std::optional<Watched> find(std::string_view origin, const PartyId& from)
      const = 0;
};

// An answer with what a person may want to know beside its status and body.
struct WitnessReply {
  WitnessAnswer answer;
  Message reason;  // unless cosigned: audit.witness-*
};

struct WitnessParts {
  Store& store;
  Journal& journal;
  Clock& clock;
  Random& random;
  const WatchList& logs;
};

class Witness {
 public:
  // Precondition: `key` is of type 0x04, `signer` signs with it, and with nothing else ever.
  Witness(WitnessParts parts, VerifierKey key, Signer signer);

  // The body of POST <prefix>/add-checkpoint. When it is cosigned, size and root are durable in the
  // store and `checkpoint.witnessed` in our log before this returns. A signed checkpoint that
  // contradicts a cosigned one is kept with it as evidence (`equivocation.found`), durable too.
  // Errors: unavailable (the journal's; audit.witness-clock: the time is not to be relied on; or
  // audit.witness-busy), and nothing may be answered but that.
  awaitable<Result<WitnessReply>> add_checkpoint(std::string body, PartyId from);

  // The last checkpoint that was cosigned, with the log's signature and ours, by the lower-case hex
  // of SHA-256 of the origin. nullopt: never cosigned, or not for `from`.
  [[nodiscard]] Result<std::optional<std::string>> checkpoint(
      const std::string& origin_hash, const PartyId& from
  ) const;

  // The body of POST <prefix>/rotations: notes of audit::KeyRotation, all of one log. From the
  // first one on that the key known here signed, the log has another key, and the one before counts
  // no more; that is durable in the store, and `witness.rekeyed` in our log, before this returns.
  // Errors: invalid audit.rotation-malformed, not_found audit.witness-unknown-log, forbidden
  // audit.rotation-unfit (they do not lead on from the key known here, or not to it), unavailable.
  awaitable<Result<void>> learn_rotations(std::string body, PartyId from);

  // Of these notes those that are known here, as a body; nullopt: none, or not for `from`.
  [[nodiscard]] Result<std::optional<std::string>> rotations(
      const std::string& origin_hash, const PartyId& from
  ) const;

  [[nodiscard]] const VerifierKey& key() const { return key_; }

 private:
  struct Known;
  [[nodiscard]] Result<Known> known(const std::string& origin) const;
  [[nodiscard]] Result<WitnessReply> cosign(
      const AddCheckpoint& request, Known& log, const Watched& watched, Transaction& change
  ) const;
  [[nodiscard]] Result<std::optional<RecordDraft>> evidence(
      const AddCheckpoint& request, const Known& log, const Watched& watched, Transaction& change
  ) const;

  WitnessParts parts_;
  VerifierKey key_;
  Signer signer_;
};

// The checkpoint of this log that was cosigned here last, with our cosignature; empty: none.
Result<std::string> cosigned_checkpoint(Store& store, std::string_view origin);

// A log whose checkpoints were cosigned here, as it was when that happened last.
struct WitnessedLog {
  std::string origin;
  PartyId owner;  // empty: one that the operator named
  std::uint64_t size = 0;
  Digest root{};
  Instant at;  // of our cosignature
};
// All of them, also those that are not watched any more.
Result<std::vector<WitnessedLog>> witnessed_logs(Store& store);

}  // namespace tally::audit
