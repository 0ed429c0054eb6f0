// Duties in their four places, when they are due, and how they are done.
#include <algorithm>
#include <array>

#include "loader.hpp"

namespace tally::odrl {

using detail::string_of;

namespace {

constexpr auto duty_members = detail::joined(
    std::to_array<std::string_view>(
        {"uid", "@type", "target", "assigner", "assignee", "action", "constraint", "consequence"}
    ),
    detail::party_functions
);

// Parameters that stand for a party function, which the messages of DSP have no member for.
constexpr auto party_parameters = std::to_array<Alias>({
    {iri::informed_party, "informedParty"},
    {"urn:tally:profile:1#consentingParty", "consentingParty"},
    {"urn:tally:profile:1#compensatedParty", "compensatedParty"},
});

struct Instruction {
  std::string_view operand;
  std::string_view action;
};
// What an instruction operand of a permission becomes: a duty of the enforcer, done with the use.
constexpr auto instruction_actions = std::to_array<Instruction>({
    {iri::row_filter, iri::select_rows},
    {iri::columns, iri::select_columns},
    {iri::max_rows, iri::limit_rows},
    {iri::min_group_size, iri::limit_groups},
    {iri::functions, iri::limit_groups},
    {iri::cell_budget, iri::limit_groups},
});

bool bounds_above(Operator op) {
  return op == Operator::lteq || op == Operator::lt;
}

// What no connector does, and who it is owed to confirms.
bool is_confirmed(std::string_view action) {
  return action == iri::compensate || action == iri::obtain_consent;
}

bool negative(const XsdDuration& span) {
  return span.months < 0 || span.seconds < 0 || span.nanos < 0;
}

}  // namespace

std::vector<Index> Loader::read_duties(
    const Json& value, const std::string& at, const Rule* rule, bool innermost
) {
  std::vector<Index> out;
  detail::each(value, at, [&](const Json& one, const std::string& place) {
    if (!too_many_problems()) read_duty(one, place, rule, innermost, out);
  });
  return out;
}

// The duties that the document writes out, by their ids. The first of an id: another that differs
// is refused when it is read.
void Loader::collect_duties(const Document& document) {
  duties_by_id_.clear();
  const auto visit = [&](const auto& self, const Json& value) -> void {
    if (value.is_array()) {
      for (const auto& one : value) self(self, one);
      return;
    }
    if (!value.is_object()) return;
    for (const auto* key : {"uid", "@id"}) {
      const auto* id = value.contains(key) ? string_of(value[key]) : nullptr;
      if (id && value.size() > 1) duties_by_id_.emplace(document.context.expand(*id), &value);
    }
    for (const auto* key : {"duty", "remedy", "consequence"}) {
      if (value.contains(key)) self(self, value[key]);
    }
  };
  for (const auto name : {"permission", "prohibition", "obligation"}) {
    if (const auto* value = document.members.value(name)) visit(visit, *value);
  }
}

// A duty may be named where it is owed and written out elsewhere: one duty, fulfilled once for all
// (information model, 2.6.3).
const Json& Loader::resolve_duty(const Json& value) const {
  const Json* name = value.is_string() ? &value : nullptr;
  if (value.is_object() && value.size() == 1) {
    if (value.contains("@id")) name = &value["@id"];
    if (value.contains("uid")) name = &value["uid"];
  }
  if (!name || !name->is_string()) return value;
  const auto found =
      duties_by_id_.find(document_->context.expand(name->get_ref<const std::string&>()));
  return found == duties_by_id_.end() ? value : *found->second;
}

// One id may stand in several places, for the same duty: it is fulfilled once for all.
bool Loader::claim_duty_id(const Members& members, const Json& object, Duty& duty) {
  auto id = read_uid(members);
  if (id.empty()) {
    duty.id = RuleId(rule_id(members));
    return true;
  }
  auto text = to_jcs(object);
  const auto found = duty_texts_.find(id);
  const bool same = found == duty_texts_.end() || found->second == text;
  if (!same || rule_ids_.contains(id)) {
    problem("odrl.duplicate-rule", {{"rule", id}}, members.at());
    return false;
  }
  duty_texts_.emplace(id, std::move(text));
  duty.id = RuleId(std::move(id));
  return true;
}

void Loader::read_duty_scope(const Members& members, const Rule* rule, Duty& duty) {
  const auto scope = [&](std::string_view name, const std::vector<Selector>& ours) {
    auto theirs = read_selectors(members, name);
    if (members.find(name)) {
      // The connector carries a duty out on the asset of the contract, for the one who received it.
      const auto names = names_of(ours);
      for (const auto& one : names_of(theirs)) {
        if (detail::holds(names, one)) continue;
        unsupported(
            "odrl.unsupported-duty-scope", {{"member", std::string(name)}}, members.pointer(name)
        );
      }
    }
    return theirs;
  };
  const auto& shared = document_->shared;
  duty.targets = scope("target", rule ? rule->targets : shared.targets);
  duty.assignees = scope("assignee", rule ? rule->assignees : shared.assignees);
  if (!rule && duty.assignees.empty()) duty.assignees = shared.assignees;
  if (const auto* value = members.value("assigner")) {
    detail::each(*value, members.pointer("assigner"), [&](const Json& one, const std::string& at) {
      read_selector(one, at, "assigner");
    });
  }
  for (const auto name : detail::party_functions) {
    const auto* value = members.value(name);
    if (!value) continue;
    unsupported("odrl.unsupported-member", {{"member", std::string(name)}}, members.pointer(name));
    detail::each(*value, members.pointer(name), [&](const Json& one, const std::string& at) {
      if (const auto party = read_selector(one, at, name)) {
        duty.parties.emplace_back(name, plan_->names[party->name]);
      }
    });
  }
}

// `event` against the use itself says when; it is no condition.
bool Loader::take_phase(const Node& node, Duty& duty) {
  if (plan_->term(node).origin != Origin::event || node.inner.count != 1) return false;
  const auto* name = std::get_if<Name>(&plan_->values_of(node.inner).front());
  if (!name || name->text != iri::policy_usage) return false;
  if (node.op == Operator::lt || node.op == Operator::lteq) {
    duty.phase = Phase::before;
  } else if (node.op == Operator::gt || node.op == Operator::gteq) {
    duty.phase = Phase::after;
  } else {
    duty.phase = Phase::with;
  }
  return true;
}

// What bounds a duty after the use is its deadline.
bool Loader::take_deadline(const Node& node, Duty& duty) {
  const auto origin = plan_->term(node).origin;
  if (node.fault != Fault::none || node.inner.count != 1) return false;
  const auto& value = plan_->values_of(node.inner).front();
  if (origin == Origin::clock && bounds_above(node.op)) {
    const auto* span = std::get_if<TimeSpan>(&value);
    if (!span) return false;
    duty.deadline = DeadlineKind::at_instant;
    // lteq a day: its last nanosecond.
    duty.at = node.op == Operator::lteq ? span->end + -1 : span->start;
    return true;
  }
  const bool spans = origin == Origin::first_use || origin == Origin::last_use;
  if (!spans || !(bounds_above(node.op) || node.op == Operator::eq)) return false;
  const auto* span = std::get_if<XsdDuration>(&value);
  if (!span) return false;
  duty.deadline = DeadlineKind::after_use;
  duty.after = *span;
  return true;
}

void Loader::add_parameters(Range nodes, Duty& duty) {
  for (const auto index : plan_->children_of(nodes)) {
    const auto& node = plan_->node(index);
    if (node.kind != NodeKind::atom) continue;
    duty.parameters.push_back(
        {intern(std::string(plan_->term(node).iri)),
         node.op,
         node.inner,
         plan_->texts[index].required}
    );
  }
}

// An `and` is its members. What `event` says of the use goes into the duty's phase.
void Loader::split_timing(
    Range nodes, Duty& duty, std::vector<Index>& rest, std::vector<Index>& how
) {
  for (const auto index : plan_->children_of(nodes)) {
    const auto& node = plan_->node(index);
    if (node.kind == NodeKind::all) {
      split_timing(node.inner, duty, rest, how);
    } else if (node.kind == NodeKind::atom && plan_->term(node).role == OperandRole::parameter) {
      how.push_back(index);
    } else if (node.kind != NodeKind::atom || !take_phase(node, duty)) {
      rest.push_back(index);
    }
  }
}

// The constraints of a duty: when it is due, how it is done, and what is left decides whether it is
// owed at all.
// The parameters among them are returned.
std::vector<Index> Loader::read_timing(const Json& value, const std::string& at, Duty& duty) {
  const auto before = problems_.size();
  in_duty_ = true;
  const auto all = read_constraints(value, at, 0, true, {});
  in_duty_ = false;
  std::vector<Index> conditions, parameters, bounds;
  if (problems_.size() != before) return parameters;
  split_timing(all, duty, bounds, parameters);
  for (const auto index : bounds) {
    const auto& node = plan_->node(index);
    const bool bound = node.kind == NodeKind::atom && duty.phase == Phase::after &&
                       duty.deadline == DeadlineKind::at_once && take_deadline(node, duty);
    if (bound && duty.deadline == DeadlineKind::after_use && negative(duty.after)) {
      problem(
          "odrl.invalid-literal",
          {{"value", plan_->texts[index].required}, {"expected", "xsd:duration"}},
          plan_->texts[index].pointer
      );
    }
    if (bound) continue;
    conditions.push_back(index);
    unsupported("odrl.unsupported-deadline", {}, plan_->texts[index].pointer);
  }
  for (const auto index : parameters) {
    const auto& node = plan_->node(index);
    const auto operand = plan_->term(node).iri;
    const auto party = std::ranges::find(party_parameters, operand, &Alias::from);
    if (party != party_parameters.end()) {
      duty.parties.emplace_back(party->to, plan_->texts[index].required);
    }
  }
  add_parameters(append_children(parameters), duty);
  duty.constraints = append_children(conditions);
  return parameters;
}

// What the duty of somebody else says of its act is asked of the act that was recorded.
void Loader::refine_by(const std::vector<Index>& parameters, Duty& duty) {
  const auto written = plan_->children_of(duty.action.refinements);
  std::vector<Index> out(written.begin(), written.end());
  const auto is = [&](Index index, std::string_view word) {
    const auto iri = plan_->term(plan_->node(index)).iri;
    return iri.starts_with(iri::profile_terms) && local_name(iri) == word;
  };
  const auto find = [&](std::string_view word) {
    return std::ranges::find_if(parameters, [&](Index one) { return is(one, word); });
  };
  const auto currency = find("currency");
  const bool of_amount = currency != parameters.end() && find("payAmount") != parameters.end();
  for (const auto index : parameters) {
    if (of_amount && index == *currency) continue;
    const auto operand = plan_->term(plan_->node(index)).iri;
    if (std::ranges::find(party_parameters, operand, &Alias::from) != party_parameters.end()) {
      continue;
    }
    auto& node = plan_->nodes[index];
    if (is(index, "payAmount")) {
      node.operand = *find_operand(iri::pay_amount);
      if (of_amount) node.unit = intern(plan_->texts[*currency].required);
    } else if (is(index, "paidWithin")) {
      node.operand = *find_operand(iri::elapsed_time);
    }
    out.push_back(index);
  }
  duty.action.refinements = append_children(out);
}

// A consequence may not have one itself, and a remedy has none (information model 2.6.5, 2.6.6).
void Loader::read_consequences(
    const Members& members, const Rule* rule, bool innermost, Duty& duty
) {
  const auto* value = members.value("consequence");
  if (!value) return;
  const auto at = members.pointer("consequence");
  if (innermost) {
    problem("odrl.unsupported-member", {{"member", "consequence"}}, at);
    return;
  }
  unsupported("odrl.unsupported-member", {{"member", "consequence"}}, at);
  duty.consequences = read_duties(*value, at, rule, true);
}

void Loader::read_duty(
    const Json& written_duty,
    const std::string& at,
    const Rule* rule,
    bool innermost,
    std::vector<Index>& out
) {
  const auto& object = resolve_duty(written_duty);
  if (!object.is_object()) {
    problem("odrl.member-type", {{"member", "duty"}, {"expected", "object"}}, at);
    return;
  }
  if (++expanded_rules_ > options_.limits.policy_rules) {
    too_large("rules", options_.limits.policy_rules, at);
    return;
  }
  const auto members = members_of(object, at, duty_members);
  check_type(members, "Duty");
  Duty duty;
  duty.pointer = at;
  if (rule) duty.rule = static_cast<Index>(plan_->rules.size());
  if (!claim_duty_id(members, object, duty)) return;
  read_duty_scope(members, rule, duty);
  const auto* written = members.value("action");
  if (!written) {
    problem("odrl.missing-member", {{"member", "action"}}, at);
    return;
  }
  const auto before = problems_.size();
  const auto doubts = plan_->doubts.size();
  const auto actions = read_actions(*written, members.pointer("action"));
  const bool enforced =
      actions.size() == 1 && detail::holds(enforced_duties(), plan_->names[actions.front().name]);
  if (problems_.size() == before && !enforced) {
    const auto* text = string_of(*written);
    unsupported(
        "odrl.unsupported-duty",
        {{"action", text ? *text : written->dump()}},
        members.pointer("action")
    );
  }
  // Only there is it known whose uses wait for it.
  const bool of_permission = rule && rule->kind == RuleKind::permission;
  if (enforced && !of_permission && is_confirmed(plan_->names[actions.front().name])) {
    unsupported(
        "odrl.confirmed-duty-place",
        {{"action", std::string(local_name(plan_->names[actions.front().name]))}},
        at
    );
  }
  read_consequences(members, rule, innermost, duty);
  for (const auto& action : actions) {
    auto one = duty;
    one.action = action;
    const ActionTerm* term = action.action ? &known_actions()[*action.action] : nullptr;
    one.phase = term ? term->phase : Phase::before;
    std::vector<Index> parameters;
    if (const auto* value = members.value("constraint")) {
      parameters = read_timing(*value, members.pointer("constraint"), one);
    }
    add_parameters(action.refinements, one);
    check_informing(one);
    check_next_policy(one, rule);
    check_anonymizing(one);
    one.undecidable = plan_->doubts.size() != doubts;
    // What only a person or another system can do has to be done before; so has a duty that says
    // what follows when it is not done.
    const bool carried_out = term && term->carried_out;
    one.condition = rule && rule->kind == RuleKind::permission && one.phase != Phase::after &&
                    (!carried_out || !one.consequences.empty());
    if (one.condition) refine_by(parameters, one);
    out.push_back(static_cast<Index>(plan_->duties.size()));
    plan_->duties.push_back(std::move(one));
  }
}

bool Loader::add_instruction(const Node& node, const NodeText& text) {
  const auto operand = plan_->term(node).iri;
  const auto found = std::ranges::find(instruction_actions, operand, &Instruction::operand);
  if (!plan_->term(node).enforced) {
    unsupported(
        "odrl.unsupported-left-operand",
        {{"term", std::string(operand)}},
        child(text.pointer, "leftOperand")
    );
  }
  if (!lowered_ || !lowered_->permits || found == instruction_actions.end()) {
    problem(
        "odrl.instruction-place", {{"operand", std::string(local_name(operand))}}, text.pointer
    );
    return false;
  }
  if (!check_row_filter(node, text.pointer)) return false;
  Duty duty;
  duty.id = RuleId(plan_->uid + "#" + text.pointer);
  duty.pointer = text.pointer;
  duty.action = {find_action(found->action), intern(std::string(found->action)), {}};
  duty.phase = Phase::with;
  duty.parameters.push_back({intern(std::string(operand)), node.op, node.inner, text.required});
  lowered_->instructions.push_back(static_cast<Index>(plan_->duties.size()));
  plan_->duties.push_back(std::move(duty));
  return true;
}

// "column op value", of which each has to hold for a row to be handed out.
bool Loader::check_row_filter(const Node& node, const std::string& at) {
  if (plan_->term(node).iri != iri::row_filter) return true;
  static constexpr auto known =
      std::to_array<std::string_view>({"eq", "neq", "lt", "lteq", "gt", "gteq"});
  for (const auto& value : plan_->values_of(node.inner)) {
    const auto text = to_text(value);
    const auto first = text.find(' ');
    const auto second = first == std::string::npos ? first : text.find(' ', first + 1);
    const bool good =
        second != std::string::npos && first > 0 && second + 1 < text.size() &&
        detail::holds(known, std::string_view(text).substr(first + 1, second - first - 1));
    if (good) continue;
    problem(
        "odrl.invalid-literal",
        {{"value", text}, {"expected", "column eq|neq|lt|lteq|gt|gteq value"}},
        at
    );
    return false;
  }
  return true;
}

}  // namespace tally::odrl
