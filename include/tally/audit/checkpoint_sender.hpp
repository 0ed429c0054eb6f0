// The other side of audit::Witness: has the checkpoints of our own log cosigned by those that
// witness it, after every milestone and at least every hour, and keeps what they answered.
//
// A witness that has seen a longer log than ours, or another, and can show it by our own signature
// is proof that this log was set back: then `alarm` says so for good, and nobody may extend it. A
// witness that says so without a signature of ours is believed nothing. Home executor only, where
// nothing else is said.
#pragma once

#include <atomic>
#include <cstdint>
#include <functional>
#include <map>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "tally/audit/given_up.hpp"
#include "tally/audit/journal.hpp"
#include "tally/audit/key_rotation.hpp"
#include "tally/audit/witness_message.hpp"
#include "tally/audit/witnessing.hpp"
#include "tally/core/clock.hpp"
#include "tally/core/limits.hpp"
#include "tally/core/notices.hpp"
#include "tally/core/peer.hpp"
#include "tally/core/store.hpp"
#include "tally/core/task_group.hpp"

namespace tally::audit {

// Our log, as it is shown to witnesses. Blocks for reads and syncs: asked through a Worker, one
// question at a time of each coroutine, so that it is for any thread.
class CheckpointSource {
 public:
  virtual ~CheckpointSource() = default;
  // Signed, over durable records, and never again below this size: whoever has it may keep it.
  virtual Result<std::string> checkpoint() = 0;
  virtual Result<Proof> consistency(std::uint64_t from, std::uint64_t to) = 0;
  virtual Result<Digest> root(std::uint64_t size) = 0;
  // Keeps a cosigned checkpoint of ours for readers, durable on return, unless `is_better` says
  // that of the one kept now.
  virtual Result<void> keep_cosigned(
      const Note& note, const std::function<bool(const Note& kept)>& is_better
  ) = 0;
  // Keeps what shows that this log was set back beside it, durable on return.
  virtual Result<void> keep_proof(const ProofOfLoss& proof) = 0;
};

struct WitnessTarget {
  std::string id;  // of its row: stays the same over restarts
  PartyId to;
  std::string url;                // before "/add-checkpoint", without a slash at the end
  std::vector<VerifierKey> keys;  // type 0x04
  std::string name{};             // that the operator gave it; empty: a partner
  bool operator==(const WitnessTarget&) const = default;
};

// How a witness of ours stands, for the operator.
struct WitnessState {
  WitnessTarget target;
  Cosigned cosigned;
  std::optional<Instant> at;       // of its last cosignature, as it says
  std::int64_t apart = 0;          // its clock less ours then, in seconds; 0: five minutes or less
  std::optional<Message> why;      // it fails: how, the last time since our start
  std::optional<Instant> unasked;  // since when it owes the answer to `ask_first`
};

struct CheckpointSenderParts {
  Store& store;
  Journal& journal;
  Peer& peer;
  Clock& clock;
  Timers& timers;
  Worker& worker;
  Random& random;
  TaskGroup& tasks;
  Notices& notices;
  CheckpointSource& source;
  // By whom our log is witnessed; asked again all the time.
  std::function<std::vector<WitnessTarget>()> targets;
  // LogWriter::heads_due. Asked before each round of sending; a `log.heads` goes in first then.
  std::function<bool()> heads_due;
  Witnessing& witnessing;  // is told what was cosigned
  // Called when one that did not answer `ask_first` has answered.
  std::function<void()> answered;
  const Limits& limits;
};

struct CheckpointSettings {
  std::string origin;  // of our log
  LogKeys log_keys;    // of our log: what we have signed
  Nanos every = seconds(3600);
  Nanos settle = seconds(1);        // from a milestone to its checkpoint, for its record to land
  Nanos ask_patience = seconds(2);  // at start: a partner whose host is silent
  Nanos missing_after = seconds(86'400);  // without a cosignature: `witness.missing`
};

class CheckpointSender {
 public:
  CheckpointSender(CheckpointSenderParts parts, CheckpointSettings settings);
  ~CheckpointSender();

  // Before anything is appended: what do the witnesses know of our log? Returns those that did not
  // answer in time, for `log.opened`. Errors: conflict audit.log-behind (one holds a longer tree
  // that we signed) or audit.log-forked (another tree): this log must not be extended.
  awaitable<Result<std::vector<PartyId>>> ask_first();

