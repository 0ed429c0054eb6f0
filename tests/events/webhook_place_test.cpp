// How far a webhook was told: its row, its gaps, its pauses.
#include "webhook_place.hpp"

#include <gtest/gtest.h>

namespace tally::events {
namespace {

TEST(WebhookPlace, ComesBackFromItsRow) {
  WebhookPlace plain;
  plain.log_number = 1;
  plain.next = 57;
  WebhookPlace full = plain;
  full.gap = WebhookGap{"events.id-unknown", 3, 9, "7-1"};
  full.last = WebhookAnswer{"2026-01-01T00:00:00.000000Z", 503, {}};
  WebhookPlace silent = plain;
  const Message fault{"net.x", {{"host", "a"}}};
  silent.last = WebhookAnswer{"2026-01-01T00:00:00.000000Z", 0, fault};
  for (const auto& place : {plain, full, silent}) {
    Row row = to_row(place, "desk");
    EXPECT_EQ(row.id, "desk");
    row.version = 4;
    const auto again = parse_webhook_place(row);
    ASSERT_TRUE(again);
    EXPECT_EQ(again->version, 4U);
    EXPECT_EQ(again->gap, place.gap);
    EXPECT_EQ(to_row(*again, "desk").body, to_row(place, "desk").body);
  }
}

TEST(WebhookPlace, ARowThatIsNoneIsRefused) {
  for (const char* body :
       {"",
        "1",
        "[]",
        "{}",
        R"({"log":1})",
        R"({"log":1,"next":"2"})",
        R"({"log":1,"next":2,"gap":1})",
        R"({"log":1,"next":2,"gap":{"code":"events.dropped"}})",
        R"({"log":1,"next":2,"last":{"time":1}})",
        R"({"log":1,"next":2,"last":{"time":"","fault":{}}})"}) {
    Row row = to_row({}, "desk");
    row.body = body;
    const auto parsed = parse_webhook_place(row);
    ASSERT_FALSE(parsed) << body;
    EXPECT_EQ(parsed.error().message.code, "events.webhook-row");
  }
}

TEST(WebhookPlace, GapsBecomeOne) {
  WebhookPlace place;
  place.next = 10;
  place.miss("events.dropped", 12, 13);
  EXPECT_EQ(place.next, 13U);
  place.miss("events.dropped", 20, 21);
  place.miss("events.pruned", 21, 40);
  EXPECT_EQ(place.next, 40U);
  EXPECT_EQ(*place.gap, (WebhookGap{"events.pruned", 12, 40, {}}));
}

TEST(WebhookPlace, OfAnotherLogBeginsAnew) {
  struct Case {
    std::uint64_t log_number, next, durable;
    const char* unknown;  // null: it goes on where it was
  };
  for (const auto& [log_number, next, durable, unknown] :
       {Case{1, 5, 5, nullptr},
        Case{1, 0, 0, nullptr},
        Case{1, 6, 5, "1-5"},
        Case{2, 3, 9, "2-2"},
        Case{2, 0, 9, "2-0"}}) {
    WebhookPlace place;
    place.log_number = log_number;
    place.next = next;
    place.settle_in(1, durable);
    EXPECT_EQ(place.log_number, 1U);
    EXPECT_EQ(place.next, unknown == nullptr ? next : 0);
    ASSERT_EQ(place.gap.has_value(), unknown != nullptr);
    if (unknown != nullptr) EXPECT_EQ(place.gap->id, unknown);
  }
}

TEST(WebhookPause, DoublesUpToTenMinutes) {
  const std::pair<std::uint32_t, std::int64_t> cases[] = {
      {1, 1}, {2, 2}, {3, 4}, {10, 512}, {11, 600}, {12, 600}, {4'000'000'000, 600}};
  for (const auto& [failed, pause] : cases) EXPECT_EQ(webhook_pause(failed), seconds(pause));
}

}  // namespace
}  // namespace tally::events
