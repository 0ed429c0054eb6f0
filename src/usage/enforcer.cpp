#include "tally/usage/enforcer.hpp"

#include <algorithm>
#include <array>
#include <mutex>
#include <unordered_map>
#include <utility>

#include "ledger.hpp"
#include "refusal.hpp"
#include "use_records.hpp"

namespace tally::usage {
namespace {

// The log said for certain that the record is not in it and never will be.
bool not_written(const Error& error) {
  return error.message.code == "audit.disk-reserve" ||
         error.message.code.starts_with("audit.draft-");
}

Result<void> within_bounds(const Act& act, const Limits& limits) {
  const auto too_large = [](const char* what, std::size_t most) {
    return fail(
        ErrorKind::invalid,
        {"usage.act-too-large", {{"what", what}, {"most", std::to_string(most)}}}
    );
  };
  if (act.purposes.size() + act.purposes_not_registered.size() > limits.act_purposes) {
    return too_large("purposes", limits.act_purposes);
  }
  std::size_t bytes = act.action.size();
  for (const auto& purpose : act.purposes) bytes += purpose.size();
  for (const auto& purpose : act.purposes_not_registered) bytes += purpose.size();
  if (bytes > limits.act_purpose_bytes) {
    return too_large("bytes of purposes", limits.act_purpose_bytes);
  }
  if (act.idempotency_key.size() > limits.act_key_bytes) {
    return too_large("bytes of Idempotency-Key", limits.act_key_bytes);
  }
  return {};
}

tl::unexpected<Error> unknown_agreement(const AgreementId& agreement) {
  return fail(ErrorKind::not_found, {"usage.unknown-agreement", {{"agreement", agreement.value}}});
}

tl::unexpected<Error> use_ended(const Grant& grant) {
  return fail(
      ErrorKind::conflict,
      {"usage.use-ended", {{"agreement", grant.agreement.value}, {"use", grant.use.value}}}
  );
}

tl::unexpected<Error> state_conflict(const char* code, const AgreementId& agreement, Closed state) {
  return fail(
      ErrorKind::conflict,
      {code, {{"agreement", agreement.value}, {"state", std::string(to_string(state))}}}
  );
}

// An obligation that nobody here carries out is no permit.
odrl::EvaluateOptions options_for(odrl::Explain explain = odrl::Explain::none) {
  odrl::EvaluateOptions out;
  out.explain = explain;
  out.enforceable = odrl::enforced_duties();
  return out;
}

odrl::Request request_of(const Act& act, const AgreementTerms& terms) {
  odrl::Request request;
  request.assignee = act.party.uri;
  request.action = act.action;
  request.target = terms.asset.value;
  if (!act.purposes.empty()) {
    request.declared.push_back(
        odrl::declared_names(odrl::iri::purpose, act.purposes, act.purpose_source)
    );
  }
  return request;
}

// How our log is witnessed, as policies ask: `strict` holds while nothing is missing.
std::span<const odrl::Fact> witnessed(bool strictly) {
  static const auto fact = [](std::vector<std::string> names) {
    return odrl::declared_names(odrl::iri::witnessing, names, odrl::Source::measured);
  };
  static const std::array loosely_known{fact({"async"})};
  static const std::array strictly_known{fact({"async", "strict"})};
  return strictly ? strictly_known : loosely_known;
}

odrl::World world_of(
    const Entry& entry,
    const ClockReading& reading,
    std::span<const odrl::UsageEntry> usage,
    bool strictly
) {
  odrl::World world;
  world.now = reading.at;
  world.clock_reliable = reading.reliable;
  world.here = entry.terms->our_side;
  world.usage = usage;
  world.overdue = entry.overdue;
  world.facts = witnessed(strictly);
  return world;
}

}  // namespace

struct Enforcer::State {
  struct alignas(64) Shard {
    mutable std::mutex mutex;  // guards everything below; never held across a wait
    std::unordered_map<std::string, Entry> entries;
    std::vector<std::string> gathering;  // agreements with completions that wait
  };

  // An answer that holds once its record is durable.
  struct Decided {
    Authorised answer;
    UsePtr use;                          // of a grant
    audit::Ticket ticket;                // of a refusal or a use without a key
    std::shared_ptr<SharedWait> shared;  // of a use with a key; neither: durable already
  };

  State(Clock& clock_, Random& random_, const Limits& limits_)
      : clock(clock_), random(random_), limits(limits_) {}

