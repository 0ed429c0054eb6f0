#include "tally/core/instant.hpp"

#include <limits>

#include <gtest/gtest.h>

namespace tally {
namespace {

TEST(DateTime, ReadsTheLexicalSpaceOfXsd) {
  struct Case {
    const char* text;
    Instant at;
    bool zone;
  };
  const Case cases[] = {
      {"1970-01-01T00:00:00Z", {0, 0}, true},
      {"2026-01-01T00:00:00Z", {1767225600, 0}, true},
      {"2026-01-01T00:00:00", {1767225600, 0}, false},
      {"2026-01-01T08:00:00+08:00", {1767225600, 0}, true},
      {"2025-12-31T10:00:00-14:00", {1767225600, 0}, true},
      {"2025-12-31T24:00:00Z", {1767225600, 0}, true},
      {"2025-12-31T24:00:00.000Z", {1767225600, 0}, true},
      {"2026-01-01T00:00:00.5Z", {1767225600, 500'000'000}, true},
      {"2026-01-01T00:00:00.1234567899Z", {1767225600, 123'456'789}, true},
      {"2024-02-29T00:00:00Z", {1709164800, 0}, true},
      {"1969-12-31T23:59:59.25Z", {-1, 250'000'000}, true},
      {"0000-03-01T00:00:00Z", {-62162035200, 0}, true},
      {"0001-01-01T00:00:00Z", {-62135596800, 0}, true},
      {"-0001-12-31T24:00:00Z", {-62167219200, 0}, true},
      {"12026-01-01T00:00:00Z", {317336745600, 0}, true},
  };
  for (const auto& [text, at, zone] : cases) {
    const auto parsed = parse_date_time(text);
    ASSERT_TRUE(parsed) << text;
    EXPECT_EQ(parsed->instant, at) << text << " " << parsed->instant.seconds;
    EXPECT_EQ(parsed->had_zone, zone) << text;
  }
}

TEST(DateTime, RefusesEverythingElse) {
  for (const char* text :
       {"",
        "2026",
        "2026-01-01",
        "2026-01-01T",
        "2026-01-01T00:00Z",
        "2026-1-01T00:00:00Z",
        "2026-01-01 00:00:00Z",
        "2026-01-01t00:00:00Z",
        "2026-01-01T00:00:00z",
        "2026-01-01T00:00:00 Z",
        " 2026-01-01T00:00:00Z",
        "2026-01-01T00:00:00Z ",
        "+2026-01-01T00:00:00Z",
        "026-01-01T00:00:00Z",
        "02026-01-01T00:00:00Z",
        "2026-13-01T00:00:00Z",
        "2026-00-01T00:00:00Z",
        "2026-02-29T00:00:00Z",
        "1900-02-29T00:00:00Z",
        "2026-04-31T00:00:00Z",
        "2026-01-00T00:00:00Z",
        "2026-01-01T25:00:00Z",
        "2026-01-01T24:00:01Z",
        "2026-01-01T24:01:00Z",
        "2026-01-01T24:00:00.1Z",
        "2026-01-01T00:60:00Z",
        "2026-01-01T00:00:60Z",
        "2026-01-01T00:00:00.Z",
        "2026-01-01T00:00:00,5Z",
        "2026-01-01T00:00:00+8:00",
        "2026-01-01T00:00:00+0800",
        "2026-01-01T00:00:00+14:01",
        "2026-01-01T00:00:00+15:00",
        "2026-01-01T00:00:00+08:60",
        "2026-01-01T00:00:00+08:00Z",
        "1234567890-01-01T00:00:00Z",
        "--2026-01-01T00:00:00Z",
        "2026-01-01T00:00:00\xe3\x80\x80"}) {
    EXPECT_FALSE(parse_date_time(text)) << text;
  }
}

TEST(Date, IsTheWholeDayInItsZone) {
  const auto utc = parse_date("2026-01-01");
  ASSERT_TRUE(utc);
  EXPECT_EQ(utc->start, (Instant{1767225600, 0}));
  EXPECT_EQ(utc->end, (Instant{1767225600 + 86400, 0}));
  const auto east = parse_date("2026-01-01+08:00");
  ASSERT_TRUE(east);
  EXPECT_EQ(east->start, (Instant{1767225600 - 8 * 3600, 0}));
  for (const char* text : {"2026-01-32", "2026-01", "2026-01-01T00:00:00Z", "2026-02-30", "x"}) {
    EXPECT_FALSE(parse_date(text)) << text;
  }
}

TEST(Duration, ReadsTheLexicalSpaceOfXsd) {
  struct Case {
    const char* text;
    XsdDuration duration;
    const char* written;
  };
  const Case cases[] = {
      {"P1Y", {12, 0, 0}, "P1Y"},
      {"P1M", {1, 0, 0}, "P1M"},
      {"PT1M", {0, 60, 0}, "PT1M"},
      {"P1M1D", {1, 86400, 0}, "P1M1D"},
      {"P1Y2M3DT4H5M6.7S",
       {14, 3 * 86400 + 4 * 3600 + 5 * 60 + 6, 700'000'000},
       "P1Y2M3DT4H5M6.7S"},
      {"-P1Y1D", {-12, -86400, 0}, "-P1Y1D"},
      {"-PT0.5S", {0, 0, -500'000'000}, "-PT0.5S"},
      {"P14M", {14, 0, 0}, "P1Y2M"},
      {"PT36H", {0, 129600, 0}, "P1DT12H"},
      {"P0D", {0, 0, 0}, "PT0S"},
      {"PT0S", {0, 0, 0}, "PT0S"},
      {"PT0.000000001S", {0, 0, 1}, "PT0.000000001S"},
      {"P007D", {0, 7L * 86400, 0}, "P7D"},
      {"P1DT1S", {0, 86401, 0}, "P1DT1S"},
  };
  for (const auto& [text, duration, written] : cases) {
    const auto parsed = parse_duration(text);
    ASSERT_TRUE(parsed) << text;
    EXPECT_EQ(*parsed, duration) << text;
    EXPECT_EQ(format_duration(*parsed), written);
  }
}

TEST(Duration, RefusesEverythingElse) {
  for (const char* text :
       {"",
        "P",
        "PT",
        "P1",
        "1Y",
        "P1S",
        "P1H",
        "PT1D",
        "PT1Y",
        "P1YT",
        "P1D1M",
        "P1M1Y",
        "P1Y1Y",
        "PT1S1M",
        "P-1D",
        "+P1D",
        "P1.5D",
        "PT1.5M",
        "PT.5S",
        "PT1.S",
        "PT1.5S1S",
        "p1d",
        "P1DT1",
        "P 1D",
        "PT1M1M",
        "TP1D",
        "PTT1S",
        "P1Y ",
        "P1W",
        "P99999999999999999999Y",
        "P9999999999999Y"}) {
    EXPECT_FALSE(parse_duration(text)) << text;
  }
}

TEST(Duration, ComparesOnTheFourReferenceDates) {
  struct Case {
    const char* a;
    const char* b;
    std::optional<std::strong_ordering> order;
  };
  const auto less = std::strong_ordering::less;
  const auto equal = std::strong_ordering::equal;
  const auto greater = std::strong_ordering::greater;
  // The table of XSD 1.1 part 2, 3.3.6.2.
  const Case cases[] = {
      {"P1Y", "P364D", greater},
      {"P1Y", "P365D", std::nullopt},
      {"P1Y", "P366D", std::nullopt},
      {"P1Y", "P367D", less},
      {"P1M", "P27D", greater},
      {"P1M", "P28D", std::nullopt},
      {"P1M", "P29D", std::nullopt},
      {"P1M", "P30D", std::nullopt},
      {"P1M", "P31D", std::nullopt},
      {"P1M", "P32D", less},
      {"P5M", "P149D", greater},
      {"P5M", "P150D", std::nullopt},
      {"P5M", "P153D", std::nullopt},
      {"P5M", "P154D", less},
      {"P1Y", "P12M", equal},
      {"PT24H", "P1D", equal},
      {"PT1S", "PT1.5S", less},
      {"-P1D", "PT0S", less},
  };
  for (const auto& [a, b, order] : cases) {
    EXPECT_EQ(compare(*parse_duration(a), *parse_duration(b)), order) << a << " " << b;
  }
}

TEST(Duration, AddsByTheCalendar) {
  struct Case {
    const char* from;
    const char* duration;
    const char* to;
  };
  const Case cases[] = {
      {"2000-01-12T12:13:14Z", "P1Y3M5DT7H10M3S", "2001-04-17T19:23:17Z"},
      {"2000-01-01T00:00:00Z", "-P3M", "1999-10-01T00:00:00Z"},
      {"2000-01-12T00:00:00Z", "PT33H", "2000-01-13T09:00:00Z"},
      {"2026-01-31T10:00:00Z", "P1M", "2026-02-28T10:00:00Z"},
      {"2024-01-31T10:00:00Z", "P1M", "2024-02-29T10:00:00Z"},
      {"2024-02-29T00:00:00Z", "P1Y", "2025-02-28T00:00:00Z"},
      {"2026-03-31T00:00:00Z", "-P1M", "2026-02-28T00:00:00Z"},
      {"2026-12-31T23:59:59Z", "PT1S", "2027-01-01T00:00:00Z"},
      {"0001-01-01T00:00:00Z", "-P1D", "0000-12-31T00:00:00Z"},
      {"0000-01-01T00:00:00Z", "-P1D", "-0001-12-31T00:00:00Z"},
  };
  for (const auto& [from, duration, to] : cases) {
    const Instant at = add(parse_date_time(from)->instant, *parse_duration(duration));
    EXPECT_EQ(format_seconds(at), to) << from << " " << duration;
  }
  const Instant half = add({0, 600'000'000}, *parse_duration("PT0.5S"));
  EXPECT_EQ(half, (Instant{1, 100'000'000}));
  EXPECT_EQ(add({0, 0}, *parse_duration("-PT0.5S")), (Instant{-1, 500'000'000}));
}

TEST(Instants, FormatsCut) {
  EXPECT_EQ(format_micros({1767225600, 999'999'999}), "2026-01-01T00:00:00.999999Z");
  EXPECT_EQ(format_micros({1767225600, 0}), "2026-01-01T00:00:00.000000Z");
  EXPECT_EQ(format_seconds({1767225600, 999'999'999}), "2026-01-01T00:00:00Z");
  EXPECT_EQ(format_seconds({317336745600, 0}), "12026-01-01T00:00:00Z");
  EXPECT_FALSE(format_seconds({std::numeric_limits<std::int64_t>::max(), 0}).empty());
  EXPECT_FALSE(format_seconds({std::numeric_limits<std::int64_t>::min(), 0}).empty());
}

TEST(Instants, WhatIsFormattedReadsBack) {
  for (std::int64_t at = -70'000'000'000; at < 70'000'000'000; at += 1'234'567'891) {
    const Instant instant{at, 123'456'000};
    EXPECT_EQ(parse_date_time(format_micros(instant))->instant, instant) << at;
  }
}

TEST(Instants, SumsCarryAndSaturate) {
  const Instant at{10, 900'000'000};
  EXPECT_EQ(at + milliseconds(200), (Instant{11, 100'000'000}));
  EXPECT_EQ(at + milliseconds(-1900), (Instant{9, 0}));
  EXPECT_EQ((at + milliseconds(200)) - at, milliseconds(200));
  EXPECT_EQ(at - (at + milliseconds(200)), milliseconds(-200));
  constexpr auto most = std::numeric_limits<std::int64_t>::max();
  EXPECT_EQ((Instant{most, 0} + seconds(5)).seconds, most);
  EXPECT_EQ((Instant{most, 0}) - (Instant{-most, 0}), std::numeric_limits<Nanos>::max());
  EXPECT_EQ((Instant{-most, 0}) - (Instant{most, 0}), std::numeric_limits<Nanos>::min());
}

}  // namespace
}  // namespace tally
