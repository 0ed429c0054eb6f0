// Policies and helpers that several tests of this folder start from.
#pragma once

#include <string>
#include <string_view>
#include <vector>

#include <gtest/gtest.h>
#include <nlohmann/json.hpp>

#include "tally/odrl/evaluate.hpp"

namespace tally::odrl::test {

inline constexpr const char* party = "urn:test:institute";
inline constexpr const char* asset = "urn:test:cohort";
inline constexpr const char* research = "urn:test:purpose:research";

// One permission to use, with `constraint` as its constraints.
inline Json agreement(Json constraint = Json::array()) {
  return Json{
      {"@type", "Agreement"},
      {"@id", "urn:test:agreement"},
      {"assigner", "urn:test:hospital"},
      {"assignee", party},
      {"target", asset},
      {"permission",
       Json::array({Json{{"@id", "urn:test:rule"}, {"action", "use"}, {"constraint", constraint}}}
       )},
  };
}

inline Json atom(std::string operand, std::string op, Json value) {
  return Json{{"leftOperand", operand}, {"operator", op}, {"rightOperand", std::move(value)}};
}

inline PolicyPtr load(const Json& document, const LoadOptions& options = {}) {
  auto loaded = load_policy(document, options);
  if (!loaded) {
    for (const auto& problem : loaded.error()) {
      ADD_FAILURE() << problem.pointer << ": " << render(problem.message, Lang::en);
    }
    return nullptr;
  }
  return *loaded;
}

inline Instant at(std::string_view text) {
  const auto parsed = parse_date_time(text);
  EXPECT_TRUE(parsed) << text;
  return parsed ? parsed->instant : Instant{};
}

// Declares `purposes`, and nothing else.
inline void declare(
    Request& request, const std::vector<std::string>& purposes, Source source = Source::asserted
) {
  request.declared.clear();
  if (!purposes.empty()) {
    request.declared.push_back(declared_names(iri::purpose, purposes, source));
  }
}

inline Request request(std::string action = "http://www.w3.org/ns/odrl/2/read") {
  Request out{party, std::move(action), asset, {}};
  declare(out, {research});
  return out;
}

inline World world(std::string_view now = "2026-03-10T09:00:00Z") {
  World out;
  out.now = at(now);
  return out;
}

// "code pointer" of each problem, sorted.
inline std::vector<std::string> faults(const Json& document, const LoadOptions& options = {}) {
  std::vector<std::string> out;
  if (const auto loaded = load_policy(document, options); !loaded) {
    for (const auto& one : loaded.error()) out.push_back(one.message.code + " " + one.pointer);
  }
  std::sort(out.begin(), out.end());
  return out;
}

}  // namespace tally::odrl::test