  Shard& shard_of(const std::string& agreement) {
    return shards[std::hash<std::string>{}(agreement) % shards.size()];
  }
  // Null when the agreement is not known. The lock is held.
  static Entry* find(Shard& shard, const std::string& agreement) {
    const auto found = shard.entries.find(agreement);
    return found == shard.entries.end() ? nullptr : &found->second;
  }

  // As precise as a record says it: replay must come to the same numbers.
  ClockReading read_clock() {
    ClockReading reading = clock.read();
    reading.at.nanos -= reading.at.nanos % 1000;
    return reading;
  }
  // Whose cosignature is missing under an agreement that asks. The lock of its shard is held.
  [[nodiscard]] std::optional<audit::Unwitnessed> unwitnessed(const Entry& entry) const {
    if (!entry.strict) return std::nullopt;
    const AgreementTerms& terms = *entry.terms;
    const bool provides = terms.our_side == odrl::Side::provider;
    const PartyId& other = provides ? terms.consumer : terms.provider;
    if (witnessing == nullptr) return audit::Unwitnessed{other.uri, clock.read().at, other, {}};
    return witnessing->missing(terms.id.value, other);
  }
  EventId event() { return new_event(random, clock.read().at); }

  Result<Decided> decide(const Act& act);
  Decided deny(const Act& act, const EventId& event, Instant at, Refusal refusal);
  void undecide(const Act& act, const Decided& decided, const Error& error);
  // The lock is held; at most Limits::uses_per_record are gathered.
  audit::RecordDraft take_gathered(const std::string& agreement, Entry& entry);

