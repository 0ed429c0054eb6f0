// Which record has an event id that an earlier one has, in whatever order ids come.
#include "event_ids.hpp"

#include <map>
#include <random>

#include "audit/log_fixture.hpp"

namespace tally::audit {
namespace {

class EventIdsTest : public LogTest {
 protected:
  struct Found {
    std::uint64_t seq;
    std::uint64_t first;
    bool operator==(const Found&) const = default;
  };

  // An id of version 7 of that millisecond.
  static std::string id(unsigned time, unsigned number) {
    std::array<char, 37> text{};
    std::snprintf(text.data(), text.size(), "0195%04x-0000-7000-8000-%012x", time, number);
    return text.data();
  }

  // A log with these ids behind its genesis, and what is found in it.
  std::optional<Found> found_in(const std::vector<std::string>& ids, std::size_t most_recent) {
    put_files(disk, {});
    create();
    LogLife life = live();
    for (const std::string& one : ids) {
      life.writer->enqueue(RecordDraft("log.heartbeat", EventId(one)));
    }
    while (life.writer->commit_batch()) {
    }
    EXPECT_EQ(life.writer->mark().size, ids.size() + 1);
    const auto storage = open_log(disk);
    EventIds events(most_recent);
    EXPECT_TRUE(for_each_record(*storage, 0, [&](const RecordView& record) {
      events.take(record.event);
    }));
    const auto twice = events.first_twice(*storage);
    EXPECT_TRUE(twice);
    if (!twice || !*twice) return std::nullopt;
    return Found{(*twice)->seq, (*twice)->first};
  }
  static std::optional<Found> expected(const std::vector<std::string>& ids) {
    std::map<std::string, std::uint64_t> seen;
    for (std::uint64_t i = 0; i < ids.size(); ++i) {
      const auto [earlier, fresh] = seen.emplace(ids[i], i + 1);
      if (!fresh) return Found{i + 1, earlier->second};
    }
    return std::nullopt;
  }
};

TEST_F(EventIdsTest, AnIdIsFoundAgainHoweverFarBack) {
  std::vector<std::string> ids;
  for (unsigned i = 0; i < 100; ++i) ids.push_back(id(i, i));
  EXPECT_EQ(found_in(ids, 8), std::nullopt);
  for (const std::size_t place : {0U, 50U, 95U, 99U}) {
    auto again = ids;
    again.push_back(ids[place]);
    EXPECT_EQ(found_in(again, 8), (Found{101, place + 1})) << place;
  }
}

TEST_F(EventIdsTest, WhatComesLateButOnceIsNotTaken) {
  std::vector<std::string> ids;
  for (unsigned i = 0; i < 100; ++i) ids.push_back(id(i % 10 == 9 ? i - 9 : i, i));
  EXPECT_EQ(found_in(ids, 4), std::nullopt);
  ids[97] = ids[19];
  EXPECT_EQ(found_in(ids, 4), (Found{98, 20}));
}

TEST_F(EventIdsTest, TheFirstOfSeveralIsNamedInAnyOrder) {
  std::mt19937 random_order(20260301);
  for (int round = 0; round < 150; ++round) {
    const auto pick = [&](unsigned below) { return static_cast<unsigned>(random_order() % below); };
    const unsigned times = 1 + pick(40);
    const unsigned numbers = 1 + pick(round % 2 == 0 ? 20 : 4'000);
    const bool in_order = pick(2) == 0;
    std::vector<std::string> ids;
    for (unsigned i = 0; i < 60; ++i) {
      const unsigned time = in_order ? i / 3 + pick(4) : pick(times);
      ids.push_back(id(time, pick(numbers)));
    }
    for (const std::size_t most_recent : {2U, 7U, 1'000U}) {
      EXPECT_EQ(found_in(ids, most_recent), expected(ids)) << round << " " << most_recent;
    }
  }
}

}  // namespace
}  // namespace tally::audit
