// The enforcement point: the only code whose answer lets data move.
//
// A count is not a number in a table: it is the number of permitted uses in the log less the
// aborted ones, and the ledger in memory is that sum. `authorise` takes the lock of the agreement's
// shard, looks whether the entry is closed, evaluates the policy (odrl, pure), counts up and queues
// the record while it holds the lock; then it lets go and waits until the record is durable.
// Nothing can overtake a close, since it takes the same lock.
//
// What holds, and what tests assert over every crash: permitted − aborted ≤ limit, and
// acknowledged ≤ permitted. A use that was never acknowledged may be counted, never the reverse.
//
// A limit counts only on the side that owns it. Under a limit of the other side nothing but the
// filling of its custody (archive) is permitted here; state() shows the owner and no number.
//
// Threading: every member may be called from any thread; the locks are held for microseconds and
// never across a wait. The same class runs on both sides of an agreement.
#pragma once

#include <cstdint>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <variant>
#include <vector>

#include "tally/audit/appender.hpp"
#include "tally/audit/log_part.hpp"
#include "tally/audit/record.hpp"
#include "tally/audit/witnessing.hpp"
#include "tally/core/clock.hpp"
#include "tally/core/ids.hpp"
#include "tally/core/limits.hpp"
#include "tally/core/result.hpp"
#include "tally/odrl/evaluate.hpp"
#include "tally/odrl/policy.hpp"
#include "tally/usage/duties.hpp"
#include "tally/usage/holds.hpp"
#include "tally/usage/surroundings.hpp"
#include "tally/usage/use_figures.hpp"