  audit::LogAppender* log = nullptr;
  const audit::Witnessing* witnessing = nullptr;
  Clock& clock;
  Random& random;
  const Limits limits;
  std::array<Shard, 64> shards;
};

Enforcer::Enforcer(Clock& clock, Random& random, const Limits& limits)
    : state_(std::make_unique<State>(clock, random, limits)) {}
Enforcer::Enforcer(audit::LogAppender& log, Clock& clock, Random& random, const Limits& limits)
    : Enforcer(clock, random, limits) {
  attach(log);
}
void Enforcer::attach(audit::LogAppender& log) {
  state_->log = &log;
}
void Enforcer::attach(const audit::Witnessing& witnessing) {
  state_->witnessing = &witnessing;
}
Enforcer::~Enforcer() = default;

void Enforcer::activate(AgreementTerms terms) {
  const std::string id = terms.id.value;
  auto shared = std::make_shared<const AgreementTerms>(std::move(terms));
  auto& shard = state_->shard_of(id);
  const std::lock_guard lock(shard.mutex);
  Entry& entry = shard.entries[id];
  if (entry.terms) return;
  entry.strict = shared->policy->asks_for(odrl::iri::witnessing, "strict");
  entry.terms = std::move(shared);
}

// --- authorise ---

Enforcer::State::Decided Enforcer::State::deny(
    const Act& act, const EventId& event, Instant at, Refusal refusal
) {
  auto draft = denied_draft(act, event, at, refusal.decision, refusal.code);
  auto ticket = log->enqueue(std::move(draft));
  return {std::move(refusal), nullptr, std::move(ticket), nullptr};
}

Result<Enforcer::State::Decided> Enforcer::State::decide(const Act& act) {
  if (log == nullptr) {
    return fail(ErrorKind::unavailable, {"audit.log-failed", {{"cause", "not open"}}});
  }
  if (auto bounded = within_bounds(act, limits); !bounded) return fail(std::move(bounded));

  // Everything that does not depend on the ledger is made before the lock is taken.
  const ClockReading reading = read_clock();
  const EventId event = new_event(random, reading.at);
  const std::string key = act.idempotency_key.empty() ? std::string() : key_digest(act);
  auto draft = permit_draft(act, event, reading.at, key);
  auto use = std::make_shared<Use>();
  use->id = event.value;
  use->at = reading.at;
  use->key = key;

  Shard& shard = shard_of(act.agreement.value);
  const std::lock_guard lock(shard.mutex);
  Entry* entry = find(shard, act.agreement.value);
  // Someone else's agreement and no agreement look the same.
  if (entry == nullptr || !entry->terms || act.party != entry->terms->consumer) {
    return unknown_agreement(act.agreement);
  }
  const AgreementTerms& terms = *entry->terms;
  if (entry->closed != Closed::open) {
    return deny(act, event, reading.at, refuse_closed(terms, entry->closed, act));
  }
  if (!act.purposes_not_registered.empty()) {
    return deny(act, event, reading.at, refuse_unregistered(terms, act));
  }

  const odrl::Request request = request_of(act, terms);
  const UsePtr earlier = key.empty() ? nullptr : entry->continues(key, reading.at, limits);
  const auto without = earlier ? entry->usage_without(*earlier) : std::vector<odrl::UsageEntry>();
  const auto usage = earlier ? std::span<const odrl::UsageEntry>(without) : entry->usage();
  const auto missing = unwitnessed(*entry);
  const odrl::World world = world_of(*entry, reading, usage, !missing);
  odrl::Decision decision = odrl::evaluate(*terms.policy, request, world, options_for());
  if (!decision.permit) {
    auto explained =
        odrl::evaluate(*terms.policy, request, world, options_for(odrl::Explain::decisive));
    return deny(act, event, reading.at, refuse(terms, std::move(explained), missing));
  }

  Grant grant;
  grant.agreement = act.agreement;
  grant.action = short_action(act.action);
  if (earlier) {
    ++earlier->holders;
    ++earlier->continued;
    grant.use = UseId(earlier->id);
    grant.decided_at = earlier->at;
    grant.seq = earlier->seq;
    grant.leaf = earlier->leaf;
    grant.repeated = true;
    grant.decision = std::move(decision);
    // Perhaps the first is still on its way to the disk: the repeat waits for the same record.
    return Decided{std::move(grant), earlier, nullptr, earlier->wait};
  }

  for (const auto& add : decision.consume) {
    if (add.n > 0) use->adds.push_back(add);
  }
  set_rules(draft, use->adds);
  use->holders = 1;
  auto ticket = log->enqueue(std::move(draft));
  entry->permit(use);
  grant.use = UseId(use->id);
  grant.decided_at = reading.at;
  grant.decision = std::move(decision);
  if (key.empty()) return Decided{std::move(grant), use, std::move(ticket), nullptr};
  use->wait = std::make_shared<SharedWait>(std::move(ticket));
  entry->remember_key(use, reading.at, limits);
  return Decided{std::move(grant), use, nullptr, use->wait};
}

// The record of a grant did not become durable for this request. Nothing moves on it.
void Enforcer::State::undecide(const Act& act, const Decided& decided, const Error& error) {
  if (!decided.use) return;
  Shard& shard = shard_of(act.agreement.value);
  const std::lock_guard lock(shard.mutex);
  Entry& entry = shard.entries[act.agreement.value];
  const UsePtr& use = decided.use;
  if (entry.find(use->id) != use) return;  // another request of the same use was here before
  if (not_written(error)) {
    entry.give_back(use);
    return;
  }
  // Whether the record is in the log is not known, or it is and nobody waits: the use counts. A
  // repeat with its key may still continue it.
  entry.release(use);
  if (error.message.code == "audit.wait-cancelled" && use->holders == 0 && use->key.empty() &&
      !use->ended) {
    log->enqueue(interrupted_draft(act.agreement, event(), use->id));
    entry.end(use);
  }
}

awaitable<Result<Authorised>> Enforcer::authorise(Act act) {
  auto decided = state_->decide(act);
  if (!decided) co_return fail(std::move(decided));
  if (!decided->ticket && !decided->shared) co_return std::move(decided->answer);
  Result<audit::Appended> durable;
  if (decided->ticket) {
    durable = co_await state_->log->wait(std::move(decided->ticket));
  } else {
    durable = co_await SharedWait::wait(decided->shared, *state_->log);
  }
  if (!durable) {
    state_->undecide(act, *decided, durable.error());
    co_return fail(std::move(durable));
  }
  if (auto* grant = std::get_if<Grant>(&decided->answer)) {
    grant->seq = durable->seq;
    grant->leaf = durable->leaf;
  }
  if (decided->shared) {
    auto& shard = state_->shard_of(act.agreement.value);
    const std::lock_guard lock(shard.mutex);
    decided->use->wait = nullptr;
    decided->use->seq = durable->seq;
    decided->use->leaf = durable->leaf;
  }
  co_return std::move(decided->answer);
}

std::optional<Message> Enforcer::unwitnessed(const AgreementId& agreement) const {
  auto& shard = state_->shard_of(agreement.value);
  const std::lock_guard lock(shard.mutex);
  const Entry* entry = State::find(shard, agreement.value);
  if (entry == nullptr || !entry->terms) return std::nullopt;
  const auto missing = state_->unwitnessed(*entry);
  if (!missing) return std::nullopt;
  return not_witnessed(*entry->terms, *missing);
}

std::vector<Enforcer::Waiting> Enforcer::waiting() const {
  std::vector<Waiting> out;
  for (const auto& shard : state_->shards) {
    const std::lock_guard lock(shard.mutex);
    for (const auto& [id, entry] : shard.entries) {
      if (!entry.terms || entry.closed != Closed::open) continue;
      auto missing = state_->unwitnessed(entry);
      if (missing) out.push_back({AgreementId(id), *std::move(missing)});
    }
  }
  std::sort(out.begin(), out.end(), [](const Waiting& a, const Waiting& b) {
    return a.agreement < b.agreement;
  });
  return out;
}

Result<odrl::Decision> Enforcer::dry_run(const Act& act) {
  if (auto bounded = within_bounds(act, state_->limits); !bounded) return fail(std::move(bounded));
  const ClockReading reading = state_->clock.read();
  auto& shard = state_->shard_of(act.agreement.value);
  const std::lock_guard lock(shard.mutex);
  const Entry* entry = State::find(shard, act.agreement.value);
  if (entry == nullptr || !entry->terms || act.party != entry->terms->consumer) {
    return unknown_agreement(act.agreement);
  }
  if (entry->closed != Closed::open) {
    return refuse_closed(*entry->terms, entry->closed, act).decision;
  }
  if (!act.purposes_not_registered.empty()) {
    return refuse_unregistered(*entry->terms, act).decision;
  }
  const bool strictly = !state_->unwitnessed(*entry);
  const odrl::World world = world_of(*entry, reading, entry->usage(), strictly);
  return odrl::evaluate(
      *entry->terms->policy, request_of(act, *entry->terms), world, options_for(odrl::Explain::full)
  );
}

// --- complete, abort ---

audit::RecordDraft Enforcer::State::take_gathered(const std::string& agreement, Entry& entry) {
  const auto done = std::exchange(entry.gathered, {});
  return executed_draft(AgreementId(agreement), event(), done);
}

void Enforcer::complete(const Grant& grant, Outcome outcome) {
  const std::string& agreement = grant.agreement.value;
  auto& shard = state_->shard_of(agreement);
  const std::lock_guard lock(shard.mutex);
  Entry* entry = State::find(shard, agreement);
  if (entry == nullptr) return;
  const UsePtr use = entry->find(grant.use.value);
  if (!use || use->holders == 0 || use->aborting) return;  // ended before
  entry->end(use);
  entry->release(use);
  if (entry->gathered.empty()) {
    entry->gathered_since = state_->clock.read().at;
    shard.gathering.push_back(agreement);
  }
  entry->gathered.push_back({use->id, std::move(outcome)});
  if (entry->gathered.size() >= state_->limits.uses_per_record) {
    state_->log->enqueue(state_->take_gathered(agreement, *entry));
    std::erase(shard.gathering, agreement);
  }
}

void Enforcer::flush_completions(bool all) {
  struct Due {
    Instant since;
    std::string agreement;
    audit::RecordDraft draft;
  };
  std::vector<Due> due;
  const Instant now = state_->clock.read().at;
  for (auto& shard : state_->shards) {
    const std::lock_guard lock(shard.mutex);
    std::erase_if(shard.gathering, [&](const std::string& agreement) {
      Entry& entry = shard.entries[agreement];
      const Nanos waited = now - entry.gathered_since;
      // A clock that went back does not make a completion wait for ever.
      if (!all && waited >= 0 && waited < state_->limits.uses_gathered) return false;
      const Instant since = entry.gathered_since;
      due.push_back({since, agreement, state_->take_gathered(agreement, entry)});
      return true;
    });
  }
  // No order of a hash table reaches the log.
  std::sort(due.begin(), due.end(), [](const Due& a, const Due& b) {
    return std::tie(a.since, a.agreement) < std::tie(b.since, b.agreement);
  });
  for (auto& each : due) state_->log->enqueue(std::move(each.draft));
}

awaitable<Result<void>> Enforcer::abort(Grant grant) {
  auto& shard = state_->shard_of(grant.agreement.value);
  UsePtr use;
  audit::Ticket ticket;
  {
    const std::lock_guard lock(shard.mutex);
    Entry* entry = State::find(shard, grant.agreement.value);
    if (entry != nullptr) use = entry->find(grant.use.value);
    if (!use || use->ended || use->aborting || use->holders == 0) co_return use_ended(grant);
    if (use->holders > 1) {
      entry->release(use);
      co_return Result<void>();
    }
    use->aborting = true;
    entry->forget_key(use);  // a repeat from now on is a new use
    ticket = state_->log->enqueue(aborted_draft(grant.agreement, state_->event(), use->id));
  }
  auto durable = co_await state_->log->wait(ticket);
  const std::lock_guard lock(shard.mutex);
  if (!durable) {
    if (not_written(durable.error())) use->aborting = false;  // it may be tried again
    co_return fail(std::move(durable));
  }
  shard.entries[grant.agreement.value].give_back(use);
  co_return Result<void>();
}

// --- closing and opening ---

awaitable<Result<void>> Enforcer::close(
    AgreementId agreement, Closed state, audit::RecordDraft record
) {
  auto& shard = state_->shard_of(agreement.value);
  audit::Ticket ticket;
  {
    const std::lock_guard lock(shard.mutex);
    Entry& entry = shard.entries[agreement.value];
    if (entry.closed > state) {
      co_return state_conflict("usage.already-closed", agreement, entry.closed);
    }
    if (entry.closed == state && entry.closing_durable) co_return Result<void>();
    if (entry.closed != state || !entry.closing) {
      mark_ledger(record, state);
      record.about(agreement);
      entry.closed = state;
      ++entry.closings;
      entry.closing = state_->log->enqueue(std::move(record), audit::Priority::reserved);
      entry.closing_durable = false;
    }
    ticket = entry.closing;
  }
  auto durable = co_await state_->log->wait(ticket);
  const std::lock_guard lock(shard.mutex);
  Entry& entry = shard.entries[agreement.value];
  if (entry.closing == ticket) {
    if (durable) entry.closing_durable = true;
    // Another attempt writes its own record.
    if (!durable && not_written(durable.error())) entry.closing = nullptr;
  }
  if (!durable) co_return fail(std::move(durable));
  co_return Result<void>();
}

awaitable<Result<void>> Enforcer::reopen(AgreementId agreement, audit::RecordDraft record) {
  auto& shard = state_->shard_of(agreement.value);
  audit::Ticket ticket;
  std::uint64_t closing = 0;
  {
    const std::lock_guard lock(shard.mutex);
    Entry& entry = shard.entries[agreement.value];
    if (entry.closed != Closed::suspended) {
      co_return state_conflict("usage.not-suspended", agreement, entry.closed);
    }
    mark_ledger(record, Closed::open);
    record.about(agreement);
    ticket = state_->log->enqueue(std::move(record));
    // A suspension that comes from here on is another one, with a record behind this one.
    entry.closing = nullptr;
    entry.closing_durable = false;
    closing = entry.closings;
  }
  auto durable = co_await state_->log->wait(ticket);
  if (!durable) co_return fail(std::move(durable));
  const std::lock_guard lock(shard.mutex);
  Entry& entry = shard.entries[agreement.value];
  if (entry.closed != Closed::suspended || entry.closings != closing) {
    co_return state_conflict("usage.not-suspended", agreement, entry.closed);
  }
  entry.closed = Closed::open;
  co_return Result<void>();
}

bool Enforcer::shut(const AgreementId& agreement, Closed state) {
  auto& shard = state_->shard_of(agreement.value);
  const std::lock_guard lock(shard.mutex);
  Entry& entry = shard.entries[agreement.value];
  if (entry.closed > state) return false;
  if (entry.closed != state) {
    entry.closed = state;
    entry.closing = nullptr;
    entry.closing_durable = false;
  }
  ++entry.closings;
  return true;
}

bool Enforcer::open_again(const AgreementId& agreement) {
  auto& shard = state_->shard_of(agreement.value);
  const std::lock_guard lock(shard.mutex);
  Entry* entry = State::find(shard, agreement.value);
  if (entry == nullptr || entry->closed != Closed::suspended) return false;
  entry->closed = Closed::open;
  entry->closing = nullptr;
  entry->closing_durable = false;
  return true;
}

void Enforcer::set_overdue(const AgreementId& agreement, std::vector<RuleId> duties) {
  auto& shard = state_->shard_of(agreement.value);
  const std::lock_guard lock(shard.mutex);
  shard.entries[agreement.value].overdue = std::move(duties);
}

// --- what is ---

std::optional<AgreementState> Enforcer::state(const AgreementId& agreement) const {
  auto& shard = state_->shard_of(agreement.value);
  const std::lock_guard lock(shard.mutex);
  const Entry* entry = State::find(shard, agreement.value);
  if (entry == nullptr || !entry->terms) return std::nullopt;
  AgreementState state;
  state.terms = *entry->terms;
  state.closed = entry->closed;
  for (const auto& rule : entry->terms->policy->rules()) {
    for (const auto& summary : rule.limits) {
      LimitState limit;
      limit.rule = summary.rule;
      limit.unit = summary.unit;
      limit.owner = summary.owner;
      limit.counted_here = summary.owner == entry->terms->our_side;
      limit.limit = summary.allowed;
      if (limit.counted_here) {
        limit.used = entry->count(summary.rule);
        limit.left = std::max<std::int64_t>(0, limit.limit - limit.used);
      }
      state.limits.push_back(std::move(limit));
    }
  }
  state.uses = entry->total().count;
  state.first_use = entry->total().first_use;
  state.last_use = entry->total().last_use;
  return state;
}

std::vector<AgreementId> Enforcer::agreements() const {
  std::vector<AgreementId> found;
  for (const auto& shard : state_->shards) {
    const std::lock_guard lock(shard.mutex);
    for (const auto& [id, entry] : shard.entries) {
      if (entry.terms) found.emplace_back(id);
    }
  }
  std::sort(found.begin(), found.end());
  return found;
}

// --- recovery ---

Result<void> Enforcer::replay(const audit::RecordView& record) {
  if (record.agreement.empty()) return {};
  auto& shard = state_->shard_of(record.agreement);
  const std::lock_guard lock(shard.mutex);
  if (record.type == "use.permitted") {
    auto use = read_permit(record);
    if (!use) return fail(std::move(use));
    Entry& entry = shard.entries[record.agreement];
    entry.permit(*use);
    if (!(*use)->key.empty()) entry.remember_key(*use, (*use)->at, state_->limits);
    return {};
  }
  if (record.type == "use.aborted" || record.type == "use.executed" ||
      record.type == "use.interrupted") {
    auto uses = read_uses(record);
    if (!uses) return fail(std::move(uses));
    Entry& entry = shard.entries[record.agreement];
    for (const auto& id : *uses) {
      const UsePtr use = entry.find(id);
      if (!use) continue;  // ended and forgotten before
      if (record.type == "use.aborted") {
        entry.give_back(use);
      } else if (use->ended) {
        ++use->continued;
      } else {
        entry.end(use);
      }
    }
    return {};
  }
  auto ledger = read_ledger(record);
  if (!ledger) return fail(std::move(ledger));
  if (!*ledger) return {};
  Entry& entry = shard.entries[record.agreement];
  if (**ledger == Closed::open) {
    if (entry.closed == Closed::suspended) entry.closed = Closed::open;
  } else if (**ledger >= entry.closed) {
    entry.closed = **ledger;
    entry.closing_durable = true;
    ++entry.closings;
  }
  return {};
}

awaitable<Result<void>> Enforcer::finish_replay() {
  struct Open {
    std::string agreement;
    UsePtr use;
    audit::Ticket ticket;
  };
  std::vector<Open> open;
  for (auto& shard : state_->shards) {
    const std::lock_guard lock(shard.mutex);
    for (const auto& [agreement, entry] : shard.entries) {
      for (const auto& use : entry.without_end()) open.push_back({agreement, use, nullptr});
    }
  }
  std::sort(open.begin(), open.end(), [](const Open& a, const Open& b) {
    return std::tie(a.agreement, a.use->id) < std::tie(b.agreement, b.use->id);
  });
  for (auto& each : open) {
    each.ticket = state_->log->enqueue(
        interrupted_draft(AgreementId(each.agreement), state_->event(), each.use->id)
    );
  }
  for (auto& each : open) {
    auto durable = co_await state_->log->wait(each.ticket);
    if (!durable) co_return fail(std::move(durable));
    auto& shard = state_->shard_of(each.agreement);
    const std::lock_guard lock(shard.mutex);
    shard.entries[each.agreement].end(each.use);
  }
  co_return Result<void>();
}

}  // namespace tally::usage
