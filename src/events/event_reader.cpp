#include "tally/events/event_reader.hpp"

#include <utility>

#include "tally/negotiation/agreement.hpp"

namespace tally::events {

namespace {

constexpr std::size_t most_records = 256;

}  // namespace

EventReader::EventReader(
    const EventLog& log, std::unique_ptr<audit::LogTail> tail, EventFilter filter
)
    : log_(log), tail_(std::move(tail)), filter_(std::move(filter)) {}

Result<EventReader> EventReader::open(const EventLog& log, std::uint64_t next, EventFilter filter) {
  auto storage = log.open_log();
  if (!storage) return fail(std::move(storage));
  return EventReader(
      log, std::make_unique<audit::LogTail>(std::move(*storage), next), std::move(filter)
  );
}

std::uint64_t EventReader::behind() const {
  const auto durable = log_.durable();
  return durable > tail_->next() ? durable - tail_->next() : 0;
}

awaitable<Result<EventReader::Batch>> EventReader::read() {
  Batch batch;
  Result<void> done;
  const auto end = log_.durable();
  const auto wanted = tail_->next();
  auto job = [&] {
    bool first = true;
    done = tail_->read(end, most_records, [&](const audit::RecordView& record) {
      if (std::exchange(first, false) && record.seq > wanted) batch.skipped = record.seq;
      auto event = event_of(record);
      if (event && filter_.takes(*event)) batch.events.push_back(std::move(*event));
    });
  };
  co_await log_.worker.run(std::move(job));
  if (!done) co_return fail(std::move(done));
  batch.next = tail_->next();
  co_await log_.settled();
  for (auto& event : batch.events) {
    if (auto known = complete(event); !known) co_return fail(std::move(known));
    event.data["id"] = event_id(log_.number, event.seq);
  }
  co_return batch;
}

// What an agreement fixes stands once in the log; an event says it each time.
Result<void> EventReader::complete(Event& event) {
  if (event.agreement.empty()) return {};
  if (known_agreement_ != event.agreement) {
    const auto found = negotiation::find_agreement(log_.store, AgreementId(event.agreement));
    if (!found) return tl::unexpected(found.error());
    known_ = Json::object();
    if (*found) {
      known_ = {
          {"asset", (*found)->asset.value},
          {"role", odrl::to_string((*found)->our_side)},
          {"peer", {{"domain", (*found)->peer().domain}, {"uri", (*found)->peer().uri}}}};
    }
    known_agreement_ = event.agreement;
  }
  for (const auto& [key, value] : known_.items()) {
    if (!event.data.contains(key)) event.data[key] = value;
  }
  return {};
}

}  // namespace tally::events
