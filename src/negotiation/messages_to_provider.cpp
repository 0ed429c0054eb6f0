// What consumers send.
#include <utility>

#include <nlohmann/json.hpp>

#include "tally/dsp/policy_form.hpp"
#include "tally/odrl/one_sided.hpp"

#include "answers.hpp"
#include "negotiation_state.hpp"

namespace tally::negotiation {

using dsp::NegotiationEvent;
using dsp::NegotiationState;
using dsp::Role;

awaitable<HttpAnswer> NegotiationService::receive_request(Received received) {
  auto body = parse_body(received.request);
  if (!body) co_return refuse(body.error(), {});
  const auto pids = dsp::known_pids(body->json, Role::provider);
  auto message = dsp::from_json<dsp::ContractRequestMessage>(body->json);
  if (!message) co_return refuse(message.error(), pids);
  State::Beginning beginning;
  beginning.role = Role::provider;
  beginning.event = NegotiationEvent::request;
  beginning.state = NegotiationState::requested;
  beginning.type = "ContractRequestMessage";
  beginning.peer_pid = message->consumer_pid;
  beginning.callback_address = std::move(message->callback_address);
  beginning.offer = std::move(message->offer);
  beginning.contexts = std::move(message->contexts);
  beginning.objection = [this, pids](const Process& process) -> std::optional<HttpAnswer> {
    const auto& offers = state_->parts.offers;
    if (offers.find(process.offer_id, process.asset, process.viewer())) return std::nullopt;
    return unknown_offer(pids);
  };
  auto parsed = std::move(*body);
  co_return co_await state_->begin(
      std::move(received), std::move(parsed), pids, std::move(beginning)
  );
}

awaitable<HttpAnswer> NegotiationService::receive_counter_request(Received received) {
  auto body = parse_body(received.request);
  if (!body) co_return refuse(body.error(), {{Pid(received.own_pid)}, {}});
  const auto pids = dsp::known_pids(body->json, Role::provider, Pid(received.own_pid));
  auto message = dsp::from_json<dsp::ContractRequestMessage>(body->json);
  if (!message) co_return refuse(message.error(), pids);
  const auto dialect = state_->dialect_of(received.caller.party, Role::provider);
  const auto form = check_offer(message->offer, dialect);
  if (!form) co_return refuse(form.error(), pids);
  const auto reading = dsp::reading_of(message->offer, message->contexts, dialect);
  State::Judge judge = [this, pids, reading, id = body->message_id, offer = message->offer](
                           Process process
                       ) -> Result<State::Verdict> {
    Step step;
    step.process = std::move(process);
    Process& moved = step.process;
    if (!state_->accept(step, NegotiationEvent::counter_request)) {
      return state_->illegal(moved, NegotiationEvent::counter_request);
    }
    // The offer on the table may be one of the negotiation's own; the asset never changes.
    if (text_of(offer, "target") != moved.asset.value)
      return State::Verdict{std::nullopt, unknown_offer(pids)};
    moved.offer = offer;
    moved.reading = reading;
    state_->note_in(moved, "ContractRequestMessage", id, "REQUESTED");
    step.drafts.push_back(state_->offered(moved));
    auto answer = state_->answer_of(moved);
    return State::Verdict{std::move(step), std::move(answer)};
  };
  auto parsed = std::move(*body);
  co_return co_await state_->take(
      std::move(received), std::move(parsed), pids, Role::consumer, std::move(judge)
  );
}

namespace {

Message nobody_enforces(const std::vector<std::string>& places) {
  std::string rules;
  for (const auto& place : places) rules += (rules.empty() ? "" : ", ") + place;
  return bounded({"negotiation.nobody-enforces", {{"rules", std::move(rules)}}});
}

}  // namespace

awaitable<HttpAnswer> NegotiationService::receive_verification(Received received) {
  auto body = parse_body(received.request);
  if (!body) co_return refuse(body.error(), {{Pid(received.own_pid)}, {}});
  const auto pids = dsp::known_pids(body->json, Role::provider, Pid(received.own_pid));
  const auto message = dsp::from_json<dsp::ContractAgreementVerificationMessage>(body->json);
  if (!message) co_return refuse(message.error(), pids);

  // Whether there is a good signature does not depend on the row.
  const bool is_signed = identity::has_message_signature(received.request);
  const auto verified = state_->signature_on(received);
  State::Judge judge = [this, is_signed, verified, id = body->message_id](Process process
                       ) -> Result<State::Verdict> {
    Step step;
    step.process = std::move(process);
    Process& moved = step.process;
    if (!state_->accept(step, NegotiationEvent::verification)) {
      return state_->illegal(moved, NegotiationEvent::verification);
    }
    auto agreement = state_->agreement_of(moved);
    if (!agreement) return fail(std::move(agreement));
    auto terms = terms_of(*agreement);
    if (!terms) return fail(std::move(terms));
    const Digest expected = enforces_digest(*terms->policy);
    if (verified) {
      agreement->consumer_signature = identity::to_archive_json(*verified);
      agreement->confirmed = verified->enforces == expected;
    }
    if (is_signed && !verified) {
      moved.objection = bounded(verified.error().message);
    } else if (is_signed && verified->agreement != agreement->digest()) {
      moved.objection = Message{"negotiation.signed-something-else", {}};
    } else {
      const bool lacks = (!is_signed && moved.require_signature) ||
                         (!agreement->confirmed && !moved.accept_unconfirmed);
      // Nothing is lost where this side sees to every rule by itself. As it was loaded above, with
      // nothing confirmed, this side counts all.
      const auto left = odrl::left_to_consumer(*terms->policy, moved.served_each_time);
      if (lacks && !left.empty()) moved.objection = nobody_enforces(left);
    }
    state_->note_in(moved, "ContractAgreementVerificationMessage", id, "VERIFIED");
    auto record = state_->draft("contract.verified", moved);
    record.set("policy", agreement->digest());
    record.set("assurance", agreement->confirmed ? "enforced" : "asserted");
    if (verified) {
      record.set("signature", sha256(agreement->consumer_signature));
    }
    // What rests on the other side's word alone says so.
    if (verified && verified->enforces) {
      record.set("enforces", *verified->enforces);
    } else {
      record.set("enforces", "asserted");
    }
    if (moved.objection) record.set("reason", *moved.objection);
    step.drafts.push_back(std::move(record));
    step.agreement = std::move(*agreement);
    auto answer = state_->answer_of(moved);
    return State::Verdict{std::move(step), std::move(answer)};
  };
  auto parsed = std::move(*body);
  co_return co_await state_->take(
      std::move(received), std::move(parsed), pids, Role::consumer, std::move(judge)
  );
}

}  // namespace tally::negotiation
