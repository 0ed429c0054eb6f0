#include "lineage.hpp"

#include <utility>

#include <nlohmann/json.hpp>

#include "tally/audit/record_source.hpp"
#include "tally/audit/trace.hpp"

namespace tally::evidence {

Result<std::string> lineage_of(std::vector<std::string> records, const std::string& agreement) {
  auto trace = audit::trace_lineage(
      {audit::records_of(std::move(records))},
      audit::agreement_node(agreement),
      audit::Direction::both
  );
  // An agreement that never came into force leads nowhere.
  if (!trace && trace.error().kind == ErrorKind::not_found) trace = audit::Trace{};
  if (!trace) return fail(std::move(trace));
  return audit::to_prov(*trace).dump(1) + "\n";
}

}  // namespace tally::evidence