namespace tally::usage {

// What an active agreement fixes. Said once in its `contract.finalized` record, and held here.
struct AgreementTerms {
  AgreementId id;
  odrl::Side our_side = odrl::Side::provider;
  PartyId provider;
  PartyId consumer;
  AssetId asset;
  std::shared_ptr<const odrl::CompiledPolicy> policy;
  std::string consumer_country = {};  // in the certificate that the consumer signed with, or empty
  std::string asset_class = {};       // as its owner rated it; empty: not rated, or not known here
  std::optional<Instant> active_since = std::nullopt;
};

// One act that somebody wants to do now, on our side.
struct Act {
  AgreementId agreement;
  std::string action;  // full IRI: odrl read, archive, derive, …
  // Who acts: the authenticated peer, or a local application of ours (then `app` is set and the
  // party is our own).
  PartyId party;
  AppId app;
  // Already narrowed to what the registration allows (local, see `narrow`) or as the peer says
  // (asserted).
  std::vector<std::string> purposes;
  // What a local application claims beyond its registration; not empty: refused.
  std::vector<std::string> purposes_not_registered;
  std::vector<std::string> roles_not_registered;
  std::vector<std::string> roles;  // of a local application, as its registration allows
  std::string address;             // where a peer's request came from, without its port, or empty
  std::string asset_class;         // what came with the data that custody holds, or empty
  bool of_derived = false;         // on what was made of the data (`artifactState derived`)
  odrl::Source purpose_source = odrl::Source::asserted;
  // The party is known by a credential that was agreed on, not by a certificate.
  bool by_credential = false;
  // The same key by the same requester for the same action and purposes under the same agreement
  // continues its use and counts nothing; empty: always a new use. At most Limits::stream_resumes
  // times within Limits::stream_resume_window; beyond that it is a new use. The policy is asked
  // again: what has ended meanwhile is refused.
  std::string idempotency_key;
  // Without a key: continues this use of the same requester, or is an error; and makes a use that
  // can be continued in that way.
  UseId continued_use;
  bool continuable = false;
  Pid process;  // the transfer process it happens under, or empty
  // The data goes out encrypted, and its key only for a receipt: what a policy may demand of a
  // provider (`receiptBeforeKey`). At the consumer it was done when the data came.
  bool receipt_before_key = false;
  // The provider serves it, and we hand on what a local application asks: what the provider counts
  // is the provider's to say.
  bool passed_on = false;
  // Why our side cannot carry out what the policy asks with the act (rows, columns, masks):
  // refused.
  std::optional<Message> cannot;
  // An answer that was given under the same agreement before, and is given again: the policy is
  // asked as if the earlier use had not been, and the permit counts under no rule.
  struct Repeats {
    UseId use;
    Instant at;  // when it was decided
    std::vector<odrl::Consume> adds;
  };
  std::optional<Repeats> repeats;
  // Commitment to a fact about a person that is kept beside the log (custody::PrivateFacts).
  std::optional<Digest> fact;
};

// What asking again for a grant takes; of the Enforcer alone, under its lock.
struct GrantSession {
  std::optional<Instant> ask_again;  // nullopt: nothing turns by itself
  std::uint64_t withdrawals = 0;     // of confirmations under the agreement, when it was asked
  Act act;                           // where there is something to ask
};

// The permit, durable in the log. `use` is the event id of its record.
struct Grant {
  UseId use;
  std::uint64_t seq = 0;  // where that record stands, and its leaf hash
  Digest leaf{};
  std::string action;  // as the record has it (`short_action`); of a continuation: the same
  AgreementId agreement;
  AppId app;           // as Act::app
  Instant decided_at;  // of the use; a continuation keeps it
  Instant began;       // of this grant
  // Uses that are left to the rule which carried this one, over its limits; nullopt: it has none
  // that is counted here.
  std::optional<std::int64_t> left;
  std::shared_ptr<GrantSession> session;
  bool repeated = false;  // continued an earlier use: nothing was counted
  odrl::Decision decision;
};

// The refusal, with everything that an answer needs to say why. It is in the log too.
struct Refusal {
  AgreementId agreement;
  Message code;                  // the outer sentence, e.g. usage.limit-reached {used, limit, rule}
  std::vector<Message> reasons;  // odrl::explain of the decision: its answer, then why
  odrl::Decision decision;
  // Of the condition that `code` speaks of, where it has them.
  std::optional<std::int64_t> used;   // uses that count for it, before this one
  std::optional<std::int64_t> limit;  // and how many it permits
  std::optional<Instant> until;       // when it ended, or until when this stays refused
};

using Authorised = std::variant<Grant, Refusal>;

struct Outcome {
  std::uint64_t bytes = 0;
  std::string content;  // "sha256:…" of exactly what was handed over, or empty when cut
  bool complete = true;
  // How many rows that was, where what was handed over was made row by row.
  std::optional<std::uint64_t> rows = std::nullopt;
};

// Why an agreement takes no uses (any more). `suspended` can be opened again; the others are final.
// In order: a state never gives way to one before it.
enum class Closed { open, suspended, expired, terminated };
std::string_view to_string(Closed state);

struct LimitState {
  RuleId rule;
  std::string unit;    // empty: uses
  std::string window;  // of a rate, the length of time it is for: xsd:duration; empty: a count
  odrl::Side owner = odrl::Side::provider;
  bool counted_here = false;  // `owner` is our side; else `used` and `left` are not known and 0
  std::int64_t limit = 0;     // the most uses that the rule permits
  std::int64_t used = 0;
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

// Puts the member `ledger` into a record that closes or opens the entry of its agreement, so that a
// restart does the same. close() and reopen() do it themselves. Without it replay knows
// contract.terminated, policy.revoked and policy.expired.
void mark_ledger(audit::RecordDraft& record, Closed state);

class Enforcer final : public audit::LogPart {
 public:
  // The order at start: Enforcer, audit::recover with replay() for each record, the log's writer
  // over what was recovered, attach(), activate() for each agreement, finish_replay().
  Enforcer(Clock& clock, Random& random, const Limits& limits = {});
  void attach(audit::LogAppender& log);  // once, before anything but replay and activate
  // What tells how far our log is cosigned; once, before anything is authorised. Without it a
  // policy that says `strict` permits nothing.
  void attach(const audit::Witnessing& witnessing);
  // What tells when a provider was last heard; once, before anything is authorised. Without it
  // nobody was heard since the agreement came into force.
  void attach(const Contacts& contacts);
  // What is registered of places; holds from the next act on. Any thread.
  void surround(Surroundings surroundings);
  // Both in one, for a log that is there already.
  Enforcer(audit::LogAppender& log, Clock& clock, Random& random, const Limits& limits = {});
  ~Enforcer() override;

  // Makes the agreement known. Idempotent; its record (`contract.finalized`) must be durable first.
  void activate(AgreementTerms terms);

  // Decides, counts, records. A Grant or Refusal is durable in the log on return. Whoever holds a
  // Grant calls `complete` or `abort` with it, once. Errors:
  //   unavailable              those of LogAppender::wait: nothing may move. The use stays counted,
  //                            unless the log says for certain that it did not take the record
  //   not_found                usage.unknown-agreement; also for a party that is not its consumer
  //   invalid                  usage.act-too-large, beyond the bounds of Limits
  //   conflict                 usage.not-continuable: `continued_use` is not, or not any more
  awaitable<Result<Authorised>> authorise(Act act);

  // Whether what a grant began may go on: its entry is open, no hold stops it, and if a time of the
  // policy has turned meanwhile by a clock that can be believed, the policy would still permit it.
  // Cheap; asked before each piece that leaves. Any thread.
  bool may_go_on(const Grant& grant);

  // What happened to the use. Queued, waits for nothing; several uses share one `use.executed`.
  void complete(const Grant& grant, Outcome outcome);

  // Gives the use back. Only while no byte has been handed to the transport, never on the client's
  // word. The count falls once `use.aborted` is durable. While another request continues the same
  // use, only this grant ends. Errors: unavailable, conflict (usage.use-ended: data has moved).
  awaitable<Result<void>> abort(Grant grant);

