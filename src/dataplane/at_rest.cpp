#include "tally/dataplane/at_rest.hpp"

#include <algorithm>
#include <array>
#include <utility>

#include "tally/dataplane/rule_shapes.hpp"
#include "tally/odrl/terms.hpp"

namespace tally::dataplane {

namespace {

using odrl::Obligation;
using Problems = std::vector<odrl::Problem>;

void add(Problems& to, Problems from) {
  for (auto& one : from) {
    if (std::ranges::find(to, one) == to.end()) to.push_back(std::move(one));
  }
}

}  // namespace

bool is_at_rest(const Obligation& one) {
  constexpr auto choosing =
      std::to_array({odrl::iri::select_rows, odrl::iri::select_columns, odrl::iri::limit_rows});
  const auto duties = shape_duties();
  return one.phase == odrl::Phase::after &&
         std::ranges::find(choosing, one.action) == choosing.end() &&
         std::ranges::find(duties, one.action) != duties.end();
}

std::vector<Obligation> masks_at_rest(const odrl::CompiledPolicy& policy) {
  std::vector<Obligation> out;
  for (const auto& rule : policy.rules()) {
    if (rule.kind != odrl::RuleKind::permission) continue;
    for (auto& one : odrl::possible_obligations(policy, rule.id)) {
      // A duty of the policy is one of each permission.
      const bool known =
          std::ranges::any_of(out, [&](const Obligation& other) { return other.duty == one.duty; });
      if (is_at_rest(one) && !known) out.push_back(std::move(one));
    }
  }
  return out;
}

tl::expected<ShapePtr, Problems> shape_at_rest(
    const odrl::CompiledPolicy& policy,
    std::span<const RuleId> duties,
    const catalog::Schema* schema,
    const PseudonymKeys* keys
) {
  auto work = masks_at_rest(policy);
  std::erase_if(work, [&](const Obligation& one) {
    return std::ranges::find(duties, one.duty) == duties.end();
  });
  if (schema == nullptr) {
    Problems none;
    for (const auto& one : work) {
      none.push_back({{"dataplane.shape-no-schema", {{"rule", one.duty.value}}}, one.pointer});
    }
    return tl::unexpected(std::move(none));
  }
  // To the copy that is written it is done with the writing.
  for (auto& one : work) one.phase = odrl::Phase::with;
  return compile_shape(work, *schema, keys, PrivateColumns::decided);
}

Problems check_at_rest(
    const odrl::CompiledPolicy& policy, const catalog::Schema* schema, const PseudonymKeys* keys
) {
  const auto masks = masks_at_rest(policy);
  if (masks.empty()) return {};
  std::vector<RuleId> done;
  for (const auto& one : masks) done.push_back(one.duty);
  Problems out;
  const RuleShapes sent(policy, schema, keys);
  for (const auto& rule : policy.rules()) {
    const bool fills = rule.kind == odrl::RuleKind::permission &&
                       std::ranges::any_of(rule.actions, [](const std::string& action) {
                         return odrl::is_or_below(odrl::iri::archive, action);
                       });
    if (!fills) continue;
    const auto* form = sent.of(rule.id);
    // What cannot be sent has its problems already.
    if (form == nullptr || !form->problems.empty()) continue;
    const auto* held = form->shape ? &form->shape->output() : schema;
    const auto rest = shape_at_rest(policy, done, held, keys);
    if (!rest) {
      add(out, rest.error());
      continue;
    }
    auto carried_out = form->duties;
    carried_out.insert(carried_out.end(), done.begin(), done.end());
    const RuleShapes read(policy, &(*rest)->output(), keys, carried_out);
    for (const auto& other : policy.rules()) {
      if (const auto* handed_out = read.of(other.id)) add(out, handed_out->problems);
    }
  }
  return out;
}

}  // namespace tally::dataplane
