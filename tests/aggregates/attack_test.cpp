// A participant that wants one person's salary, and plays what the literature plays: subtraction,
// complement, the whole less its parts, trackers, two agreements with different rows. With the
// protections it learns nothing of fewer than k rows; each attack's control run, with the one that
// stops it off, has the salary to the cent.
#include <functional>

#include "aggregates/table.hpp"

namespace tally::aggregates {
namespace {

using catalog::ColumnType;

constexpr std::size_t least = 10;
constexpr double secret = 91'234;  // of the one person aged 47 in Oak Street

std::string people() {
  std::string out = "street,age,team,salary\r\n";
  const char* streets[] = {"Oak", "Elm", "Ash", "Fir"};
  for (int i = 0; i < 200; ++i) {
    const int age = 20 + i / 10;  // 20 to 39, ten of each
    out += std::string(streets[i % 4]) + "," + std::to_string(age) + "," + std::to_string(i % 5) +
           "," + std::to_string(30'000 + 10 * i) + "\r\n";
  }
  out += "Oak,47,0," + std::to_string(static_cast<int>(secret)) + "\r\n";
  return out;
}

catalog::Schema people_schema() {
  return schema_of(
      {{"street", ColumnType::text},
       {"age", ColumnType::integer},
       {"team", ColumnType::text},
       {"salary", ColumnType::integer}}
  );
}

std::string sum_where(const std::string& filter, const std::string& group_by = "[]") {
  return R"({"values":[{"function":"count"},{"function":"sum","column":"salary"}],"groupBy":)" +
         group_by + R"(,"filter":[)" + filter + "]}";
}

std::string is(const std::string& column, const std::string& op, const std::string& value) {
  return R"({"column":")" + column + R"(","operator":")" + op + R"(","value":)" + value + "}";
}

const Json everybody = Json::array();

// What the attacker makes of the answers: the salary, where it can.
using Attack = std::function<std::optional<double>(Asker&)>;

std::optional<double> less(std::optional<double> a, std::optional<double> b) {
  if (!a || !b) return std::nullopt;
  return *a - *b;
}

std::optional<double> sum(
    Asker& asker, const std::string& filter, const dataplane::ShapePtr& shape = nullptr
) {
  const auto query = sum_where(filter);
  const auto answer = shape ? asker.ask(query, least, shape) : asker.ask(query);
  return value_of(answer, everybody, 1);
}

struct Case {
  const char* name;
  Attack attack;
  Protection off;  // of the control run
};

std::vector<Case> attacks() {
  const Protection no_distance{true, false};
  const Protection no_secondary{false, false};
  return {
      {"subtraction: everybody, less everybody but one",
       [](Asker& asker) { return less(sum(asker, ""), sum(asker, is("age", "neq", "47"))); },
       no_distance},
      {"subtraction the other way round: first without, then with",
       [](Asker& asker) {
         const auto without = sum(asker, is("age", "lt", "47"));
         return less(sum(asker, ""), without);
       },
       no_distance},
      {"complement: the street, less those of the street who are younger",
       [](Asker& asker) {
         const auto oak = is("street", "eq", "\"Oak\"");
         return less(sum(asker, oak), sum(asker, oak + "," + is("age", "lt", "47")));
       },
       no_distance},
      {"the whole less its parts, in one answer",
       [](Asker& asker) -> std::optional<double> {
         auto query = Json::parse(sum_where("", R"(["age"])"));
         query["totals"] = true;
         const auto answer = asker.ask(query.dump());
         auto rest = value_of(answer, everybody, 1, "totals");
         if (!rest) return std::nullopt;
         std::size_t groups = 0;
         for (const auto& group : (*answer)["groups"]) {
           if (!group["values"][1].is_number()) return std::nullopt;
           *rest -= group["values"][1].get<double>();
           ++groups;
         }
         // All ages from 20 to 39 were told, so what is left is one person.
         return groups == 20 ? rest : std::nullopt;
       },
       no_secondary},
      {"the whole less its parts, in two answers",
       [](Asker& asker) -> std::optional<double> {
         const auto parts = asker.ask(sum_where("", R"(["age"])"));
         auto rest = sum(asker, "");
         if (!parts || !rest) return std::nullopt;
         for (const auto& group : (*parts)["groups"]) {
           *rest -= group["values"][1].get<double>();
         }
         return rest;
       },
       no_distance},
      {"a tracker: two that overlap, and both of them",
       [](Asker& asker) -> std::optional<double> {
         const auto low = sum(asker, is("age", "lt", "30"));
         const auto middle = sum(asker, is("age", "gteq", "30") + "," + is("age", "lt", "47"));
         const auto whole = sum(asker, "");
         if (!low || !middle || !whole) return std::nullopt;
         return *whole - *low - *middle;
       },
       no_distance},
      {"another agreement that leaves the person out",
       [](Asker& asker) {
         const auto all_rows = shape_of(people_schema());
         const auto others = shape_of(people_schema(), {only_rows("age lt 47")});
         return less(sum(asker, "", all_rows), sum(asker, "", others));
       },
       no_distance},
      {"the mean instead of the sum",
       [](Asker& asker) -> std::optional<double> {
         const auto mean = [&asker](const std::string& filter) {
           return asker.ask(
               R"({"values":[{"function":"avg","column":"salary"},{"function":"count"}],"filter":[)" +
               filter + "]}"
           );
         };
         const auto all = mean("");
         const auto others = mean(is("age", "neq", "47"));
         const auto a = value_of(all, everybody, 0);
         const auto b = value_of(others, everybody, 0);
         if (!a || !b) return std::nullopt;
         return *a * *value_of(all, everybody, 1) - *b * *value_of(others, everybody, 1);
       },
       no_distance},
  };
}

TEST(Attack, LearnsNothingAndItsControlRunDoes) {
  for (const auto& one : attacks()) {
    Asker asker(people_schema(), people(), least);
    EXPECT_FALSE(one.attack(asker)) << one.name;
    Asker control(people_schema(), people(), least, one.off);
    const auto learnt = one.attack(control);
    ASSERT_TRUE(learnt) << one.name;
    EXPECT_NEAR(*learnt, secret, 0.01) << one.name;
  }
}

TEST(Attack, AskingForThePersonAloneIsAskingForNobody) {
  Asker asker(people_schema(), people(), least);
  const auto there = asker.ask(sum_where(is("age", "eq", "47")));
  const auto nobody = asker.ask(sum_where(is("age", "eq", "48")));
  ASSERT_TRUE(there && nobody);
  EXPECT_EQ(*there, *nobody);
  // And no key says that there is such an age.
  const auto ages = asker.ask(sum_where("", R"(["age"])"));
  if (ages) EXPECT_EQ(ages->dump().find("47"), std::string::npos);
}

// A stricter agreement is not undone by a laxer one, and does not stop it.
TEST(Attack, TwoAgreementsThatPromiseDifferently) {
  Asker asker(people_schema(), people(), least);
  const auto shape = shape_of(people_schema());
  ASSERT_TRUE(asker.ask(sum_where(""), 30, shape));
  EXPECT_TRUE(asker.ask(sum_where(is("age", "lt", "30")), 5, shape)) << asker.refused;
  EXPECT_TRUE(asker.ask(sum_where(is("age", "lt", "29")), 5, shape)) << asker.refused;
  EXPECT_FALSE(asker.ask(sum_where(is("age", "lt", "47")), 5, shape));
  EXPECT_EQ(asker.refused, "aggregates.too-close");
  // Under the strict one: the whole less 20 rows.
  EXPECT_FALSE(asker.ask(sum_where(is("age", "gteq", "22")), 30, shape));
  EXPECT_EQ(asker.refused, "aggregates.too-close");
}

// What honest people ask goes through: three ways to part everybody, and their crossing.
TEST(Attack, HonestQuestionsAreAnswered) {
  std::string data = "street,age,team,salary\r\n";
  for (int i = 0; i < 2000; ++i) {
    data += "s" + std::to_string(i % 7) + "," + std::to_string(20 + i % 41) + ",t" +
            std::to_string(i / 7 % 5) + "," + std::to_string(30'000 + i) + "\r\n";
  }
  Asker asker(people_schema(), data, least);
  for (const auto& query :
       {sum_where(""),
        sum_where("", R"(["street"])"),
        sum_where("", R"(["age"])"),
        sum_where("", R"(["team"])"),
        sum_where("", R"(["street","team"])"),
        sum_where(is("age", "gteq", "40")),
        sum_where(is("age", "gteq", "40"), R"(["street"])"),
        sum_where(is("street", "isAnyOf", R"(["s1","s2"])"), R"(["team"])")}) {
    EXPECT_TRUE(asker.ask(query)) << query << " " << asker.refused;
  }
}

}  // namespace
}  // namespace tally::aggregates
