#include "tally/aggregates/group_terms.hpp"

#include <algorithm>
#include <utility>

#include "tally/odrl/terms.hpp"

namespace tally::aggregates {

namespace {

namespace iri = odrl::iri;

using Problems = std::vector<odrl::Problem>;

// Reads them as they stand in the policy; null: faults are not looked for.
class TermReader {
 public:
  explicit TermReader(Problems* problems) : problems_(problems) {}

  void take(const odrl::Obligation& from) {
    if (from.action == iri::select_columns) terms_.columns_named = true;
    if (from.action != iri::limit_groups) return;
    for (const auto& parameter : from.parameters) {
      if (parameter.operand == iri::min_group_size) take_size(parameter, from);
      if (parameter.operand == iri::functions) take_functions(parameter, from);
      if (parameter.operand == iri::cell_budget) take_budget(parameter, from);
    }
  }

  [[nodiscard]] std::optional<GroupTerms> finish() {
    if (failed_ || terms_.min_group_size == 0) return std::nullopt;
    terms_.functions = functions_.value_or(std::set{Function::count, Function::sum, Function::avg});
    return std::move(terms_);
  }

 private:
  void fault(const char* code, const odrl::DutyParameter& found, const odrl::Obligation& from) {
    failed_ = true;
    if (problems_ != nullptr) {
      problems_->push_back({{code, {{"found", found.text}}}, from.pointer});
    }
  }

  static std::optional<std::int64_t> number_of(const odrl::DutyParameter& parameter) {
    if (parameter.values.size() != 1) return std::nullopt;
    const auto* number = std::get_if<odrl::Decimal>(&parameter.values.front());
    return number == nullptr ? std::nullopt : odrl::integral(*number);
  }

  // Of several the largest: each has to be kept.
  void take_size(const odrl::DutyParameter& parameter, const odrl::Obligation& from) {
    const auto size = number_of(parameter);
    if (!size || *size < static_cast<std::int64_t>(least_group) ||
        *size > static_cast<std::int64_t>(most_group)) {
      return fault("aggregates.offer-group-size-value", parameter, from);
    }
    terms_.min_group_size = std::max(terms_.min_group_size, static_cast<std::size_t>(*size));
  }

  // Of several lists what is in all of them.
  void take_functions(const odrl::DutyParameter& parameter, const odrl::Obligation& from) {
    std::set<Function> named;
    for (const auto& value : parameter.values) {
      const auto function = find_function(odrl::to_text(value));
      if (!function) return fault("aggregates.offer-functions", parameter, from);
      named.insert(*function);
    }
    if (functions_) {
      std::erase_if(named, [&](Function one) { return !functions_->contains(one); });
    }
    functions_ = std::move(named);
  }

  void take_budget(const odrl::DutyParameter& parameter, const odrl::Obligation& from) {
    const auto cells = number_of(parameter);
    if (!cells || *cells < 1) return fault("aggregates.offer-cell-budget", parameter, from);
    terms_.cell_budget = std::min(terms_.cell_budget.value_or(*cells), *cells);
  }

  Problems* problems_;
  GroupTerms terms_;
  std::optional<std::set<Function>> functions_;
  bool failed_ = false;
};

bool only_aggregates(const odrl::RuleSummary& rule) {
  return !rule.actions.empty() && std::ranges::all_of(rule.actions, [](const std::string& action) {
    return odrl::is_or_below(action, iri::aggregate);
  });
}

bool covers_aggregate(const odrl::RuleSummary& rule) {
  return std::ranges::any_of(rule.actions, [](const std::string& action) {
    return odrl::is_or_below(iri::aggregate, action) || odrl::is_or_below(action, iri::aggregate);
  });
}

bool limits_groups(const std::vector<odrl::Obligation>& obligations) {
  return std::ranges::any_of(obligations, [](const odrl::Obligation& one) {
    return one.action == iri::limit_groups;
  });
}

void check_rule(
    const odrl::RuleSummary& rule,
    const std::vector<odrl::Obligation>& obligations,
    const catalog::Schema* schema,
    bool keeps_keys,
    Problems& out
) {
  TermReader reader(&out);
  for (const auto& one : obligations) reader.take(one);
  if (!reader.finish() && out.empty()) {
    out.push_back({{"aggregates.offer-no-group-size", {{"rule", rule.id.value}}}, rule.pointer});
  }
  for (const auto& one : obligations) {
    if (one.action != iri::limit_rows) continue;
    out.push_back({{"aggregates.offer-max-rows", {{"rule", rule.id.value}}}, one.pointer});
  }
  for (const auto& limit : rule.limits) {
    if (limit.owner == odrl::Side::provider) continue;
    out.push_back({{"aggregates.offer-counted-by", {{"rule", rule.id.value}}}, limit.pointer});
  }
  if (schema == nullptr) {
    out.push_back({{"aggregates.offer-no-schema", {{"rule", rule.id.value}}}, rule.pointer});
    return;
  }
  // Which keys does not matter for what is at fault.
  const dataplane::PseudonymKeys keys({}, "");
  auto shape = dataplane::compile_shape(
      obligations, *schema, keeps_keys ? &keys : nullptr, dataplane::PrivateColumns::decided
  );
  if (shape) return;
  for (auto& problem : shape.error()) {
    if (problem.pointer.empty()) problem.pointer = rule.pointer;
    out.push_back(std::move(problem));
  }
}

}  // namespace

std::optional<GroupTerms> group_terms(
    const odrl::CompiledPolicy& policy, const RuleId& permission
) {
  TermReader reader(nullptr);
  for (const auto& one : odrl::possible_obligations(policy, permission)) reader.take(one);
  return reader.finish();
}

std::vector<odrl::Obligation> row_obligations(
    const odrl::CompiledPolicy& policy, const RuleId& permission
) {
  auto out = odrl::possible_obligations(policy, permission);
  std::erase_if(out, [](const odrl::Obligation& one) {
    const bool anonymizes = one.action == iri::anonymize || one.action == iri::ids_anonymize;
    return anonymizes && std::ranges::any_of(one.parameters, [](const auto& parameter) {
             return parameter.operand == iri::technique && parameter.text == odrl::aggregation;
           });
  });
  return out;
}

std::vector<odrl::Problem> check_groups(
    const odrl::CompiledPolicy& policy, const catalog::Schema* schema, bool keeps_keys
) {
  Problems out;
  const auto& rules = policy.rules();
  const bool groups = std::ranges::any_of(rules, [](const odrl::RuleSummary& rule) {
    return rule.kind == odrl::RuleKind::permission && only_aggregates(rule);
  });
  for (const auto& rule : rules) {
    if (rule.kind != odrl::RuleKind::permission) continue;
    const auto obligations = odrl::possible_obligations(policy, rule.id);
    if (only_aggregates(rule)) {
      Problems of_rule;
      check_rule(rule, row_obligations(policy, rule.id), schema, keeps_keys, of_rule);
      out.insert(out.end(), of_rule.begin(), of_rule.end());
    } else if (limits_groups(obligations)) {
      // Rows that leave whole are in no group.
      out.push_back({{"aggregates.offer-not-aggregate", {{"rule", rule.id.value}}}, rule.pointer});
    } else if (groups && covers_aggregate(rule)) {
      // It would carry queries without any limit.
      out.push_back({{"aggregates.offer-beside-use", {{"rule", rule.id.value}}}, rule.pointer});
    }
  }
  return out;
}

}  // namespace tally::aggregates
