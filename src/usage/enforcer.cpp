#include "tally/usage/enforcer.hpp"

#include <algorithm>
#include <utility>

#include "tally/odrl/informing.hpp"

#include "enforcer_state.hpp"
#include "use_records.hpp"

namespace tally::usage {
namespace {

tl::unexpected<Error> not_continuable(const Act& act) {
  return fail(
      ErrorKind::conflict,
      {"usage.not-continuable",
       {{"agreement", act.agreement.value}, {"use", act.continued_use.value}}}
  );
}

// A use that may be continued by its own name has a key that only its requester can make of it.
std::string key_of(const Act& act, const EventId& event) {
  if (!act.idempotency_key.empty()) return key_digest(act, "key " + act.idempotency_key);
  if (!act.continued_use.empty()) return key_digest(act, "use " + act.continued_use.value);
  return act.continuable ? key_digest(act, "use " + event.value) : std::string();
}

tl::unexpected<Error> use_ended(const Grant& grant) {
  return fail(
      ErrorKind::conflict,
      {"usage.use-ended", {{"agreement", grant.agreement.value}, {"use", grant.use.value}}}
  );
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
void Enforcer::attach(const Contacts& contacts) {
  state_->contacts = &contacts;
}
void Enforcer::surround(Surroundings surroundings) {
  auto fresh = std::make_shared<const Surroundings>(std::move(surroundings));
  const std::lock_guard lock(state_->surroundings_mutex);
  state_->surroundings = std::move(fresh);
  state_->surroundings_version.fetch_add(1);
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
  if (!odrl::informing_of(*shared->policy).empty()) state_->anyone_informed = true;
  entry.asked = Asked(*shared->policy);
  entry.duties.know(*shared->policy, shared->consumer.uri, shared->asset.value);
  entry.terms = std::move(shared);
}

Around Enforcer::State::around(Entry& entry, const ClockReading& reading, const Act& act) {
  const AgreementTerms& terms = *entry.terms;
  const bool provides = terms.our_side == odrl::Side::provider;
  if (const auto version = surroundings_version.load(); entry.around_version != version) {
    {
      const std::lock_guard lock(surroundings_mutex);
      entry.around = surroundings;
    }
    entry.around_version = version;
    entry.lasting = entry.asked.lasting_facts(terms, *entry.around);
  }
  Around out;
  out.witnessed = !unwitnessed(entry);
  // At the consumer it was done when the data came.
  out.receipt_before_key = act.receipt_before_key || !provides;
  if (provides) {
    out.last_contact = reading.at;
  } else if (entry.asked.contact()) {
    if (contacts != nullptr) out.last_contact = contacts->last_contact(terms.provider);
    // That it is in force was said by the provider.
    const auto& since = terms.active_since;
    if (since && (!out.last_contact || *out.last_contact < *since)) out.last_contact = since;
    // One that lies further ahead than clocks are set right by was noted by one that went wrong.
    constexpr Nanos believable = seconds(300);
    if (out.last_contact && *out.last_contact - reading.at > believable) out.last_contact.reset();
  }
  return out;
}

std::optional<std::int64_t> Enforcer::State::left(
    const Entry& entry, const RuleId& rule, Instant now
) {
  std::optional<std::int64_t> least;
  const auto note = [&least](std::int64_t left) {
    left = std::max<std::int64_t>(0, left);
    if (!least || left < *least) least = left;
  };
  for (const auto& summary : entry.terms->policy->rules()) {
    if (summary.id != rule) continue;
    for (const auto& limit : summary.limits) {
      if (limit.owner == entry.terms->our_side) note(limit.allowed - entry.count(rule));
    }
    for (const auto& rate : summary.rates) {
      if (rate.owner != entry.terms->our_side) continue;
      note(rate.most - entry.count_within(rule, rate.window, now));
    }
  }
  return least;
}

std::optional<Instant> Enforcer::State::ask_again(
    const Entry& entry, const odrl::Decision& decision, Instant now
) {
  auto at = decision.valid_until;
  // Others use up the same time meanwhile.
  constexpr Nanos often = milliseconds(200);
  if (entry.asked.metered() && (!at || now + often < *at)) at = now + often;
  return at;
}

// --- authorise ---

Enforcer::State::Decided Enforcer::State::deny(
    Shard& shard, const Act& act, const EventId& event, Instant at, Refusal refusal
) {
  ++shard.acts_of(act.action).refused;
  ++shard.refusals[refusal.code.code];
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
  const std::string key = key_of(act, event);
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
    return deny(shard, act, event, reading.at, refuse_closed(terms, entry->closed, act));
  }
  if (const Hold* hold = stopping(shard, terms, act.app, reading)) {
    return deny(shard, act, event, reading.at, refuse_held(terms, *hold, act));
  }
  if (!act.purposes_not_registered.empty() || !act.roles_not_registered.empty()) {
    return deny(shard, act, event, reading.at, refuse_unregistered(terms, act));
  }
  if (act.cannot) return deny(shard, act, event, reading.at, refuse_unable(terms, act));

  const UsePtr earlier = key.empty() ? nullptr : entry->continues(key, reading.at, limits);
  if (!earlier && !act.continued_use.empty()) return not_continuable(act);
  Around here = around(*entry, reading, act);
  here.begun = earlier != nullptr;
  const Situation situation(*entry, act, reading, here, earlier.get());
  odrl::Decision decision = situation.decide();
  if (!decision.permit) {
    const auto missing = unwitnessed(*entry);
    auto explained = situation.decide(odrl::Explain::decisive);
    const auto duties = entry->duties.states(reading, *entry);
    return deny(
        shard, act, event, reading.at, refuse(terms, act, std::move(explained), missing, duties)
    );
  }

  Grant grant;
  grant.agreement = act.agreement;
  grant.app = act.app;
  grant.action = short_action(act.action);
  grant.began = reading.at;
  const auto again = ask_again(*entry, decision, reading.at);
  if (again || entry->duties.asks()) {
    grant.session = std::make_shared<GrantSession>();
    grant.session->ask_again = again;
    grant.session->withdrawals = entry->duties.withdrawals();
  }
  if (earlier) {
    ++earlier->holders;
    ++earlier->continued;
    ++shard.acts_of(act.action).continued;
    grant.use = UseId(earlier->id);
    grant.decided_at = earlier->at;
    grant.seq = earlier->seq;
    grant.leaf = earlier->leaf;
    grant.repeated = true;
    grant.left = left(*entry, decision.decisive_rule, reading.at);
    entry->open_session(earlier, reading.at);
    grant.decision = std::move(decision);
    // Perhaps the first is still on its way to the disk: the repeat waits for the same record.
    return Decided{std::move(grant), earlier, nullptr, earlier->wait};
  }

  if (act.repeats) {
    for (auto& add : decision.consume) add.n = 0;
  }
  for (const auto& add : decision.consume) {
    if (add.n > 0) use->adds.push_back(add);
  }
  set_rules(draft, use->adds);
  use->holders = 1;
  auto ticket = log->enqueue(std::move(draft));
  ++shard.acts_of(act.action).permitted;
  entry->permit(use);
  entry->open_session(use, reading.at);
  grant.left = left(*entry, decision.decisive_rule, reading.at);
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
  const auto* grant = std::get_if<Grant>(&decided.answer);
  Session session;
  if (grant) session = entry.close_session(use, grant->began, clock.read().at);
  if (not_written(error)) {
    entry.give_back(use);
    return;
  }
  // Whether the record is in the log is not known, or it is and nobody waits: the use counts. A
  // repeat with its key may still continue it.
  entry.release(use);
  if (error.message.code == "audit.wait-cancelled" && use->holders == 0 && use->key.empty() &&
      !use->ended) {
    entry.add_session(session);
    log->enqueue(interrupted_draft(act.agreement, event(), use->id, session));
    entry.end(use);
  }
}

awaitable<Result<Authorised>> Enforcer::authorise(Act act) {
  const Instant began = state_->clock.read().at;
  auto decided = state_->decide(act);
  if (!decided) co_return fail(std::move(decided));
  auto* grant = std::get_if<Grant>(&decided->answer);
  if (decided->ticket || decided->shared) {
    Result<audit::Appended> durable;
    if (decided->ticket) {
      durable = co_await state_->log->wait(std::move(decided->ticket));
    } else {
      durable = co_await SharedWait::wait(decided->shared, *state_->log);
    }
    if (!durable) {
      state_->undecide(act, *decided, durable.error());
      state_->unrecorded.fetch_add(1, std::memory_order_relaxed);
      co_return fail(std::move(durable));
    }
    if (grant != nullptr) {
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
  }
  // A clock that went back meanwhile gives no length.
  const Nanos taken = std::max<Nanos>(0, state_->clock.read().at - began);
  state_->taken.observe(static_cast<std::uint64_t>(taken));
  if (grant != nullptr && grant->session) grant->session->act = std::move(act);
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

bool Enforcer::anyone_informed() const {
  return state_->anyone_informed;
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
  const auto session = entry->close_session(use, grant.began, state_->clock.read().at);
  entry->add_session(session);
  entry->end(use);
  entry->release(use);
  if (entry->gathered.empty()) {
    entry->gathered_since = state_->clock.read().at;
    shard.gathering.push_back(agreement);
  }
  entry->gathered.push_back({grant.use.value, std::move(outcome), session});
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
    entry->close_session(use, grant.began, grant.began);
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
    for (const auto& rate : rule.rates) {
      LimitState limit;
      limit.rule = rate.rule;
      limit.window = format_duration(rate.window);
      limit.owner = rate.owner;
      limit.counted_here = rate.owner == entry->terms->our_side;
      limit.limit = rate.most;
      if (limit.counted_here) {
        limit.used = entry->count_within(rate.rule, rate.window, state_->clock.read().at);
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
