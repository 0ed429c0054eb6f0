// A policy in plain sentences.
#include <algorithm>
#include <set>

#include "tally/odrl/explain.hpp"

#include "plan.hpp"

namespace tally::odrl {
namespace {

bool has_sentence(const std::string& code) {
  const auto& table = sentence_table();
  const auto found = std::ranges::lower_bound(table, code, {}, &Sentence::code);
  return found != table.end() && found->code == code;
}

class Reader {
 public:
  Reader(const Plan& plan, Lang lang) : plan_(plan), lang_(lang) {}
  std::vector<std::string> read();

 private:
  using Params = std::map<std::string, std::string>;

  [[nodiscard]] std::string text(const std::string& code, Params params = {}) const {
    return render({code, std::move(params)}, lang_);
  }
  void say(const std::string& code, Params params = {}) {
    out_.push_back(text(code, std::move(params)));
  }
  [[nodiscard]] std::string separator() const { return lang_ == Lang::zh ? "、" : ", "; }
  // The word of a term in the reader's language; a term of others stays its IRI.
  [[nodiscard]] std::string word(const char* kind, std::string_view iri) const {
    const auto code = std::string("odrl.") + kind + "-" + std::string(local_name(iri));
    return has_sentence(code) ? text(code) : std::string(iri);
  }
  [[nodiscard]] std::string joined(const std::vector<std::string>& list) const {
    std::string all;
    for (const auto& one : list) all += (all.empty() ? "" : separator()) + one;
    return all;
  }
  [[nodiscard]] std::string action(const ActionUse& use) const {
    const auto& iri = plan_.names[use.name];
    return use.action ? word("action", iri) : iri;
  }
  [[nodiscard]] std::string actions(const Rule& rule) const;
  [[nodiscard]] std::string names(const std::vector<Selector>& list, const char* none) const;
  [[nodiscard]] std::string phrase(Index index) const;
  [[nodiscard]] std::string operator_phrase(const Node& node) const;
  [[nodiscard]] std::string deadline(const Duty& duty) const;
  void refinements(Range nodes, const std::string& of);
  void rule(const Rule& rule);
  void duty(const Duty& duty);
  void obligation(const Duty& duty);
  void duty_details(const Duty& duty);
  void vouchers();

