// What the operator of this connector asks for, and what it shows them.
#include <utility>

#include <nlohmann/json.hpp>

#include "tally/negotiation/attempts.hpp"
#include "tally/negotiation/own_offer.hpp"

#include "negotiation_state.hpp"

namespace tally::negotiation {

using dsp::NegotiationEvent;
using dsp::NegotiationState;
using dsp::Role;

Result<std::string> NegotiationService::State::base_for_new(
    const PartyId& peer, const std::string& wanted
) const {
  auto base = wanted.empty() ? parts.peers.base_url(peer) : std::optional<std::string>(wanted);
  if (!base || !parts.peers.host_allowed(peer, *base)) {
    return fail(ErrorKind::invalid, {"negotiation.peer-unknown", {{"peer", peer.uri}}});
  }
  auto against = objection_to(peer);
  if (!against) return fail(std::move(against));
  if (*against) return fail(ErrorKind::conflict, **against);
  if (auto waits = waits_for(peer)) return fail(ErrorKind::unavailable, *std::move(waits));
  return *std::move(base);
}

// An offer without rules can only be asked for as it is: with a rule in it, and be it a narrower
// one, it would be another policy, and its provider compares.
Result<Json> NegotiationService::State::wanted_by(const NegotiateOrder& order) const {
  const auto dialect = parts.peers.policy_dialect(order.peer);
  if (dsp::is_without_rules(order.policy)) {
    if (dialect.empty == dsp::EmptyPolicy::refused) {
      return fail(
          ErrorKind::invalid, {"negotiation.empty-offer", {{"peer", order.peer.uri}}}, "/policy"
      );
    }
    if (!order.purposes.empty()) {
      return fail(ErrorKind::invalid, {"negotiation.empty-offer-narrowed", {}}, "/purposes");
    }
  }
  const auto reading = order.contexts ? dsp::reading_of(order.policy, *order.contexts, dialect)
                                      : dsp::reading_by_all(order.policy, dialect);
  return offer_message(
      with_purposes(dsp::with_words(order.policy, reading), order.purposes),
      order.offer,
      order.asset,
      "/policy",
      dialect.empty
  );
}

awaitable<Result<Pid>> NegotiationService::negotiate(NegotiateOrder order) {
  State& state = *state_;
  auto base = state.base_for_new(order.peer, order.peer_base);
  if (!base) co_return fail(std::move(base));
  auto wanted = state.wanted_by(order);
  if (!wanted) co_return fail(std::move(wanted));

  Process process;
  process.pid = new_pid(state.parts.random);
  process.role = Role::consumer;
  process.peer = order.peer;
  process.peer_base = *std::move(base);
  process.asked = *std::move(wanted);
  process.offer_id = order.offer;
  process.asset = order.asset;
  process.on_counter_offer = order.counter_offers.value_or(state.settings.counter_offers);
  process.began_at = format_micros(state.now());
  const Pid pid = process.pid;
  auto step = state.counter(std::move(process), std::nullopt);
  if (!step) co_return fail(std::move(step));
  auto done = co_await state.commit(std::move(*step));
  if (!done) co_return fail(std::move(done));
  co_return pid;
}

awaitable<Result<Pid>> NegotiationService::make_offer(OfferOrder order) {
  State& state = *state_;
  auto base = state.base_for_new(order.peer, order.peer_base);
  if (!base) co_return fail(std::move(base));
  // No certificate is at hand: an offer that asks for more than the party is not made unasked.
  const auto offer = state.parts.offers.find(order.offer, order.asset, order.peer);
  if (!offer) {
    const Message unknown{
        "negotiation.no-offer-for-peer", {{"offer", order.offer.value}, {"peer", order.peer.uri}}};
    co_return fail(ErrorKind::not_found, unknown);
  }

  Process process;
  process.pid = new_pid(state.parts.random);
  process.role = Role::provider;
  process.peer = order.peer;
  process.peer_base = *std::move(base);
  process.offer_id = order.offer;
  process.asset = offer->asset;
  process.began_at = format_micros(state.now());
  const Pid pid = process.pid;
  auto step = state.offer(std::move(process), order.policy);
  if (!step) co_return fail(std::move(step));
  auto done = co_await state.commit(std::move(*step));
  if (!done) co_return fail(std::move(done));
  co_return pid;
}

awaitable<Result<void>> NegotiationService::terminate(Pid pid, Message reason) {
  for (;;) {
    auto found = state_->find(pid);
    if (!found) co_return fail(std::move(found));
    if (!*found) {
      const Message unknown{"negotiation.unknown-process", {}};
      co_return fail(ErrorKind::not_found, unknown);
    }
    const Process& process = **found;
    const auto may = [&](NegotiationState from) {
      return from == NegotiationState::none ||
             dsp::may_send(from, NegotiationEvent::termination, process.role);
    };
    // While a message of ours is on its way the peer stands before it or behind it.
    // What is under way to FINALIZED or TERMINATED may be the end already, on the other side.
    const bool ending = process.pending && dsp::is_final(process.pending->target);
    const bool legal = may(process.state) || (process.pending && may(process.pending->target));
    if (ending || dsp::is_final(process.state) || !legal) {
      const Message cannot{
          "negotiation.cannot-terminate",
          {{"state", std::string(dsp::to_string(process.shown()))}}};
      co_return fail(ErrorKind::conflict, cannot);
    }
    Step step;
    step.process = std::move(**found);
    state_->note_local(step.process, "terminate", reason.code);
    auto ended = state_->end(step, bounded(reason));
    if (!ended) co_return ended;
    auto done = co_await state_->commit(std::move(step));
    if (!done && done.error().kind == ErrorKind::conflict) continue;
    co_return done;
  }
}

namespace {

Json describe_process(const Process& process) {
  Json json = {
      {"id", process.pid.value},
      {"peerPid", process.peer_pid.value},
      {"role", dsp::to_string(process.role)},
      {"peer", to_json(process.peer)},
      {"state", dsp::to_string(process.shown())},
      {"offer", process.offer_id.value},
      {"asset", process.asset.value},
      {"began", process.began_at},
  };
  if (!process.agreement.empty()) json["agreement"] = process.agreement.value;
  if (process.pending) json["sending"] = dsp::to_string(process.pending->event);
  if (process.approval) {
    json["waitsFor"] = to_json(process.approval->why);
  }
  if (process.reason) {
    json["reason"] = to_json(*process.reason);
    json["endedBy"] = process.ended_by_peer ? "peer" : "self";
  }
  return json;
}

}  // namespace

Result<Json> NegotiationService::describe(const Pid& pid) const {
  auto found = state_->find(pid);
  if (!found) return fail(std::move(found));
  if (!*found) return fail(ErrorKind::not_found, {"negotiation.unknown-process", {}});
  const Process& process = **found;
  Json json = describe_process(process);
  json["policy"] = *process.offer;
  if (!process.reading.is_plain()) json["reading"] = dsp::to_json(process.reading);
  json["history"] = history_with_attempts(process.history.json(), state_->parts.store);
  json["waiting"] = to_json(state_->parts.delivery.waiting(process.key()));
  return json;
}

Result<std::vector<Json>> NegotiationService::list(const std::string& after, std::size_t most)
    const {
  auto rows = state_->parts.store.rows({std::string(process_kind), {}, {}, after, most});
  if (!rows) return fail(std::move(rows));
  std::vector<Json> all;
  for (const auto& row : *rows) {
    auto process = parse_process(row);
    if (!process) return fail(std::move(process));
    all.push_back(describe_process(*process));
  }
  return all;
}

}  // namespace tally::negotiation
