// What a policy asks about who acts and where, told by what is registered, certified or measured.
#include <gtest/gtest.h>

#include "usage/rig.hpp"

namespace tally::usage {
namespace {

using test::act;
using test::atom;
using test::outcome;
using test::policy;
using test::Rig;
using test::terms;

const std::string profile = "urn:tally:profile:1#";
const std::string ids = "https://w3id.org/idsa/code/";

Surroundings surroundings() {
  Site site;
  site.places = {"urn:place:berlin"};
  site.networks = {"10.1.0.0/16"};
  site.security_levels = {"urn:level:3"};
  site.states = {"firewall-on"};
  site.jurisdiction = "DE";
  Surroundings out;
  out.own = site;
  out.peers.emplace(test::consumer, site);
  out.taxonomy = {
      {"urn:place:berlin", "urn:place:eu"},
      {"urn:level:3", "urn:level:2"},
      {"urn:level:2", "urn:level:1"}};
  out.events = {{"urn:event:fair", Instant{}, std::nullopt}};
  return out;
}

struct Case {
  const char* name;
  Json constraint;
  odrl::Side side;
  const char* expected;
  const char* unregistered;  // the same with nothing registered
};

TEST(Facts, EachOperandIsHeldAgainstWhatIsRegisteredOnTheSideThatActs) {
  const auto consumer = odrl::Side::consumer;
  const auto provider = odrl::Side::provider;
  const auto allowed = "permitted";
  const auto refused = "usage.value-not-allowed";
  const auto site = "usage.site-unregistered";
  const auto peer = "usage.peer-unregistered";
  const std::vector<Case> cases = {
      {"place", atom("spatial", "isPartOf", "urn:place:eu"), consumer, allowed, site},
      {"place of a peer", atom("spatial", "isPartOf", "urn:place:eu"), provider, allowed, peer},
      {"another place", atom("spatial", "eq", "urn:place:eu"), consumer, refused, site},
      {"network", atom("virtualLocation", "isPartOf", "10.0.0.0/8"), consumer, allowed, site},
      {"another network",
       atom("virtualLocation", "isPartOf", "11.0.0.0/8"),
       consumer,
       refused,
       site},
      {"level",
       atom(profile + "securityLevel", "gteq", "urn:level:2"),
       consumer,
       allowed,
       "usage.site-unregistered"},
      {"level of a peer",
       atom(ids + "SECURITY_LEVEL", "gteq", "urn:level:2"),
       provider,
       allowed,
       peer},
      {"too low", atom(profile + "securityLevel", "gt", "urn:level:3"), consumer, refused, site},
      {"not comparable",
       atom(profile + "securityLevel", "gteq", "urn:level:x"),
       consumer,
       "usage.value-incomparable",
       site},
      {"state", atom(ids + "STATE", "eq", "firewall-on"), consumer, allowed, site},
      {"home",
       atom(profile + "jurisdiction", "isAnyOf", Json::array({"DE"})),
       provider,
       allowed,
       peer},
      {"home in vCard's word",
       atom("http://www.w3.org/2006/vcard/ns#hasGeo", "eq", "FR"),
       consumer,
       refused,
       site},
      {"connector",
       atom(profile + "connector", "eq", test::consumer.uri),
       provider,
       allowed,
       allowed},
      {"its old name", atom("system", "eq", test::consumer.uri), consumer, allowed, allowed},
      {"another connector", atom("systemDevice", "eq", "urn:x"), provider, refused, refused},
      {"recipient", atom("recipient", "eq", test::consumer.uri), consumer, allowed, allowed},
      {"application", atom(profile + "application", "eq", "reader"), consumer, allowed, allowed},
      {"another application", atom(ids + "APPLICATION", "eq", "x"), consumer, refused, refused},
      {"role",
       atom(profile + "role", "isAnyOf", Json::array({"urn:role:auditor"})),
       consumer,
       allowed,
       allowed},
      {"another role",
       atom("http://www.w3.org/2006/vcard/ns#hasRole", "eq", "x"),
       consumer,
       refused,
       refused},
      {"encrypted",
       atom(ids + "ARTIFACT_STATE", "isAllOf", Json::array({ids + "ENCRYPTED"})),
       consumer,
       allowed,
       allowed},
      {"anonymised",
       atom(profile + "artifactState", "isAllOf", Json::array({"anonymised"})),
       consumer,
       refused,
       refused},
      {"event", atom("event", "eq", "urn:event:fair"), consumer, allowed, "usage.event-unknown"},
      {"after the event",
       atom("event", "gt", "urn:event:fair"),
       consumer,
       "usage.event-not-now",
       "usage.event-unknown"},
      {"class",
       atom(profile + "classification", "isNoneOf", Json::array({"secret"})),
       consumer,
       allowed,
       allowed},
  };
  for (const auto& one : cases) {
    Rig rig;
    rig.start();
    rig.enforcer->surround(surroundings());
    rig.agree(terms("urn:test:a", policy(Json::array({one.constraint})), one.side));
    Act asked = act("urn:test:a");
    asked.roles = {"urn:role:auditor"};
    asked.asset_class = "internal";
    EXPECT_EQ(outcome(rig.authorise(asked)), one.expected) << one.name;
    rig.enforcer->surround({});
    EXPECT_EQ(outcome(rig.authorise(asked)), one.unregistered) << one.name;
    // The dry run says the same.
    const auto rehearsed = rig.enforcer->dry_run(asked);
    ASSERT_TRUE(rehearsed) << one.name;
    EXPECT_EQ(rehearsed->refusal ? rehearsed->refusal->code.code : "permitted", one.unregistered)
        << one.name;
  }
}

TEST(Facts, WhatIsMeasuredGoesBeforeWhatIsRegistered) {
  Rig rig;
  rig.start();
  rig.enforcer->surround(surroundings());
  rig.agree(terms(
      "urn:test:a",
      policy(Json::array({atom("virtualLocation", "isPartOf", "10.0.0.0/8")})),
      odrl::Side::provider
  ));
  Act asked = act("urn:test:a");
  EXPECT_EQ(outcome(rig.authorise(asked)), "permitted");
  asked.address = "192.0.2.7";
  EXPECT_EQ(outcome(rig.authorise(asked)), "usage.value-not-allowed");
  asked.address = "10.9.9.9";
  EXPECT_EQ(outcome(rig.authorise(asked)), "permitted");
}

TEST(Facts, ACertificateNamesTheCountryBeforeTheOperatorDoes) {
  for (const auto& [country, expected] :
       {std::pair{"FR", "usage.value-not-allowed"}, std::pair{"DE", "permitted"}}) {
    Rig rig;
    rig.start();
    rig.enforcer->surround(surroundings());
    auto agreed = terms(
        "urn:test:a",
        policy(Json::array({atom(profile + "jurisdiction", "eq", "DE")})),
        odrl::Side::provider
    );
    agreed.consumer_country = country;
    rig.agree(std::move(agreed));
    EXPECT_EQ(outcome(rig.authorise(act("urn:test:a"))), expected);
  }
}

// Who will work with the data is asked where it is held; filling the custody is nobody's work.
TEST(Facts, ApplicationsAreNotAskedOfWhoeverFillsACustody) {
  const auto only = [](Json constraints) {
    Rig rig;
    rig.start();
    rig.agree(terms("urn:test:a", policy(std::move(constraints)), odrl::Side::provider));
    Act pull = act("urn:test:a");
    pull.app = {};
    std::vector<std::string> outcomes;
    for (const auto action : {odrl::iri::archive, odrl::iri::read}) {
      pull.action = action;
      outcomes.push_back(outcome(rig.authorise(pull)));
    }
    return outcomes;
  };
  const std::vector<std::string> left{"permitted", "usage.application-unknown"};
  const std::vector<std::string> asked{"usage.application-unknown", "usage.application-unknown"};
  for (const auto& operand : {profile + "application", profile + "role"}) {
    EXPECT_EQ(only(Json::array({atom(operand, "isAnyOf", Json::array({"x"}))})), left) << operand;
  }
  // Where the provider decides alone, nobody would ask later.
  EXPECT_EQ(
      only(Json::array(
          {atom(profile + "application", "eq", "x"),
           atom("count", "lteq", 3),
           atom(profile + "countedBy", "eq", "provider")}
      )),
      asked
  );
}

TEST(Facts, NobodyKnowsWhoGetsWhatLeaves) {
  Rig rig;
  rig.start();
  rig.agree(terms("urn:test:a", policy(Json::array({atom("recipient", "eq", test::consumer.uri)})))
  );
  Act asked = act("urn:test:a");
  asked.action = odrl::iri::export_;
  EXPECT_EQ(outcome(rig.authorise(asked)), "usage.value-unknown");
}

TEST(Facts, ARoleBeyondTheRegistrationRefuses) {
  Rig rig;
  rig.start();
  rig.agree(terms("urn:test:a", policy(Json::array())));
  Act asked = act("urn:test:a");
  asked.roles_not_registered = {"urn:role:chief"};
  EXPECT_EQ(outcome(rig.authorise(asked)), "usage.role-not-registered");
}

TEST(Facts, VouchersOfOthersAreNotTaken) {
  Rig rig;
  rig.start();
  rig.enforcer->surround(surroundings());
  const Json certified = Json::array(
      {atom("spatial", "isPartOf", "urn:place:eu"),
       atom(profile + "vouchedBy", "isAnyOf", Json::array({"certificate", "measured"}))}
  );
  rig.agree(terms("urn:test:a", policy(certified)));
  EXPECT_EQ(outcome(rig.authorise(act("urn:test:a"))), "usage.not-attested");
}

}  // namespace
}  // namespace tally::usage
