// A world from a stranger: refused with a place, or read whole and decided upon.
#include <cstddef>
#include <cstdint>
#include <cstdlib>
#include <string_view>

#include <nlohmann/json.hpp>

#include "tally/odrl/exchange.hpp"

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  using namespace tally;
  static const auto policy = odrl::read_policy(Json::parse(R"({
    "@type": "Set", "uid": "urn:p", "permission": [{
      "@id": "urn:r", "action": "use",
      "duty": [{"action": "compensate"}],
      "constraint": [
        {"leftOperand": "purpose", "operator": "isA", "rightOperand": "urn:x"},
        {"leftOperand": "count", "operator": "lteq", "rightOperand": 3},
        {"leftOperand": "event", "operator": "eq", "rightOperand": "urn:e"},
        {"leftOperand": "urn:tally:profile:1#frequency", "operator": "lteq", "rightOperand": "3/P1D"},
        {"leftOperand": "meteredTime", "operator": "lteq", "rightOperand": "PT1H"}]}]})"));
  const std::string_view text(reinterpret_cast<const char*>(data), size);
  const auto document = parse_json(text);
  if (!document) return 0;
  const auto world = odrl::read_world(*document);
  if (!world) {
    render(world.error().message, Lang::en);
    return 0;
  }
  const odrl::Request request{"urn:b", std::string(odrl::iri::read), "urn:a", {}};
  const auto decision =
      odrl::evaluate(*policy.policy, request, (*world)->world, {odrl::Explain::full});
  (void)odrl::to_json(decision, Lang::zh);
  return 0;
}
