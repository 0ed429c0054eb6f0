// How far a webhook was told, as its one row in the store keeps it. The events themselves stay
// where they are, in the log. Pure.
#pragma once

#include <cstdint>
#include <optional>
#include <string>

#include "tally/core/json.hpp"
#include "tally/core/message.hpp"
#include "tally/core/store.hpp"

namespace tally::events {

constexpr const char* webhook_kind = "webhook";

// What a receiver was not told and will not be: said to it before what follows.
struct WebhookGap {
  std::string code;         // why: events.dropped, events.pruned, events.id-unknown
  std::uint64_t from = 0;   // the first record that is missed
  std::uint64_t first = 0;  // and where it goes on
  std::string id;           // the id that is none of this log, else empty
  bool operator==(const WebhookGap&) const = default;
};

// What the last attempt met.
struct WebhookAnswer {
  std::string time;
  int status = 0;                // 0: there was no answer
  std::optional<Message> fault;  // why not
};

struct WebhookPlace {
  std::uint64_t log_number = 0;
  std::uint64_t next = 0;  // the first record that was not told
  std::optional<WebhookGap> gap;
  std::optional<WebhookAnswer> last;
  std::uint64_t version = 0;  // of the row

  // Records from `from` on, up to but not with `first`, are not told. Gaps become one.
  void miss(std::string code, std::uint64_t from, std::uint64_t first);
  // In another log than the one that it knows, or behind the end of this one: from its beginning,
  // and a gap says so.
  void settle_in(std::uint64_t number, std::uint64_t durable);
};

Row to_row(const WebhookPlace& place, const std::string& webhook);
// Errors: invalid events.webhook-row {webhook}.
Result<WebhookPlace> parse_webhook_place(const Row& row);

// The body that tells of it: an event `log.gap`.
Json gap_json(const WebhookGap& gap);

// How long to wait after so many failed attempts in a row.
Nanos webhook_pause(std::uint32_t failed);

}  // namespace tally::events
