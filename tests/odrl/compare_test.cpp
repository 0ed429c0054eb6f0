#include "tally/odrl/compare.hpp"

#include <algorithm>
#include <chrono>

#include <gtest/gtest.h>

#include "policies.hpp"

namespace tally::odrl {
namespace {

using test::atom;

const std::string width = "http://w3id.org/odrl/spatial-axis#absoluteSizeWidth";
const std::string anchor = "http://w3id.org/drk/ontology/anchor";

Json typed(const char* text, const char* type) {
  return Json{{"@value", text}, {"@type", type}};
}
Json number(const char* text) {
  return typed(text, "xsd:decimal");
}
Json duration(const char* text) {
  return typed(text, "xsd:duration");
}
Json instant(const char* text) {
  return typed(text, "xsd:dateTime");
}
Json joined(const char* op, Json list) {
  return Json{{op, std::move(list)}};
}

Json set_of(Json constraints, const char* action = "use") {
  return Json{
      {"@type", "Set"},
      {"uid", "urn:test:set"},
      {"permission",
       Json::array({Json{{"action", action}, {"constraint", std::move(constraints)}}})}};
}

PolicyPtr read(const Json& document, const LoadOptions& options = {}) {
  auto reading = read_policy(document, options);
  for (const auto& problem : reading.problems) {
    ADD_FAILURE() << problem.pointer << ": " << render(problem.message, Lang::en);
  }
  return reading.policy;
}

std::string text_of(const Comparison& answer) {
  std::string out(to_string(answer.verdict));
  for (const auto& one : answer.witness) {
    out += " " + std::string(local_name(one.operand)) + "=" + one.value;
  }
  return out;
}

struct Row {
  const char* name;
  Json a, b;
  std::string expected;
};

TEST(Compare, Joint) {
  const std::vector<Row> table{
      {"ranges that meet",
       Json::array({atom(width, "lteq", number("800"))}),
       Json::array({atom(width, "gteq", number("600"))}),
       "compatible absoluteSizeWidth=600"},
      {"ranges that meet in between",
       Json::array({atom(width, "lt", number("7"))}),
       Json::array({atom(width, "gt", number("6"))}),
       "compatible absoluteSizeWidth=6.1"},
      {"ranges that touch and are open",
       Json::array({atom(width, "lt", number("6"))}),
       Json::array({atom(width, "gteq", number("6"))}),
       "conflict"},
      {"a size is above zero",
       Json::array({atom(width, "lteq", number("0"))}),
       Json::array(),
       "conflict"},
      {"what only one side names does not hinder",
       Json::array({atom(width, "lteq", number("5"))}),
       Json::array({atom("percentage", "eq", number("50"))}),
       "compatible absoluteSizeWidth=1 percentage=50"},
      {"a share is at most all",
       Json::array({atom("percentage", "gt", number("100"))}),
       Json::array(),
       "conflict"},
      {"or",
       Json::array({joined(
           "or", Json::array({atom(width, "eq", number("1")), atom(width, "eq", number("2"))})
       )}),
       Json::array({atom(width, "eq", number("2"))}),
       "compatible absoluteSizeWidth=2"},
      {"xone of overlapping",
       Json::array({joined(
           "xone", Json::array({atom(width, "lteq", number("5")), atom(width, "lteq", number("9"))})
       )}),
       Json::array({atom(width, "lteq", number("5"))}),
       "conflict"},
      {"counts are whole",
       Json::array({atom("count", "gt", 3)}),
       Json::array({atom("count", "lt", 4)}),
       "conflict"},
      {"the first use is one", Json::array({atom("count", "lt", 1)}), Json::array(), "conflict"},
      {"no more is metered than has passed",
       Json::array({atom("meteredTime", "eq", duration("P5D"))}),
       Json::array({atom("elapsedTime", "lteq", duration("P4D"))}),
       "conflict"},
      {"as much may be metered as has passed",
       Json::array({atom("meteredTime", "eq", duration("P4D"))}),
       Json::array({atom("elapsedTime", "lteq", duration("P4D"))}),
       "compatible elapsedTime=P4D meteredTime=P4D"},
      {"a day and an instant of it",
       Json::array({atom("dateTime", "eq", typed("2026-05-01", "xsd:date"))}),
       Json::array({atom("dateTime", "gt", instant("2026-05-01T23:00:00Z"))}),
       "compatible dateTime=2026-05-01T23:30:00Z"},
      {"names are told apart only by what is known",
       Json::array({atom("purpose", "eq", "urn:x:a")}),
       Json::array({atom("purpose", "eq", "urn:x:b")}),
       "unknown"},
      {"a list and one of it",
       Json::array({atom("purpose", "isAnyOf", Json::array({"urn:x:a", "urn:x:b"}))}),
       Json::array({atom("purpose", "neq", "urn:x:a")}),
       "unknown"},
      {"values of two sorts",
       Json::array({atom("urn:x:size", "eq", number("1"))}),
       Json::array({atom("urn:x:size", "eq", typed("1", "xsd:string"))}),
       "unknown"},
      {"spans that have no order",
       Json::array({atom("delayPeriod", "gteq", duration("P1M"))}),
       Json::array({atom("delayPeriod", "lteq", duration("P30D"))}),
       "unknown"},
  };
  for (const auto& row : table) {
    EXPECT_EQ(text_of(joint(*read(set_of(row.a)), *read(set_of(row.b)))), row.expected) << row.name;
  }
}

TEST(Compare, ActionsTargetsAndPartiesHaveToMeetToo) {
  const auto of = [](const char* action, const char* target) {
    auto out = set_of(Json::array(), action);
    out["target"] = target;
    return read(out);
  };
  EXPECT_EQ(joint(*of("read", "urn:a"), *of("use", "urn:a")).verdict, Verdict::compatible);
  EXPECT_EQ(joint(*of("read", "urn:a"), *of("print", "urn:a")).verdict, Verdict::conflict);
  EXPECT_EQ(joint(*of("read", "urn:a"), *of("read", "urn:b")).verdict, Verdict::conflict);
}

TEST(Compare, FactsTellNamesApart) {
  const auto a = read(set_of(Json::array({atom("purpose", "isA", "urn:x:care")})));
  const auto b = read(set_of(Json::array({atom("purpose", "eq", "urn:x:surgery")})));
  CompareFacts facts;
  EXPECT_EQ(joint(*a, *b, facts).verdict, Verdict::unknown);
  facts.disjoint = {{"urn:x:*", ""}};
  EXPECT_EQ(joint(*a, *b, facts).verdict, Verdict::conflict);
  facts.taxonomy = {{"urn:x:surgery", "urn:x:care"}};  // related is not disjoint
  EXPECT_EQ(text_of(joint(*a, *b, facts)), "compatible purpose=urn:x:surgery");
  facts = {};
  facts.taxonomy = {{"urn:x:surgery", "urn:x:medicine"}};
  facts.disjoint = {{"urn:x:medicine", "urn:x:care"}};  // entailed for what is below
  EXPECT_EQ(joint(*a, *b, facts).verdict, Verdict::conflict);
  facts = {};
  facts.closed_world = true;
  EXPECT_EQ(joint(*a, *b, facts).verdict, Verdict::conflict);
}

Json every(const char* period, const char* from) {
  auto out = atom("timeInterval", "eq", duration(period));
  out[anchor] = instant(from);
  return Json::array({out});
}

TEST(Compare, PeriodsMeetWhereTheirAnchorsAllow) {
  const auto third = read(set_of(every("P3D", "2026-01-01T00:00:00Z")));
  const auto fifth = read(set_of(every("P5D", "2026-01-02T00:00:00Z")));
  EXPECT_EQ(text_of(joint(*third, *fifth)), "compatible timeInterval=2026-01-07T00:00:00Z");
  const auto even = read(set_of(every("P2D", "2026-01-01T00:00:00Z")));
  const auto odd = read(set_of(every("P4D", "2026-01-02T00:00:00Z")));
  EXPECT_EQ(joint(*even, *odd).verdict, Verdict::conflict);
}

TEST(Compare, ASequenceOfDelaysTakesTheirSum) {
  const auto steps = [](const char* within) {
    return read(set_of(Json::array(
        {joined(
             "andSequence",
             Json{
                 {"@list",
                  Json::array(
                      {atom("delayPeriod", "gteq", duration("P2D")),
                       atom("delayPeriod", "gteq", duration("P3D"))}
                  )}}
         ),
         atom("elapsedTime", "lteq", duration(within))}
    )));
  };
  EXPECT_EQ(realizable(*steps("P5D")).verdict, Verdict::realizable);
  EXPECT_EQ(realizable(*steps("P4D")).verdict, Verdict::unrealizable);
}

TEST(Compare, PerOperand) {
  const auto a = read(set_of(Json::array(
      {atom(width, "lteq", number("5")), atom("dateTime", "lt", instant("2026-01-01T00:00:00Z"))}
  )));
  const auto b = read(set_of(
      Json::array({atom(width, "gteq", number("3")), atom("percentage", "eq", number("10"))})
  ));
  CompareFacts facts;
  auto answer = per_operand(*a, *b, facts);
  EXPECT_EQ(answer.verdict, Verdict::compatible);
  ASSERT_EQ(answer.operands.size(), 1U);
  EXPECT_EQ(answer.operands[0].first, width);
  facts.silent_is_unknown = true;
  answer = per_operand(*a, *b, facts);
  EXPECT_EQ(answer.verdict, Verdict::unknown);
  EXPECT_EQ(answer.operands.size(), 3U);
  const auto c = read(set_of(Json::array({atom(width, "gt", number("5"))})));
  EXPECT_EQ(per_operand(*a, *c, facts).verdict, Verdict::conflict);
}

TEST(Compare, Refines) {
  const auto three = Json::array({atom("count", "lteq", 3)});
  const std::vector<Row> table{
      {"itself", three, three, "refines"},
      {"fewer", Json::array({atom("count", "lt", 3)}), three, "refines"},
      {"more",
       Json::array({atom("count", "lteq", 4)}),
       three,
       "not-refines action=" + std::string(iri::use) + " count=4"},
      {"any", Json::array(), three, "not-refines action=" + std::string(iri::use) + " count=4"},
      {"one more condition",
       Json::array({atom("count", "lteq", 3), atom("percentage", "lt", number("10"))}),
       three,
       "refines"},
      {"one of two ways",
       three,
       Json::array({joined(
           "or", Json::array({atom("count", "lteq", 3), atom("percentage", "lt", number("10"))})
       )}),
       "refines"},
      {"a name of the list",
       Json::array({atom("purpose", "eq", "urn:x:a")}),
       Json::array({atom("purpose", "isAnyOf", Json::array({"urn:x:a", "urn:x:b"}))}),
       "refines"},
      {"a name outside of it, for all anybody knows",
       Json::array({atom("purpose", "eq", "urn:x:c")}),
       Json::array({atom("purpose", "isAnyOf", Json::array({"urn:x:a", "urn:x:b"}))}),
       "unknown"},
      {"below what is below",
       Json::array({atom("purpose", "isA", "urn:x:a")}),
       Json::array({atom("purpose", "isA", "urn:x:a")}),
       "refines"},
  };
  for (const auto& row : table) {
    EXPECT_EQ(text_of(refines(*read(set_of(row.a)), *read(set_of(row.b)))), row.expected)
        << row.name;
  }
}

TEST(Compare, RefinesLooksAtActionsAndProhibitions) {
  const auto use = read(set_of(Json::array()));
  const auto reading = read(set_of(Json::array(), "read"));
  EXPECT_EQ(refines(*reading, *use).verdict, Verdict::refines);
  EXPECT_EQ(refines(*use, *reading).verdict, Verdict::not_refines);
  auto inside = set_of(Json::array());
  inside["prohibition"] = Json::array({Json{{"action", std::string(iri::distribute)}}});
  inside["conflict"] = "prohibit";
  EXPECT_EQ(refines(*read(inside), *use).verdict, Verdict::refines);
  const auto wider = refines(*use, *read(inside));
  EXPECT_EQ(wider.verdict, Verdict::not_refines);
  ASSERT_FALSE(wider.witness.empty());
  EXPECT_EQ(wider.witness[0].value, iri::distribute);
}

TEST(Compare, Realizable) {
  EXPECT_EQ(
      realizable(*read(set_of(Json::array(
                     {atom("dateTime", "gt", instant("2026-02-01T00:00:00Z")),
                      atom("dateTime", "lt", instant("2026-01-01T00:00:00Z"))}
                 ))))
          .verdict,
      Verdict::unrealizable
  );
  auto never = set_of(Json::array(), "read");
  never["prohibition"] = Json::array({Json{{"action", "use"}}});
  EXPECT_EQ(realizable(*read(never)).verdict, Verdict::unrealizable);
  EXPECT_EQ(
      realizable(*read(set_of(Json::array({atom("urn:x:mood", "near", "urn:x:good")})))).verdict,
      Verdict::unknown
  );
}

TEST(Compare, ConflictsNameBothRulesAndAState) {
  auto a = set_of(Json::array({atom("count", "lteq", 3)}));
  auto b = Json{
      {"@type", "Set"},
      {"uid", "urn:test:other"},
      {"prohibition",
       Json::array({Json{
           {"action", "print"}, {"constraint", Json::array({atom("count", "gteq", 3)})}}})}};
  const auto found = conflicts(*read(a), *read(b));
  EXPECT_EQ(text_of(found), "conflict count=3");
  EXPECT_EQ(found.pointer, "/permission/0");
  EXPECT_EQ(found.other_pointer, "/prohibition/0");
  EXPECT_EQ(found.message.code, "odrl.compare-rules-conflict");
  b["prohibition"][0]["constraint"][0]["rightOperand"] = 4;
  EXPECT_EQ(conflicts(*read(a), *read(b)).verdict, Verdict::compatible);
  // A duty that is itself prohibited makes its permission unusable.
  a["permission"][0]["action"] = "read";
  a["permission"][0]["duty"] = Json::array({Json{{"action", "compensate"}}});
  b["prohibition"][0] = Json{{"action", "compensate"}};
  const auto duty = conflicts(*read(a), *read(b));
  EXPECT_EQ(duty.verdict, Verdict::conflict);
  EXPECT_EQ(duty.pointer, "/permission/0/duty/0");
}

TEST(Compare, ATooLargeQuestionIsAnsweredWithUnknown) {
  Json many = Json::array();
  LoadOptions options;
  options.extra_operands = {"urn:x:z"};
  for (int i = 0; i < 8; ++i) {
    const auto operand = "urn:x:operand" + std::to_string(i);
    options.extra_operands.push_back(operand);
    many.push_back(joined(
        "or", Json::array({atom(operand, "eq", number("1")), atom(operand, "eq", number("2"))})
    ));
  }
  // Nothing is left to be cut early: the last operand decides.
  many.push_back(atom("urn:x:z", "eq", number("1")));
  const auto a = read(set_of(many), options);
  const auto b = read(set_of(Json::array({atom("urn:x:z", "eq", number("2"))})), options);
  CompareFacts facts;
  EXPECT_EQ(joint(*a, *b, facts).verdict, Verdict::conflict);
  facts.most_steps = 100;
  EXPECT_EQ(joint(*a, *b, facts).verdict, Verdict::unknown);
}

// Against counting the days: where two sets meet, and that the day that is named is the first.
TEST(Compare, PeriodicSetsMeetWhereCountingSaysTheyDo) {
  const auto every = [](int days, int from) {
    auto out = atom("timeInterval", "eq", duration(("P" + std::to_string(days) + "D").c_str()));
    out[anchor] = instant(format_seconds({from * 86'400LL, 0}).c_str());
    return set_of(Json::array({std::move(out)}));
  };
  for (int a = 1; a <= 12; ++a) {
    for (int b = 1; b <= 12; b += 3) {
      for (int from = 0; from < 24; from += 5) {
        int first = -1;
        for (int day = from; day <= std::max(from, 7) + a * b && first < 0; ++day) {
          if ((day - from) % a == 0 && day >= 7 && (day - 7) % b == 0) first = day;
        }
        const auto answer = joint(*read(every(a, from)), *read(every(b, 7)));
        ASSERT_EQ(answer.verdict, first < 0 ? Verdict::conflict : Verdict::compatible)
            << a << " from " << from << ", " << b;
        if (first < 0) continue;
        const auto at = parse_date_time(answer.witness.front().value);
        ASSERT_TRUE(at);
        EXPECT_EQ((at->instant.seconds / 86'400 - from) % a, 0);
        EXPECT_EQ((at->instant.seconds / 86'400 - 7) % b, 0);
      }
    }
  }
  // Periods that share no day for a million years are told without counting them.
  EXPECT_EQ(joint(*read(every(39'999, 0)), *read(every(39'998, 7))).verdict, Verdict::compatible);
  EXPECT_EQ(joint(*read(every(40'001, 0)), *read(every(39'998, 7))).verdict, Verdict::unknown);
}

// A counter-offer from a stranger, as large as a policy may be, takes no longer than its budget.
TEST(Compare, AsLargeAPolicyAsThereMayBeIsAnsweredInTime) {
  Json large = set_of(Json::array({atom("count", "lteq", 1)}), "read");
  for (int i = 0; i < 500; ++i) {
    const auto value = "urn:x:" + std::to_string(i);
    large["permission"].push_back(
        {{"action", "read"},
         {"constraint",
          Json::array(
              {atom("purpose", "neq", value),
               atom("spatial", "isAnyOf", Json::array({value, value + "y"})),
               atom("count", "lteq", i + 1),
               atom("dateTime", "lt", "20" + std::to_string(30 + i % 60) + "-01-01T00:00:00Z")}
          )}}
    );
  }
  for (int i = 0; i < 400; ++i) {
    large["prohibition"].push_back(
        {{"action", "distribute"},
         {"constraint", Json::array({atom("purpose", "eq", "urn:x:" + std::to_string(i))})}}
    );
  }
  const auto policy = read(large);
  ASSERT_TRUE(policy);
  const auto offer = read(set_of(Json::array({atom("purpose", "eq", "urn:x:1")})));
  const auto began = std::chrono::steady_clock::now();
  EXPECT_TRUE(widens(*offer, *policy));
  CompareFacts facts;
  facts.most_steps = 200'000;
  (void)refines(*policy, *offer, facts);
  (void)realizable(*policy, facts);
  (void)joint(*policy, *policy, facts);
  EXPECT_NE(conflicts(*policy, *policy, facts).verdict, Verdict::conflict);
  // Generous: a build with sanitizers, on a busy machine.
  EXPECT_LT(std::chrono::steady_clock::now() - began, std::chrono::seconds(60));
}

}  // namespace
}  // namespace tally::odrl
