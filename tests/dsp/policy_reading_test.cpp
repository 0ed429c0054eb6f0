#include "tally/dsp/policy_reading.hpp"

#include <gtest/gtest.h>

#include "tally/dsp/messages.hpp"

#include "dsp/test_data.hpp"

namespace tally::dsp {

namespace {

PolicyDialect dialect_of(const Json& json) {
  PolicyDialect dialect;
  dialect.contexts = json.at("contexts").get<std::map<std::string, Words>>();
  if (json.value("emptyOffer", "refuse") == "use") dialect.empty = EmptyPolicy::permits_use;
  return dialect;
}

}  // namespace

TEST(PolicyReading, WhatAPeersOwnWordsBecome) {
  const Json cases = read_json(data_folder() / "readings.json");
  EXPECT_GE(cases.size(), 10U);
  for (const auto& each : cases) {
    SCOPED_TRACE(each.at("name").get<std::string>());
    const auto contexts = each.at("contexts").get<std::vector<std::string>>();
    const auto reading = reading_of(each.at("policy"), contexts, dialect_of(each.at("dialect")));
    EXPECT_EQ(to_json(reading), each.at("reading"));
    EXPECT_EQ(reading.is_plain(), each.at("reading").empty());
    EXPECT_EQ(to_jcs(as_read(each.at("policy"), reading)), to_jcs(each.at("read")));
    // As a row keeps it; and what was read is not read again.
    EXPECT_EQ(policy_reading_from_json(to_json(reading)), reading);
    EXPECT_EQ(to_jcs(as_read(each.at("read"), reading)), to_jcs(each.at("read")));
  }
}

TEST(PolicyReading, AnOrderMeansEveryDeclaredContext) {
  const Json cases = read_json(data_folder() / "readings.json");
  const auto dialect = dialect_of(cases.at(0).at("dialect"));
  const auto reading = reading_by_all(cases.at(0).at("policy"), dialect);
  EXPECT_EQ(reading.contexts.size(), dialect.contexts.size());
  EXPECT_EQ(reading.words.size(), 1U);
}

TEST(PolicyReading, AMessageNamesTheContextsOfThePeerBehindTheProtocols) {
  const Json cases = read_json(data_folder() / "readings.json");
  const auto dialect = dialect_of(cases.at(0).at("dialect"));
  ContractAgreementMessage message;
  message.provider_pid = Pid("p");
  message.consumer_pid = Pid("c");
  message.agreement = example("contract-agreement").at("agreement");
  message.contexts = contexts_for(dialect, {{"https://withdrawn.example/v1"}, {}, false});
  const Json written = to_json(message);
  const Json expected = {
      context_url,
      "https://withdrawn.example/v1",
      "https://peer.example/v2",
      "https://w3id.org/edc/dspace/v0.0.1"};
  EXPECT_EQ(written.at("@context"), expected);
  const auto again = from_json<ContractAgreementMessage>(written);
  ASSERT_TRUE(again);
  EXPECT_EQ(again->contexts, message.contexts);
  EXPECT_TRUE(contexts_for({}, {}).empty());
}

TEST(PolicyReading, AnEmptyPolicyIsTakenOnlyWhereItMeansSomething) {
  const Json offer = {{"@id", "urn:o"}, {"@type", "Offer"}, {"target", "urn:t"}};
  const auto check = [](const Json& policy, EmptyPolicy empty) {
    const auto done =
        check_wire_policy(policy, PolicyForm::message_offer, "/offer", PolicyOrigin::peer, empty);
    return done ? std::string() : done.error().message.code;
  };
  EXPECT_EQ(check(offer, EmptyPolicy::refused), "dsp.policy-without-rule");
  EXPECT_EQ(check(offer, EmptyPolicy::permits_use), "");
  Json with = offer;
  with["obligation"] = Json::array({{{"action", "use"}}});
  EXPECT_EQ(check(with, EmptyPolicy::permits_use), "dsp.policy-without-rule");
  with = offer;
  with["permission"] = Json::array();
  EXPECT_EQ(check(with, EmptyPolicy::permits_use), "dsp.policy-empty-list");
}

// Use without limits must not be read into rules that stand under another spelling of their name,
// which the policy engine understands.
TEST(PolicyReading, ARuleUnderAnyPrefixIsARule) {
  PolicyDialect dialect;
  dialect.empty = EmptyPolicy::permits_use;
  for (const char* member :
       {"odrl:permission",
        "odrl:prohibition",
        "odrl:obligation",
        "http://www.w3.org/ns/odrl/2/permission",
        "zz:2/prohibition",
        "zz:#obligation"}) {
    SCOPED_TRACE(member);
    const Json offer = {
        {"@id", "urn:o"},
        {"@type", "Offer"},
        {"target", "urn:t"},
        {member, Json::array({{{"action", "use"}}})}};
    const auto done = check_wire_policy(
        offer, PolicyForm::message_offer, "/offer", PolicyOrigin::peer, dialect.empty
    );
    ASSERT_FALSE(done);
    EXPECT_EQ(done.error().message.code, "dsp.policy-without-rule");
    EXPECT_FALSE(reading_of(offer, {}, dialect).empty_is_use);
    // Nor where it was read so before.
    EXPECT_EQ(as_read(offer, {{}, {}, true}), offer);
  }
}

}  // namespace tally::dsp
