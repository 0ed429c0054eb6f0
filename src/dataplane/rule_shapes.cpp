#include "tally/dataplane/rule_shapes.hpp"

#include <algorithm>
#include <utility>

#include "tally/dataplane/at_rest.hpp"
#include "tally/odrl/evaluate.hpp"
#include "tally/odrl/terms.hpp"

namespace tally::dataplane {

namespace {

using odrl::Obligation;

bool same_work(const Obligation& a, const Obligation& b) {
  return a.action == b.action && a.parameters == b.parameters;
}

// What a rule asks of a shape, but for what was done before.
std::vector<Obligation> work_of(
    const odrl::CompiledPolicy& policy, const RuleId& rule, std::span<const Obligation> done
) {
  auto out = odrl::possible_obligations(policy, rule);
  std::erase_if(out, [&](const Obligation& one) {
    const bool ours = std::ranges::find(shape_duties(), one.action) != shape_duties().end();
    return !ours || is_at_rest(one) || std::ranges::any_of(done, [&](const Obligation& other) {
      return same_work(one, other);
    });
  });
  return out;
}

RuleShapes::Form form_of(
    RuleId rule,
    std::span<const Obligation> work,
    const catalog::Schema* schema,
    const PseudonymKeys* keys,
    PrivateColumns columns
) {
  RuleShapes::Form out;
  out.rule = std::move(rule);
  for (const auto& one : work) out.duties.push_back(one.duty);
  if (schema == nullptr) {
    for (const auto& one : work) {
      out.problems.push_back(
          {{"dataplane.shape-no-schema", {{"rule", one.duty.value}}}, one.pointer}
      );
    }
    return out;
  }
  auto compiled = compile_shape(work, *schema, keys, columns);
  if (!compiled) {
    out.problems = std::move(compiled).error();
  } else if (!(*compiled)->is_whole()) {
    out.shape = *std::move(compiled);
  }
  return out;
}

constexpr std::uint16_t not_covered = 0xFFFF;
constexpr std::uint16_t forms_differ = 0xFFFE;

std::vector<Obligation> obligations_of(
    const odrl::CompiledPolicy& policy, std::span<const RuleId> duties
) {
  std::vector<Obligation> out;
  for (const auto& rule : policy.rules()) {
    for (auto& one : odrl::possible_obligations(policy, rule.id)) {
      if (std::ranges::find(duties, one.duty) != duties.end()) out.push_back(std::move(one));
    }
  }
  return out;
}

const odrl::DutyParameter* parameter_of(const Obligation& one, std::string_view operand) {
  const auto found = std::ranges::find(one.parameters, operand, &odrl::DutyParameter::operand);
  return found == one.parameters.end() ? nullptr : &*found;
}

// Columns that are gone are masked no more, and to name them permits nothing.
void leave_out_dropped(std::vector<Obligation>& work, std::span<const Obligation> done) {
  std::vector<std::string> dropped;
  for (const auto& one : done) {
    const auto* column = parameter_of(one, odrl::iri::column);
    if (one.action == odrl::iri::drop_column && column) dropped.push_back(column->text);
  }
  if (dropped.empty()) return;
  const auto is_gone = [&](const std::string& name) {
    return std::ranges::find(dropped, name) != dropped.end();
  };
  std::erase_if(work, [&](const Obligation& one) {
    const auto* column = parameter_of(one, odrl::iri::column);
    return column != nullptr && is_gone(column->text);
  });
  for (auto& one : work) {
    if (one.action != odrl::iri::select_columns) continue;
    for (auto& parameter : one.parameters) {
      std::erase_if(parameter.values, [&](const odrl::Value& value) {
        return is_gone(odrl::to_text(value));
      });
    }
  }
}

}  // namespace

bool same_form(const RuleShapes::Form& a, const RuleShapes::Form& b) {
  if (a.problems != b.problems) return false;
  if (!a.shape || !b.shape) return !a.shape && !b.shape;
  return a.shape->digest() == b.shape->digest();
}

RuleShapes::RuleShapes(
    const odrl::CompiledPolicy& policy, const catalog::Schema* schema, const PseudonymKeys* keys
) {
  for (const auto& rule : policy.rules()) {
    if (rule.kind != odrl::RuleKind::permission) continue;
    const auto work = work_of(policy, rule.id, {});
    add(rule.actions, form_of(rule.id, work, schema, keys, PrivateColumns::masked_or_named));
  }
}

RuleShapes::RuleShapes(
    const odrl::CompiledPolicy& policy,
    const catalog::Schema* schema,
    const PseudonymKeys* keys,
    std::span<const RuleId> carried_out
) {
  const auto done = obligations_of(policy, carried_out);
  for (const auto& rule : policy.rules()) {
    if (rule.kind != odrl::RuleKind::permission) continue;
    auto work = work_of(policy, rule.id, done);
    leave_out_dropped(work, done);
    // Nothing is left to do: whether the data have columns does not matter.
    auto form = work.empty() ? Form{rule.id, nullptr, {}, {}}
                             : form_of(rule.id, work, schema, keys, PrivateColumns::decided);
    add(rule.actions, std::move(form));
  }
}

void RuleShapes::add(const std::vector<std::string>& actions, Form form) {
  of_action_.resize(odrl::known_actions().size(), not_covered);
  const auto place = static_cast<std::uint16_t>(std::min<std::size_t>(forms_.size(), forms_differ));
  std::vector<odrl::ActionId> named;
  for (const auto& one : actions) {
    if (const auto known = odrl::find_action(one)) named.push_back(*known);
  }
  for (std::size_t action = 0; action < of_action_.size(); ++action) {
    const auto covers = [&](odrl::ActionId one) {
      return odrl::is_or_below(static_cast<odrl::ActionId>(action), one);
    };
    if (std::ranges::none_of(named, covers)) continue;
    auto& common = of_action_[action];
    if (common == not_covered) {
      common = place;
    } else if (common != forms_differ && !same_form(forms_[common], form)) {
      common = forms_differ;
    }
  }
  forms_.push_back(std::move(form));
}

const RuleShapes::Form* RuleShapes::of(const RuleId& rule) const {
  const auto found = std::ranges::find(forms_, rule, &Form::rule);
  return found == forms_.end() ? nullptr : &*found;
}

const RuleShapes::Form* RuleShapes::common(std::string_view action) const {
  const auto known = odrl::find_action(action);
  if (!known || forms_.empty()) return nullptr;
  const auto place = of_action_[*known];
  return place < forms_.size() ? &forms_[place] : nullptr;
}

}  // namespace tally::dataplane
