// Constraints and refinements: one shape in two places. Logical ones, comparisons, and the
// modifiers that say how their neighbours are read.
#include <algorithm>
#include <array>

#include "tally/odrl/evaluate.hpp"

#include "loader.hpp"

namespace tally::odrl {

using detail::string_of;
using detail::without_id;

namespace {

constexpr std::string_view anchor_member = "http://w3id.org/drk/ontology/anchor";
// How often what a duty's refinement says has to be done anew (IDS, "rental"). It looks like a
// description and is none.
constexpr auto frequency_members = std::to_array<std::string_view>(
    {"http://purl.org/dc/terms/frequency", "http://purl.org/dc/elements/1.1/frequency"}
);

constexpr auto constraint_members = std::to_array<std::string_view>({
    "uid",
    "@type",
    "leftOperand",
    "operator",
    "rightOperand",
    "rightOperandReference",
    "dataType",
    "unit",
    "status",
    "and",
    "or",
    "xone",
    "andSequence",
    anchor_member,
    frequency_members[0],
    frequency_members[1],
});
constexpr auto comparison_members = std::to_array<std::string_view>({
    "leftOperand",
    "operator",
    "rightOperand",
    "rightOperandReference",
    "dataType",
    "unit",
    "status",
});

constexpr auto modifier_words =
    std::to_array<std::string_view>({"countedBy", "vouchedBy", "unitOfCount"});

struct Logical {
  std::string_view word;
  NodeKind kind;
};
constexpr auto logicals = std::to_array<Logical>({
    {"and", NodeKind::all},
    {"or", NodeKind::any},
    {"xone", NodeKind::one},
    {"andSequence", NodeKind::sequence},
});

std::string text_of(const std::vector<Literal>& literals) {
  std::string out;
  for (const auto& one : literals) {
    if (!out.empty()) out += ", ";
    out += one.text;
  }
  return out;
}

std::uint8_t voucher_bit(std::string_view word) {
  for (const auto source :
       {Source::measured, Source::certificate, Source::registration, Source::asserted}) {
    if (to_string(source) == word)
      return static_cast<std::uint8_t>(1U << static_cast<unsigned>(source));
  }
  return 0;
}

}  // namespace

void Loader::count_constraint(const std::string& at) {
  const auto before = constraints_;
  constraints_ += weight_;
  const auto most = options_.limits.policy_constraints;
  if (constraints_ > most && before <= most) too_large("constraints", most, at);
}

Range Loader::append_children(const std::vector<Index>& list) {
  const Range out{static_cast<Index>(plan_->children.size()), static_cast<Index>(list.size())};
  plan_->children.insert(plan_->children.end(), list.begin(), list.end());
  return out;
}

bool Loader::mentions_count(Range nodes) const {
  return std::ranges::any_of(plan_->children_of(nodes), [&](Index index) {
    const auto& node = plan_->node(index);
    if (node.kind != NodeKind::atom) return mentions_count(node.inner);
    const auto origin = plan_->term(node).origin;
    return origin == Origin::uses || origin == Origin::recent_uses || origin == Origin::metered;
  });
}

// countedBy, vouchedBy and unitOfCount say how the constraints beside them are read. They are no
// conditions and leave the list.
bool Loader::read_modifier(
    const Json& object, const std::string& at, bool anded, Beside& inner, bool& owns
) {
  if (!object.is_object()) return false;
  const Json* name = nullptr;
  if (const auto plain = object.find("leftOperand"); plain != object.end()) {
    name = &without_id(*plain);
  } else {
    for (auto it = object.begin(); it != object.end() && !name; ++it) {
      const auto& key = it.key();
      if (key.find(':') != std::string::npos &&
          document_->context.expand(key) == std::string(iri::odrl) + "leftOperand") {
        name = &without_id(it.value());
      }
    }
  }
  if (!name || !name->is_string()) return false;
  const auto& written = name->get_ref<const std::string&>();
  // Most operands are none of these, and looking them up is what a large policy costs.
  if (!detail::holds(modifier_words, local_name(written))) return false;
  const auto iri = document_->context.expand_term(written);
  const auto operand = find_operand(iri);
  if (!operand || known_operands()[*operand].role != OperandRole::modifier) return false;

  uses_profile_ = uses_profile_ || iri.starts_with(iri::profile);
  count_constraint(at);
  const auto members = members_of(object, at, constraint_members);
  check_type(members, "Constraint");
  NodeText text;
  const auto before = problems_.size();
  const auto atom = read_atom(members, text);
  if (!atom || problems_.size() != before) return true;
  const auto values = plan_->values_of(atom->inner);
  const std::string word(local_name(iri));
  const char* misplaced = iri == iri::counted_by ? "odrl.counted-by-place" : "odrl.modifier-place";
  if (!anded) {
    problem(misplaced, {{"operand", word}}, at);
  } else if (iri == iri::counted_by) {
    const auto side = to_text(values.front());
    if (atom->op != Operator::eq || (side != "provider" && side != "consumer")) {
      problem("odrl.counted-by-value", {{"value", side}}, at);
    } else if (owns) {
      problem(misplaced, {{"operand", word}}, at);
    } else {
      owns = true;
      inner.owner = side == "provider" ? Side::provider : Side::consumer;
    }
  } else if (iri == iri::vouched_by) {
    std::uint8_t bits = 0;
    for (const auto& value : values) {
      const auto bit = voucher_bit(to_text(value));
      if (bit == 0) problem("odrl.vouched-by-value", {{"value", to_text(value)}}, at);
      bits |= bit;
    }
    if (atom->op != Operator::eq && atom->op != Operator::is_any_of) {
      problem("odrl.vouched-by-value", {{"value", text.required}}, at);
    }
    inner.vouchers = bits;
  } else {
    unsupported("odrl.unsupported-left-operand", {{"term", iri}}, at);
    inner.unit_of_count = intern(to_text(values.front()));
  }
  return true;
}

Range Loader::read_constraints(
    const Json& value, const std::string& at, std::size_t depth, bool anded, const Beside& outer
) {
  const Json* list = &value;
  std::string list_at = at;
  if (value.is_object() && value.size() == 1 && value.contains("@list")) {
    list = &value["@list"];
    list_at = child(at, "@list");
  }
  if (depth > options_.limits.json_depth) {
    too_large("depth", options_.limits.json_depth, at);
    return {};
  }
  const auto before = problems_.size();
  auto inner = outer;
  bool owns = false;
  std::vector<bool> taken(list->is_array() ? list->size() : 1, false);
  std::size_t i = 0;
  detail::each(*list, list_at, [&](const Json& one, const std::string& place) {
    taken[i++] = read_modifier(one, place, anded, inner, owns);
  });
  std::vector<Index> out;
  i = 0;
  detail::each(*list, list_at, [&](const Json& one, const std::string& place) {
    if (taken[i++] || too_many_problems()) return;
    if (const auto index = read_constraint(one, place, depth, inner)) out.push_back(*index);
  });
  const auto range = append_children(out);
  if (owns && problems_.size() == before && !mentions_count(range)) {
    problem("odrl.counted-by-alone", {}, at);
  }
  return range;
}

std::optional<Index> Loader::read_constraint(
    const Json& object, const std::string& at, std::size_t depth, const Beside& outer
) {
  if (!object.is_object()) {
    problem("odrl.member-type", {{"member", "constraint"}, {"expected", "object"}}, at);
    return std::nullopt;
  }
  count_constraint(at);
  if (constraints_ > options_.limits.policy_constraints) return std::nullopt;
  const auto before = problems_.size();
  const auto members = members_of(object, at, constraint_members);
  check_type(members, "Constraint");
  const bool logical = std::ranges::any_of(logicals, [&](const Logical& one) {
    return members.find(one.word) != nullptr;
  });
  if (logical) return read_logical(members, depth, outer);
  NodeText text;
  anchor_.reset();
  auto node = read_atom(members, text);
  if (!node || problems_.size() != before) return std::nullopt;
  if (!check_place(*node, text, outer)) return std::nullopt;
  const auto& term = plan_->term(*node);
  if (term.role == OperandRole::instruction) {
    if (add_instruction(*node, text)) ++lowerings_;
    return std::nullopt;
  }
  if (!refining_) node->place = term.place;
  node->owner = options_.sole_owner.value_or(outer.owner.value_or(options_.default_owner));
  node->own_owner = outer.owner.has_value();
  node->vouchers = outer.vouchers;
  node->unit_of_count = outer.unit_of_count;
  const auto index = add_node(*node, std::move(text));
  if (anchor_) plan_->anchors.emplace(index, *anchor_);
  if (const auto recurring = read_frequency(members, index)) return recurring;
  if (node->place == Place::act || !lowered_) return index;
  (node->place == Place::target ? lowered_->target : lowered_->assignee).push_back(index);
  ++lowerings_;
  return std::nullopt;
}

std::optional<Index> Loader::read_logical(
    const Members& members, std::size_t depth, const Beside& outer
) {
  const auto before = problems_.size();
  const Logical* kind = nullptr;
  for (const auto& one : logicals) {
    if (!members.find(one.word)) continue;
    if (kind) problem("odrl.constraint-ambiguous", {}, members.pointer(one.word));
    kind = &one;
  }
  for (const auto name : comparison_members) {
    if (members.find(name)) problem("odrl.constraint-ambiguous", {}, members.pointer(name));
  }
  const auto at = members.pointer(kind->word);
  const auto& value = *members.value(kind->word);
  if (kind->kind == NodeKind::sequence) {
    unsupported("odrl.unsupported-member", {{"member", "andSequence"}}, at);
  }
  const bool anded = kind->kind == NodeKind::all || kind->kind == NodeKind::sequence;
  Node node;
  node.kind = kind->kind;
  auto inner = outer;
  inner.chosen = outer.chosen || kind->kind != NodeKind::all;
  const auto lowerings = lowerings_;
  node.inner = read_constraints(value, at, depth + 1, anded, inner);
  // An `and` of nothing but terms that went to their place.
  if (node.inner.count == 0 && lowerings_ != lowerings) return std::nullopt;
  if (node.inner.count == 0 && problems_.size() == before) {
    problem("odrl.constraint-incomplete", {{"member", "constraint"}}, at);
  }
  if (problems_.size() != before) return std::nullopt;
  return add_node(node, {members.at(), read_uid(members), {}});
}

void Loader::read_operand(const Members& members, Node& node) {
  const auto written = read_word(members, "leftOperand");
  if (!written) return;
  const auto iri = read_term(*written, members, "leftOperand");
  in_force_date_ = iri == iri::in_force_date;
  if (const auto known = find_operand(iri)) {
    node.operand = *known;
    const auto& term = known_operands()[*known];
    uses_profile_ = uses_profile_ || iri.starts_with(iri::profile);
    const bool timing = in_duty_ && term.origin == Origin::last_use;  // a deadline
    if (!term.enforced && !timing && term.role == OperandRole::condition) {
      unsupported(
          "odrl.unsupported-left-operand", {{"term", *written}}, members.pointer("leftOperand")
      );
    }
    return;
  }
  if (!detail::holds(options_.extra_operands, iri)) {
    const auto message = unknown_word("odrl.unknown-left-operand", *written, operand_iris());
    doubt(message.code, message.params, members.pointer("leftOperand"));
    node.fault = Fault::unknown_operand;
  }
  // Kept under its own name: where the enforcer itself measured it, it has a value.
  auto& iris = plan_->extra_term_iris;
  auto found = std::ranges::find(iris, iri);
  if (found == iris.end()) {
    iris.push_back(iri);
    found = iris.end() - 1;
  }
  node.operand = static_cast<OperandId>(
      known_operands().size() + static_cast<std::size_t>(found - iris.begin())
  );
  plan_->extra_terms.resize(iris.size());
  for (std::size_t i = 0; i < iris.size(); ++i) plan_->extra_terms[i].iri = iris[i];
}

void Loader::read_operator(const Members& members, Node& node) {
  const auto written = read_word(members, "operator");
  if (!written) return;
  const auto iri = read_term(*written, members, "operator");
  if (const auto op = find_operator(iri)) {
    node.op = *op;
    return;
  }
  const auto message = unknown_word("odrl.unknown-operator", *written, known_operators());
  doubt(message.code, message.params, members.pointer("operator"));
  node.fault = Fault::unknown_operator;
}

// Done within the last period: the refinement and a bound on the time since, together.
std::optional<Index> Loader::read_frequency(const Members& members, Index refinement) {
  for (const auto name : frequency_members) {
    const auto* value = members.value(name);
    if (!value) continue;
    const auto at = members.pointer(name);
    std::vector<Literal> literals;
    if (!read_literals(*value, at, document_->context, 1, literals, problems_)) return refinement;
    auto period = type_value(literals.front(), ValueKind::duration, options_.default_zone);
    if (!refining_ || !std::holds_alternative<XsdDuration>(period)) {
      problem(
          "odrl.invalid-literal",
          {{"value", literals.front().text}, {"expected", "xsd:duration"}},
          at
      );
      return refinement;
    }
    Node since;
    since.operand = *find_operand(iri::elapsed_time);
    since.op = Operator::lteq;
    since.inner = {static_cast<Index>(plan_->values.size()), 1};
    plan_->values.push_back(std::move(period));
    const auto bound = add_node(since, {at, {}, literals.front().text});
    Node both;
    both.kind = NodeKind::all;
    both.inner = append_children({refinement, bound});
    return add_node(both, {members.at(), {}, {}});
  }
  return std::nullopt;
}

Index Loader::add_node(const Node& node, NodeText text) {
  const auto index = static_cast<Index>(plan_->nodes.size());
  plan_->nodes.push_back(node);
  plan_->texts.push_back(std::move(text));
  return index;
}

bool Loader::apply_data_type(const Members& members, std::vector<Literal>& literals) {
  const auto* value = members.value("dataType");
  if (!value) return true;
  const auto at = members.pointer("dataType");
  const auto type = read_iri(*value, at, "dataType");
  if (type.empty()) return false;
  bool good = true;
  for (auto& literal : literals) {
    if (literal.is_iri || (!literal.type.empty() && literal.type != type)) {
      problem(
          "odrl.type-mismatch",
          {{"value", literal.text}, {"found", found_type(literal)}, {"expected", type}},
          literal.pointer
      );
      good = false;
    }
    literal.type = type;
    literal.is_number = literal.is_boolean = false;
  }
  return good;
}

bool Loader::read_right_operand(const Members& members, Node& node, NodeText& text) {
  const auto* reference = members.value("rightOperandReference");
  const auto* value = members.value("rightOperand");
  if (reference) {
    const auto at = members.pointer("rightOperandReference");
    if (value) {
      problem("odrl.right-operand-ambiguous", {}, at);
      return false;
    }
    unsupported("odrl.unsupported-member", {{"member", "rightOperandReference"}}, at);
    const auto iri = read_iri(*reference, at, "rightOperandReference");
    node.reference = intern(iri);
    text.required = iri;
    return !iri.empty();
  }
  if (!value) {
    problem("odrl.constraint-incomplete", {{"member", "rightOperand"}}, members.at());
    return false;
  }
  const auto& term = plan_->term(node);
  const auto at = members.pointer("rightOperand");
  std::vector<Literal> literals;
  if (!read_literals(
          *value, at, document_->context, options_.limits.policy_list, literals, problems_
      ) ||
      !apply_data_type(members, literals) || (in_force_date_ && !settle_in_force_dates(literals))) {
    return false;
  }
  const auto kind = node.fault == Fault::unknown_operand ? ValueKind::any : term.kind;
  bool good = true;
  node.inner.first = static_cast<Index>(plan_->values.size());
  for (const auto& literal : literals) {
    auto one = type_value(literal, kind, options_.default_zone);
    const auto* number = std::get_if<Decimal>(&one);
    const bool half = kind == ValueKind::integer && number && !integral(*number);
    if (std::holds_alternative<Malformed>(one) || half) {
      const auto expected =
          literal.type.starts_with(iri::xsd) && literal.type != std::string(iri::xsd) + "string"
              ? "xsd:" + std::string(local_name(literal.type))
              : std::string(expected_type(kind));
      problem(
          "odrl.invalid-literal", {{"value", literal.text}, {"expected", expected}}, literal.pointer
      );
      good = false;
    } else if (!fits(one, kind)) {
      problem(
          "odrl.type-mismatch",
          {{"value", literal.text},
           {"found", found_type(literal)},
           {"expected", std::string(expected_type(kind))}},
          literal.pointer
      );
      good = false;
    }
    if (kind == ValueKind::instant && lacks_zone(literal, one)) {
      warn("odrl.zone-missing", {{"value", literal.text}}, literal.pointer);
    }
    plan_->values.push_back(std::move(one));
  }
  node.inner.count = static_cast<Index>(literals.size());
  text.required = text_of(literals);
  return good && check_operator(
                     node, literals.size(), literals.size() > 1 ? literals[1].pointer : members.at()
                 );
}

bool Loader::check_operator(const Node& node, std::size_t values, const std::string& at) {
  if (node.fault != Fault::none) return true;
  if (values > 1 && !takes_list(node.op)) {
    problem("odrl.one-value", {{"operator", std::string(operator_word(node.op))}}, at);
    return false;
  }
  return true;
}

void Loader::read_unit_and_status(const Members& members, Node& node) {
  if (const auto* value = members.value("unit")) {
    const auto at = members.pointer("unit");
    unsupported("odrl.unsupported-member", {{"member", "unit"}}, at);
    const auto iri = read_iri(*value, at, "unit");
    if (!iri.empty()) node.unit = intern(iri);
  }
  const auto* value = members.value("status");
  if (!value) return;
  const auto at = members.pointer("status");
  unsupported("odrl.unsupported-member", {{"member", "status"}}, at);
  std::vector<Literal> literals;
  if (!read_literals(*value, at, document_->context, 1, literals, problems_)) return;
  const auto number = type_value(literals.front(), ValueKind::integer, 0);
  const auto* whole = std::get_if<Decimal>(&number);
  const auto reached = whole ? integral(*whole) : std::nullopt;
  if (!reached || *reached < 0) {
    problem(
        "odrl.invalid-literal",
        {{"value", literals.front().text}, {"expected", "xsd:nonNegativeInteger"}},
        at
    );
  } else if (plan_->term(node).origin != Origin::uses) {
    problem("odrl.unsupported-member", {{"member", "status"}}, at);
  } else if (!document_->inherited) {  // what was reached under a parent is not reached here
    node.status = *reached;
  }
}

void Loader::read_anchor(const Members& members) {
  const auto* value = members.value(anchor_member);
  if (!value) return;
  const auto at = members.pointer(anchor_member);
  unsupported("odrl.unsupported-member", {{"member", std::string(anchor_member)}}, at);
  std::vector<Literal> literals;
  if (!read_literals(*value, at, document_->context, 1, literals, problems_)) return;
  auto instant = type_value(literals.front(), ValueKind::instant, options_.default_zone);
  if (!std::holds_alternative<TimeSpan>(instant)) {
    problem(
        "odrl.invalid-literal", {{"value", literals.front().text}, {"expected", "xsd:dateTime"}}, at
    );
  } else {
    anchor_ = std::move(instant);
  }
}

std::optional<Node> Loader::read_atom(const Members& members, NodeText& text) {
  Node node;
  const auto before = problems_.size();
  read_operand(members, node);
  read_operator(members, node);
  if (problems_.size() != before) {
    if (!members.find("rightOperand") && !members.find("rightOperandReference")) {
      problem("odrl.constraint-incomplete", {{"member", "rightOperand"}}, members.at());
    }
    return std::nullopt;
  }
  if (!read_right_operand(members, node, text)) return std::nullopt;
  read_unit_and_status(members, node);
  read_anchor(members);
  const auto& term = plan_->term(node);
  if (node.fault == Fault::none && !operator_fits(term, node.op)) {
    doubt(
        "odrl.operator-mismatch",
        {{"operator", std::string(operator_word(node.op))},
         {"operand", std::string(local_name(term.iri))}},
        members.at()
    );
    node.fault = Fault::operator_mismatch;
  }
  const bool budget = term.origin == Origin::first_use || term.origin == Origin::metered;
  if (node.op == Operator::eq && budget && node.fault == Fault::none) {
    // A point in time that no use would ever hit; what is meant is a budget.
    warn(
        "odrl.eq-read-as-lteq",
        {{"operand", std::string(local_name(term.iri))}, {"value", text.required}},
        members.at()
    );
  }
  if (term.iri == iri::witnessing) {
    // A misspelt word would be a condition that is never met.
    for (const auto& value : plan_->values_of(node.inner)) {
      const auto word = to_text(value);
      if (word != "strict" && word != "async") {
        problem("odrl.witnessing-value", {{"value", word}}, members.at());
      }
    }
  }
  if (term.iri == iri::receipt_before_key) {
    // Said in any other way it would still be done, and permit nothing.
    const auto values = plan_->values_of(node.inner);
    const bool good =
        node.op == Operator::eq && values.size() == 1 && to_text(values.front()) == required_word;
    if (!good) problem("odrl.receipt-before-key-value", {}, members.at());
  }
  text.pointer = members.at();
  text.id = read_uid(members);
  if (problems_.size() != before) return std::nullopt;
  return node;
}

// What says how, and what is an attribute of the asset or the party, holds whatever else does: it
// may not be one of several ways to satisfy the policy.
bool Loader::check_place(const Node& node, const NodeText& text, const Beside& outer) {
  const auto& term = plan_->term(node);
  if (!says_how(term) && (term.place == Place::act || refining_)) return true;
  const std::string operand(local_name(term.iri));
  if (node.fault == Fault::operator_mismatch && says_how(term)) {
    problem(
        "odrl.operator-mismatch",
        {{"operator", std::string(operator_word(node.op))}, {"operand", operand}},
        text.pointer
    );
    return false;
  }
  if (!outer.chosen) return true;
  problem("odrl.lowered-under-choice", {{"operand", operand}}, text.pointer);
  return false;
}

}  // namespace tally::odrl
