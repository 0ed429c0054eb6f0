// A request from a stranger: refused with a place, or read whole and decided upon.
#include <cstddef>
#include <cstdint>
#include <cstdlib>
#include <string_view>

#include <nlohmann/json.hpp>

#include "tally/odrl/exchange.hpp"

#include "odrl_fuzz_policy.hpp"

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  using namespace tally;
  const std::string_view text(reinterpret_cast<const char*>(data), size);
  const auto document = parse_json(text);
  if (!document) return 0;
  const auto request = odrl::read_request(*document);
  if (!request) {
    render(request.error().message, Lang::en);
    return 0;
  }
  odrl::World world;
  world.now = {1'772'000'000, 0};
  const auto decision = odrl::evaluate(policy_under_test(), *request, world, {odrl::Explain::full});
  if (decision.permit) std::abort();  // nobody paid
  (void)odrl::to_json(decision, Lang::zh);
  return 0;
}
