// Policies from strangers: load_policy never crashes, never takes in half a document, and what it
// takes in is decided, narrowed and explained without a surprise.
#include <cstddef>
#include <cstdint>
#include <cstdlib>
#include <string_view>

#include <nlohmann/json.hpp>

#include "tally/odrl/explain.hpp"
#include "tally/odrl/narrows.hpp"

namespace {

void require(bool condition) {
  if (!condition) std::abort();
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  const std::string_view text(reinterpret_cast<const char*>(data), size);
  const auto document = tally::parse_json(text);
  if (!document) return 0;
  const auto loaded = tally::odrl::load_policy(*document);
  if (!loaded) {
    require(!loaded.error().empty());
    for (const auto& problem : loaded.error()) render(problem.message, tally::Lang::zh);
    return 0;
  }
  const auto& policy = **loaded;
  (void)tally::odrl::widens(policy, policy);
  const tally::odrl::Request request{
      policy.assignee(), std::string(tally::odrl::iri::read), policy.target(), {"urn:x"}};
  tally::odrl::World world;
  world.now = {1'772'000'000, 0};
  const auto decision = tally::odrl::evaluate(policy, request, world, tally::odrl::Explain::full);
  require(decision.permit == (decision.reason == tally::odrl::Reason::permitted));
  if (const auto end = policy.not_after(); end && decision.permit) require(world.now < *end);
  for (const auto& message : explain(decision)) render(message, tally::Lang::en);
  return 0;
}
