// The purpose of a consumer travels as a constraint of the policy that it asks with.
#include <gtest/gtest.h>

#include "tally/negotiation/exchange.hpp"
#include "tally/negotiation/negotiation_service.hpp"

#include "negotiation/machine.hpp"

namespace tally::negotiation {
namespace {

TEST(Purposes, TakeThePlaceOfThoseOfTheOfferInEveryPermission) {
  Json policy = test::offer_policy();
  policy["permission"].push_back({{"action", "use"}});
  const auto asked = with_purposes(policy, {test::research});
  for (const auto& permission : asked["permission"]) {
    int found = 0;
    for (const auto& constraint : permission["constraint"]) {
      if (constraint["leftOperand"] != "http://www.w3.org/ns/odrl/2/purpose") continue;
      ++found;
      EXPECT_EQ(constraint["operator"], "eq");
      EXPECT_EQ(constraint["rightOperand"], test::research);
    }
    EXPECT_EQ(found, 1);
  }
  EXPECT_EQ(purposes_of(asked), std::vector<std::string>{test::research});
  // Everything else stays: count, dateTime and the new purpose.
  EXPECT_EQ(asked["permission"][0]["constraint"].size(), 3U);
}

TEST(Purposes, AreReadFromEveryFormThatTheWireKnows) {
  const auto with = [](const Json& constraint) {
    Json policy = {{"permission", {{{"action", "use"}, {"constraint", constraint}}}}};
    return purposes_of(policy);
  };
  const std::string iri = "urn:p";
  const Json atom = {{"leftOperand", "purpose"}, {"operator", "eq"}, {"rightOperand", iri}};
  EXPECT_EQ(with(Json::array({atom})), std::vector<std::string>{iri});
  EXPECT_EQ(with(atom), std::vector<std::string>{iri});  // a single value for an array of one
  Json by_id = atom;
  by_id["rightOperand"] = {{"@id", iri}};
  EXPECT_EQ(with(Json::array({by_id})), std::vector<std::string>{iri});
  const Json nested = {{"or", Json::array({atom, atom})}};
  EXPECT_EQ(with(Json::array({nested})), std::vector<std::string>{iri});
  Json none_of = atom;
  none_of["operator"] = "isNoneOf";
  EXPECT_TRUE(with(Json::array({none_of})).empty());
}

TEST(Reasons, OfAPeerAreItsCodeWhenItIsOneOfOursAndItsWordsOtherwise) {
  const Message ours{"negotiation.widens-offer", {{"found", "x"}}};
  EXPECT_EQ(reason_from("negotiation.terminated-by-peer", ours.code, reason_list(ours)), ours);
  const auto foreign = reason_from("negotiation.terminated-by-peer", "17", {Json("no")});
  EXPECT_EQ(foreign.code, "negotiation.terminated-by-peer");
  EXPECT_EQ(foreign.params.at("code"), "17");
  EXPECT_EQ(foreign.params.at("reason"), "no");
  // A peer puts no words of other parts of this program into our mouth.
  const Json spoof = {{"code", "audit.whole"}, {"params", Json::object()}};
  EXPECT_EQ(
      reason_from("negotiation.terminated-by-peer", "x", {spoof}).code,
      "negotiation.terminated-by-peer"
  );
  // Whatever its length, it fits into a record.
  const Json long_one = {{"code", "transfer.x"}, {"params", {{"a", std::string(100'000, 'x')}}}};
  EXPECT_LT(reason_from("f", "x", {long_one}).params.at("a").size(), 500U);
  EXPECT_LT(
      reason_from("f", std::string(100'000, 'c'), {Json(std::string(100'000, 'x'))})
          .params.at("code")
          .size(),
      500U
  );
}

}  // namespace
}  // namespace tally::negotiation
