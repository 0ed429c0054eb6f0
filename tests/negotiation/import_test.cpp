// Agreements that were made elsewhere; and what a policy says that nobody here knows.
#include <gtest/gtest.h>

#include "tally/dsp/policy_form.hpp"

#include "negotiation/pair.hpp"

namespace tally::negotiation {
namespace {

using test::hospital;
using test::institute;
using test::order_for;
using test::Pair;

ImportOrder order(odrl::Side side) {
  Json document = test::offer_policy("urn:test:paper");
  document["@type"] = "Agreement";
  document["assigner"] = hospital.uri;
  document["assignee"] = institute.uri;
  document["timestamp"] = "2026-01-01T00:00:00.227369651Z";
  return {side == odrl::Side::provider ? institute : hospital, side, std::move(document)};
}

TEST(Import, IsInForceAtOnceAndSaysThatItIsAsserted) {
  for (const auto side : {odrl::Side::provider, odrl::Side::consumer}) {
    Pair pair;
    pair.start();
    auto& machine = side == odrl::Side::provider ? pair.provider : pair.consumer;
    const auto imported = machine.await(machine.negotiations->import(order(side)));
    ASSERT_TRUE(imported) << imported.error().message.code;
    EXPECT_TRUE(imported->is_new);
    EXPECT_TRUE(machine.enforcer->state(imported->id).has_value());
    const auto records = machine.records("contract.finalized");
    ASSERT_EQ(records.size(), 1U);
    EXPECT_EQ(records.front().at("assurance"), "asserted");
    EXPECT_EQ(records.front().at("signatures").at("provider"), "asserted");
    EXPECT_EQ(records.front().at("signatures").at("consumer"), "asserted");
    EXPECT_EQ(records.front().at("sources").at("policy"), "import");
    EXPECT_EQ(records.front().at("limits").front().at("owner"), "provider");
    // The provider pins the asset as it stands.
    EXPECT_EQ(records.front().contains("assetVersion"), side == odrl::Side::provider);

    const auto again = machine.await(machine.negotiations->import(order(side)));
    ASSERT_TRUE(again);
    EXPECT_FALSE(again->is_new);
    EXPECT_EQ(machine.records("contract.finalized").size(), 1U);
    auto other = order(side);
    other.document["permission"][0]["constraint"][1]["rightOperand"] = "300";
    const auto reused = machine.await(machine.negotiations->import(std::move(other)));
    ASSERT_FALSE(reused);
    EXPECT_EQ(reused.error().kind, ErrorKind::conflict);
    // It is there after a restart.
    machine.cut_power();
    machine.start();
    EXPECT_TRUE(machine.enforcer->state(imported->id).has_value());
  }
}

TEST(Import, RefusesWhatANegotiatedOneMustNotBeEither) {
  struct Case {
    std::function<void(ImportOrder&)> change;
    std::string code;
    std::string pointer;
  };
  const std::vector<Case> cases = {
      {[](auto& o) { o.document["@type"] = "Offer"; }, "dsp.wrong-type", "/agreement/@type"},
      {[](auto& o) { o.document.erase("timestamp"); },
       "dsp.member-missing",
       "/agreement/timestamp"},
      {[](auto& o) { o.document["@id"] = "a b"; }, "negotiation.id-malformed", "/agreement/@id"},
      {[](auto& o) { o.document["assignee"] = "did:web:other.example"; },
       "negotiation.import-other-party",
       "/agreement/assignee"},
      {[](auto& o) { o.document["assigner"] = institute.uri; },
       "negotiation.import-other-party",
       "/agreement/assigner"},
      {[](auto& o) { o.document["target"] = "urn:test:nothing"; },
       "negotiation.import-no-asset",
       "/agreement/target"},
      {[](auto& o) {
         o.document["permission"][0]["constraint"][0]["leftOperand"] =
             "http://www.w3.org/ns/odrl/2/industry";
       },
       "negotiation.rule-not-enforceable",
       "/agreement/permission/0/constraint/0/leftOperand"},
  };
  for (const auto& [change, code, pointer] : cases) {
    Pair pair;
    pair.start();
    auto wrong = order(odrl::Side::provider);
    change(wrong);
    const auto done = pair.provider.await(pair.provider.negotiations->import(std::move(wrong)));
    ASSERT_FALSE(done) << code;
    EXPECT_EQ(done.error().message.code, code);
    EXPECT_EQ(done.error().pointer, pointer) << code;
    EXPECT_TRUE(pair.provider.enforcer->agreements().empty());
    EXPECT_TRUE(pair.provider.records("contract.finalized").empty());
  }
}

// What decides nothing here is part of what is agreed. (What could decide something and is not
// known is refused by the policy engine, with its place.)
TEST(Policy, WhatAnOfferSaysBeyondOurWordsSurvivesToTheAgreementByteForByte) {
  const Json foreign = {
      {"profile", "urn:tally:profile:1"},
      {"http://purl.org/dc/terms/description", {{"a", Json::array({1, 2, "x"})}, {"b", nullptr}}},
  };
  Pair pair;
  auto& policy = pair.provider.offers.offers["urn:test:offer"].offer.policy;
  policy.update(foreign);
  policy["permission"][0]["http://purl.org/dc/terms/identifier"] = "7b";
  pair.start();
  auto order = order_for(hospital, {});
  order.policy = policy;
  const auto mine = pair.settled(pair.negotiate(std::move(order)));
  ASSERT_EQ(mine.at("state"), "FINALIZED") << mine.dump(1);
  const AgreementId id(mine.at("agreement").get<std::string>());
  for (auto* machine : {&pair.provider, &pair.consumer}) {
    const auto agreement = find_agreement(*machine->store, id).value().value();
    Json document = parse_json(agreement.document).value();
    Json offered = policy;
    for (const char* member : {"@id", "@type", "target", "assigner", "assignee", "timestamp"}) {
      document.erase(member);
      offered.erase(member);
    }
    EXPECT_EQ(to_jcs(document), to_jcs(offered));
  }
}

// --- peers that sign nothing ---

TEST(Unsigned, IsAgreedOnlyWhereTheProviderSeesToEveryRuleByItself) {
  const auto atom = [](const char* operand, const char* op, const char* value) {
    return Json{
        {"leftOperand", std::string("http://www.w3.org/ns/odrl/2/") + operand},
        {"operator", op},
        {"rightOperand", value}};
  };
  const Json count = atom("count", "lteq", "3");
  const Json time = atom("dateTime", "lt", "2027-01-01T00:00:00Z");
  const Json purpose = atom("purpose", "eq", "urn:test:purpose:research");
  struct Case {
    Json constraints;
    bool duty;
    bool served_each_time;
    std::string left;  // the place that is named; empty: it is agreed
  };
  const std::vector<Case> cases = {
      {Json::array(), false, false, ""},
      {Json::array({count, time}), false, true, ""},
      {Json::array({count}), false, false, "/permission/0/constraint/0"},
      {Json::array({time}), false, false, "/permission/0/constraint/0"},
      {Json::array({count, purpose}), false, true, "/permission/0/constraint/1"},
      {Json::array(), true, true, "/permission/0/duty/0"},
  };
  for (const auto& [constraints, duty, served, left] : cases) {
    Pair pair;
    auto& offer = pair.provider.offers.offers["urn:test:offer"].offer;
    Json permission = {{"action", "use"}};
    if (!constraints.empty()) permission["constraint"] = constraints;
    if (duty) permission["duty"] = {{{"action", "http://www.w3.org/ns/odrl/2/delete"}}};
    offer.policy["permission"] = Json::array({permission});
    offer.served_each_time = served;
    pair.consumer.has_signer = false;
    pair.start();
    auto order = order_for(hospital, {});
    order.policy = offer.policy;
    const auto mine = pair.settled(pair.negotiate(std::move(order)));
    EXPECT_EQ(mine.at("state"), left.empty() ? "FINALIZED" : "TERMINATED") << mine.dump(1);
    if (left.empty()) {
      const auto finalized = pair.provider.records("contract.finalized").front();
      EXPECT_EQ(finalized.at("assurance"), "asserted");
    } else {
      EXPECT_EQ(mine.at("reason").at("code"), "negotiation.nobody-enforces");
      EXPECT_EQ(mine.at("reason").at("params").at("rules"), left);
      EXPECT_TRUE(pair.provider.enforcer->agreements().empty());
    }
  }
}

// Who confirmed nothing counts nothing, whatever the policy says.
TEST(Unsigned, EveryLimitCountsAtTheProvider) {
  Pair pair;
  auto& offer = pair.provider.offers.offers["urn:test:offer"].offer;
  offer.require_signature = false;
  offer.accept_unconfirmed = true;
  Json& constraints = offer.policy["permission"][0]["constraint"];
  const Json counted = constraints[1];
  const Json owner = {
      {"leftOperand", "urn:tally:profile:1#countedBy"},
      {"operator", "eq"},
      {"rightOperand", "consumer"}};
  constraints[1] = {{"and", Json::array({counted, owner})}};
  pair.consumer.has_signer = false;
  pair.start();
  auto order = order_for(hospital);
  order.policy = offer.policy;
  const auto mine = pair.settled(pair.negotiate(std::move(order)));
  ASSERT_EQ(mine.at("state"), "FINALIZED") << mine.dump(1);
  const auto finalized = pair.provider.records("contract.finalized").front();
  EXPECT_EQ(finalized.at("limits").front().at("owner"), "provider");
}

}  // namespace
}  // namespace tally::negotiation
