// Decisions and comparisons as JSON.
#include <nlohmann/json.hpp>

#include "tally/odrl/exchange.hpp"

namespace tally::odrl {
namespace {

std::string_view rule_type(RuleKind kind) {
  switch (kind) {
    case RuleKind::permission:
      return "Permission";
    case RuleKind::prohibition:
      return "Prohibition";
    case RuleKind::duty:
      return "Duty";
  }
  return {};
}

Json constraint_json(const ConstraintReport& report) {
  Json out = {
      {"constraint", report.id.empty() ? report.pointer : report.id},
      {"at", report.pointer},
      {"operator", report.op},
      {"satisfactionState", to_string(report.state)},
      {"because", report.because},
  };
  if (!report.left_operand.empty()) {
    out["leftOperand"] = report.left_operand;
    out["required"] = report.required;
    out["actual"] = report.actual.empty() ? Json(nullptr) : Json(report.actual);
    if (!report.actual.empty()) {
      out["vouchedBy"] = to_string(report.source);
      if (!report.found_in.empty()) out["actualSource"] = report.found_in;
    }
  }
  if (report.limit) out["limit"] = *report.limit;
  if (report.used) out["used"] = *report.used;
  for (const auto& inner : report.children) out["children"].push_back(constraint_json(inner));
  return out;
}

Json constraints_json(const std::vector<ConstraintReport>& reports) {
  Json out = Json::array();
  for (const auto& one : reports) out.push_back(constraint_json(one));
  return out;
}

Json duty_json(const DutyReport& report) {
  return {
      {"rule", report.duty.value},
      {"type", "Duty"},
      {"action", report.action},
      {"at", report.pointer},
      {"activationState", report.active == Truth::yes ? "Active" : "Inactive"},
      {"deonticState", to_string(report.state)},
      {"blocks", report.blocks},
      {"constraints", constraints_json(report.constraints)},
  };
}

Json premise_json(
    std::string_view type, Truth state, const std::string& required, const std::string& actual
) {
  return {
      {"type", type},
      {"satisfactionState", to_string(state)},
      {"required", required.empty() ? Json(nullptr) : Json(required)},
      {"actual", actual.empty() ? Json(nullptr) : Json(actual)},
  };
}

Json rule_json(const RuleReport& report, const Decision& decision) {
  Json out = {
      {"rule", report.rule.value},
      {"type", rule_type(report.kind)},
      {"at", report.pointer},
      {"activationState", report.active ? "Active" : "Inactive"},
      {"match", report.match},
      {"deonticState", to_string(report.state)},
      {"premises",
       Json::array(
           {premise_json("Action", report.action, report.required_action, decision.action),
            premise_json("Target", report.target, report.required_target, decision.target),
            premise_json("Party", report.party, report.required_party, decision.assignee)}
       )},
      {"constraints", constraints_json(report.constraints)},
  };
  if (!decision.action.empty()) out["attemptState"] = "Attempted";
  if (!report.refinements.empty()) out["refinements"] = constraints_json(report.refinements);
  for (const auto& one : report.conditions) out["conditions"].push_back(duty_json(one));
  return out;
}

Json obligation_json(const Obligation& obligation) {
  Json out = {
      {"duty", obligation.duty.value},
      {"action", obligation.action},
      {"phase", to_string(obligation.phase)},
  };
  if (!obligation.permission.empty()) out["permission"] = obligation.permission.value;
  if (obligation.at) out["deadline"] = format_micros(*obligation.at);
  if (obligation.deadline == DeadlineKind::after_use) {
    out["afterUse"] = format_duration(obligation.after);
  }
  for (const auto& one : obligation.parameters) out["parameters"][one.operand] = one.text;
  for (const auto& [function, party] : obligation.parties) out[function] = party;
  return out;
}

}  // namespace

Json to_json(const Problem& problem, Lang lang) {
  return {
      {"code", problem.message.code},
      {"at", problem.pointer},
      {"message", render(problem.message, lang)},
  };
}

Json to_json(const Decision& decision, Lang lang) {
  Json out = {
      {"decision", decision.permit ? "permit" : "deny"},
      {"reason", to_string(decision.reason)},
      {"decisiveRules", Json::array()},
      {"rules", Json::array()},
      {"obligations", Json::array()},
      {"errors", Json::array()},
      {"evaluatedAt", format_micros(decision.evaluated_at)},
  };
  if (decision.policies.size() == 1) out["policy"] = decision.policies.front();
  if (decision.policies.size() > 1) out["policies"] = decision.policies;
  if (!decision.decisive_rule.empty()) {
    out["decisiveRules"].push_back(decision.decisive_rule.value);
  }
  for (const auto& one : decision.rules) out["rules"].push_back(rule_json(one, decision));
  for (const auto& one : decision.duties) out["rules"].push_back(duty_json(one));
  for (const auto& one : decision.obligations) out["obligations"].push_back(obligation_json(one));
  for (const auto& one : decision.errors) out["errors"].push_back(to_json(one, lang));
  if (!decision.consume.empty()) {
    const auto& consume = decision.consume.front();
    out["consume"] = {
        {"rule", consume.rule.value}, {"n", consume.n}, {"countAfter", consume.count_after}};
    if (!consume.unit.empty()) out["consume"]["unit"] = consume.unit;
  }
  if (decision.valid_until) out["validUntil"] = format_micros(*decision.valid_until);
  return out;
}

Json to_json(const Comparison& comparison, Lang lang) {
  Json out = {
      {"verdict", to_string(comparison.verdict)},
      {"message", render(comparison.message, lang)},
      {"witness", Json::object()},
  };
  for (const auto& one : comparison.witness) out["witness"][one.operand] = one.value;
  if (!comparison.pointer.empty()) out["at"] = comparison.pointer;
  if (!comparison.other_pointer.empty()) out["atOther"] = comparison.other_pointer;
  for (const auto& [operand, verdict] : comparison.operands) {
    out["operands"][operand] = to_string(verdict);
  }
  return out;
}

}  // namespace tally::odrl
