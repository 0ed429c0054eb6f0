#include <gtest/gtest.h>

#include "tally/odrl/compare.hpp"

#include "policies.hpp"

namespace tally::odrl {
namespace {

using test::agreement;
using test::atom;

Json with(Json constraint) {
  auto out = agreement(std::move(constraint));
  out["@type"] = "Offer";
  return out;
}
Json one(Json constraint) {
  return with(Json::array({std::move(constraint)}));
}

struct Row {
  const char* name;
  Json offer;
  Json request;
  bool narrows;
};

TEST(Narrows, ConstraintsMayOnlyGetTighter) {
  const auto list = [](auto... values) { return Json::array({values...}); };
  const auto purpose = [](const char* op, Json value) { return one(atom("purpose", op, value)); };
  const auto count = [](const char* op, Json value) { return one(atom("count", op, value)); };
  const auto time = [](const char* op, const char* value) {
    return one(atom("dateTime", op, value));
  };
  const auto span = [](const char* op, const char* value) {
    return one(atom("elapsedTime", op, value));
  };
  const std::vector<Row> table{
      {"the same", count("lteq", 3), count("lteq", 3), true},
      {"the same number, written otherwise", count("lteq", 3), count("lteq", "3.0"), true},
      {"nothing asked away", with(Json::array()), count("lteq", 3), true},
      {"constraint dropped", count("lteq", 3), with(Json::array()), false},
      {"fewer", count("lteq", 3), count("lteq", 2), true},
      {"more", count("lteq", 3), count("lteq", 4), false},
      {"lt as tight as lteq", count("lteq", 3), count("lt", 4), true},
      {"lt looser than lteq", count("lteq", 3), count("lt", 5), false},
      {"another operator", count("lteq", 3), count("gteq", 1), false},
      {"list below a bound", count("lteq", 3), count("isAnyOf", list(1, 2)), true},
      {"bound above a list", count("isAnyOf", list(1, 3)), count("lteq", 2), false},
      {"purpose of the list",
       purpose("isAnyOf", list("urn:a", "urn:b")),
       purpose("eq", "urn:a"),
       true},
      {"part of the list",
       purpose("isAnyOf", list("urn:a", "urn:b")),
       purpose("isAnyOf", list("urn:b")),
       true},
      {"purpose outside",
       purpose("isAnyOf", list("urn:a", "urn:b")),
       purpose("eq", "urn:c"),
       false},
      {"one purpose outside",
       purpose("isAnyOf", list("urn:a")),
       purpose("isAnyOf", list("urn:a", "urn:c")),
       false},
      {"more excluded",
       purpose("isNoneOf", list("urn:a")),
       purpose("isNoneOf", list("urn:a", "urn:b")),
       true},
      {"less excluded",
       purpose("isNoneOf", list("urn:a", "urn:b")),
       purpose("isNoneOf", list("urn:a")),
       false},
      {"named instead of excluded", purpose("neq", "urn:a"), purpose("eq", "urn:b"), true},
      {"excluded one named", purpose("neq", "urn:a"), purpose("eq", "urn:a"), false},
      {"below a concept", purpose("isA", "urn:a"), purpose("eq", "urn:a"), true},
      {"a concept in place of a value", purpose("eq", "urn:a"), purpose("isA", "urn:a"), false},
      {"earlier end", time("lt", "2026-06-01"), time("lt", "2026-05-01"), true},
      {"later end", time("lt", "2026-06-01"), time("lt", "2026-06-02"), false},
      {"lteq one day later", time("lt", "2026-06-01"), time("lteq", "2026-06-01"), false},
      {"lteq the day before", time("lt", "2026-06-01"), time("lteq", "2026-05-31"), true},
      {"another zone, the same instant",
       time("lt", "2026-06-01T00:00:00Z"),
       time("lt", "2026-06-01T08:00:00+08:00"),
       true},
      {"a later beginning", time("gteq", "2026-06-01"), time("gteq", "2026-07-01"), true},
      {"an earlier beginning", time("gteq", "2026-06-01"), time("gteq", "2026-05-01"), false},
      {"one day inside", time("lteq", "2026-06-01"), time("eq", "2026-06-01"), true},
      {"an end in place of a beginning",
       time("gteq", "2026-06-01"),
       time("lt", "2026-07-01"),
       false},
      {"shorter", span("lteq", "P30D"), span("lteq", "P1W"), false},  // P1W is no duration
      {"shorter in days", span("lteq", "P30D"), span("lteq", "P7D"), true},
      {"longer", span("lteq", "P30D"), span("lteq", "P31D"), false},
      {"a month against thirty days", span("lteq", "P30D"), span("lteq", "P1M"), false},
      {"a month against 32 days", span("lteq", "P32D"), span("lteq", "P1M"), true},
      {"lteq in place of lt", span("lt", "P30D"), span("lteq", "P30D"), false},
      {"an and opened up",
       one(Json{{"and", list(atom("count", "lteq", 3), atom("dateTime", "lt", "2026-06-01"))}}),
       with(list(atom("dateTime", "lt", "2026-05-01"), atom("count", "lteq", 3))),
       true},
      {"one branch of an or",
       one(Json{{"or", list(atom("count", "lteq", 3), atom("dateTime", "lt", "2026-06-01"))}}),
       count("lteq", 2),
       true},
      {"an or with tighter branches",
       one(Json{{"or", list(atom("count", "lteq", 3), atom("dateTime", "lt", "2026-06-01"))}}),
       one(Json{{"or", list(atom("dateTime", "lt", "2026-05-01"), atom("count", "lteq", 1))}}),
       true},
      {"an or with one branch more",
       one(Json{{"or", list(atom("count", "lteq", 3), atom("dateTime", "lt", "2026-06-01"))}}),
       one(Json{
           {"or",
            list(
                atom("count", "lteq", 3),
                atom("dateTime", "lt", "2026-06-01"),
                atom("purpose", "eq", "urn:a")
            )}}),
       false},
      {"an or in place of its branch",
       count("lteq", 3),
       one(Json{{"or", list(atom("count", "lteq", 3), atom("dateTime", "lt", "2026-06-01"))}}),
       false},
      {"xone is not taken apart",
       one(Json{{"xone", list(atom("count", "lteq", 3), atom("count", "lteq", 5))}}),
       count("lteq", 3),
       false},
      {"another owner",
       with(list(atom("count", "lteq", 3), atom("urn:tally:profile:1#countedBy", "eq", "provider"))
       ),
       with(list(atom("count", "lteq", 3), atom("urn:tally:profile:1#countedBy", "eq", "consumer"))
       ),
       false},
      {"a purpose outside beside the offer's own",
       purpose("isAnyOf", list("urn:a", "urn:b")),
       with(list(atom("purpose", "isAnyOf", list("urn:a", "urn:b")), atom("purpose", "eq", "urn:c"))
       ),
       false},
      {"a purpose of the list beside the list",
       purpose("isAnyOf", list("urn:a", "urn:b")),
       with(list(atom("purpose", "isAnyOf", list("urn:a", "urn:b")), atom("purpose", "eq", "urn:b"))
       ),
       true},
  };
  for (const auto& row : table) {
    const auto found = widens(row.offer, row.request);
    EXPECT_EQ(!found, row.narrows) << row.name << (found ? " " + found->message.code : "");
    EXPECT_FALSE(widens(row.offer, row.offer)) << row.name;
  }
}

TEST(Narrows, RulesMayNotGrow) {
  const auto base = [] {
    auto out = with(Json::array({atom("count", "lteq", 3)}));
    out["prohibition"] = Json::array({Json{{"action", "distribute"}}});
    out["obligation"] = Json::array({Json{
        {"action", "delete"}, {"constraint", atom("dateTime", "lteq", "2026-06-01")}}});
    out["permission"][0]["duty"] = Json::array({Json{
        {"action", "delete"}, {"constraint", atom("delayPeriod", "lteq", "P30D")}}});
    return out;
  };
  const auto changed = [&](auto change) {
    auto out = base();
    change(out);
    return out;
  };
  const std::vector<Row> table{
      {"other ids and parties",
       base(),
       changed([](Json& p) {
         p["@id"] = "urn:other";
         p["@type"] = "Agreement";
         p["assignee"] = "urn:other:party";
         p["target"] = "urn:other:asset";
         p["timestamp"] = "2026-01-01T00:00:00Z";
         p["permission"][0].erase("@id");
       }),
       true},
      {"a narrower action",
       base(),
       changed([](Json& p) { p["permission"][0]["action"] = "read"; }),
       true},
      {"a wider action",
       base(),
       changed([](Json& p) { p["permission"][0]["action"] = "transfer"; }),
       false},
      {"one action more",
       base(),
       changed([](Json& p) {
         p["permission"][0]["action"] = Json::array({"use", "transfer"});
       }),
       false},
      {"the limited rule twice",
       base(),
       changed([](Json& p) {
         auto twin = p["permission"][0];
         twin["@id"] = "urn:test:twin";
         p["permission"].push_back(twin);
       }),
       false},
      {"a permission less", base(), changed([](Json& p) { p.erase("permission"); }), true},
      {"the prohibition dropped", base(), changed([](Json& p) { p.erase("prohibition"); }), false},
      {"the prohibition widened",
       base(),
       changed([](Json& p) { p["prohibition"][0]["action"] = "use"; }),
       true},
      {"the prohibition narrowed",
       base(),
       changed([](Json& p) {
         p["prohibition"][0]["constraint"] = atom("dateTime", "lt", "2026-06-01");
       }),
       false},
      {"the prohibition moved elsewhere",
       base(),
       changed([](Json& p) { p["prohibition"][0]["target"] = "urn:other:asset"; }),
       false},
      {"permissions win conflicts",
       base(),
       changed([](Json& p) { p["conflict"] = "perm"; }),
       false},
      {"prohibitions win conflicts",
       base(),
       changed([](Json& p) { p["conflict"] = "prohibit"; }),
       true},
      {"the obligation dropped", base(), changed([](Json& p) { p.erase("obligation"); }), false},
      {"the obligation later",
       base(),
       changed([](Json& p) {
         p["obligation"][0]["constraint"] = atom("dateTime", "lteq", "2026-07-01");
       }),
       false},
      {"the obligation earlier",
       base(),
       changed([](Json& p) {
         p["obligation"][0]["constraint"] = atom("dateTime", "lteq", "2026-05-01");
       }),
       true},
      {"the duty dropped",
       base(),
       changed([](Json& p) { p["permission"][0].erase("duty"); }),
       false},
      {"the duty later",
       base(),
       changed([](Json& p) {
         p["permission"][0]["duty"][0]["constraint"] = atom("delayPeriod", "lteq", "P31D");
       }),
       false},
      {"the duty at once",
       base(),
       changed([](Json& p) { p["permission"][0]["duty"][0].erase("constraint"); }),
       true},
      {"an asset of its own in the rule",
       base(),
       changed([](Json& p) { p["permission"][0]["target"] = "urn:other:asset"; }),
       false},
      {"a party of its own in the rule",
       base(),
       changed([](Json& p) { p["permission"][0]["assignee"] = "urn:other:party"; }),
       false},
      {"no policy", base(), Json::array(), false},
      {"a word nobody knows",
       base(),
       changed([](Json& p) { p["permission"][0]["action"] = "reed"; }),
       false},
  };
  for (const auto& row : table) {
    const auto found = widens(row.offer, row.request);
    EXPECT_EQ(!found, row.narrows) << row.name << (found ? " " + found->message.code : "");
  }
}

// What rows and columns are handed out is agreed as it was offered, word for word.
TEST(Narrows, RowsStayAsTheyAreOffered) {
  const auto rows = [](const char* op, Json list) {
    auto out = one(atom("urn:tally:profile:1#rowFilter", op, std::move(list)));
    out["profile"] = "urn:tally:profile:1";
    return out;
  };
  LoadOptions options;
  options.enforced_only = false;
  const auto offer = rows("isAllOf", {"a eq 1", "b eq 2"});
  EXPECT_FALSE(widens(offer, rows("isAllOf", {"a eq 1", "b eq 2"}), options));
  EXPECT_TRUE(widens(offer, rows("isAnyOf", {"a eq 1", "b eq 2"}), options));
  EXPECT_TRUE(widens(offer, rows("isAllOf", {"a eq 1, b eq 2"}), options));
  EXPECT_TRUE(widens(offer, rows("isAllOf", {"a eq 1"}), options));
  EXPECT_TRUE(widens(offer, one(atom("count", "lteq", 1)), options));
}

TEST(Narrows, SaysWhichConstraintRequiredAndFound) {
  const auto offer = one(atom("purpose", "isAnyOf", Json::array({"urn:research", "urn:teaching"})));
  const auto request = one(atom("purpose", "eq", "urn:marketing"));
  const auto found = widens(offer, request);
  ASSERT_TRUE(found);
  EXPECT_EQ(found->left_operand, iri::purpose);
  EXPECT_EQ(found->pointer, "/permission/0/constraint/0");
  EXPECT_EQ(found->required, "isAnyOf urn:research, urn:teaching");
  EXPECT_EQ(found->found, "eq urn:marketing");
  EXPECT_EQ(found->message.code, "odrl.widens-value");
  EXPECT_NE(render(found->message, Lang::en).find("urn:marketing"), std::string::npos);
}

// Whatever a narrowed policy permits, the offer permits: checked with the evaluator over a grid.
TEST(Narrows, AgreesWithTheEvaluator) {
  const std::vector<Json> atoms{
      atom("count", "lteq", 2),
      atom("count", "lt", 2),
      atom("count", "eq", 2),
      atom("count", "isAnyOf", Json::array({1, 3})),
      atom("count", "neq", 2),
      atom("count", "gteq", 2),
      atom("dateTime", "lt", "2026-03-10"),
      atom("dateTime", "lteq", "2026-03-10"),
      atom("dateTime", "eq", "2026-03-10"),
      atom("dateTime", "neq", "2026-03-10"),
      atom("dateTime", "gt", "2026-03-10"),
      atom("dateTime", "gteq", "2026-03-10"),
      atom("dateTime", "isAnyOf", Json::array({"2026-03-09", "2026-03-11"})),
      atom("elapsedTime", "lteq", "P1D"),
      atom("elapsedTime", "lt", "P2D"),
      atom("elapsedTime", "gteq", "P1D"),
      atom("purpose", "eq", "urn:a"),
      atom("purpose", "isAnyOf", Json::array({"urn:a", "urn:b"})),
      atom("purpose", "isNoneOf", Json::array({"urn:b"})),
      atom("purpose", "isAllOf", Json::array({"urn:a", "urn:b"})),
      atom("purpose", "isA", "urn:a"),
      Json{{"or", Json::array({atom("count", "lteq", 1), atom("purpose", "eq", "urn:a")})}},
      Json{{"xone", Json::array({atom("count", "lteq", 1), atom("purpose", "eq", "urn:a")})}},
      Json{{"and", Json::array({atom("count", "lteq", 1), atom("purpose", "eq", "urn:a")})}},
  };
  struct State {
    World world;
    Request request;
    std::vector<UsageEntry> usage;
  };
  std::vector<State> states;
  for (const auto* now : {"2026-03-09T12:00:00Z", "2026-03-10T12:00:00Z", "2026-03-11T12:00:00Z"}) {
    for (const std::int64_t count : {0, 1, 2, 5}) {
      for (const auto& purposes : std::vector<std::vector<std::string>>{
               {}, {"urn:a"}, {"urn:b"}, {"urn:c"}, {"urn:a", "urn:b"}}) {
        State state;
        state.world = test::world(now);
        state.request = test::request();
        test::declare(state.request, purposes);
        state.usage = {
            {RuleId("urn:test:rule"), RuleUsage{count, test::at("2026-03-09T12:00:00Z"), {}}}};
        states.push_back(std::move(state));
      }
    }
  }
  std::size_t narrowed = 0;
  for (const auto& theirs : atoms) {
    const auto offer = test::load(agreement(Json::array({theirs})));
    for (const auto& ours : atoms) {
      const auto request = test::load(agreement(Json::array({ours})));
      if (widens(*offer, *request)) continue;
      ++narrowed;
      for (auto& state : states) {
        state.world.usage = state.usage;
        if (!evaluate(*request, state.request, state.world).permit) continue;
        EXPECT_TRUE(evaluate(*offer, state.request, state.world).permit)
            << theirs.dump() << " narrowed to " << ours.dump();
      }
    }
  }
  EXPECT_GT(narrowed, atoms.size());
}

}  // namespace
}  // namespace tally::odrl
