#include "tally/odrl/explain.hpp"

namespace tally::odrl {
namespace {

using Params = std::map<std::string, std::string>;

// IRIs of ODRL as the words people know; of others nothing is cut.
std::string plain(const std::string& list) {
  std::string out;
  std::size_t from = 0;
  while (from <= list.size()) {
    const auto comma = list.find(", ", from);
    const auto end = comma == std::string::npos ? list.size() : comma;
    const auto one = std::string_view(list).substr(from, end - from);
    out += one.starts_with(iri::odrl) ? one.substr(iri::odrl.size()) : one;
    if (comma == std::string::npos) break;
    out += ", ";
    from = end + 2;
  }
  return out;
}

void premise(
    Truth truth,
    const char* name,
    const std::string& required,
    const std::string& found,
    std::vector<Message>& out
) {
  if (truth == Truth::yes) return;
  out.push_back(
      {std::string("odrl.premise-") + name,
       Params{{"required", plain(required)}, {"found", found.empty() ? "-" : plain(found)}}}
  );
}

void constraint(const ConstraintReport& report, std::vector<Message>& out) {
  if (report.left_operand.empty()) {
    out.push_back(
        {report.state == Truth::yes ? "odrl.logical-holds" : "odrl.logical-fails",
         Params{{"operator", report.op}, {"pointer", report.pointer}}}
    );
    for (const auto& inner : report.children) constraint(inner, out);
    return;
  }
  const std::string operand(local_name(report.left_operand));
  const Params params{
      {"operand", operand},
      {"operator", report.op},
      {"required", report.required},
      {"found", report.actual.empty() ? "-" : report.actual},
      {"pointer", report.pointer},
  };
  const bool is_time = report.left_operand == iri::date_time;
  if (report.because == "limit-reached") {
    out.push_back(
        {"odrl.limit-reached",
         Params{
             {"used", std::to_string(report.used.value_or(0))},
             {"limit", std::to_string(report.limit.value_or(0))},
             {"pointer", report.pointer}}}
    );
  } else if (report.state == Truth::yes && report.used && report.limit) {
    out.push_back(
        {"odrl.count-holds",
         Params{
             {"used", std::to_string(*report.used)},
             {"limit", std::to_string(*report.limit)},
             {"pointer", report.pointer}}}
    );
  } else if (report.because == "satisfied") {
    out.push_back({"odrl.constraint-holds", params});
  } else if (report.because == "counted-elsewhere") {
    out.push_back({"odrl.counted-elsewhere", params});
  } else if (report.because == "ended") {
    out.push_back({is_time ? "odrl.time-ended" : "odrl.elapsed-ended", params});
  } else if (report.because == "not-yet" && is_time) {
    out.push_back({"odrl.time-not-yet", params});
  } else if (report.state == Truth::unknown) {
    out.push_back({"odrl." + report.because, Params{{"operand", operand}}});
  } else {
    out.push_back({"odrl.constraint-fails", params});
  }
  // Where the value came from matters when it is somebody's word.
  if (!report.actual.empty() && report.source != Source::measured) {
    out.push_back(
        {"odrl.source-" + std::string(to_string(report.source)), Params{{"operand", operand}}}
    );
  }
}

}  // namespace

std::vector<Message> explain(const Decision& decision) {
  std::vector<Message> out;
  out.push_back(
      {"odrl.reason-" + std::string(to_string(decision.reason)),
       Params{
           {"action", plain(decision.action)},
           {"target", decision.target},
           {"assignee", decision.assignee}}}
  );
  for (const auto& rule : decision.rules) {
    const bool decisive = rule.rule == decision.decisive_rule;
    const char* code = "odrl.rule-other";
    if (decisive && decision.permit) code = "odrl.rule-permits";
    if (decisive && !decision.permit) {
      code = rule.kind == RuleKind::prohibition ? "odrl.rule-prohibits" : "odrl.rule-closest";
    }
    out.push_back({code, Params{{"rule", rule.rule.value}, {"pointer", rule.pointer}}});
    premise(rule.action, "action", rule.required_action, decision.action, out);
    premise(rule.target, "target", rule.required_target, decision.target, out);
    premise(rule.party, "party", rule.required_party, decision.assignee, out);
    // In a refusal by a permission what holds is not news; the failed constraints are.
    for (const auto& one : rule.constraints) {
      if (decision.permit || rule.kind == RuleKind::prohibition || one.state != Truth::yes) {
        constraint(one, out);
      }
    }
  }
  if (decision.rules.empty()) {
    for (const auto& error : decision.errors) out.push_back(error.message);
  }
  return out;
}

}  // namespace tally::odrl
