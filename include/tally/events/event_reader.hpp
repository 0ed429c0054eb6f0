// Events in their order, read from the log on. Home executor.
#pragma once

#include <cstdint>
#include <functional>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "tally/audit/log_tail.hpp"
#include "tally/core/clock.hpp"
#include "tally/core/store.hpp"
#include "tally/events/event.hpp"

namespace tally::events {

// What every reader of events uses; outlives them.
struct EventLog {
  Store& store;
  Worker& worker;
  Timers& timers;
  std::function<Result<std::unique_ptr<audit::LogStorage>>()> open_log;
  std::function<std::uint64_t()> durable;    // how many records
  std::function<awaitable<void>()> settled;  // audit::Journal::settled
  std::uint64_t number = 0;                  // of the log
};

class EventReader {
 public:
  struct Batch {
    std::vector<Event> events;  // complete: also with what their agreement says
    std::uint64_t next = 0;     // the record behind the last one that was looked at
    std::uint64_t skipped = 0;  // not 0: records before this one were pruned and not seen
  };

  // `next`: the first record to look at. Errors: those of EventLog::open_log.
  static Result<EventReader> open(const EventLog& log, std::uint64_t next, EventFilter filter);

  // What became durable since, at most 256 records of it; empty where nothing did. Whoever is told
  // of an event finds it in the state of the process too. Errors: those of audit::LogTail::read.
  awaitable<Result<Batch>> read();
  // How many durable records are still to be looked at.
  [[nodiscard]] std::uint64_t behind() const;

 private:
  EventReader(const EventLog& log, std::unique_ptr<audit::LogTail> tail, EventFilter filter);
  Result<void> complete(Event& event);

  const EventLog& log_;
  std::unique_ptr<audit::LogTail> tail_;
  EventFilter filter_;
  // What the agreement asked for last says: most events in a row are of one.
  std::string known_agreement_;
  Json known_;
};

}  // namespace tally::events
