// Requests, states of the world and decisions as JSON (docs/odrl-engine.md, "Data in, data out"):
// what the command line, policy cases and decision queries speak. Strict: an unknown member or a
// value of another type is refused with its place, since a misspelt one would be a missing one.
// Pure.
#pragma once

#include <memory>
#include <string>
#include <vector>

#include <nlohmann/json_fwd.hpp>

#include "tally/core/json.hpp"
#include "tally/core/message.hpp"
#include "tally/core/result.hpp"
#include "tally/odrl/compare.hpp"
#include "tally/odrl/evaluate.hpp"

namespace tally::odrl {

// A world with the storage that it borrows.
struct WorldDocument {
  World world;
  std::vector<UsageEntry> usage;
  bool tells_overdue = false;
  std::vector<RuleId> overdue;
  std::vector<Broader> taxonomy;
  std::vector<Fact> facts;
  std::vector<Membership> memberships;
  std::vector<TypeOf> types;
  std::vector<PerformedAct> performed;
  std::vector<DutyState> duty_states;
  std::vector<EventSpan> events;
  std::vector<Reference> references;

  WorldDocument() = default;
  WorldDocument(const WorldDocument&) = delete;  // `world` borrows from here
  WorldDocument& operator=(const WorldDocument&) = delete;
};

// Errors: invalid, with pointer. `context` values are taken as `source` vouches for them.
Result<Request> read_request(const Json& document, Source source = Source::asserted);
// Without currentTime the clock counts as unreliable. `usage` null: the ledger cannot be read.
Result<std::unique_ptr<WorldDocument>> read_world(const Json& document);

Json to_json(const Decision& decision, Lang lang);
Json to_json(const Problem& problem, Lang lang);
Json to_json(const Comparison& comparison, Lang lang);

}  // namespace tally::odrl
