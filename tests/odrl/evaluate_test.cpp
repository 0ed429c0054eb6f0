#include <gtest/gtest.h>

#include "policies.hpp"

namespace tally::odrl {
namespace {

using test::agreement;
using test::at;
using test::atom;
using test::load;
using test::request;
using test::world;

std::vector<UsageEntry> used(std::int64_t count, const char* first = "2026-03-01T00:00:00Z") {
  RuleUsage usage;
  usage.count = count;
  usage.first_use = at(first);
  return {{RuleId("urn:test:rule"), usage}};
}

// The decisions themselves are tested by the cases in tests/data/odrl; here is what a case cannot
// say.

TEST(Evaluate, ThreeReadsThenNoMore) {
  const auto policy = load(agreement(Json::array({atom("count", "lteq", 3)})));
  for (std::int64_t n = 0; n < 5; ++n) {
    const auto usage = used(n);
    auto state = world();
    state.usage = usage;
    const auto decision = evaluate(*policy, request(), state);
    EXPECT_EQ(decision.permit, n < 3) << n;
    EXPECT_EQ(decision.decisive_rule.value, "urn:test:rule");
    EXPECT_EQ(decision.consume.size(), n < 3 ? 1U : 0U);
    EXPECT_TRUE(decision.rules.empty());  // nobody asked why
  }
}

TEST(Evaluate, UsageOfAnotherRuleIsNotOurs) {
  const auto policy = load(agreement(Json::array({atom("count", "lteq", 3)})));
  const std::vector<UsageEntry> usage{{RuleId("urn:test:other"), RuleUsage{9, {}, {}}}};
  auto state = world();
  state.usage = usage;
  EXPECT_TRUE(evaluate(*policy, request(), state).permit);
}

TEST(Evaluate, ALimitCountsAtItsOwnerOnly) {
  struct Row {
    const char* owner;
    Side here;
    std::string_view action;
    bool permit;
    std::int64_t n;
  };
  const std::vector<Row> table{
      {"consumer", Side::consumer, iri::read, true, 1},
      {"consumer", Side::consumer, iri::export_, true, 1},
      {"consumer", Side::consumer, iri::archive, true, 0},  // filling the custody is no use
      {"consumer", Side::provider, iri::archive, true, 0},
      {"consumer", Side::provider, iri::read, false, 0},  // would slip past the counter
      {"provider", Side::provider, iri::read, true, 1},
      {"provider", Side::provider, iri::archive, true, 1},  // a peer that enforces nothing
      {"provider", Side::consumer, iri::read, false, 0},
      {"provider", Side::consumer, iri::archive, true, 0},
  };
  for (const auto& row : table) {
    const auto policy = load(agreement(Json::array(
        {atom("count", "lteq", 3), atom("urn:tally:profile:1#countedBy", "eq", row.owner)}
    )));
    auto state = world();
    state.here = row.here;
    const auto decision = evaluate(*policy, request(std::string(row.action)), state);
    const auto name = std::string(row.owner) + " at " + std::string(to_string(row.here)) + " " +
                      std::string(row.action);
    EXPECT_EQ(decision.permit, row.permit) << name;
    if (row.permit) EXPECT_EQ(decision.consume.at(0).n, row.n) << name;
    // Whoever owns it, an exhausted limit is exhausted where it counts.
    const auto usage = used(3);
    state.usage = usage;
    if ((std::string_view(row.owner) == "provider") == (row.here == Side::provider)) {
      EXPECT_FALSE(evaluate(*policy, request(std::string(row.action)), state).permit) << name;
    }
  }
}

TEST(Evaluate, ValidUntilIsWhenTimeChangesTheAnswer) {
  const auto until = [](Json constraint, std::span<const UsageEntry> usage = {}) {
    const auto policy = load(agreement(std::move(constraint)));
    auto state = world();
    state.usage = usage;
    const auto decision = evaluate(*policy, request(), state);
    EXPECT_TRUE(decision.permit);
    return decision.valid_until;
  };
  EXPECT_EQ(until(Json::array()), std::nullopt);
  EXPECT_EQ(until(Json::array({atom("count", "lteq", 3)})), std::nullopt);
  EXPECT_EQ(
      until(Json::array({atom("dateTime", "lt", "2026-06-01T00:00:00Z")})),
      at("2026-06-01T00:00:00Z")
  );
  EXPECT_EQ(
      until(Json::array({atom("dateTime", "lteq", "2026-06-01T00:00:00Z")})),
      at("2026-06-01T00:00:00.000000001Z")
  );
  EXPECT_EQ(
      until(Json::array(
          {atom("dateTime", "lteq", "2026-06-01"), atom("dateTime", "gteq", "2026-01-01")}
      )),
      at("2026-06-02T00:00:00Z")
  );
  const auto usage = used(1, "2026-03-09T09:00:00Z");
  EXPECT_EQ(
      until(Json::array({atom("elapsedTime", "lt", "P2D")}), usage), at("2026-03-11T09:00:00Z")
  );
  // A prohibition that will begin counts as well.
  auto document = agreement();
  document["prohibition"] =
      Json::array({Json{{"action", "use"}, {"constraint", atom("dateTime", "gteq", "2026-05-01")}}}
      );
  const auto decision = evaluate(*load(document), request(), world());
  EXPECT_TRUE(decision.permit);
  EXPECT_EQ(decision.valid_until, at("2026-05-01T00:00:00Z"));
}

// At valid_until itself the answer is the new one, a nanosecond before it still the old.
TEST(Evaluate, ValidUntilIsExact) {
  for (const auto& constraint : std::vector<Json>{
           atom("dateTime", "lt", "2026-06-01T00:00:00Z"),
           atom("dateTime", "lteq", "2026-06-01T00:00:00Z"),
           atom("dateTime", "lt", "2026-06-01"),
           atom("dateTime", "lteq", "2026-06-01"),
           atom("dateTime", "eq", "2026-03-10"),
           atom("dateTime", "neq", "2026-06-01"),
       }) {
    const auto policy = load(agreement(Json::array({constraint})));
    auto state = world();
    const auto until = evaluate(*policy, request(), state).valid_until;
    ASSERT_TRUE(until) << constraint.dump();
    state.now = *until + -1;
    EXPECT_TRUE(evaluate(*policy, request(), state).permit) << constraint.dump();
    state.now = *until;
    EXPECT_FALSE(evaluate(*policy, request(), state).permit) << constraint.dump();
  }
}

// What the loader says about the end agrees with what the evaluator does at it.
TEST(Evaluate, NothingIsPermittedFromNotAfterOn) {
  for (const auto& constraint : std::vector<Json>{
           atom("dateTime", "lt", "2026-06-01T00:00:00Z"),
           atom("dateTime", "lteq", "2026-06-01T00:00:00Z"),
           atom("dateTime", "lteq", "2026-06-01"),
           atom("dateTime", "isAnyOf", Json::array({"2026-03-10", "2026-03-12"})),
       }) {
    const auto policy = load(agreement(Json::array({constraint})));
    ASSERT_TRUE(policy->not_after());
    auto state = world();
    state.now = *policy->not_after();
    EXPECT_FALSE(evaluate(*policy, request(), state).permit) << constraint.dump();
    state.now = *policy->not_after() + -1;
    EXPECT_TRUE(evaluate(*policy, request(), state).permit) << constraint.dump();
  }
}

TEST(Evaluate, AnOverdueDutyEndsThePermission) {
  auto document = agreement();
  document["permission"][0]["duty"] = Json::array({Json{
      {"@id", "urn:test:delete"},
      {"action", "delete"},
      {"constraint", Json::array({atom("delayPeriod", "lteq", "PT1H")})}}});
  const auto policy = load(document);
  auto state = world();
  const auto permitted = evaluate(*policy, request(), state);
  ASSERT_TRUE(permitted.permit);
  ASSERT_EQ(permitted.obligations.size(), 1U);
  EXPECT_EQ(permitted.obligations[0].deadline, DeadlineKind::after_use);
  EXPECT_EQ(permitted.obligations[0].phase, Phase::after);
  EXPECT_EQ(permitted.obligations[0].permission.value, "urn:test:rule");
  const std::vector<RuleId> overdue{RuleId("urn:test:delete")};
  state.overdue = overdue;
  EXPECT_EQ(evaluate(*policy, request(), state).reason, Reason::condition_violated);
  const std::vector<RuleId> other{RuleId("urn:test:other")};
  state.overdue = other;
  EXPECT_TRUE(evaluate(*policy, request(), state).permit);
}

TEST(Evaluate, WhetherADutyIsOverdueNeedsAClock) {
  auto document = agreement();
  document["obligation"] = Json::array({Json{
      {"action", "delete"}, {"constraint", atom("dateTime", "lteq", "2026-06-01")}}});
  auto state = world();
  const auto policy = load(document);
  EXPECT_TRUE(evaluate(*policy, request(), state).permit);
  state.clock_reliable = false;
  EXPECT_EQ(evaluate(*policy, request(), state).reason, Reason::clock_unreliable);
  state.clock_reliable = true;
  state.now = at("2026-06-02T00:00:00Z");
  EXPECT_EQ(evaluate(*policy, request(), state).reason, Reason::condition_violated);
}

TEST(Evaluate, AnElapsedTimeWithoutItsFirstUseIsUnknown) {
  const auto policy = load(agreement(Json::array({atom("elapsedTime", "lteq", "P1D")})));
  const std::vector<UsageEntry> usage{{RuleId("urn:test:rule"), RuleUsage{1, {}, {}}}};
  auto state = world();
  state.usage = usage;
  EXPECT_EQ(evaluate(*policy, request(), state).reason, Reason::undecidable);
}

TEST(Evaluate, AnEmptyRequestIsNotAnyone) {
  const auto policy = load(agreement());
  EXPECT_FALSE(
      evaluate(*policy, Request{"", std::string(iri::read), test::asset, {}}, world()).permit
  );
  EXPECT_FALSE(
      evaluate(*policy, Request{test::party, std::string(iri::read), "", {}}, world()).permit
  );
  EXPECT_FALSE(evaluate(*policy, Request{test::party, "", test::asset, {}}, world()).permit);
}

TEST(Evaluate, PartiesAndAssetsAreComparedByTheWholeIri) {
  const auto policy = load(agreement());
  auto asked = request();
  asked.assignee = "urn:other:institute";
  EXPECT_FALSE(evaluate(*policy, asked, world()).permit);
  asked = request();
  asked.target = "urn:test:Cohort";
  EXPECT_FALSE(evaluate(*policy, asked, world()).permit);
}

TEST(Evaluate, ReportsComeOnlyWhenAsked) {
  auto document = agreement(Json::array({atom("count", "lteq", 3)}));
  document["permission"].push_back(Json{{"@id", "urn:test:second"}, {"action", "print"}});
  const auto policy = load(document);
  EXPECT_TRUE(evaluate(*policy, request(), world(), {Explain::none}).rules.empty());
  EXPECT_EQ(evaluate(*policy, request(), world(), {Explain::decisive}).rules.size(), 1U);
  EXPECT_EQ(evaluate(*policy, request(), world(), {Explain::full}).rules.size(), 2U);
}

TEST(Evaluate, ReasonsHaveOneCodeEach) {
  for (int i = 0; i <= static_cast<int>(Reason::clock_unreliable); ++i) {
    const auto reason = static_cast<Reason>(i);
    EXPECT_EQ(parse_reason(to_string(reason)), reason);
  }
  EXPECT_EQ(to_string(Reason::no_active_permission), "no-active-permission");
  EXPECT_EQ(to_string(Reason::agreement_closed), "agreement-closed");
  EXPECT_FALSE(parse_reason("perhaps"));
}

// Kleene's tables, over count (known), purpose (unknown when none is declared).
TEST(Evaluate, ThreeTruthValues) {
  const auto yes = atom("count", "lteq", 3);
  const auto no = atom("count", "lteq", 0);
  const auto open = atom("purpose", "eq", "urn:x");
  struct Row {
    const char* name;
    Json node;
    Truth truth;
  };
  const auto joined = [](const char* kind, std::initializer_list<Json> list) {
    return Json{{kind, Json::array_t(list)}};
  };
  const std::vector<Row> table{
      {"and yy", joined("and", {yes, yes}), Truth::yes},
      {"and yu", joined("and", {yes, open}), Truth::unknown},
      {"and nu", joined("and", {no, open}), Truth::no},
      {"or nu", joined("or", {no, open}), Truth::unknown},
      {"or yu", joined("or", {open, yes}), Truth::yes},
      {"or nn", joined("or", {no, no}), Truth::no},
      {"xone yn", joined("xone", {yes, no}), Truth::yes},
      {"xone yy", joined("xone", {yes, yes}), Truth::no},
      {"xone yyu", joined("xone", {yes, yes, open}), Truth::no},
      {"xone yu", joined("xone", {yes, open}), Truth::unknown},
      {"xone nu", joined("xone", {no, open}), Truth::unknown},
      {"xone nn", joined("xone", {no, no}), Truth::no},
  };
  for (const auto& row : table) {
    const auto policy = load(agreement(Json::array({row.node})));
    auto asked = request();
    test::declare(asked, {});
    const auto decision = evaluate(*policy, asked, world(), {Explain::decisive});
    EXPECT_EQ(decision.rules.at(0).constraints.at(0).state, row.truth) << row.name;
    EXPECT_EQ(decision.permit, row.truth == Truth::yes) << row.name;
    EXPECT_EQ(decision.reason == Reason::undecidable, row.truth == Truth::unknown) << row.name;
  }
}

}  // namespace
}  // namespace tally::odrl
