#include "held_masks.hpp"

#include <algorithm>
#include <optional>
#include <utility>

#include <nlohmann/json.hpp>

#include "tally/catalog/schema.hpp"
#include "tally/dataplane/at_rest.hpp"

namespace tally::daemon {

namespace {

bool says_done(const Json& form, const RuleId& duty) {
  if (!form.is_object()) return false;
  const Json done = form.value("duties", Json::array());
  return std::ranges::any_of(done, [&](const Json& one) { return one == duty.value; });
}

}  // namespace

std::vector<RuleId> HeldMasks::masks_of(const custody::Holding& holding) {
  if (holding.is_derived()) return {};
  auto found = known_.find(holding.agreement.value);
  if (found == known_.end()) {
    const auto agreement = enforcer_.state(holding.agreement);
    if (!agreement) return {};
    std::vector<RuleId> masks;
    for (const auto& one : dataplane::masks_at_rest(*agreement->terms.policy)) {
      masks.push_back(one.duty);
    }
    found = known_.emplace(holding.agreement.value, std::move(masks)).first;
  }
  auto left = found->second;
  std::erase_if(left, [&](const RuleId& duty) { return says_done(holding.form, duty); });
  return left;
}

Result<custody::FormAtRest> HeldMasks::form_of(
    const custody::Holding& holding, const std::vector<RuleId>& duties
) {
  const auto agreement = enforcer_.state(holding.agreement);
  if (!agreement) {
    return fail(
        ErrorKind::not_found, {"api.unknown-agreement", {{"agreement", holding.agreement.value}}}
    );
  }
  std::optional<catalog::Schema> schema;
  if (holding.form.is_object()) {
    const std::string media_type = holding.form.value("mediaType", std::string());
    auto parsed = catalog::parse_schema(holding.form.value("schema", Json()), media_type);
    if (parsed) schema = *std::move(parsed);
  }
  const auto keys = secret_.keys_of(holding.agreement);
  const auto shape = dataplane::shape_at_rest(
      *agreement->terms.policy, duties, schema ? &*schema : nullptr, keys.get()
  );
  if (!shape) return fail(ErrorKind::invalid, shape.error().front().message);
  custody::FormAtRest out;
  out.shape = *shape;
  out.form = holding.form;
  out.form["schema"] = catalog::to_json((*shape)->output());
  for (const auto& duty : duties) out.form["duties"].push_back(duty.value);
  return out;
}

}  // namespace tally::daemon
