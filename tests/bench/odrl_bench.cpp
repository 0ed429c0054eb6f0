// How long a decision takes, compiled policy, one core; how long compiling takes; how much memory a
// compiled policy holds. Figures and what bounds them: docs/benchmarks.md.
#include <algorithm>
#include <chrono>
#include <filesystem>
#include <fstream>
#include <iterator>
#include <vector>

#include <benchmark/benchmark.h>
#include <malloc.h>
#include <nlohmann/json.hpp>

#include "tally/core/digest.hpp"
#include "tally/odrl/compare.hpp"
#include "tally/odrl/exchange.hpp"

namespace tally::odrl {
namespace {

namespace fs = std::filesystem;

Json atom(std::string operand, std::string op, Json value) {
  return Json{{"leftOperand", operand}, {"operator", op}, {"rightOperand", std::move(value)}};
}

// A contract as an enterprise writes it, with `more` further constraints.
Json contract(std::size_t more) {
  auto constraints = Json::array(
      {atom("purpose", "isAnyOf", Json::array({"urn:bench:research", "urn:bench:teaching"})),
       atom("count", "lteq", 3),
       atom("dateTime", "lt", "2027-01-01T00:00:00Z")}
  );
  for (std::size_t i = 0; i < more; ++i) {
    const auto n = std::to_string(i);
    // Each with a value of its own; all of them hold.
    if (i % 3 == 0) {
      constraints.push_back(atom(
          "dateTime",
          "neq",
          "2025-01-01T00:00:" + std::string(i % 60 < 10 ? "0" : "") + std::to_string(i % 60) + "Z"
      ));
    } else if (i % 3 == 1) {
      constraints.push_back(atom("purpose", "neq", "urn:bench:other:" + n));
    } else {
      constraints.push_back(Json{
          {"or",
           Json::array(
               {atom("count", "gteq", Json{{"@value", "100" + n}, {"@type", "xsd:integer"}}),
                atom("dateTime", "gteq", Json{{"@value", "2020-01-01"}, {"@type", "xsd:date"}})}
           )}});
    }
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

Request request_of(std::string purpose) {
  const std::vector<std::string> purposes{std::move(purpose)};
  return Request{
      "urn:bench:institute",
      std::string(iri::read),
      "urn:bench:cohort",
      {declared_names(iri::purpose, purposes, Source::registration)}};
}

void decide(benchmark::State& state, std::size_t more, Explain explain) {
  const auto policy = *load_policy(contract(more));
  const std::vector<UsageEntry> usage{{RuleId("urn:bench:rule"), RuleUsage{1, {}, {}}}};
  World world;
  world.now = parse_date_time("2026-03-10T09:00:00Z")->instant;
  world.usage = usage;
  const auto request = request_of("urn:bench:research");
  if (!evaluate(*policy, request, world).permit) state.SkipWithError("refused");
  for (auto _ : state) benchmark::DoNotOptimize(evaluate(*policy, request, world, {explain}));
}

// Text to compiled policy: parse, validate, normalise, plan.
void compile(benchmark::State& state, const std::string& text) {
  for (auto _ : state) {
    const auto document = parse_json(text);
    benchmark::DoNotOptimize(load_policy(*document));
  }
  state.SetBytesProcessed(
      static_cast<std::int64_t>(text.size()) * static_cast<std::int64_t>(state.iterations())
  );
  state.counters["bytes"] = static_cast<double>(text.size());
}

// The baselines: what any engine that reads JSON pays before it has understood anything, and one
// digest of a request, which everything that records a decision pays beside it.
void parse(benchmark::State& state, const std::string& text) {
  for (auto _ : state) benchmark::DoNotOptimize(parse_json(text));
}
void digest_of_request(benchmark::State& state) {
  const std::string request =
      R"({"assignee":"urn:bench:institute","action":"http://www.w3.org/ns/odrl/2/read",)"
      R"("target":"urn:bench:cohort","context":{"purpose":"urn:bench:research"}})";
  for (auto _ : state) benchmark::DoNotOptimize(sha256(request));
}

// What a catalogue asks of each offer when it is loaded, beside compiling it.
void concerns_of(benchmark::State& state) {
  const auto policy = *load_policy(contract(0));
  for (auto _ : state) benchmark::DoNotOptimize(concerns(*policy));
}

std::string of_size(std::size_t bytes) {
  std::size_t more = 0;
  while (contract(more).dump().size() < bytes) more += 8;
  return contract(more).dump();
}

struct Case {
  PolicyPtr policy;
  Request request;
  std::unique_ptr<WorldDocument> world;
};

// Every evaluate case of one policy: our own, and the shared ones where they are.
std::vector<Case> all_cases() {
  std::vector<Case> out;
  const auto root = fs::path(TALLY_SOURCE_DIR);
  for (const auto& folder : {root / "tests/data/odrl", root / ".." / "shared/odrl-cases"}) {
    if (!fs::exists(folder)) continue;
    for (const auto& entry : fs::recursive_directory_iterator(folder)) {
      if (entry.path().extension() != ".json") continue;
      std::ifstream stream(entry.path());
      const auto document = Json::parse(stream);
      if (!document.contains("policy") || document.value("request", Json()).is_null()) continue;
      auto reading = read_policy(document["policy"]);
      auto request = read_request(document["request"]);
      auto world = read_world(document.value("stateOfTheWorld", Json::object()));
      if (!reading.policy || !request || !world) continue;
      out.push_back({std::move(reading.policy), std::move(*request), std::move(*world)});
    }
  }
  return out;
}

void mix(benchmark::State& state) {
  const auto cases = all_cases();
  std::int64_t evaluations = 0;
  for (auto _ : state) {
    for (const auto& one : cases) {
      benchmark::DoNotOptimize(evaluate(*one.policy, one.request, one.world->world));
    }
    evaluations += static_cast<std::int64_t>(cases.size());
  }
  state.SetItemsProcessed(evaluations);
  state.counters["cases"] = static_cast<double>(cases.size());
}

// The median over the small cases of the mean time of one, which is what most decisions cost.
void median_case(benchmark::State& state, Explain explain) {
  const auto cases = all_cases();
  constexpr int rounds = 200;
  std::vector<double> medians;
  for (auto _ : state) {
    std::vector<double> each;
    each.reserve(cases.size());
    for (const auto& one : cases) {
      const auto start = std::chrono::steady_clock::now();
      for (int i = 0; i < rounds; ++i) {
        benchmark::DoNotOptimize(evaluate(*one.policy, one.request, one.world->world, {explain}));
      }
      const std::chrono::duration<double, std::nano> took =
          std::chrono::steady_clock::now() - start;
      each.push_back(took.count() / rounds);
    }
    std::ranges::nth_element(each, each.begin() + static_cast<std::ptrdiff_t>(each.size() / 2));
    medians.push_back(each[each.size() / 2]);
  }
  std::ranges::nth_element(
      medians, medians.begin() + static_cast<std::ptrdiff_t>(medians.size() / 2)
  );
  state.counters["median_ns"] = medians[medians.size() / 2];
  state.counters["cases"] = static_cast<double>(cases.size());
}

std::size_t resident() {
  std::ifstream status("/proc/self/statm");
  std::size_t pages = 0;
  std::size_t in_memory = 0;
  status >> pages >> in_memory;
  return in_memory * 4096;
}

// What ten thousand small compiled policies add to the resident memory, each.
void memory(benchmark::State& state) {
  const auto text = contract(0).dump();
  for (auto _ : state) {
    malloc_trim(0);
    const auto before = resident();
    std::vector<PolicyPtr> policies;
    policies.reserve(10'000);
    for (int i = 0; i < 10'000; ++i) policies.push_back(*load_policy(*parse_json(text)));
    malloc_trim(0);
    state.counters["bytes_each"] =
        static_cast<double>(resident() - before) / static_cast<double>(policies.size());
  }
}

BENCHMARK(digest_of_request);
BENCHMARK_CAPTURE(decide, small, 0, Explain::none);
BENCHMARK_CAPTURE(decide, small_with_report, 0, Explain::full);
BENCHMARK_CAPTURE(decide, constraints_524, 391, Explain::none);
BENCHMARK_CAPTURE(median_case, decision, Explain::none)->Unit(benchmark::kMillisecond);
BENCHMARK_CAPTURE(median_case, full_report, Explain::full)->Unit(benchmark::kMillisecond);
BENCHMARK(mix);
BENCHMARK_CAPTURE(parse, small, contract(0).dump());
BENCHMARK_CAPTURE(parse, kilobytes_118, of_size(118 << 10));
BENCHMARK_CAPTURE(compile, small, contract(0).dump());
BENCHMARK_CAPTURE(compile, kilobytes_118, of_size(118 << 10));
BENCHMARK(concerns_of);
BENCHMARK(memory)->Iterations(1)->Unit(benchmark::kMillisecond);

}  // namespace
}  // namespace tally::odrl

BENCHMARK_MAIN();
