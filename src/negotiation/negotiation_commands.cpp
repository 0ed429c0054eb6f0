// What the operator of this connector asks for, and what it shows them.
#include <utility>

#include <nlohmann/json.hpp>

#include "tally/dsp/binding.hpp"
#include "tally/dsp/policy_form.hpp"

#include "negotiation_state.hpp"

namespace tally::negotiation {

using dsp::NegotiationEvent;
using dsp::NegotiationState;
using dsp::Role;

awaitable<Result<Pid>> NegotiationService::negotiate(NegotiateOrder order) {
  State& state = *state_;
  const auto base = order.peer_base.empty() ? state.parts.peers.base_url(order.peer)
                                            : std::optional<std::string>(order.peer_base);
  if (!base || !state.parts.peers.host_allowed(order.peer, *base)) {
    const Message unknown{"negotiation.peer-unknown", {{"peer", order.peer.uri}}};
    co_return fail(ErrorKind::invalid, unknown);
  }
  auto against = state.objection_to(order.peer);
  if (!against) co_return fail(std::move(against));
  if (*against) co_return fail(ErrorKind::conflict, **against);
  if (auto waits = state.waits_for(order.peer)) {
    co_return fail(ErrorKind::unavailable, *std::move(waits));
  }
  Json offer = dsp::with_wire_terms(with_purposes(std::move(order.policy), order.purposes));
  if (!offer.is_object()) {
    const Message malformed{
        "core.member-type",
        {{"member", "policy"}, {"expected", "object"}, {"found", offer.type_name()}}};
    co_return fail(ErrorKind::invalid, malformed, "/policy");
  }
  offer.erase("@context");
  offer["@type"] = "Offer";
  offer["@id"] = order.offer.value;
  offer["target"] = order.asset.value;
  auto form = dsp::check_wire_policy(
      offer, dsp::PolicyForm::message_offer, "/policy", dsp::PolicyOrigin::own
  );
  if (!form) co_return fail(std::move(form));

  Step step;
  Process& process = step.process;
  process.pid = new_pid(state.parts.random);
  process.role = Role::consumer;
  process.peer = order.peer;
  process.peer_base = *base;
  process.offer = offer;
  process.offer_id = order.offer;
  process.asset = order.asset;
  process.began_at = format_micros(state.now());
  dsp::ContractRequestMessage message;
  message.id = new_pid(state.parts.random).value;
  message.consumer_pid = process.pid;
  message.callback_address = state.settings.base_url(order.peer);
  message.offer = std::move(offer);
  HttpRequest request;
  request.method = "POST";
  request.body = dsp::to_json(message).dump();
  auto record = state.draft("contract.offered", process);
  record.set("asset", process.asset.value).set("offer", process.offer_id.value);
  record.set("policy", sha256(to_jcs(process.offer)));
  step.drafts.push_back(std::move(record));
  state.send(
      step,
      NegotiationEvent::request,
      NegotiationState::requested,
      dsp::negotiation_request_path,
      std::move(request),
      *message.id,
      "ContractRequestMessage"
  );
  const Pid pid = process.pid;
  auto done = co_await state.commit(std::move(step));
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
  json["policy"] = process.offer;
  json["history"] = to_json(process.history);
  Json waiting = Json::array();
  for (const auto& message : state_->parts.delivery.waiting(process.key())) {
    waiting.push_back(
        {{"id", message.id},
         {"url", message.url},
         {"attempts", message.attempts},
         {"lastAnswer", message.last_answer},
         {"nextAttempt", format_micros(message.next_attempt)}}
    );
  }
  json["waiting"] = std::move(waiting);
  return json;
}

Result<std::vector<Json>> NegotiationService::list() const {
  std::vector<Json> all;
  Store::Query query;
  query.kind = process_kind;
  query.most = 500;
  for (;;) {
    auto page = state_->parts.store.rows(query);
    if (!page) return fail(std::move(page));
    if (page->empty()) return all;
    query.after = page->back().id;
    for (const auto& row : *page) {
      auto process = parse_process(row);
      if (!process) return fail(std::move(process));
      all.push_back(describe_process(*process));
    }
  }
}

}  // namespace tally::negotiation
