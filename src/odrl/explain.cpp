// A decision in sentences.
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
    out += as_written(one);
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

Params params_of(const ConstraintReport& report) {
  return {
      {"operand", std::string(local_name(report.left_operand))},
      {"operator", report.op},
      {"required", report.required},
      {"found", report.actual.empty() ? "-" : report.actual},
      {"value", report.actual.empty() ? "-" : report.actual},
      {"expected", report.required},
      {"term", report.left_operand},
      {"pointer", report.pointer},
  };
}

Message counted(const char* code, const ConstraintReport& report) {
  return {
      code,
      Params{
          {"used", std::to_string(report.used.value_or(0))},
          {"limit", std::to_string(report.limit.value_or(0))},
          {"pointer", report.pointer}}};
}

Message sentence_of(const ConstraintReport& report) {
  const bool is_time = report.left_operand == iri::date_time;
  const bool is_elapsed = report.left_operand == iri::elapsed_time;
  if (report.because == "limit-reached" && report.used) {
    return counted("odrl.limit-reached", report);
  }
  if (report.state == Truth::yes) {
    if (report.used && report.limit) return counted("odrl.count-holds", report);
    return {"odrl.constraint-holds", params_of(report)};
  }
  if (report.because == "counted-elsewhere") return {"odrl.counted-elsewhere", params_of(report)};
  if (report.because == "ended" && is_time) return {"odrl.time-ended", params_of(report)};
  if (report.because == "ended" && is_elapsed) return {"odrl.elapsed-ended", params_of(report)};
  if (report.because == "not-yet" && is_time) return {"odrl.time-not-yet", params_of(report)};
  if (report.state == Truth::no) return {"odrl.constraint-fails", params_of(report)};
  if (report.because == "unknown-left-operand" || report.because == "unknown-operator") {
    return {"odrl.unknown-word", params_of(report)};
  }
  return {"odrl." + std::string(report.because), params_of(report)};
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
  out.push_back(sentence_of(report));
  // Where the value came from matters when it is somebody's word.
  if (!report.actual.empty() && report.source != Source::measured) {
    out.push_back(
        {"odrl.source-" + std::string(to_string(report.source)),
         Params{{"operand", std::string(local_name(report.left_operand))}}}
    );
  }
}

// What a constraint would need to hold; nothing when no request can bring it about.
struct Change {
  std::string wanted;    // "purpose isAnyOf research; …"
  std::string standing;  // what nobody can change any more
};

void add(std::string& list, const std::string& one) {
  if (!list.empty()) list += "; ";
  list += one;
}

void collect_change(const ConstraintReport& report, Change& change) {
  if (report.state == Truth::yes) return;
  if (report.left_operand.empty()) {
    for (const auto& inner : report.children) collect_change(inner, change);
    return;
  }
  const auto text =
      std::string(local_name(report.left_operand)) + " " + report.op + " " + report.required;
  const bool over = report.because == "ended" || report.because == "limit-reached" ||
                    report.because == "counted-elsewhere";
  add(over ? change.standing : change.wanted, text);
}

void what_would_change(const RuleReport& rule, std::vector<Message>& out) {
  if (rule.kind != RuleKind::permission) return;
  Change change;
  for (const auto& one : rule.constraints) collect_change(one, change);
  for (const auto& one : rule.refinements) collect_change(one, change);
  for (const auto& duty : rule.conditions) {
    if (duty.blocks && duty.state != Deontic::violated) {
      add(change.wanted, plain(duty.action) + " (" + duty.duty.value + ")");
    }
  }
  if (rule.action != Truth::yes && !rule.names_action) {
    add(change.wanted, "action " + plain(rule.required_action));
  }
  if (rule.target != Truth::yes && !rule.names_target) {
    add(change.wanted, "target " + rule.required_target);
  }
  if (rule.party != Truth::yes && !rule.names_party) {
    add(change.wanted, "assignee " + rule.required_party);
  }
  if (!change.standing.empty()) {
    out.push_back({"odrl.would-not-change", Params{{"what", change.standing}}});
  } else if (!change.wanted.empty()) {
    out.push_back({"odrl.would-change", Params{{"what", change.wanted}}});
  }
}

void duties(const RuleReport& rule, std::vector<Message>& out) {
  if (rule.kind != RuleKind::permission) return;
  for (const auto& duty : rule.conditions) {
    if (!duty.blocks) continue;
    out.push_back(
        {duty.state == Deontic::violated ? "odrl.duty-violated" : "odrl.duty-unfulfilled",
         Params{
             {"duty", duty.duty.value}, {"action", plain(duty.action)}, {"pointer", duty.pointer}}}
    );
  }
}

const char* heading(const RuleReport& rule, const Decision& decision) {
  if (rule.rule != decision.decisive_rule) return "odrl.rule-other";
  if (decision.permit) return "odrl.rule-permits";
  return rule.kind == RuleKind::prohibition ? "odrl.rule-prohibits" : "odrl.rule-closest";
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
    out.push_back(
        {heading(rule, decision), Params{{"rule", rule.rule.value}, {"pointer", rule.pointer}}}
    );
    if (!rule.names_action) {
      premise(rule.action, "action", rule.required_action, decision.action, out);
    }
    // One that is named and refined is told by its refinements.
    if (!rule.names_target) {
      premise(rule.target, "target", rule.required_target, decision.target, out);
    }
    if (!rule.names_party) {
      premise(rule.party, "party", rule.required_party, decision.assignee, out);
    }
    // In a refusal by a permission what holds is not news; the failed constraints are.
    const bool all = decision.permit || rule.kind == RuleKind::prohibition;
    for (const auto& one : rule.refinements) {
      if (all || one.state != Truth::yes) constraint(one, out);
    }
    for (const auto& one : rule.constraints) {
      if (all || one.state != Truth::yes) constraint(one, out);
    }
    duties(rule, out);
    if (!decision.permit && rule.rule == decision.decisive_rule) what_would_change(rule, out);
  }
  if (decision.rules.empty()) {
    for (const auto& error : decision.errors) out.push_back(error.message);
  }
  return out;
}

}  // namespace tally::odrl
