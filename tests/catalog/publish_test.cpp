#include "catalog/publish.hpp"

#include <gtest/gtest.h>
#include <nlohmann/json.hpp>

#include "tally/dsp/policy_form.hpp"

namespace tally::catalog {

const std::string count_iri = "http://www.w3.org/ns/odrl/2/count";

// The pointers of every countedBy in a published policy, with their values.
std::string owners(const Json& value, const std::string& at = {}) {
  std::string found;
  if (value.is_object() && value.value("leftOperand", "") == "urn:tally:profile:1#countedBy") {
    return at + "=" + value["rightOperand"].get<std::string>() + " ";
  }
  if (value.is_object()) {
    for (const auto& [key, member] : value.items()) found += owners(member, child(at, key));
  }
  if (value.is_array()) {
    for (std::size_t i = 0; i < value.size(); ++i) found += owners(value[i], child(at, i));
  }
  return found;
}

Json offer(const char* constraints) {
  return Json{
      {"@id", "urn:uuid:1"},
      {"@type", "Offer"},
      {"target", "a"},
      {"permission", {{{"action", "read"}, {"constraint", Json::parse(constraints)}}}}};
}

TEST(Publish, SaysBesideEachCountWhoCountsIt) {
  struct Case {
    const char* constraints;
    const char* expected;
  };
  const std::vector<Case> cases{
      {R"([])", ""},
      {R"([{"leftOperand":"purpose","operator":"eq","rightOperand":"x"}])", ""},
      {R"([{"leftOperand":"count","operator":"lteq","rightOperand":"3"}])",
       "/permission/0/constraint/1=consumer "},
      {R"([{"leftOperand":"odrl:count","operator":"lteq","rightOperand":"3"}])",
       "/permission/0/constraint/1=consumer "},
      {R"([{"leftOperand":"count","operator":"lteq","rightOperand":"3"},
           {"leftOperand":"urn:tally:profile:1#countedBy","operator":"eq",
            "rightOperand":"provider"}])",
       "/permission/0/constraint/1=provider "},
      {R"([{"or":[{"leftOperand":"count","operator":"lteq","rightOperand":"3"},
                  {"leftOperand":"purpose","operator":"eq","rightOperand":"x"}]}])",
       "/permission/0/constraint/1=consumer "},
      {R"([{"and":[{"leftOperand":"count","operator":"lteq","rightOperand":"3"},
                   {"leftOperand":"urn:tally:profile:1#countedBy","operator":"eq",
                    "rightOperand":"provider"}]}])",
       "/permission/0/constraint/0/and/1=provider "},
  };
  for (const Case& one : cases) {
    EXPECT_EQ(owners(publish(offer(one.constraints), odrl::Side::consumer)), one.expected)
        << one.constraints;
  }
}

TEST(Publish, WhatItSaysIsWhatTheEngineReads) {
  const Json written = offer(R"([{"or":[
      {"leftOperand":"count","operator":"lteq","rightOperand":"3"},
      {"and":[{"leftOperand":"count","operator":"lteq","rightOperand":"9"},
              {"leftOperand":"urn:tally:profile:1#countedBy","operator":"eq",
               "rightOperand":"provider"}]}]}])");
  const Json published = publish(written, odrl::Side::consumer);
  // Read with the other default: what is said in the policy must win.
  odrl::LoadOptions other;
  other.default_owner = odrl::Side::provider;
  const auto loaded = odrl::load_policy(published, other);
  ASSERT_TRUE(loaded);
  const auto& limits = (*loaded)->rules().at(0).limits;
  ASSERT_EQ(limits.size(), 2U);
  EXPECT_EQ(limits[0].owner, odrl::Side::consumer);
  EXPECT_EQ(limits[1].owner, odrl::Side::provider);
}

TEST(Publish, TheFormIsThatOfTheProtocol) {
  Json written = offer(R"([{"leftOperand":"count","operator":"lteq","rightOperand":"3"}])");
  written["@context"] = "http://www.w3.org/ns/odrl.jsonld";
  written["uid"] = written["@id"];
  written.erase("@id");
  const Json published = publish(written, odrl::Side::provider);
  EXPECT_TRUE(dsp::check_wire_policy(
      published, dsp::PolicyForm::catalogue_offer, {}, dsp::PolicyOrigin::own
  ));
  EXPECT_EQ(published["@id"], "urn:uuid:1");
  EXPECT_FALSE(published.contains("@context"));
  EXPECT_FALSE(published.contains("target"));
  EXPECT_EQ(published["permission"][0]["constraint"][0]["leftOperand"], count_iri);
  EXPECT_EQ(published["profile"], "urn:tally:profile:1");
}

TEST(Publish, AProfileThatIsNamedAlreadyStays) {
  Json written = offer(R"([{"leftOperand":"count","operator":"lteq","rightOperand":"3"}])");
  written["profile"] = "http://www.w3.org/ns/odrl/2/core";
  const Json published = publish(written, odrl::Side::provider);
  EXPECT_EQ(
      published["profile"], Json::array({"http://www.w3.org/ns/odrl/2/core", "urn:tally:profile:1"})
  );
}

TEST(Publish, PublishingTwiceChangesNothing) {
  const Json written = offer(R"([{"leftOperand":"count","operator":"lteq","rightOperand":"3"}])");
  const Json once = publish(written, odrl::Side::consumer);
  EXPECT_EQ(to_jcs(publish(once, odrl::Side::consumer)), to_jcs(once));
}

}  // namespace tally::catalog
