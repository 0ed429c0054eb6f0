// The enforcement point: the only code whose answer lets data move.
//
// A count is not a number in a table: it is the number of permitted uses in the log less the aborted
// ones, and the ledger in memory is that sum. `authorise` takes the lock of the agreement's shard,
// looks whether the entry is closed, evaluates the policy (odrl, pure), counts up and queues the
// record while it holds the lock; then it lets go and waits until the record is durable. Nothing can
// overtake a close, since it takes the same lock.
//
// What holds, and what tests assert over every crash: permitted − aborted ≤ limit, and
// acknowledged ≤ permitted. A use that was never acknowledged may be counted, never the reverse.
//
// Threading: every member may be called from any thread; the locks are held for microseconds and
// never across a wait. The same class runs on both sides of an agreement.
#pragma once

#include <cstdint>
#include <memory>
#include <optional>
#include <string>
#include <variant>
#include <vector>

#include "tally/audit/appender.hpp"
#include "tally/audit/record.hpp"
#include "tally/core/clock.hpp"
#include "tally/core/ids.hpp"
#include "tally/core/result.hpp"
#include "tally/odrl/evaluate.hpp"
#include "tally/odrl/policy.hpp"

namespace tally::usage {

// What an active agreement fixes. Said once in its `contract.finalized` record, and held here.
struct AgreementTerms {
  AgreementId id;
  odrl::Side our_side = odrl::Side::provider;
  PartyId provider;
  PartyId consumer;
  AssetId asset;
  std::shared_ptr<const odrl::CompiledPolicy> policy;
};

// One act that somebody wants to do now, on our side.
struct Act {
  AgreementId agreement;
  std::string action;  // full IRI: odrl read, archive, derive, …
  // Who acts: the authenticated peer, or a local application of ours (then `app` is set and the
  // party is our own).
  PartyId party;
  AppId app;
  // Already narrowed to what the registration allows (local) or as the peer says (asserted).
  std::vector<std::string> purposes;
  odrl::Source purpose_source = odrl::Source::asserted;
  // The same key by the same requester under the same agreement continues its use and counts
  // nothing; empty: always a new use. At most Limits::stream_resumes times within
  // Limits::stream_resume_window; beyond that it is a new use.
  std::string idempotency_key;
  Pid process;  // the transfer process it happens under, or empty
};

// The permit, durable in the log. `use` is the event id of its record.
struct Grant {
  UseId use;
  AgreementId agreement;
  Instant decided_at;
  bool repeated = false;  // continued an earlier use: nothing was counted
  odrl::Decision decision;
};

// The refusal, with everything that an answer needs to say why. It is in the log too.
struct Refusal {
  AgreementId agreement;
  Message code;                  // the outer sentence, e.g. usage.limit-reached {used, limit, rule}
  std::vector<Message> reasons;  // odrl::explain of the decision, most decisive first
  odrl::Decision decision;
};

using Authorised = std::variant<Grant, Refusal>;

struct Outcome {
  std::uint64_t bytes = 0;
  std::string content;  // "sha256:…" of exactly what was handed over, or empty when cut
  bool complete = true;
};

// Why an agreement takes no uses (any more). `suspended` can be opened again; the others are final.
enum class Closed { open, suspended, expired, terminated };

struct LimitState {
  RuleId rule;
  odrl::Side owner = odrl::Side::provider;
  std::int64_t limit = 0;  // the most uses that the rule permits
  std::int64_t used = 0;   // known only where `owner` is our side; else 0
  std::int64_t left = 0;
};

struct AgreementState {
  AgreementTerms terms;
  Closed closed = Closed::open;
  std::vector<LimitState> limits;
  std::optional<Instant> first_use;
  std::optional<Instant> last_use;
  std::int64_t uses = 0;  // permitted − aborted, served by our side
};

class Enforcer {
 public:
  Enforcer(audit::LogAppender& log, Clock& clock, Random& random);
  ~Enforcer();

  // Makes the agreement known. Idempotent; its record (`contract.finalized`) must be durable first.
  void activate(AgreementTerms terms);

  // Decides, counts, records. A Grant or Refusal is durable in the log on return. Errors: unavailable
  // (log failed; nothing may move and nothing is forgotten), not_found (usage.unknown-agreement).
  awaitable<Result<Authorised>> authorise(Act act);

  // What happened to the use. Queued, waits for nothing; several uses share one `use.executed`.
  void complete(const Grant& grant, Outcome outcome);

  // Gives the use back. Only while no byte has been handed to the transport, never on the client's
  // word. The count falls once `use.aborted` is durable.
  awaitable<Result<void>> abort(Grant grant);

  // The same decision without counting or recording. For the dry-run route.
  Result<odrl::Decision> dry_run(const Act& act);

  // Closes the ledger entry and queues `record` under the lock of `authorise`; waits until it is
  // durable. No use is permitted after the record. Idempotent for the same state.
  awaitable<Result<void>> close(AgreementId agreement, Closed state, audit::RecordDraft record);
  // From suspended only.
  awaitable<Result<void>> reopen(AgreementId agreement, audit::RecordDraft record);

  [[nodiscard]] std::optional<AgreementState> state(const AgreementId& agreement) const;
  [[nodiscard]] std::vector<AgreementId> agreements() const;

  // Queues what `complete` has gathered longer ago than one second; called by the daemon's timer and
  // before shutdown.
  void flush_completions(bool all);

  // --- recovery, before anything is served; single-threaded ---
  // Called for every record of the log in order; ignores what does not concern uses.
  Result<void> replay(const audit::RecordView& record);
  // After the last record and after all `activate`: permits that have no end get `use.interrupted`.
  awaitable<Result<void>> finish_replay();

 private:
  struct State;
  std::unique_ptr<State> state_;
};

}  // namespace tally::usage