  // Since when `party` owes an answer to that question: contracts with it wait. It is asked again
  // until it answers. nullopt: it has answered, or witnesses nothing of ours.
  [[nodiscard]] std::optional<Instant> unasked(const PartyId& party) const;

  // Until cancelled. Retries after retry_first · 2ⁿ, at most retry_most.
  awaitable<void> run();

  // Our log has a new key, durable in the log: its witnesses are told before the next checkpoint.
  void rotated(LogKeys keys) {
    settings_.log_keys = std::move(keys);
    milestone();
  }

  // Something happened that ought to be witnessed soon. Any thread.
  void milestone() { milestone_.store(true, std::memory_order_relaxed); }

  // Proof that our log was set back: audit.log-behind or audit.log-forked.
  [[nodiscard]] const std::optional<Message>& alarm() const { return alarm_; }
  // Of those that witness our log now. Reads the store and checks a signature for each.
  [[nodiscard]] Result<std::vector<WitnessState>> witnesses() const;
  // Of every witness there ever was, by id: that of a partner is its party as text, that of a
  // witness that the operator named begins with "witness ".
  [[nodiscard]] Result<std::vector<Cosigned>> cosigned() const { return cosigned(parts_.store); }
  static Result<std::vector<Cosigned>> cosigned(Store& store);
  // For a log that begins in place of another: nobody has cosigned it. Adds to `change`.
  static Result<void> begin_again(Store& store, Transaction& change);

 private:
  struct Known;
  static Result<Known> read(Row row);
  struct Sending {
    Instant next;
    unsigned failures = 0;
    bool busy = false;
    bool again = false;          // a milestone came while it was busy
    std::string note;            // what it cosigned last
    std::optional<Message> why;  // it failed the last time
  };
  struct Asking;

  // A witness that did not answer at start.
  struct Unasked {
    PartyId party;
    Instant since;
  };

  Result<Known> known(const WitnessTarget& target) const;
  // The same, told to those who decide by it.
  Result<Known> remember(const WitnessTarget& target);
  void tell(const PartyId& party, const Known& known);
  void answered(const std::string& id);
  awaitable<Result<void>> keep(Known known, std::vector<RecordDraft> drafts);
  awaitable<Result<std::string>> current();
  awaitable<void> append_heads();
  // `note`: our checkpoint, one for all that are sent to at once.
  awaitable<void> deliver(WitnessTarget target, Result<std::string> note);
  awaitable<Result<void>> attempt(WitnessTarget target, Result<std::string> note);
  awaitable<Result<void>> keep_answer(
      WitnessTarget target, Known known, Note note, std::uint64_t size
  );
  // Holds the time that it signed, which is of now, against our clock: five minutes apart, and
  // agreeing again, are a record each. Whose clock is wrong nobody knows, so nothing is refused.
  std::vector<RecordDraft> compare_clocks(const WitnessTarget& target, Known& known);
  // Keeps what was cosigned where readers find it, unless what is kept there is worth more.
  awaitable<void> show(Note note);
  // By its answer: whether it knows our current key now. Without an endpoint for it, as the
  // witnesses of others are, it does not.
  awaitable<Result<bool>> tell_rotations(WitnessTarget target);
  // Our keys with what the witness can show beyond them: signed by a key of ours, so our own word.
  awaitable<Result<LogKeys>> keys_shown_by(WitnessTarget target);
  awaitable<void> failed(WitnessTarget target, Error why);
  // What the witness holds, judged by our own signature. An error of any kind but conflict: it did
  // not say anything of worth.
  awaitable<Result<void>> examine(WitnessTarget target);
  awaitable<void> ask(WitnessTarget target, std::shared_ptr<Asking> asking);
  // Before anybody is told of it: what proves the loss may be gone when it is asked for.
  awaitable<void> keep_proof(ProofOfLoss proof);
  Error raise(
      std::string code, const WitnessTarget& target, std::uint64_t ours, std::uint64_t theirs
  );

  CheckpointSenderParts parts_;
  CheckpointSettings settings_;
  std::map<std::string, Sending> sending_;
  std::map<std::string, Unasked> unasked_;  // by id of the target
  std::optional<Message> alarm_;
  std::atomic<bool> milestone_ = false;
};

}  // namespace tally::audit
