#include "transfer_process.hpp"

#include <utility>

#include "tally/audit/follows.hpp"
#include "tally/core/digest.hpp"
#include "tally/negotiation/delivery.hpp"

namespace tally::transfer {

using dsp::TransferEvent;
using dsp::TransferState;
using negotiation::party_from_json;
using negotiation::text_of;

namespace {

std::optional<TransferEvent> parse_event(std::string_view text) {
  for (const auto event :
       {TransferEvent::request,
        TransferEvent::start,
        TransferEvent::suspension,
        TransferEvent::completion,
        TransferEvent::termination}) {
    if (dsp::to_string(event) == text) return event;
  }
  return std::nullopt;
}

TransferState parse_state(std::string_view text) {
  return dsp::parse_transfer_state(text).value_or(TransferState::none);
}

std::optional<Process::Measured> measured_of(const Json& json, std::string_view key) {
  const auto found = json.find(key);
  if (found == json.end()) return std::nullopt;
  return Process::Measured{text_of(*found, "content"), found->value("bytes", std::uint64_t{0})};
}

Json to_json(const Process::Measured& measured) {
  return {{"content", measured.content}, {"bytes", measured.bytes}};
}

}  // namespace

std::string peer_index(const PartyId& peer, const Pid& peer_pid) {
  return to_string(peer) + " " + peer_pid.value;
}

Json plain_of(const OpenedContent& opens) {
  return {{"content", opens.content}, {"bytes", opens.bytes}};
}

bool Process::is_running() const {
  const bool starting = pending && pending->event == TransferEvent::start;
  const bool leaving = pending && !starting;
  return (state == TransferState::started && !leaving) || starting;
}

std::string statement_row_id(
    const AgreementId& agreement, std::string_view log, std::uint64_t number
) {
  std::string text = agreement.value + "\n" + std::to_string(number);
  if (audit::log_number(log).value_or(1) > 1) text += "\n" + std::string(log);
  return to_hex(sha256(text));
}

void Process::enter(TransferState next, Instant now) {
  if (next == state) return;
  state = next;
  if (next == TransferState::started) reason.reset();  // of a suspension that is over
  ++entered[next];
  entered_at = format_micros(now);
}

int Process::times_entered() const {
  const auto found = entered.find(state);
  return found == entered.end() ? 0 : found->second;
}

std::string Process::key() const {
  return negotiation::process_key(process_kind, pid.value);
}

TransferState Process::shown() const {
  if (state != TransferState::none) return state;
  return pending ? pending->target : TransferState::terminated;
}

dsp::TransferProcess Process::as_message() const {
  const auto both = pids();
  return {std::nullopt, both.provider, both.consumer, shown()};
}

dsp::KnownPids Process::pids() const {
  return role == dsp::Role::provider ? dsp::KnownPids{pid, peer_pid}
                                     : dsp::KnownPids{peer_pid, pid};
}

Result<Process> parse_process(const Row& row) {
  const auto json = negotiation::parse_row(row);
  if (!json) return tl::unexpected(json.error());
  Process process;
  process.version = row.version;
  process.pid = Pid(row.id);
  process.state = parse_state(row.state);
  process.agreement = AgreementId(row.owner);
  process.role = text_of(*json, "role") == dsp::to_string(dsp::Role::provider)
                     ? dsp::Role::provider
                     : dsp::Role::consumer;
  process.peer = party_from_json(json->value("peer", Json::object()));
  process.peer_pid = Pid(text_of(*json, "peerPid"));
  process.peer_base = text_of(*json, "peerBase");
  if (const auto entered = json->find("entered"); entered != json->end()) {
    for (const auto& [name, times] : entered->items()) {
      const auto state = dsp::parse_transfer_state(name);
      if (state && times.is_number_integer()) process.entered[*state] = times.get<int>();
    }
  } else if (process.state != TransferState::none) {
    process.entered[process.state] = 1;  // a row of before this was counted
  }
  process.entered_at = text_of(*json, "enteredAt");
  if (const auto pending = json->find("pending"); pending != json->end()) {
    if (const auto event = parse_event(text_of(*pending, "event"))) {
      process.pending = Process::Pending{
          text_of(*pending, "message"), *event, parse_state(text_of(*pending, "target"))};
    }
  }
  process.asset = AssetId(text_of(*json, "asset"));
  process.format = text_of(*json, "format");
  process.objection = negotiation::message_from_json(json->value("objection", Json::object()));
  process.reason = negotiation::message_from_json(json->value("reason", Json::object()));
  process.ended_by_peer = json->value("endedByPeer", false);
  process.began_at = text_of(*json, "beganAt");
  process.history = negotiation::History(json->value("history", Json::array()));
  process.action = text_of(*json, "action");
  process.certificate = text_of(*json, "certificate");
  process.sent = measured_of(*json, "sent");
  process.endpoint = text_of(*json, "endpoint");
  process.token = text_of(*json, "token");
  process.asked_to_resume = json->value("askedToResume", false);
  process.start_may_follow = json->value("startMayFollow", false);
  process.received = json->value("received", false);
  process.published = json->value("published", false);
  process.pulled = measured_of(*json, "pulled");
  if (const auto place = json->find("place"); place != json->end()) {
    process.place = LogPlace{
        text_of(*place, "origin"), place->value("seq", std::uint64_t{0}), text_of(*place, "leaf")};
  }
  process.sent_receipt = text_of(*json, "sentReceipt");
  process.received_receipt = text_of(*json, "receivedReceipt");
  process.receipt_missing = json->value("receiptMissing", false);
  process.sent_receipt_at = negotiation::text_of(*json, "sentReceiptAt");
  process.key_released_for = text_of(*json, "keyReleasedFor");
  process.opened = json->value("opened", false);
  if (const auto sealed = json->find("sealed"); sealed != json->end()) {
    process.sealed =
        SealedContent{sealed->value("chunks", std::uint64_t{0}), text_of(*sealed, "key")};
  }
  if (const auto opens = json->find("opens"); opens != json->end()) {
    process.opens = OpenedContent{
        text_of(*opens, "content"),
        opens->value("bytes", std::uint64_t{0}),
        text_of(*opens, "mediaType")};
  }
  process.form = json->value("form", Json());
  return process;
}

Row to_row(const Process& process) {
  Row row;
  row.kind = process_kind;
  row.id = process.pid.value;
  row.version = process.version;
  row.state = dsp::to_string(process.state);
  row.owner = process.agreement.value;
  Json body = {
      {"role", dsp::to_string(process.role)},
      {"peer", negotiation::to_json(process.peer)},
      {"peerPid", process.peer_pid.value},
      {"peerBase", process.peer_base},
      {"asset", process.asset.value},
      {"format", process.format},
      {"endedByPeer", process.ended_by_peer},
      {"beganAt", process.began_at},
  };
  const auto set = [&](const char* key, const std::string& text) {
    if (!text.empty()) body[key] = text;
  };
  set("action", process.action);
  set("certificate", process.certificate);
  set("endpoint", process.endpoint);
  set("token", process.token);
  set("sentReceipt", process.sent_receipt);
  set("receivedReceipt", process.received_receipt);
  set("keyReleasedFor", process.key_released_for);
  if (process.opened) body["opened"] = true;
  if (!process.form.is_null()) body["form"] = process.form;
  if (process.sealed) {
    body["sealed"] = {{"chunks", process.sealed->chunks}, {"key", process.sealed->key}};
  }
  if (process.opens) {
    body["opens"] = {
        {"content", process.opens->content},
        {"bytes", process.opens->bytes},
        {"mediaType", process.opens->media_type},
    };
  }
  for (const auto& [state, times] : process.entered) {
    body["entered"][std::string(dsp::to_string(state))] = times;
  }
  set("enteredAt", process.entered_at);
  if (process.asked_to_resume) body["askedToResume"] = true;
  if (process.start_may_follow) body["startMayFollow"] = true;
  if (process.received) body["received"] = true;
  if (process.published) body["published"] = true;
  if (process.receipt_missing) body["receiptMissing"] = true;
  if (!process.sent_receipt_at.empty()) body["sentReceiptAt"] = process.sent_receipt_at;
  if (process.sent) body["sent"] = to_json(*process.sent);
  if (process.pulled) body["pulled"] = to_json(*process.pulled);
  if (process.place) {
    body["place"] = {
        {"origin", process.place->origin},
        {"seq", process.place->seq},
        {"leaf", process.place->leaf},
    };
  }
  if (process.pending) {
    body["pending"] = {
        {"message", process.pending->message},
        {"event", dsp::to_string(process.pending->event)},
        {"target", dsp::to_string(process.pending->target)},
    };
  }
  if (process.objection) body["objection"] = negotiation::to_json(*process.objection);
  if (process.reason) body["reason"] = negotiation::to_json(*process.reason);
  const auto history = process.history.text();
  row.body = negotiation::with_members(body.dump(), {{"history", history}});
  return row;
}

}  // namespace tally::transfer