  // Why nothing moves now under an agreement whose policy says `strict` (usage.not-witnessed);
  // nullopt: its last milestone is cosigned, or its policy does not say so.
  [[nodiscard]] std::optional<Message> unwitnessed(const AgreementId& agreement) const;
  // Every open agreement of which that is so, in order of id.
  struct Waiting {
    AgreementId agreement;
    audit::Unwitnessed witnesses;
  };
  [[nodiscard]] std::vector<Waiting> waiting() const;

  // Whether its policy demands that data goes out encrypted and the key only for a receipt.
  [[nodiscard]] bool receipt_before_key(const AgreementId& agreement) const;

  // What `authorise` would answer to an act without a key, without counting or recording. Of a
  // permit the decision is explained in full. Errors: as of `authorise`, but for the log.
  struct Rehearsal {
    odrl::Decision decision;
    std::optional<Refusal> refusal;
    std::optional<std::int64_t> left;  // after this use; as Grant::left
  };
  Result<Rehearsal> dry_run(const Act& act) const;

  // Closes the ledger entry and queues `record` under the lock of `authorise`; waits until it is
  // durable. No use is permitted after the record. Idempotent for the same state: the record of a
  // repeat is not written. On an Error the entry stays closed. Errors: unavailable, conflict
  // (usage.already-closed: by a later state).
  awaitable<Result<void>> close(AgreementId agreement, Closed state, audit::RecordDraft record);
  // From suspended only; uses are taken once the record is durable. Errors: unavailable, conflict
  // (usage.not-suspended).
  awaitable<Result<void>> reopen(AgreementId agreement, audit::RecordDraft record);

  // The same for a caller whose record goes through audit::Journal. `shut` before the commit, and
  // at start for what the store says is closed (its record may still be in the outbox): what is
  // queued afterwards stands behind the last permit. `open_again` after the commit. The record
  // carries `mark_ledger`. False when the entry is in a later state, or is not suspended.
  bool shut(const AgreementId& agreement, Closed state);
  bool open_again(const AgreementId& agreement);

  // All holds from now on; null: none. On return every permit that was given without them is
  // queued: what is queued afterwards stands behind the last one. Any thread.
  void hold(HoldSetPtr holds);
  // What stops uses under the agreement, by this application where one is named; nullopt: nothing
  // does, or the agreement is not known.
  [[nodiscard]] std::optional<Hold> held(const AgreementId& agreement, const AppId& app = {}) const;

  // The duties under the agreement whose deadline has passed undone, as each of those who carry
  // duties out keeps them: they deny (condition-violated).
  enum class OverdueBy { custody, masking, informer };
  void set_overdue(
      const AgreementId& agreement, std::vector<RuleId> duties, OverdueBy by = OverdueBy::custody
  );

  // Whether somebody has to be told of uses under an agreement that is known. Never false again.
  [[nodiscard]] bool anyone_informed() const;

  // What a record says of a duty that is confirmed: once it is durable; of a withdrawal before it
  // is queued, so that no permit stands behind it. Idempotent. Any thread.
  void change(const AgreementId& agreement, const DutyEvent& change);
  // Those of the agreement, as they stand now; none of one that is not known.
  [[nodiscard]] std::vector<DutyState> duties(const AgreementId& agreement) const;
  // What has come to be overdue under an agreement that is not over, and is not in the log yet.
  struct Overdue {
    AgreementId agreement;
    DutyState duty;
  };
  [[nodiscard]] std::vector<Overdue> newly_overdue() const;

  [[nodiscard]] std::optional<AgreementState> state(const AgreementId& agreement) const;
  [[nodiscard]] std::vector<AgreementId> agreements() const;

  // Numbers since the process began, and of the ledger as it stands; at most `most_left` of
  // UseFigures::left. Looks at every agreement, each shard under its lock: for a scrape, not for a
  // call. Any thread.
  [[nodiscard]] UseFigures figures(std::size_t most_left) const;

  // Queues what `complete` has gathered longer ago than Limits::uses_gathered; called by the
  // daemon's timer and, with `all`, before shutdown.
  void flush_completions(bool all);

  // --- recovery, before anything is served; single-threaded ---
  // Called for every record of the log in order; ignores what does not concern uses. Agreements may
  // be activated before or after. Errors: internal (usage.record-unreadable): do not start.
  Result<void> replay(const audit::RecordView& record) override;
  [[nodiscard]] std::string_view part_name() const override { return "ledger"; }
  void save(const Item& item) const override;
  Result<void> restore(const Json& item) override;
  // After the last record and after all `activate`: permits that have no end get `use.interrupted`.
  awaitable<Result<void>> finish_replay();

 private:
  struct State;
  std::unique_ptr<State> state_;
};

}  // namespace tally::usage
