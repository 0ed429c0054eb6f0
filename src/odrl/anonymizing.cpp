// Techniques by which data are anonymized: those that are carried out here (docs/shapes.md), and no
// other is taken for one.
#include <algorithm>

#include "loader.hpp"

namespace tally::odrl {

void Loader::check_anonymizing(const Duty& duty) {
  const auto& action = plan_->names[duty.action.name];
  if (action != iri::anonymize && action != iri::ids_anonymize) return;
  std::string technique;
  for (const auto& parameter : duty.parameters) {
    if (plan_->names[parameter.operand] == iri::technique) technique = parameter.text;
  }
  if (technique == suppression || technique == aggregation) return;
  unsupported(
      "odrl.unknown-technique",
      {{"technique", technique.empty() ? "-" : technique},
       {"known", std::string(suppression) + ", " + std::string(aggregation)}},
      duty.pointer
  );
}

}  // namespace tally::odrl
