#include "negotiation_process.hpp"

#include <utility>

#include "tally/negotiation/delivery.hpp"

namespace tally::negotiation {

namespace {

using dsp::NegotiationEvent;
using dsp::NegotiationState;

constexpr NegotiationEvent events[] = {
    NegotiationEvent::request,
    NegotiationEvent::counter_request,
    NegotiationEvent::offer_initial,
    NegotiationEvent::offer,
    NegotiationEvent::accepted,
    NegotiationEvent::agreement,
    NegotiationEvent::verification,
    NegotiationEvent::finalized,
    NegotiationEvent::termination,
};

std::optional<NegotiationEvent> parse_event(std::string_view text) {
  for (const auto event : events) {
    if (dsp::to_string(event) == text) return event;
  }
  return std::nullopt;
}

NegotiationState parse_state(std::string_view text) {
  return dsp::parse_negotiation_state(text).value_or(NegotiationState::none);
}

}  // namespace

std::string peer_index(const PartyId& peer, const Pid& peer_pid) {
  return to_string(peer) + " " + peer_pid.value;
}

std::string Process::process_key_of(const Pid& pid) {
  return process_key(process_kind, pid.value);
}

void Process::enter(dsp::NegotiationState to, Instant at) {
  state = to;
  since = at;
  approval.reset();
  ++entered[std::string(dsp::to_string(to))];
}

int Process::occurrence() const {
  const auto found = entered.find(std::string(dsp::to_string(state)));
  return found == entered.end() ? 1 : found->second;
}

dsp::NegotiationState Process::shown() const {
  if (state != NegotiationState::none) return state;
  return pending ? pending->target : NegotiationState::terminated;
}

dsp::ContractNegotiation Process::as_message() const {
  const auto both = pids();
  return {std::nullopt, both.provider, both.consumer, shown()};
}

dsp::KnownPids Process::pids() const {
  return role == dsp::Role::provider ? dsp::KnownPids{pid, peer_pid}
                                     : dsp::KnownPids{peer_pid, pid};
}

Result<Process> parse_process(const Row& row) {
  auto json = parse_row(row);
  if (!json) return tl::unexpected(json.error());
  // Moved out and not copied: a process is read for each message.
  const auto take = [&json](const char* member, Json otherwise) {
    const auto found = json->find(member);
    return found == json->end() ? std::move(otherwise) : std::move(*found);
  };
  Process process;
  process.version = row.version;
  process.pid = Pid(row.id);
  process.role = text_of(*json, "role") == dsp::to_string(dsp::Role::provider)
                     ? dsp::Role::provider
                     : dsp::Role::consumer;
  process.peer = party_from_json(json->value("peer", Json::object()));
  process.subject = json->value("subject", SubjectAttributes{});
  process.peer_pid = Pid(text_of(*json, "peerPid"));
  process.peer_base = text_of(*json, "peerBase");
  process.state = parse_state(row.state);
  if (const auto pending = json->find("pending"); pending != json->end()) {
    if (const auto event = parse_event(text_of(*pending, "event"))) {
      process.pending = Process::Pending{
          text_of(*pending, "message"), *event, parse_state(text_of(*pending, "target"))};
    }
  }
  process.offer = take("offer", Json::object());
  process.reading = dsp::policy_reading_from_json(take("reading", Json()));
  process.asked = take("asked", Json());
  process.offer_id = OfferId(text_of(*json, "offerId"));
  process.asset = AssetId(text_of(*json, "asset"));
  process.agreement = AgreementId(text_of(*json, "agreement"));
  process.require_signature = json->value("requireSignature", true);
  process.accept_unconfirmed = json->value("acceptUnconfirmed", false);
  process.served_each_time = json->value("servedEachTime", false);
  if (const auto approval = json->find("approval"); approval != json->end()) {
    const auto at = parse_date_time(text_of(*approval, "since"));
    auto why = message_from_json(approval->value("why", Json::object()));
    if (at && why) {
      process.approval =
          Process::Approval{at->instant, *std::move(why), approval->value("person", false)};
    }
  }
  process.on_counter_offer =
      text_of(*json, "onCounterOffer") == "approve" ? Decide::by_person : Decide::by_itself;
  process.objection = message_from_json(json->value("objection", Json::object()));
  process.reason = message_from_json(json->value("reason", Json::object()));
  process.ended_by_peer = json->value("endedByPeer", false);
  process.began_at = text_of(*json, "beganAt");
  // A row of an earlier version counts from its beginning.
  const auto since = parse_date_time(json->value("since", process.began_at));
  if (since) process.since = since->instant;
  const Json entered = take("entered", Json::object());
  for (const auto& [state, times] : entered.items()) {
    if (times.is_number_integer()) process.entered[state] = times.get<int>();
  }
  process.history = History(take("history", Json::array()));
  process.as_read = process.as_written();
  return process;
}

Row to_row(const Process& process) {
  Row row;
  row.kind = process_kind;
  row.id = process.pid.value;
  row.version = process.version;
  row.state = dsp::to_string(process.state);
  row.owner = to_string(process.peer);
  Json body = {
      {"role", dsp::to_string(process.role)},
      {"peer", to_json(process.peer)},
      {"peerPid", process.peer_pid.value},
      {"peerBase", process.peer_base},
      {"entered", process.entered},
      {"since", format_micros(process.since)},
      {"offerId", process.offer_id.value},
      {"asset", process.asset.value},
      {"agreement", process.agreement.value},
      {"requireSignature", process.require_signature},
      {"acceptUnconfirmed", process.accept_unconfirmed},
      {"servedEachTime", process.served_each_time},
      {"endedByPeer", process.ended_by_peer},
      {"beganAt", process.began_at},
  };
  if (process.pending) {
    body["pending"] = {
        {"message", process.pending->message},
        {"event", dsp::to_string(process.pending->event)},
        {"target", dsp::to_string(process.pending->target)},
    };
  }
  if (!process.reading.is_plain()) body["reading"] = dsp::to_json(process.reading);
  if (!process.subject.empty()) body["subject"] = process.subject;
  if (process.approval) {
    body["approval"] = {
        {"since", format_micros(process.approval->since)}, {"why", to_json(process.approval->why)}};
    if (process.approval->person) body["approval"]["person"] = true;
  }
  if (process.on_counter_offer == Decide::by_person) body["onCounterOffer"] = "approve";
  if (process.objection) body["objection"] = to_json(*process.objection);
  if (process.reason) body["reason"] = to_json(*process.reason);
  const auto history = process.history.text();
  row.body = with_members(
      body.dump(),
      {{"offer", process.offer.text()}, {"asked", process.asked.text()}, {"history", history}}
  );
  return row;
}

}  // namespace tally::negotiation
