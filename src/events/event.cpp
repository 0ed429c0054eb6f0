#include "tally/events/event.hpp"

#include <algorithm>
#include <array>
#include <utility>

#include "tally/core/number.hpp"

namespace tally::events {

namespace {

struct EventType {
  std::string_view type;
  std::string_view state;  // what the change led to; empty: as the record says
};

// By type.
constexpr std::array<EventType, 37> event_types = {{
    {"approval.approved", "approved"},
    {"approval.rejected", ""},
    {"approval.requested", "waiting"},
    {"consent.asked", "waiting"},
    {"consent.rejected", "rejected"},
    {"contract.agreed", "AGREED"},
    {"contract.finalized", "FINALIZED"},
    {"contract.moved", ""},
    {"contract.offered", ""},
    {"contract.terminated", "TERMINATED"},
    {"contract.verified", "VERIFIED"},
    {"data.altered", "altered"},
    {"data.destroy_failed", "held"},
    {"data.destroyed", "destroyed"},
    {"data.intact", "held"},
    {"duty.confirmed", "confirmed"},
    {"duty.refused", ""},
    {"duty.withdrawn", "withdrawn"},
    {"equivocation.found", ""},
    {"equivocation.lifted", ""},
    {"hold.lifted", "lifted"},
    {"hold.placed", "placed"},
    {"hold.refused", ""},
    {"obligation.fulfilled", "fulfilled"},
    {"obligation.violated", "overdue"},
    {"policy.expired", "expired"},
    {"policy.revoked", "revoked"},
    {"receipt.missing", ""},
    {"transfer.completed", "COMPLETED"},
    {"transfer.received", "held"},
    {"transfer.rejected", ""},
    {"transfer.requested", "REQUESTED"},
    {"transfer.sent", ""},
    {"transfer.started", "STARTED"},
    {"transfer.suspended", "SUSPENDED"},
    {"transfer.terminated", "TERMINATED"},
    {"witness.missing", ""},
}};

// What an event takes over from its record as it stands there; nothing else leaves the log.
constexpr std::array<std::string_view, 19> told = {
    "action",
    "asset",
    "before",
    "by",
    "bytes",
    "confirmation",
    "content",
    "contents",
    "decision",
    "hold",
    "method",
    "offer",
    "reason",
    "request",
    "role",
    "rule",
    "scope",
    "state",
    "target"};

const EventType* find_type(std::string_view type) {
  const auto found = std::lower_bound(
      event_types.begin(),
      event_types.end(),
      type,
      [](const EventType& one, std::string_view wanted) { return one.type < wanted; }
  );
  return found != event_types.end() && found->type == type ? &*found : nullptr;
}

// "contract" of "contract.agreed".
std::string_view area_of(std::string_view type) {
  return type.substr(0, type.find('.'));
}

Json member_of(const audit::RecordView& record, std::string_view key) {
  const auto raw = record.raw(key);
  return raw.empty() ? Json() : Json::parse(raw, nullptr, false);
}

}  // namespace

std::optional<Event> event_of(const audit::RecordView& record) {
  const EventType* known = find_type(record.type);
  if (known == nullptr) return std::nullopt;
  Event event;
  event.seq = record.seq;
  event.type = std::string(record.type);
  event.agreement = record.agreement;
  event.data = {{"type", event.type}, {"time", std::string(record.time)}};
  for (const std::string_view key : told) {
    Json value = member_of(record, key);
    if (!value.is_null()) event.data[std::string(key)] = std::move(value);
  }
  if (!known->state.empty()) event.data["state"] = std::string(known->state);
  if (event.type == "approval.rejected") event.data["state"] = event.data.value("decision", "");
  if (!event.agreement.empty()) event.data["agreement"] = event.agreement;
  const Json pid = member_of(record, "pid");
  if (pid.is_string()) {
    event.process = pid.get<std::string>();
    event.data["process"] = event.process;
  }
  Json peer = member_of(record, "counterparty");
  if (peer.is_null()) peer = member_of(record, "peer");
  if (!peer.is_null()) event.data["peer"] = std::move(peer);
  return event;
}

std::string event_id(std::uint64_t log_number, std::uint64_t seq) {
  return std::to_string(log_number) + "-" + std::to_string(seq);
}

std::optional<EventPlace> parse_event_id(std::string_view text) {
  const auto dash = text.find('-');
  if (dash == std::string_view::npos) return std::nullopt;
  const auto log_number = whole_number(text.substr(0, dash));
  const auto seq = whole_number(text.substr(dash + 1));
  if (!log_number || !seq) return std::nullopt;
  return EventPlace{*log_number, *seq};
}

std::uint64_t log_number_of(std::string_view origin) {
  return whole_number(origin.substr(origin.rfind('/') + 1)).value_or(0);
}

bool EventFilter::takes(const Event& event) const {
  if (!process.empty() && event.process != process) return false;
  return types.empty() || std::any_of(types.begin(), types.end(), [&](const std::string& wanted) {
           return wanted == event.type || wanted == area_of(event.type);
         });
}

Result<void> check_types(const std::vector<std::string>& types) {
  for (const auto& type : types) {
    const bool known = std::any_of(event_types.begin(), event_types.end(), [&](const auto& one) {
      return one.type == type || area_of(one.type) == type;
    });
    if (!known) return fail(ErrorKind::invalid, {"events.unknown-type", {{"type", type}}});
  }
  return {};
}

}  // namespace tally::events
