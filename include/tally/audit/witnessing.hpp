// How far our log is cosigned, against what each agreement has come to: for policies that say
// `strict`, under which nothing more happens until the agreement's last milestone is cosigned.
//
// Any thread; microseconds, never across a wait.
#pragma once

#include <cstdint>
#include <map>
#include <mutex>
#include <optional>
#include <string>
#include <unordered_map>
#include <vector>

#include "tally/audit/log_policy.hpp"
#include "tally/audit/note.hpp"
#include "tally/audit/record.hpp"
#include "tally/core/ids.hpp"
#include "tally/core/instant.hpp"

namespace tally::audit {

// What one witness cosigned last.
struct Cosigned {
  std::string id;
  PartyId party;
  std::uint64_t size = 0;  // 0: nothing yet
  std::string note;        // our checkpoint with its cosignature; empty: nothing yet
  std::optional<Instant> failing_since;
  bool missing = false;  // for longer than missing_after
};

// Whose cosignature an agreement waits for.
struct Unwitnessed {
  std::string witnesses;          // as people read them
  Instant since;                  // the milestone's time
  PartyId party;                  // the other party, when its cosignature is what counts; else
  std::vector<VerifierKey> keys;  // of the witnesses of the quorum that have not cosigned
};

// How far our log is cosigned by as many as the quorum asks for.
struct QuorumState {
  std::string name;        // of the witness or group that has to hold
  std::uint64_t size = 0;  // the longest log that it has cosigned; 0: none
  bool reached = false;    // no agreement has a milestone beyond that
};

// Records after which our checkpoint should be witnessed: contracts that came into force or ended,
// transfers that completed, rights that expired, data that was destroyed.
bool is_milestone(std::string_view type);

class Witnessing {
 public:
  // Without a quorum it is the other party of the agreement that has to have cosigned.
  explicit Witnessing(std::optional<LogPolicy> quorum = std::nullopt)
      : quorum_(std::move(quorum)) {}

  // --- milestones of an agreement ---
  void replay(const RecordView& record);  // at start, for every record
  // Queued, and not durable yet: nothing can have cosigned it.
  void queued(const std::string& agreement, Instant at);
  // What came of one that was queued: the size of the log with it, or nothing (not written).
  void settled(const std::string& agreement, std::optional<std::uint64_t> size);

  // --- cosignatures ---
  void cosigned(const Cosigned& by);

  // Whether the cosignatures of this note of ours make the quorum. Without one: never.
  [[nodiscard]] bool makes_quorum(const Note& note) const;

  // nullopt: no quorum is configured.
  [[nodiscard]] std::optional<QuorumState> quorum() const;

  // nullopt: the last milestone of the agreement is cosigned by all that count. `other`: the other
  // party of the agreement.
  [[nodiscard]] std::optional<Unwitnessed> missing(
      const std::string& agreement, const PartyId& other
  ) const;

 private:
  struct Milestone {
    std::uint64_t size = 0;
    Instant at;
    unsigned queued = 0;
  };
  struct Witnessed {
    PartyId party;
    std::uint64_t size = 0;
    std::vector<GoodSignature> good;  // by keys of the quorum
  };

  // By those that have cosigned a log of that size, or a later one, which continues it. The lock is
  // held.
  [[nodiscard]] std::vector<GoodSignature> good_at(std::uint64_t size) const;

  const std::optional<LogPolicy> quorum_;
  mutable std::mutex mutex_;  // guards what follows
  std::unordered_map<std::string, Milestone> milestones_;
  std::map<std::string, Witnessed> witnesses_;  // by Cosigned::id
};

}  // namespace tally::audit
