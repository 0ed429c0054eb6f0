// What follows without a person, by rules that somebody wrote and else by itself: decided from the
// row alone, so that it happens once whatever was lost between two steps.
#include <algorithm>
#include <utility>

#include <nlohmann/json.hpp>

#include "tally/audit/witness.hpp"
#include "tally/dsp/policy_form.hpp"

#include "negotiation_state.hpp"

namespace tally::negotiation {

using dsp::NegotiationState;
using dsp::Role;

void NegotiationService::State::advance_soon(const Pid& pid) {
  parts.tasks.spawn("negotiation", advance(pid));
}

awaitable<void> NegotiationService::State::advance(Pid pid) {
  for (;;) {
    auto found = find(pid);
    if (!found || !*found) co_return;
    auto process = std::move(**found);
    if (process.pending || dsp::is_final(process.state)) co_return;
    const auto state = process.state;
    const int occurrence = process.occurrence();
    auto next = next_step(std::move(process));
    if (!next) {
      parts.notices.note(Severity::error, next.error().message);
      co_return;
    }
    if (next->pause > 0) advance_later(pid, state, occurrence, next->pause);
    if (next->question) ask_soon(*std::move(next->question));
    if (!next->step) co_return;
    auto taken = std::move(*next->step);
    const auto done = co_await commit(std::move(taken));
    if (!done && done.error().kind != ErrorKind::conflict) co_return;  // until a restart
  }
}

void NegotiationService::State::advance_later(
    const Pid& pid, NegotiationState state, int occurrence, Nanos pause
) {
  const auto key =
      pid.value + " " + std::string(dsp::to_string(state)) + " " + std::to_string(occurrence);
  const Instant due = now() + pause;
  const auto sleeper = sleepers.find(key);
  if (sleeper != sleepers.end() && sleeper->second <= due) return;
  sleepers[key] = due;
  parts.tasks.spawn("reaction", wake(pid, key, due, pause));
}

awaitable<void> NegotiationService::State::wake(
    Pid pid, std::string key, Instant due, Nanos pause
) {
  co_await parts.timers.sleep_for(pause);
  const auto sleeper = sleepers.find(key);
  // An earlier one has taken its place.
  if (sleeper == sleepers.end() || sleeper->second != due) co_return;
  sleepers.erase(sleeper);
  // The row decides anew: what the rule was for may have passed.
  co_await advance(pid);
}

Result<std::optional<Message>> NegotiationService::State::objection_to(const PartyId& peer) const {
  auto found = audit::contradictions(parts.store, peer);
  if (!found) return fail(std::move(found));
  if (found->empty()) return std::nullopt;
  const auto& first = found->front();
  return bounded(
      {first.proven ? "negotiation.log-contradicts" : "negotiation.log-not-continued",
       {{"peer", peer.uri}, {"origin", first.origin}}}
  );
}

std::optional<Message> NegotiationService::State::waits_for(const PartyId& peer) const {
  const auto since = parts.unasked ? parts.unasked(peer) : std::nullopt;
  if (!since) return std::nullopt;
  // What its log was caught at ends a negotiation at once, and says more.
  const auto against = objection_to(peer);
  if (against && *against) return std::nullopt;
  return Message{
      "negotiation.not-asked-yet", {{"peer", peer.uri}, {"since", format_seconds(*since)}}};
}

Situation NegotiationService::State::situation_of(const Process& process) const {
  Situation situation;
  situation.kind = ProcessKind::negotiation;
  situation.role = process.role;
  situation.peer = process.peer;
  situation.asset = process.asset;
  situation.agreement = process.agreement;
  situation.offer = process.offer_id;
  situation.state = dsp::to_string(process.state);
  situation.occurrence = process.occurrence();
  return situation;
}

namespace {

// Whether it is this side that the other one waits for.
bool is_ours_to_move(const Process& process) {
  switch (process.state) {
    case NegotiationState::requested:
    case NegotiationState::accepted:
    case NegotiationState::verified:
      return process.role == Role::provider;
    case NegotiationState::offered:
    case NegotiationState::agreed:
      return process.role == Role::consumer;
    case NegotiationState::none:
    case NegotiationState::finalized:
    case NegotiationState::terminated:
      break;
  }
  return false;
}

}  // namespace

Result<NegotiationService::State::Next> NegotiationService::State::next_step(Process process
) const {
  const auto as_next = [](Result<Step> step) -> Result<Next> {
    if (!step) return fail(std::move(step));
    return Next{std::move(*step)};
  };
  // Whoever shows two contradicting logs makes no new contract here, not even one that has begun.
  auto against = objection_to(process.peer);
  if (!against) return fail(std::move(against));
  if (*against) return as_next(ended(std::move(process), **against));
  // What has begun goes on once the peer has said that our log was not set back.
  if (!process.objection && waits_for(process.peer)) return Next{};
  if (process.occurrence() > most_rounds) {
    process.objection = Message{
        "negotiation.too-many-rounds",
        {{"state", std::string(dsp::to_string(process.state))},
         {"most", std::to_string(most_rounds)}}};
  }

  const auto reaction =
      parts.reactions ? parts.reactions->find(situation_of(process)) : std::nullopt;
  const bool objects = process.objection.has_value();
  // Against an objection a rule may say when the negotiation ends, and never that it goes on.
  const bool follows =
      reaction && (!objects || reaction->act == Act::terminate || reaction->act == Act::wait);
  if (follows) {
    if (reaction->act == Act::wait) {
      if (!is_ours_to_move(process)) return Next{};
      return wait_for_decision(
          std::move(process), {"negotiation.waits-by-rule", {{"rule", reaction->rule}}}
      );
    }
    const Nanos waited = now() - process.since;
    // A clock that was set back must not make it wait for longer than the rule says.
    if (waited < reaction->after) {
      return Next{std::nullopt, std::min(reaction->after, reaction->after - waited)};
    }
    if (!objects) return as_next(act(std::move(process), *reaction));
  }
  if (objects) {
    const Message reason = *process.objection;
    return as_next(ended(std::move(process), reason));
  }
  return next_by_itself(std::move(process));
}

// What follows where nobody wrote a rule.
Result<NegotiationService::State::Next> NegotiationService::State::next_by_itself(Process process
) const {
  const auto as_next = [](Result<Step> step) -> Result<Next> {
    if (!step) return fail(std::move(step));
    return Next{std::move(*step)};
  };
  const bool provider = process.role == Role::provider;
  switch (process.state) {
    case NegotiationState::requested:
      if (!provider) return Next{};
      return next_of_request(std::move(process));
    case NegotiationState::accepted:
      if (!provider) return Next{};
      return as_next(agree(std::move(process)));
    case NegotiationState::offered:
      if (provider) return Next{};
      return next_of_offer(std::move(process));
    case NegotiationState::agreed:
      if (provider) return Next{};
      return as_next(verify(std::move(process)));
    case NegotiationState::verified:
      if (!provider) return Next{};
      return as_next(finalise(std::move(process)));
    case NegotiationState::none:
    case NegotiationState::finalized:
    case NegotiationState::terminated:
      break;
  }
  return Next{};
}

// The provider: the offer says who decides.
Result<NegotiationService::State::Next> NegotiationService::State::next_of_request(Process process
) const {
  const auto offer = parts.offers.find(process.offer_id, process.asset, process.viewer());
  if (!offer || offer->decide == Decide::by_itself) {
    auto step = agree(std::move(process));
    if (!step) return fail(std::move(step));
    return Next{std::move(*step)};
  }
  const bool for_hook = offer->decide == Decide::by_hook && parts.hook;
  if (process.approval && for_hook && !process.approval->person) {
    Next next;
    next.question = question_for(*offer, process);
    return next;
  }
  auto beyond = goes_beyond(*offer, process);
  const Message within{
      for_hook ? "negotiation.waits-for-hook" : "negotiation.waits-within-offer", {}};
  return wait_for_decision(std::move(process), beyond ? *std::move(beyond) : within);
}

// The consumer: what was asked for is accepted, under whatever id; anything else is not, or waits.
Result<NegotiationService::State::Next> NegotiationService::State::next_of_offer(Process process
) const {
  const bool asked = !process.asked->is_null();
  const bool same =
      asked && dsp::same_rules(dsp::with_words(*process.offer, process.reading), *process.asked);
  const auto decide = asked ? process.on_counter_offer : settings.unasked_offers;
  if (!same && decide == Decide::by_person) {
    const Message why{
        asked ? "negotiation.waits-counter-offer" : "negotiation.waits-unasked-offer", {}};
    return wait_for_decision(std::move(process), why);
  }
  const Message refusal{asked ? "negotiation.offer-differs" : "negotiation.not-asked-for", {}};
  auto step = same ? accept_offer(std::move(process)) : ended(std::move(process), refusal);
  if (!step) return fail(std::move(step));
  return Next{std::move(*step)};
}

}  // namespace tally::negotiation
