// Policies from strangers: neither reader crashes or takes in half a document, and what is taken in
// is decided, compared, read out and explained without a surprise.
#include <cstddef>
#include <cstdint>
#include <cstdlib>
#include <string_view>

#include <nlohmann/json.hpp>

#include "tally/odrl/compare.hpp"
#include "tally/odrl/explain.hpp"

namespace {

using namespace tally;

void require(bool condition) {
  if (!condition) std::abort();
}

odrl::Request request_to(const odrl::CompiledPolicy& policy) {
  odrl::Request request;
  request.assignee = policy.assignee().empty() ? "urn:p" : policy.assignee();
  request.action = odrl::iri::read;
  request.target = policy.target().empty() ? "urn:a" : policy.target();
  const std::vector<std::string> purposes{"urn:x"};
  request.declared.push_back(
      odrl::declared_names(odrl::iri::purpose, purposes, odrl::Source::asserted)
  );
  return request;
}

void look_at(const odrl::CompiledPolicy& policy) {
  const auto request = request_to(policy);
  odrl::World world;
  world.now = {1'772'000'000, 0};
  const auto decision = odrl::evaluate(policy, request, world, {odrl::Explain::full});
  require(decision.permit == (decision.reason == odrl::Reason::permitted));
  require(decision.permit == odrl::evaluate(policy, request, world).permit);
  if (const auto end = policy.not_after(); end && decision.permit) require(world.now < *end);
  for (const auto& message : odrl::explain(decision)) render(message, Lang::en);
  (void)odrl::read_out(policy, Lang::zh);
  odrl::CompareFacts facts;
  facts.most_steps = 20'000;
  (void)odrl::realizable(policy, facts);
  (void)odrl::conflicts(policy, policy, facts);
  require(odrl::refines(policy, policy, facts).verdict != odrl::Verdict::not_refines);
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  const std::string_view text(reinterpret_cast<const char*>(data), size);
  const auto document = parse_json(text);
  if (!document) return 0;
  const auto reading = odrl::read_policy(*document);
  require(reading.policy ? reading.problems.empty() : !reading.problems.empty());
  for (const auto& problem : reading.problems) render(problem.message, Lang::zh);
  if (reading.policy) look_at(*reading.policy);
  const auto loaded = odrl::load_policy(*document);
  if (loaded) {
    // What the connector takes, the tools take without a doubt.
    require(reading.policy && reading.doubts.empty());
    (void)odrl::widens(**loaded, **loaded);
  }
  return 0;
}
