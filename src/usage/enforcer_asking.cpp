// Asking without using: the dry run, and whether what was granted may go on.
#include <algorithm>
#include <utility>

#include "tally/odrl/explain.hpp"

#include "enforcer_state.hpp"
#include "refusal.hpp"
#include "use_records.hpp"

namespace tally::usage {

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
  for (const auto& role : act.roles) bytes += role.size();
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

Result<Enforcer::Rehearsal> Enforcer::dry_run(const Act& act) const {
  if (auto bounded = within_bounds(act, state_->limits); !bounded) return fail(std::move(bounded));
  const ClockReading reading = state_->read_clock();
  auto& shard = state_->shard_of(act.agreement.value);
  const std::lock_guard lock(shard.mutex);
  Entry* entry = State::find(shard, act.agreement.value);
  if (entry == nullptr || !entry->terms || act.party != entry->terms->consumer) {
    return unknown_agreement(act.agreement);
  }
  const AgreementTerms& terms = *entry->terms;
  const auto refused = [](Refusal refusal) {
    Rehearsal out;
    out.decision = refusal.decision;
    out.refusal = std::move(refusal);
    return out;
  };
  if (entry->closed != Closed::open) return refused(refuse_closed(terms, entry->closed, act));
  if (const Hold* hold = State::stopping(shard, terms, act.app, reading)) {
    return refused(refuse_held(terms, *hold, act));
  }
  if (!act.purposes_not_registered.empty() || !act.roles_not_registered.empty()) {
    return refused(refuse_unregistered(terms, act));
  }
  if (act.cannot) return refused(refuse_unable(terms, act));
  const Around here = state_->around(*entry, reading, act);
  const Situation situation(*entry, act, reading, here, nullptr);
  auto decision = situation.decide(odrl::Explain::full);
  if (!decision.permit) {
    const auto missing = state_->unwitnessed(*entry);
    auto explained = situation.decide(odrl::Explain::decisive);
    const auto duties = entry->duties.states(reading, *entry);
    auto out = refused(refuse(terms, act, std::move(explained), missing, duties));
    out.decision = std::move(decision);
    return out;
  }
  Rehearsal out;
  out.left = State::left(*entry, decision.decisive_rule, reading.at);
  const auto counts = [](const odrl::Consume& one) { return one.n > 0; };
  if (out.left && std::ranges::any_of(decision.consume, counts)) {
    out.left = std::max<std::int64_t>(0, *out.left - 1);
  }
  out.decision = std::move(decision);
  return out;
}

bool Enforcer::may_go_on(const Grant& grant) {
  auto& shard = state_->shard_of(grant.agreement.value);
  const std::lock_guard lock(shard.mutex);
  Entry* entry = State::find(shard, grant.agreement.value);
  if (entry == nullptr || !entry->terms || entry->closed != Closed::open) return false;
  const bool asks = grant.session != nullptr;
  if (!asks && !shard.holds) return true;
  const ClockReading reading = state_->read_clock();
  if (State::stopping(shard, *entry->terms, grant.app, reading) != nullptr) return false;
  if (!asks) return true;
  auto& session = *grant.session;
  // What a clock says that went wrong ends nothing; the next act is refused. A withdrawal needs no
  // clock.
  const bool turned = session.ask_again && reading.reliable && reading.at >= *session.ask_again;
  if (!turned && session.withdrawals == entry->duties.withdrawals()) return true;
  Around here = state_->around(*entry, reading, session.act);
  // Both were settled before the first byte left.
  here.witnessed = true;
  here.begun = true;
  const UsePtr use = entry->find(grant.use.value);
  const Situation situation(*entry, session.act, reading, here, use.get());
  const auto decision = situation.decide();
  if (!decision.permit) return false;
  session.ask_again = State::ask_again(*entry, decision, reading.at);
  session.withdrawals = entry->duties.withdrawals();
  return true;
}

}  // namespace tally::usage
