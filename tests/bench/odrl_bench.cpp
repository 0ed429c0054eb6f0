// How long a decision takes, compiled policy, one core. Figures and what bounds them:
// docs/benchmarks.md.
#include <benchmark/benchmark.h>
#include <nlohmann/json.hpp>

#include "tally/odrl/evaluate.hpp"

namespace tally::odrl {
namespace {

Json atom(std::string operand, std::string op, Json value) {
  return Json{{"leftOperand", operand}, {"operator", op}, {"rightOperand", std::move(value)}};
}

Json contract(std::size_t days) {
  auto constraints = Json::array(
      {atom("purpose", "isAnyOf", Json::array({"urn:bench:research", "urn:bench:teaching"})),
       atom("count", "lteq", 3),
       atom("dateTime", "lt", "2027-01-01T00:00:00Z")}
  );
  for (std::size_t i = 0; i < days; ++i) {
    constraints.push_back(atom("dateTime", "neq", "2025-01-01T00:00:00Z"));
  }
  return Json{
      {"@type", "Agreement"},
      {"@id", "urn:bench:agreement"},
      {"assigner", "urn:bench:hospital"},
      {"assignee", "urn:bench:institute"},
      {"target", "urn:bench:cohort"},
      {"permission",
       Json::array({Json{{"@id", "urn:bench:rule"}, {"action", "use"}, {"constraint", constraints}}}
       )},
  };
}

void decide(benchmark::State& state, std::size_t days, Explain explain) {
  const auto policy = *load_policy(contract(days));
  const std::vector<UsageEntry> usage{{RuleId("urn:bench:rule"), RuleUsage{1, {}, {}}}};
  World world;
  world.now = parse_date_time("2026-03-10T09:00:00Z")->instant;
  world.usage = usage;
  const Request request{
      "urn:bench:institute", std::string(iri::read), "urn:bench:cohort", {"urn:bench:research"}};
  for (auto _ : state) {
    benchmark::DoNotOptimize(evaluate(*policy, request, world, explain));
  }
}

void compile(benchmark::State& state, std::size_t days) {
  const auto document = contract(days);
  for (auto _ : state) benchmark::DoNotOptimize(load_policy(document));
}

BENCHMARK_CAPTURE(decide, small, 0, Explain::none);
BENCHMARK_CAPTURE(decide, small_with_report, 0, Explain::full);
BENCHMARK_CAPTURE(decide, constraints_524, 521, Explain::none);
BENCHMARK_CAPTURE(compile, small, 0);
BENCHMARK_CAPTURE(compile, constraints_524, 521);

}  // namespace
}  // namespace tally::odrl

BENCHMARK_MAIN();
