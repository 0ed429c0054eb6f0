#include "tally/api/call_limits.hpp"

#include <tuple>

#include <gtest/gtest.h>
#include <nlohmann/json.hpp>

namespace tally::api {
namespace {

constexpr Instant start{1'000'000, 0};

struct Refusals final : LimitedCalls {
  void limited(std::string_view listener, std::string_view code, const std::string& who) override {
    seen.emplace_back(listener, code, who);
  }
  std::vector<std::tuple<std::string, std::string, std::string>> seen;
};

class Limited : public ::testing::Test {
 protected:
  static identity::Caller caller(
      std::string source, std::string_view authorization = "Bearer wrong"
  ) {
    return {nullptr, Secret(authorization), std::move(source)};
  }
  Refusals refusals;
  RateLimiter failed{{1, 3}};
  CallLimits limits{"peers", {{10, 4}, Rate{10, 2}}, failed, refusals};
};

TEST_F(Limited, AnswersWithCodeSentenceAndWhenToAskAgain) {
  for (int i = 0; i < 4; ++i) EXPECT_FALSE(limits.refuse("a", Where::connection, start, Lang::en));
  for (const Lang lang : {Lang::en, Lang::zh}) {
    const auto refused = limits.refuse("a", Where::connection, start, lang);
    ASSERT_TRUE(refused);
    EXPECT_EQ(refused->status, 429);
    EXPECT_EQ(refused->headers.get("Retry-After"), "1");
    EXPECT_EQ(refused->headers.get("Content-Type"), "application/problem+json");
    const Json body = Json::parse(refused->body);
    EXPECT_EQ(body.at("code"), "api.calls-limited");
    EXPECT_EQ(body.at("detail"), render({"api.calls-limited", {{"seconds", "1"}}}, lang));
  }
  EXPECT_EQ(refusals.seen.size(), 2U);
  EXPECT_EQ(refusals.seen.front(), std::tuple("peers", "api.calls-limited", "a"));
  EXPECT_FALSE(limits.refuse("b", Where::connection, start, Lang::en));
  EXPECT_FALSE(limits.refuse("a", Where::connection, start + seconds(1), Lang::en));
}

TEST_F(Limited, HasLessRoomForWhatChangesState) {
  for (int i = 0; i < 2; ++i) EXPECT_FALSE(limits.refuse("a", Where::home, start, Lang::en));
  EXPECT_TRUE(limits.refuse("a", Where::home, start, Lang::en));
  EXPECT_FALSE(limits.refuse("a", Where::connection, start, Lang::en));
}

TEST_F(Limited, LooksAtTokensOfNobodyByAddress) {
  for (int i = 0; i < 3; ++i) {
    // Another port is the same address.
    const auto here = caller("192.0.2.1:" + std::to_string(5000 + i));
    EXPECT_FALSE(limits.refuse_unknown(here, start, Lang::en));
  }
  const auto refused = limits.refuse_unknown(caller("192.0.2.1:6000"), start, Lang::en);
  ASSERT_TRUE(refused);
  EXPECT_EQ(refused->status, 429);
  EXPECT_EQ(Json::parse(refused->body).at("code"), "api.tokens-limited");
  EXPECT_EQ(refusals.seen.front(), std::tuple("peers", "api.tokens-limited", "192.0.2.1"));
  EXPECT_FALSE(limits.refuse_unknown(caller("192.0.2.2:6000"), start, Lang::en));
  EXPECT_FALSE(limits.refuse_unknown(caller("192.0.2.1:6000", ""), start, Lang::en));
  EXPECT_FALSE(limits.refuse_unknown(caller("192.0.2.1:6000"), start + seconds(1), Lang::en));
}

TEST_F(Limited, SharesThatOverTheListenersOfAConnector) {
  CallLimits apps{"apps", {{10, 4}, {}}, failed, refusals};
  for (int i = 0; i < 3; ++i) EXPECT_FALSE(limits.refuse_unknown(caller("unix"), start, Lang::en));
  EXPECT_TRUE(apps.refuse_unknown(caller("unix"), start, Lang::en));
}

TEST(Network, IsTheAddressAndOfIpv6WhatOneSubscriberHas) {
  EXPECT_EQ(network_of("192.0.2.1:5000"), "192.0.2.1");
  EXPECT_EQ(network_of("[2001:db8:1:2:3:4:5:6]:5000"), "2001:db8:1:2::/64");
  EXPECT_EQ(network_of("[2001:db8:1:2:ffff::1]:5000"), "2001:db8:1:2::/64");
  EXPECT_EQ(network_of("[::ffff:192.0.2.1]:5000"), "192.0.2.1");
  EXPECT_EQ(network_of("unix"), "unix");
}

}  // namespace
}  // namespace tally::api
