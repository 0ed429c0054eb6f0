#include "tally/odrl/onward.hpp"

#include <algorithm>
#include <utility>

#include <nlohmann/json.hpp>

#include "tally/core/json.hpp"

#include "loader.hpp"

namespace tally::odrl {

namespace {

// The policy that stands in a parameter of the duty as the text of its document.
tl::expected<PolicyPtr, std::vector<Problem>> load_onward(
    const std::string& text, const LoadOptions& options
) {
  const auto document = parse_json(text, {options.limits.policy_bytes, options.limits.json_depth});
  if (!document) return tl::unexpected(std::vector<Problem>{{document.error().message, ""}});
  return load_policy(*document, options);
}

LoadOptions onward_options(const Limits& limits) {
  LoadOptions options;
  options.limits = limits;
  return options;
}

}  // namespace

std::vector<PolicyPtr> onward_policies(const CompiledPolicy& policy, const Limits& limits) {
  const Plan& plan = policy.plan();
  std::vector<PolicyPtr> out;
  for (const auto& duty : plan.duties) {
    if (plan.names[duty.action.name] != iri::next_policy) continue;
    for (const auto& parameter : duty.parameters) {
      if (plan.names[parameter.operand] != iri::onward_policy) continue;
      for (const auto& value : plan.values_of(parameter.values)) {
        const auto loaded = load_onward(to_text(value), onward_options(limits));
        out.push_back(loaded ? *loaded : nullptr);
      }
    }
  }
  return out;
}

// It belongs to a permission to pass data on, and what it attaches has to be a policy that can be
// offered.
void Loader::check_next_policy(const Duty& duty, const Rule* rule) {
  if (plan_->names[duty.action.name] != iri::next_policy) return;
  const bool passes_on =
      rule != nullptr && rule->kind == RuleKind::permission &&
      std::ranges::any_of(rule->actions, [](const ActionUse& one) {
        return one.action && is_or_below(iri::distribute, action_iri(*one.action));
      });
  if (!passes_on) unsupported("odrl.next-policy-place", {}, duty.pointer);
  if (duty.phase == Phase::after) unsupported("odrl.next-policy-after", {}, duty.pointer);
  for (const auto& parameter : duty.parameters) {
    if (plan_->names[parameter.operand] != iri::onward_policy) continue;
    for (const auto& value : plan_->values_of(parameter.values)) {
      const auto loaded = load_onward(to_text(value), onward_options(options_.limits));
      if (loaded) continue;
      const Problem& first = loaded.error().front();
      unsupported(
          "odrl.next-policy-not-loaded",
          {{"problem", render(first.message, Lang::en)},
           {"pointer", first.pointer.empty() ? "/" : first.pointer}},
          duty.pointer
      );
    }
  }
}

}  // namespace tally::odrl
