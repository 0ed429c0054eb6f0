#include "tally/usage/enforcer.hpp"

#include <algorithm>
#include <utility>

#include "enforcer_state.hpp"
#include "use_records.hpp"

namespace tally::usage {
namespace {

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

// What holds at this side, as policies ask: `witnessing strict` while nothing is missing,
// `receiptBeforeKey required` while data goes out so.
struct Standing {
  bool witnessed = false;
  bool receipt_before_key = false;
};

std::span<const odrl::Fact> facts_of(const Standing& standing) {
  using Facts = std::vector<odrl::Fact>;
  static const auto made = [](bool strictly, bool key) {
    Facts facts;
    const auto add = [&facts](std::string_view operand, std::vector<std::string> names) {
      facts.push_back(odrl::declared_names(operand, names, odrl::Source::measured));
    };
    add(odrl::iri::witnessing,
        strictly ? std::vector<std::string>{"async", "strict"} : std::vector<std::string>{"async"});
    if (key) add(odrl::iri::receipt_before_key, {std::string(odrl::required_word)});
    return facts;
  };
  static const std::array<Facts, 4> all{
      made(false, false), made(false, true), made(true, false), made(true, true)};
  return all[(standing.witnessed ? 2U : 0U) + (standing.receipt_before_key ? 1U : 0U)];
}

odrl::World world_of(
    const Entry& entry,
    const ClockReading& reading,
    std::span<const odrl::UsageEntry> usage,
    const Standing& standing
) {
  odrl::World world;
  world.now = reading.at;
  world.clock_reliable = reading.reliable;
  world.here = entry.terms->our_side;
  world.usage = usage;
  world.overdue = entry.overdue;
  world.facts = facts_of(standing);
  return world;
}

bool gives_key_for_receipt(const Act& act, const AgreementTerms& terms) {
  return act.receipt_before_key || terms.our_side == odrl::Side::consumer;
}

}  // namespace

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
  entry.receipt_before_key =
      shared->policy->asks_for(odrl::iri::receipt_before_key, odrl::required_word);
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
  if (const Hold* hold = stopping(shard, terms, act.app, reading)) {
    return deny(act, event, reading.at, refuse_held(terms, *hold, act));
  }
  if (!act.purposes_not_registered.empty()) {
    return deny(act, event, reading.at, refuse_unregistered(terms, act));
  }
  if (act.cannot) return deny(act, event, reading.at, refuse_unable(terms, act));

  const odrl::Request request = request_of(act, terms);
  const UsePtr earlier = key.empty() ? nullptr : entry->continues(key, reading.at, limits);
  const auto without = earlier ? entry->usage_without(*earlier) : std::vector<odrl::UsageEntry>();
  const auto usage = earlier ? std::span<const odrl::UsageEntry>(without) : entry->usage();
  const auto missing = unwitnessed(*entry);
  const Standing standing{!missing, gives_key_for_receipt(act, terms)};
  const odrl::World world = world_of(*entry, reading, usage, standing);
  odrl::Decision decision = odrl::evaluate(*terms.policy, request, world, options_for());
  if (!decision.permit) {
    auto explained =
        odrl::evaluate(*terms.policy, request, world, options_for(odrl::Explain::decisive));
    return deny(act, event, reading.at, refuse(terms, std::move(explained), missing));
  }

  Grant grant;
  grant.agreement = act.agreement;
  grant.app = act.app;
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

bool Enforcer::receipt_before_key(const AgreementId& agreement) const {
  auto& shard = state_->shard_of(agreement.value);
  const std::lock_guard lock(shard.mutex);
  const Entry* entry = State::find(shard, agreement.value);
  return entry != nullptr && entry->receipt_before_key;
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

Result<odrl::Decision> Enforcer::dry_run(const Act& act) const {
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
  if (const Hold* hold = State::stopping(shard, *entry->terms, act.app, reading)) {
    return refuse_held(*entry->terms, *hold, act).decision;
  }
  if (!act.purposes_not_registered.empty()) {
    return refuse_unregistered(*entry->terms, act).decision;
  }
  if (act.cannot) return refuse_unable(*entry->terms, act).decision;
  const Standing standing{!state_->unwitnessed(*entry), gives_key_for_receipt(act, *entry->terms)};
  const odrl::World world = world_of(*entry, reading, entry->usage(), standing);
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

}  // namespace tally::usage
