// Duties that are confirmed: what waits for them, what withdraws, lapses and comes due, and that
// the log alone brings it all back.
#include <gtest/gtest.h>

#include "usage/rig.hpp"

namespace tally::usage {
namespace {

using test::act;
using test::atom;
using test::outcome;
using test::Rig;

constexpr const char* agreement = "urn:test:a";
const std::string tally_term = "urn:tally:profile:1#";
constexpr Nanos day = seconds(86'400);

Json amount(const char* text) {
  return atom(tally_term + "payAmount", "gteq", {{"@value", text}, {"@type", "xsd:decimal"}});
}
Json span(const std::string& operand, const char* text) {
  return atom(operand, "lteq", {{"@value", text}, {"@type", "xsd:duration"}});
}
Json after_use() {
  return atom("event", "gt", {{"@id", "http://www.w3.org/ns/odrl/2/policyUsage"}});
}
Json duty(const char* uid, const char* action, Json constraints = Json::array()) {
  Json out = {{"uid", uid}, {"action", action}};
  if (!constraints.empty()) out["constraint"] = std::move(constraints);
  return out;
}

// One permission to use, and one to export, each with these duties.
tl::expected<odrl::PolicyPtr, std::vector<odrl::Problem>> load(Json of_use, Json of_export) {
  Json permissions = Json::array({{{"uid", "urn:use"}, {"action", "use"}, {"duty", of_use}}});
  if (!of_export.empty()) {
    permissions.push_back({{"uid", "urn:export"}, {"action", "derive"}, {"duty", of_export}});
    permissions[0]["action"] = "read";
  }
  const Json document = {
      {"@context", "http://www.w3.org/ns/odrl.jsonld"},
      {"@type", "Agreement"},
      {"uid", "urn:test:policy"},
      {"profile", "urn:tally:profile:1"},
      {"assigner", test::provider.uri},
      {"assignee", test::consumer.uri},
      {"target", "urn:test:cohort"},
      {"permission", permissions},
  };
  return odrl::load_policy(document);
}

class Duties : public ::testing::Test {
 protected:
  void agree(Json of_use, Json of_export = Json::array()) {
    auto loaded = load(std::move(of_use), std::move(of_export));
    ASSERT_TRUE(loaded) << loaded.error().front().message.code << " "
                        << loaded.error().front().pointer;
    rig.start();
    rig.agree(test::terms(agreement, *loaded));
  }
  Instant now() { return rig.node->clock().read().at; }
  // As transfer::Confirmations does it: a withdrawal before its record, everything else behind it.
  void say(DutyChange what, const char* duty, const std::string& id = {}, Nanos ago = 0) {
    DutyEvent event;
    event.what = what;
    event.duty = RuleId(duty);
    for (const auto& one : rig.enforcer->duties(AgreementId(agreement))) {
      if (one.duty.duty == event.duty) event.permission = one.duty.permission;
    }
    event.confirmation = id;
    event.at = now() + -ago;
    event.at.nanos -= event.at.nanos % 1000;
    if (what == DutyChange::withdrawn) rig.enforcer->change(AgreementId(agreement), event);
    auto record = draft_of(
        AgreementId(agreement), event, odrl::iri::compensate, EventId(uuid_v4(rig.node->random()))
    );
    record.set("request", "r").set("reason", Message{"usage.duty-overdue", {}});
    ASSERT_TRUE(rig.await(audit::append(*rig.log, std::move(record))));
    rig.enforcer->change(AgreementId(agreement), event);
  }
  std::string use(const char* action = "http://www.w3.org/ns/odrl/2/read") {
    auto asked = act(agreement);
    asked.action = action;
    return outcome(rig.authorise(std::move(asked)));
  }
  DutyState state() { return rig.enforcer->duties(AgreementId(agreement)).front(); }
  std::string standing() { return std::string(to_string(state().standing)); }
  // The same from the log alone, and from a snapshot.
  void restart() {
    rig.stop();
    rig.start();
  }

  Rig rig;
};

TEST_F(Duties, ASaleWaitsForItsConfirmation) {
  agree(Json::array({duty("urn:pay", "compensate", Json::array({amount("5.00")}))}));
  EXPECT_EQ(use(), "usage.confirmation-missing");
  EXPECT_EQ(standing(), "due");
  say(DutyChange::confirmed, "urn:pay", "sha256:1");
  EXPECT_EQ(use(), "permitted");
  restart();
  EXPECT_EQ(use(), "permitted");
  EXPECT_EQ(standing(), "confirmed");
  say(DutyChange::withdrawn, "urn:pay", "sha256:1");
  EXPECT_EQ(use(), "usage.confirmation-withdrawn");
  // No record brings it back, in whatever order they are read.
  say(DutyChange::confirmed, "urn:pay", "sha256:1");
  EXPECT_EQ(use(), "usage.confirmation-withdrawn");
  restart();
  EXPECT_EQ(use(), "usage.confirmation-withdrawn");
  EXPECT_EQ(standing(), "withdrawn");
  say(DutyChange::confirmed, "urn:pay", "sha256:2");
  EXPECT_EQ(use(), "permitted");
}

TEST_F(Duties, AnAmountInACurrencyIsConfirmedAsThePolicyHasIt) {
  agree(Json::array({duty(
      "urn:pay",
      "compensate",
      Json::array(
          {amount("5.00"),
           atom(tally_term + "currency", "eq", "urn:currency:eur"),
           atom(tally_term + "compensatedParty", "eq", "urn:party:owner")}
      )
  )}));
  EXPECT_EQ(use(), "usage.confirmation-missing");
  say(DutyChange::confirmed, "urn:pay", "sha256:1");
  EXPECT_EQ(use(), "permitted");
}

TEST_F(Duties, OneConfirmationServesOneDuty) {
  agree(
      Json::array({duty("urn:cheap", "compensate", Json::array({amount("5.00")}))}),
      Json::array({duty("urn:dear", "compensate", Json::array({amount("3.00")}))})
  );
  constexpr const char* derive = "http://www.w3.org/ns/odrl/2/derive";
  say(DutyChange::confirmed, "urn:cheap", "sha256:1");
  EXPECT_EQ(use(), "permitted");
  EXPECT_EQ(use(derive), "usage.confirmation-missing");
  say(DutyChange::confirmed, "urn:dear", "sha256:2");
  EXPECT_EQ(use(derive), "permitted");
}

TEST_F(Duties, AWithdrawalEndsAStreamWhateverTheClockSays) {
  for (const bool reliable : {true, false}) {
    Rig fresh;
    auto loaded = load(Json::array({duty("urn:consent", "obtainConsent")}), Json::array());
    ASSERT_TRUE(loaded);
    fresh.start();
    fresh.agree(test::terms(agreement, *loaded));
    DutyEvent event{
        DutyChange::confirmed, RuleId("urn:consent"), RuleId("urn:use"), "sha256:1", {}};
    event.at = fresh.node->clock().read().at;
    fresh.enforcer->change(AgreementId(agreement), event);
    const auto grant = fresh.use(agreement);
    ASSERT_TRUE(grant);
    EXPECT_TRUE(fresh.enforcer->may_go_on(*grant));
    fresh.node->clock().set_reliable(reliable);
    event.what = DutyChange::withdrawn;
    fresh.enforcer->change(AgreementId(agreement), event);
    EXPECT_FALSE(fresh.enforcer->may_go_on(*grant));
  }
}

TEST_F(Duties, AWithdrawalOfWhatAnotherStandsForEndsNothing) {
  agree(Json::array({duty("urn:consent", "obtainConsent")}));
  say(DutyChange::confirmed, "urn:consent", "sha256:1");
  say(DutyChange::confirmed, "urn:consent", "sha256:2");
  const auto grant = rig.use(agreement);
  ASSERT_TRUE(grant);
  say(DutyChange::withdrawn, "urn:consent", "sha256:1");
  EXPECT_TRUE(rig.enforcer->may_go_on(*grant));
  EXPECT_EQ(use(), "permitted");
}

TEST_F(Duties, ARentalLapses) {
  agree(Json::array({duty(
      "urn:rent",
      "compensate",
      Json::array({amount("40.00"), span(tally_term + "paidWithin", "P30D")})
  )}));
  EXPECT_EQ(use(), "usage.confirmation-missing");
  // Paid ten days ago.
  say(DutyChange::confirmed, "urn:rent", "sha256:1", 10 * day);
  const auto grant = rig.use(agreement);
  ASSERT_TRUE(grant);
  ASSERT_TRUE(grant->decision.valid_until);
  EXPECT_EQ(format_seconds(*grant->decision.valid_until), format_seconds(now() + 20 * day));
  EXPECT_EQ(format_seconds(*state().until), format_seconds(now() + 20 * day));
  rig.world.run_for(20 * day + seconds(2));
  EXPECT_FALSE(rig.enforcer->may_go_on(*grant));
  EXPECT_EQ(use(), "usage.confirmation-lapsed");
  EXPECT_EQ(standing(), "lapsed");
  restart();
  EXPECT_EQ(use(), "usage.confirmation-lapsed");
  say(DutyChange::confirmed, "urn:rent", "sha256:2");
  EXPECT_EQ(use(), "permitted");
}

TEST_F(Duties, WhatIsOwedAfterAUseComesDueAndBlocksUntilItIsDoneLate) {
  agree(Json::array({duty(
      "urn:pay",
      "compensate",
      Json::array({amount("5.00"), after_use(), span("delayPeriod", "P7D")})
  )}));
  EXPECT_EQ(standing(), "not-due");
  EXPECT_EQ(use(), "permitted");
  const auto owed = now();
  EXPECT_EQ(standing(), "due");
  rig.node->clock().set_reliable(false);
  EXPECT_EQ(use(), "usage.clock-unreliable");
  rig.node->clock().set_reliable(true);
  rig.world.run_for(6 * day);
  EXPECT_EQ(use(), "permitted");
  EXPECT_TRUE(rig.enforcer->newly_overdue().empty());
  rig.world.run_for(2 * day);
  EXPECT_EQ(use(), "usage.confirmation-overdue");
  ASSERT_EQ(rig.enforcer->newly_overdue().size(), 1U);
  EXPECT_EQ(format_seconds(*state().since), format_seconds(owed + 7 * day));
  say(DutyChange::violated, "urn:pay");
  EXPECT_TRUE(rig.enforcer->newly_overdue().empty());
  restart();
  EXPECT_TRUE(rig.enforcer->newly_overdue().empty());
  EXPECT_EQ(use(), "usage.confirmation-overdue");
  // It was said with a clock that could be believed.
  rig.node->clock().set_reliable(false);
  EXPECT_EQ(use(), "usage.confirmation-overdue");
  rig.node->clock().set_reliable(true);
  say(DutyChange::confirmed, "urn:pay", "sha256:1");
  EXPECT_EQ(standing(), "confirmed");
  EXPECT_EQ(use(), "permitted");
  // Uses go on every day: the first of them since the payment sets the next deadline.
  for (int i = 0; i < 6; ++i) {
    rig.world.run_for(day);
    EXPECT_EQ(use(), "permitted") << i;
  }
  restart();
  rig.world.run_for(2 * day);
  EXPECT_EQ(use(), "usage.confirmation-overdue");
  // What was settled is owed again when its confirmation goes.
  say(DutyChange::confirmed, "urn:pay", "sha256:2");
  EXPECT_EQ(use(), "permitted");
  say(DutyChange::withdrawn, "urn:pay", "sha256:2");
  EXPECT_EQ(use(), "usage.confirmation-overdue");
}

TEST_F(Duties, WhatAUseOwesAtOnceStopsTheNextAndNotItself) {
  agree(Json::array({duty("urn:pay", "compensate", Json::array({amount("5.00"), after_use()}))}));
  const auto grant = rig.use(agreement, "key");
  ASSERT_TRUE(grant);
  rig.world.run_for(seconds(5));
  EXPECT_TRUE(rig.enforcer->may_go_on(*grant));
  EXPECT_EQ(use(), "usage.confirmation-overdue");
  EXPECT_TRUE(rig.use(agreement, "key")) << "the same use goes on";
  say(DutyChange::confirmed, "urn:pay", "sha256:1");
  EXPECT_EQ(use(), "permitted");
}

TEST_F(Duties, ADeadlineByDateIsLiftedByWhatIsConfirmedLate) {
  rig.start();
  const auto by = format_micros(now() + day);
  rig.stop();
  agree(Json::array({duty(
      "urn:pay",
      "compensate",
      Json::array(
          {after_use(), atom("dateTime", "lteq", {{"@value", by}, {"@type", "xsd:dateTime"}})}
      )
  )}));
  EXPECT_EQ(use(), "permitted");
  rig.world.run_for(2 * day);
  EXPECT_EQ(use(), "usage.confirmation-overdue");
  EXPECT_EQ(rig.enforcer->newly_overdue().size(), 1U);
  say(DutyChange::confirmed, "urn:pay", "sha256:1");
  EXPECT_EQ(use(), "permitted");
}

TEST_F(Duties, ARequestIsSeenUntilItIsAnswered) {
  agree(Json::array({duty("urn:consent", "obtainConsent")}));
  EXPECT_EQ(use(), "usage.consent-missing");
  say(DutyChange::asked, "urn:consent");
  EXPECT_EQ(use(), "usage.consent-waiting");
  say(DutyChange::rejected, "urn:consent");
  EXPECT_EQ(use(), "usage.consent-rejected");
  say(DutyChange::asked, "urn:consent");
  say(DutyChange::confirmed, "urn:consent", "sha256:1");
  EXPECT_EQ(use(), "permitted");
  EXPECT_FALSE(state().asked);
}

TEST_F(Duties, TheSnapshotHoldsThem) {
  agree(Json::array({duty("urn:consent", "obtainConsent")}));
  say(DutyChange::confirmed, "urn:consent", "sha256:1");
  say(DutyChange::confirmed, "urn:consent", "sha256:2");
  say(DutyChange::withdrawn, "urn:consent", "sha256:1");
  rig.settle();
  ASSERT_TRUE(rig.take_snapshot());
  const auto before = state();
  restart();
  EXPECT_GT(rig.started_from, 0U);
  const auto after = state();
  ASSERT_EQ(after.confirmations.size(), 2U);
  EXPECT_EQ(after.confirmations[0].withdrawn.has_value(), true);
  EXPECT_EQ(after.since, before.since);
  EXPECT_EQ(use(), "permitted");
}

TEST(DutyPlaces, OnlyAPermissionHasThem) {
  const Json document = {
      {"@context", "http://www.w3.org/ns/odrl.jsonld"},
      {"@type", "Agreement"},
      {"uid", "urn:test:policy"},
      {"assigner", test::provider.uri},
      {"assignee", test::consumer.uri},
      {"target", "urn:test:cohort"},
      {"permission", Json::array({{{"action", "use"}}})},
      {"obligation", Json::array({{{"action", "compensate"}}})},
  };
  const auto loaded = odrl::load_policy(document);
  ASSERT_FALSE(loaded);
  EXPECT_EQ(loaded.error().front().message.code, "odrl.confirmed-duty-place");
}

}  // namespace
}  // namespace tally::usage