  const Plan& plan_;
  Lang lang_;
  std::vector<std::string> out_;
};

std::string Reader::actions(const Rule& rule) const {
  if (rule.any_action) return text("odrl.anything");
  std::vector<std::string> list;
  for (const auto& one : rule.actions) list.push_back(action(one));
  return joined(list);
}

std::string Reader::names(const std::vector<Selector>& list, const char* none) const {
  if (list.empty()) return text(none);
  std::vector<std::string> out;
  for (const auto& one : list) out.push_back(plan_.names[one.name]);
  return joined(out);
}

// Instants have words of their own: "before" reads better than "is less than".
std::string Reader::operator_phrase(const Node& node) const {
  const bool instant = plan_.term(node).kind == ValueKind::instant;
  if (instant && node.op == Operator::lt) return "odrl.phrase-before";
  if (instant && node.op == Operator::lteq) return "odrl.phrase-until";
  if (instant && node.op == Operator::gt) return "odrl.phrase-after";
  if (instant && node.op == Operator::gteq) return "odrl.phrase-from";
  // A budget: at most.
  const auto origin = plan_.term(node).origin;
  const bool budget = origin == Origin::first_use || origin == Origin::metered;
  if (budget && node.op == Operator::eq) return "odrl.phrase-lteq";
  if (origin == Origin::last_use && node.op == Operator::eq) return "odrl.phrase-gteq";
  return "odrl.phrase-" + std::string(operator_word(node.op));
}

std::string Reader::phrase(Index index) const {
  const auto& node = plan_.node(index);
  if (node.kind != NodeKind::atom) {
    std::string list;
    const std::string between = lang_ == Lang::zh ? "；" : "; ";
    for (const auto inner : plan_.children_of(node.inner)) {
      list += (list.empty() ? "" : between) + phrase(inner);
    }
    const char* code = node.kind == NodeKind::all   ? "odrl.phrase-and"
                       : node.kind == NodeKind::any ? "odrl.phrase-or"
                       : node.kind == NodeKind::one ? "odrl.phrase-xone"
                                                    : "odrl.phrase-andSequence";
    return text(code, {{"list", list}});
  }
  const auto& term = plan_.term(node);
  const auto& required = plan_.texts[index].required;
  Params params{{"operand", word("operand", term.iri)}, {"value", required}};
  if (node.fault != Fault::none) {
    params["operator"] =
        node.fault == Fault::unknown_operator ? "?" : std::string(operator_word(node.op));
    return text("odrl.phrase-unknown", params);
  }
  auto out = text(operator_phrase(node), params);
  if (node.unit != nothing) {
    out = text("odrl.phrase-with-unit", {{"phrase", out}, {"unit", plan_.names[node.unit]}});
  }
  const bool counts = term.origin == Origin::uses || term.origin == Origin::recent_uses;
  if (counts && node.own_owner) {
    const auto side = text("odrl.side-" + std::string(to_string(node.owner)));
    out = text("odrl.phrase-counted-by", {{"phrase", out}, {"side", side}});
  }
  if (node.vouchers != 0) {
    std::vector<std::string> sources;
    for (unsigned bit = 0; bit < 4; ++bit) {
      if ((node.vouchers & (1U << bit)) == 0) continue;
      const auto name = std::string(to_string(static_cast<Source>(bit)));
      sources.push_back(text("odrl.voucher-" + name));
    }
    out = text("odrl.phrase-vouched", {{"phrase", out}, {"sources", joined(sources)}});
  }
  return out;
}

void Reader::refinements(Range nodes, const std::string& of) {
  for (const auto index : plan_.children_of(nodes)) {
    say("odrl.say-where", {{"what", of}, {"phrase", phrase(index)}});
  }
}

std::string Reader::deadline(const Duty& duty) const {
  switch (duty.deadline) {
    case DeadlineKind::at_instant:
      return text("odrl.deadline-at", {{"at", format_seconds(*duty.at)}});
    case DeadlineKind::after_use:
      return text("odrl.deadline-after", {{"after", format_duration(duty.after)}});
    case DeadlineKind::when_expired:
      return text("odrl.deadline-expired", {{"at", format_seconds(*duty.at)}});
    case DeadlineKind::at_once:
      return text("odrl.deadline-at-once");
  }
  return {};
}

void Reader::duty_details(const Duty& duty) {
  for (const auto& one : duty.parameters) {
    const auto operand = word("operand", plan_.names[one.operand]);
    // Of rows any or all of several conditions hold; other lists are what is asked for.
    const bool any = plan_.names[one.operand] == iri::row_filter && one.op == Operator::is_any_of;
    const auto pair = text(
        any ? "odrl.phrase-isAnyOf" : "odrl.phrase-eq", {{"operand", operand}, {"value", one.text}}
    );
    say("odrl.say-parameter", {{"phrase", pair}});
  }
  for (const auto& [function, party] : duty.parties) {
    say("odrl.say-party", {{"function", function}, {"party", party}});
  }
  for (const auto index : plan_.children_of(duty.constraints)) {
    say("odrl.say-duty-if", {{"phrase", phrase(index)}});
  }
  for (const auto index : duty.consequences) {
    say("odrl.say-consequence", {{"action", action(plan_.duties[index].action)}});
  }
}

void Reader::duty(const Duty& duty) {
  say("odrl.say-duty-" + std::string(to_string(duty.phase)),
      {{"action", action(duty.action)},
       {"deadline", duty.phase == Phase::after ? deadline(duty) : ""}});
  duty_details(duty);
}

void Reader::obligation(const Duty& one) {
  const auto who =
      one.assignees.empty() ? text("odrl.the-obliged") : names(one.assignees, "odrl.the-obliged");
  say("odrl.say-obligation",
      {{"who", who},
       {"action", action(one.action)},
       {"target", one.phase == Phase::after ? deadline(one) : names(one.targets, "odrl.any-asset")}}
  );
  duty_details(one);
}

void Reader::rule(const Rule& rule) {
  const bool permits = rule.kind == RuleKind::permission;
  say(permits ? "odrl.say-permission" : "odrl.say-prohibition",
      {{"who", names(rule.assignees, "odrl.anyone")},
       {"action", actions(rule)},
       {"target", names(rule.targets, "odrl.any-asset")}});
  for (const auto& one : rule.actions) refinements(one.refinements, action(one));
  for (const auto& one : rule.targets) refinements(one.refinements, plan_.names[one.name]);
  for (const auto& one : rule.assignees) refinements(one.refinements, plan_.names[one.name]);
  for (const auto nodes : {rule.constraints, rule.target_attributes, rule.assignee_attributes}) {
    for (const auto index : plan_.children_of(nodes)) {
      say("odrl.say-only-if", {{"phrase", phrase(index)}});
    }
  }
  for (const auto index : rule.duties) {
    if (permits) {
      duty(plan_.duties[index]);
    } else {
      say("odrl.say-remedy", {{"action", action(plan_.duties[index].action)}});
    }
  }
}

// Who vouches for each value the policy looks at.
void Reader::vouchers() {
  std::set<OperandId> told;
  for (const auto& node : plan_.nodes) {
    if (node.kind != NodeKind::atom || !told.insert(node.operand).second) continue;
    const auto& term = plan_.term(node);
    if (term.vouchers.empty() || term.role != OperandRole::condition) continue;
    std::vector<std::string> names;
    std::string_view rest = term.vouchers;
    while (!rest.empty()) {
      const auto bar = rest.find('|');
      names.push_back(text("odrl.voucher-" + std::string(rest.substr(0, bar))));
      rest = bar == std::string_view::npos ? std::string_view() : rest.substr(bar + 1);
    }
    say("odrl.say-vouched", {{"operand", word("operand", term.iri)}, {"vouchers", joined(names)}});
  }
}

std::vector<std::string> Reader::read() {
  say("odrl.say-policy", {{"type", std::string(to_string(plan_.type))}, {"uid", plan_.uid}});
  if (plan_.type == PolicyType::offer) say("odrl.say-offer");
  if (plan_.type > PolicyType::agreement) say("odrl.say-not-in-force");
  for (const auto& one : plan_.rules) rule(one);
  for (const auto index : plan_.obligations) obligation(plan_.duties[index]);
  const auto conflict = plan_.conflict.value_or(Conflict::invalid);
  const bool prohibits = std::ranges::any_of(plan_.rules, [](const Rule& one) {
    return one.kind == RuleKind::prohibition;
  });
  if (prohibits) {
    say(conflict == Conflict::perm       ? "odrl.say-conflict-perm"
        : conflict == Conflict::prohibit ? "odrl.say-conflict-prohibit"
                                         : "odrl.say-conflict-invalid");
  }
  say("odrl.say-else");
  vouchers();
  return std::move(out_);
}

}  // namespace

std::vector<std::string> read_out(const CompiledPolicy& policy, Lang lang) {
  return Reader(policy.plan(), lang).read();
}

}  // namespace tally::odrl
