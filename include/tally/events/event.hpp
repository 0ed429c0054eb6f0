// A change of state as whoever follows this connector is told it (docs/events.md). Each event is
// one record of the log and says a part of it: no second account of what happened exists. Pure.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include <nlohmann/json.hpp>

#include "tally/audit/record.hpp"
#include "tally/core/json.hpp"
#include "tally/core/result.hpp"

namespace tally::events {

struct Event {
  std::uint64_t seq = 0;  // of the record
  std::string type;       // as the record's
  std::string process;    // pid; empty: the change is of no process
  std::string agreement;  // empty: none
  Json data;              // what is told
};

// nullopt: the record tells of no change that is an event.
std::optional<Event> event_of(const audit::RecordView& record);

// "<n>-<seq>": a connector's n-th log and the record in it, so that an id never comes again.
std::string event_id(std::uint64_t log_number, std::uint64_t seq);
struct EventPlace {
  std::uint64_t log_number = 0;
  std::uint64_t seq = 0;
};
std::optional<EventPlace> parse_event_id(std::string_view text);

// The n of "<connector id>/log/<n>"; 0: it is no origin of a log.
std::uint64_t log_number_of(std::string_view origin);

// Which events somebody wants. Everything where nothing is said.
struct EventFilter {
  std::vector<std::string> types;  // "contract.finalized", or "contract" for all of that area
  std::string process;

  [[nodiscard]] bool takes(const Event& event) const;
};

// Errors: invalid events.unknown-type {type}: no event is of that type or area.
Result<void> check_types(const std::vector<std::string>& types);

}  // namespace tally::events
