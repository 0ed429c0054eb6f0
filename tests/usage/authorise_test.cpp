#include <gtest/gtest.h>

#include "usage/rig.hpp"

namespace tally::usage {
namespace {

using test::act;
using test::atom;
using test::limit;
using test::outcome;
using test::policy;
using test::Rig;
using test::terms;

// Agreements that differ in their limit, and how many of ten uses each grants where.
TEST(Usage, AsManyUsesAreGrantedAsTheLimitSaysOnTheSideThatOwnsIt) {
  const Json at_provider = atom("urn:tally:profile:1#countedBy", "eq", "provider");
  struct Case {
    const char* name;
    Json constraints;
    odrl::Side side;
    int granted;
    bool counted_here;
  };
  const std::vector<Case> cases = {
      {"no limit", Json::array(), odrl::Side::consumer, 10, false},
      {"lteq 3", Json::array({limit(3)}), odrl::Side::consumer, 3, true},
      {"lt 3", Json::array({limit(3, "lt")}), odrl::Side::consumer, 2, true},
      {"lteq 1", Json::array({limit(1)}), odrl::Side::consumer, 1, true},
      {"lteq 10", Json::array({limit(10)}), odrl::Side::consumer, 10, true},
      {"two limits", Json::array({limit(7), limit(5)}), odrl::Side::consumer, 5, true},
      {"counted at the provider",
       Json::array({limit(3), at_provider}),
       odrl::Side::provider,
       3,
       true},
      {"counted at the provider, seen at the consumer",
       Json::array({limit(3), at_provider}),
       odrl::Side::consumer,
       0,
       false},
      // The consumer counts: nothing but filling its custody gets past the provider.
      {"the other side's", Json::array({limit(3)}), odrl::Side::provider, 0, false},
  };
  for (const auto& one : cases) {
    Rig rig;
    rig.start();
    rig.agree(terms("urn:test:a", policy(one.constraints), one.side));
    int granted = 0;
    for (int i = 0; i < 10; ++i) granted += rig.use("urn:test:a").has_value() ? 1 : 0;
    EXPECT_EQ(granted, one.granted) << one.name;
    const auto state = rig.enforcer->state(AgreementId("urn:test:a"));
    ASSERT_TRUE(state) << one.name;
    EXPECT_EQ(state->uses, one.granted) << one.name;
    for (const auto& each : state->limits) {
      EXPECT_EQ(each.counted_here, one.counted_here) << one.name;
      EXPECT_EQ(each.used, one.counted_here ? one.granted : 0) << one.name;
      EXPECT_EQ(each.left, one.counted_here ? each.limit - one.granted : 0) << one.name;
    }
    EXPECT_EQ(rig.records("use.permitted").size(), static_cast<std::size_t>(one.granted));
    EXPECT_EQ(rig.records("use.denied").size(), static_cast<std::size_t>(10 - one.granted));
  }
}

TEST(Usage, FillingACustodyThatCountsIsNoUse) {
  Rig rig;
  rig.start();
  rig.agree(terms("urn:test:a", policy(Json::array({limit(1)})), odrl::Side::provider));
  Act pull = act("urn:test:a");
  pull.action = odrl::iri::archive;
  for (int i = 0; i < 3; ++i) EXPECT_EQ(outcome(rig.authorise(pull)), "permitted");
  for (const auto& record : rig.records("use.permitted")) {
    EXPECT_EQ(record.body["rules"], Json::array());
  }
  EXPECT_EQ(outcome(rig.authorise(act("urn:test:a"))), "usage.counted-elsewhere");
}

TEST(Usage, ARefusalSaysWhyAndStandsInTheLog) {
  struct Case {
    const char* name;
    Json constraints;
    void (*change)(Act&);
    int uses_before;
    std::string code;
    std::map<std::string, std::string> params;
  };
  const auto none = [](Act&) {};
  const std::vector<Case> cases = {
      {"limit",
       Json::array({limit(2)}),
       none,
       2,
       "usage.limit-reached",
       {{"used", "2"}, {"limit", "2"}}},
      {"purpose",
       Json::array({atom("purpose", "eq", Json{{"@id", test::research}})}),
       [](Act& one) { one.purposes = {test::marketing}; },
       0,
       "usage.purpose-not-allowed",
       {{"required", test::research}, {"found", test::marketing}}},
      {"no purpose",
       Json::array({atom("purpose", "eq", Json{{"@id", test::research}})}),
       [](Act& one) { one.purposes = {}; },
       0,
       "usage.purpose-missing",
       {}},
      {"purpose and limit",
       Json::array({limit(1), atom("purpose", "eq", Json{{"@id", test::research}})}),
       [](Act& one) { one.purposes = {test::marketing}; },
       1,
       "usage.purpose-not-allowed",
       {}},
      {"claimed beyond its registration",
       Json::array(),
       [](Act& one) { one.purposes_not_registered = {test::marketing}; },
       0,
       "usage.purpose-not-registered",
       {{"app", "reader"}, {"found", test::marketing}}},
      {"expired",
       Json::array({atom("dateTime", "lt", "2025-01-01T00:00:00Z")}),
       none,
       0,
       "usage.expired",
       {}},
      {"not yet",
       Json::array({atom("dateTime", "gteq", "2027-01-01T00:00:00Z")}),
       none,
       0,
       "usage.not-yet",
       {}},
      {"another action",
       Json::array(),
       [](Act& one) { one.action = odrl::iri::transfer; },
       0,
       "usage.action-not-allowed",
       {{"action", "transfer"}}},
  };
  for (const auto& one : cases) {
    Rig rig;
    rig.start();
    rig.agree(terms("urn:test:a", policy(one.constraints)));
    for (int i = 0; i < one.uses_before; ++i) {
      ASSERT_TRUE(rig.use("urn:test:a")) << one.name;
    }
    Act asked = act("urn:test:a");
    one.change(asked);
    const auto answer = rig.authorise(asked);
    ASSERT_TRUE(answer) << one.name;
    const auto* refusal = std::get_if<Refusal>(&*answer);
    ASSERT_NE(refusal, nullptr) << one.name;
    EXPECT_EQ(refusal->code.code, one.code) << one.name;
    EXPECT_EQ(refusal->code.params.at("agreement"), "urn:test:a") << one.name;
    for (const auto& [key, value] : one.params) {
      EXPECT_EQ(refusal->code.params.at(key), value) << one.name;
    }
    EXPECT_FALSE(refusal->reasons.empty()) << one.name;
    EXPECT_NE(render(refusal->code, Lang::en), render(refusal->code, Lang::zh)) << one.name;

    const auto denied = rig.records("use.denied");
    ASSERT_EQ(denied.size(), 1U) << one.name;
    EXPECT_EQ(denied[0].body["reason"]["code"], one.code) << one.name;
    EXPECT_EQ(denied[0].body["decision"]["outcome"], "deny") << one.name;
    EXPECT_EQ(rig.records("use.permitted").size(), static_cast<std::size_t>(one.uses_before));
  }
}

TEST(Usage, AnUntrustedClockDeniesWhatDependsOnTimeAndNothingElse) {
  Rig rig;
  rig.start();
  rig.agree(
      terms("urn:test:timed", policy(Json::array({atom("dateTime", "lt", "2030-01-01T00:00:00Z")})))
  );
  rig.agree(terms("urn:test:counted", policy(Json::array({limit(1)}))));
  rig.node->clock().set_reliable(false);
  EXPECT_EQ(outcome(rig.authorise(act("urn:test:timed"))), "usage.clock-unreliable");
  EXPECT_EQ(outcome(rig.authorise(act("urn:test:counted"))), "permitted");
  rig.node->clock().set_reliable(true);
  EXPECT_EQ(outcome(rig.authorise(act("urn:test:timed"))), "permitted");
}

TEST(Usage, TimeRunsFromTheFirstUse) {
  Rig rig;
  rig.start();
  rig.agree(terms("urn:test:a", policy(Json::array({atom("elapsedTime", "lteq", "P1D")}))));
  rig.world.run_for(seconds(3L * 86'400));
  EXPECT_TRUE(rig.use("urn:test:a"));
  rig.world.run_for(seconds(86'000));
  EXPECT_TRUE(rig.use("urn:test:a"));
  rig.world.run_for(seconds(86'400));
  EXPECT_EQ(outcome(rig.authorise(act("urn:test:a"))), "usage.period-over");
}

TEST(Usage, AnOverdueDutyDenies) {
  Rig rig;
  rig.start();
  rig.agree(terms("urn:test:a", policy(Json::array())));
  EXPECT_TRUE(rig.use("urn:test:a"));
  // A duty that the policy does not have changes nothing.
  rig.enforcer->set_overdue(AgreementId("urn:test:a"), {RuleId("urn:test:other")});
  EXPECT_TRUE(rig.use("urn:test:a"));
}

TEST(Usage, SomeoneElsesAgreementLooksLikeNone) {
  Rig rig;
  rig.start();
  rig.agree(terms("urn:test:a", policy(Json::array())));
  Act other = act("urn:test:a");
  other.party = test::stranger;  // the same URI in another trust domain
  EXPECT_EQ(outcome(rig.authorise(other)), "usage.unknown-agreement");
  other.party = test::provider;
  EXPECT_EQ(outcome(rig.authorise(other)), "usage.unknown-agreement");
  EXPECT_EQ(outcome(rig.authorise(act("urn:test:b"))), "usage.unknown-agreement");
  EXPECT_EQ(rig.records("use.permitted").size() + rig.records("use.denied").size(), 0U);
}

TEST(Usage, WhatIsTooLargeIsNotLookedAt) {
  Rig rig;
  rig.start();
  rig.agree(terms("urn:test:a", policy(Json::array())));
  Act many = act("urn:test:a");
  many.purposes.assign(17, test::research);
  EXPECT_EQ(outcome(rig.authorise(many)), "usage.act-too-large");
  Act large = act("urn:test:a");
  large.purposes = {std::string(3000, 'x')};
  EXPECT_EQ(outcome(rig.authorise(large)), "usage.act-too-large");
  Act key = act("urn:test:a", std::string(257, 'k'));
  EXPECT_EQ(outcome(rig.authorise(key)), "usage.act-too-large");
  EXPECT_EQ(rig.enforcer->state(AgreementId("urn:test:a"))->uses, 0);
}

TEST(Usage, ADryRunCountsAndRecordsNothing) {
  Rig rig;
  rig.start();
  rig.agree(terms("urn:test:a", policy(Json::array({limit(1)}))));
  const auto size = rig.records().size();
  for (int i = 0; i < 5; ++i) {
    const auto rehearsed = rig.enforcer->dry_run(act("urn:test:a"));
    ASSERT_TRUE(rehearsed);
    EXPECT_TRUE(rehearsed->decision.permit);
    EXPECT_FALSE(rehearsed->refusal);
    EXPECT_FALSE(rehearsed->decision.rules.empty());
    EXPECT_EQ(rehearsed->left, 0);
  }
  rig.settle();
  EXPECT_EQ(rig.records().size(), size);
  EXPECT_TRUE(rig.use("urn:test:a"));
  const auto refused = rig.enforcer->dry_run(act("urn:test:a"));
  ASSERT_TRUE(refused && refused->refusal);
  EXPECT_EQ(refused->refusal->code.code, "usage.limit-reached");
  EXPECT_EQ(refused->refusal->used, 1);
}

TEST(Usage, WhenTheLogFailsNothingMovesAndNoCountIsLowered) {
  Rig rig;
  rig.start();
  rig.agree(terms("urn:test:a", policy(Json::array({limit(5)}))));
  ASSERT_TRUE(rig.use("urn:test:a"));
  rig.disk.fail_sync(1, true);
  const auto answer = rig.authorise(act("urn:test:a"));
  ASSERT_FALSE(answer);
  EXPECT_EQ(answer.error().kind, ErrorKind::unavailable);
  EXPECT_EQ(rig.enforcer->state(AgreementId("urn:test:a"))->uses, 2);
  // Final: the disk works again, the log does not.
  rig.disk.mend();
  EXPECT_EQ(rig.authorise(act("urn:test:a")).error().kind, ErrorKind::unavailable);
  const auto used = rig.enforcer->state(AgreementId("urn:test:a"))->uses;
  EXPECT_GE(used, 2);

  rig.kill();
  rig.start();
  const auto after = rig.enforcer->state(AgreementId("urn:test:a"))->uses;
  EXPECT_GE(after, 1);
  EXPECT_LE(after, 2);
  EXPECT_TRUE(rig.use("urn:test:a"));
}

TEST(Usage, AFullDiskBurnsNoUses) {
  Rig rig;
  rig.start();
  rig.agree(terms("urn:test:a", policy(Json::array({limit(2)}))));
  ASSERT_TRUE(rig.use("urn:test:a"));
  rig.disk.set_free(1000);  // less than the reserve
  for (int i = 0; i < 3; ++i) {
    EXPECT_EQ(outcome(rig.authorise(act("urn:test:a", "key"))), "audit.disk-reserve");
  }
  EXPECT_EQ(rig.enforcer->state(AgreementId("urn:test:a"))->uses, 1);
  rig.disk.set_free(std::nullopt);
  EXPECT_EQ(outcome(rig.authorise(act("urn:test:a", "key"))), "permitted");
  EXPECT_EQ(outcome(rig.authorise(act("urn:test:a"))), "usage.limit-reached");
}

TEST(Usage, ReceiptBeforeKeyIsWhatTheActSaysOfItself) {
  Rig rig;
  const auto required =
      Json::array({atom(std::string(odrl::iri::receipt_before_key), "eq", "required")});
  rig.agree(terms("urn:test:p", policy(required), odrl::Side::provider));
  rig.agree(terms("urn:test:c", policy(required), odrl::Side::consumer));
  rig.agree(terms("urn:test:none", policy(Json::array()), odrl::Side::provider));
  rig.start();
  EXPECT_TRUE(rig.enforcer->receipt_before_key(AgreementId("urn:test:p")));
  EXPECT_FALSE(rig.enforcer->receipt_before_key(AgreementId("urn:test:none")));
  EXPECT_FALSE(rig.enforcer->receipt_before_key(AgreementId("urn:test:unknown")));
  // The provider serves only what goes out so; at the consumer it was done when the data came.
  const auto refused = rig.authorise(act("urn:test:p"));
  ASSERT_TRUE(std::holds_alternative<Refusal>(*refused));
  EXPECT_EQ(std::get<Refusal>(*refused).code.code, "usage.receipt-before-key");
  auto sealed = act("urn:test:p");
  sealed.receipt_before_key = true;
  EXPECT_TRUE(std::holds_alternative<Grant>(*rig.authorise(sealed)));
  EXPECT_TRUE(std::holds_alternative<Grant>(*rig.authorise(act("urn:test:c"))));
}

}  // namespace
}  // namespace tally::usage
