// When does one constraint follow from another, and when does one duty ask as much as another?
// Decided on what is written, with no state of the world: a "no" may only mean "not seen". Who
// compares policies rule by rule (widens.cpp) and who searches states (compare.cpp) share it.
#pragma once

#include <span>
#include <string>
#include <vector>

#include "plan.hpp"

namespace tally::odrl {

// A constraint with the plan it is from.
struct Term {
  const Plan* plan = nullptr;
  Index index = 0;

  [[nodiscard]] const Node& node() const { return plan->node(index); }
  [[nodiscard]] const OperandTerm& term() const { return plan->term(node()); }
  [[nodiscard]] std::span<const Value> values() const { return plan->values_of(node().inner); }
  [[nodiscard]] const std::string& text() const { return plan->texts[index].required; }
  [[nodiscard]] const std::string& pointer() const { return plan->texts[index].pointer; }
  [[nodiscard]] std::string name(Index of) const {
    return of == nothing ? std::string() : plan->names[of];
  }
  [[nodiscard]] std::vector<Term> children() const {
    std::vector<Term> out;
    for (const auto inner : plan->children_of(node().inner)) out.push_back({plan, inner});
    return out;
  }
};

// "eq", "isAnyOf": the values that are meant are listed.
bool lists_what_is_meant(Operator op);

// Whenever `a` holds, `b` holds.
bool implies(const Term& a, const Term& b);

// The constraints that all have to hold, with `and` opened up.
std::vector<Term> flat(const Plan& plan, Range nodes);
// Everything a rule makes its acts depend on, attributes of asset and party included.
std::vector<Term> conditions_of(const Plan& plan, const Rule& rule);

bool held_by(const std::vector<Term>& terms, const Term& wanted);
// Each of `need` follows from one of `have`.
bool keeps_all(const std::vector<Term>& have, const std::vector<Term>& need);
bool keeps_all(const Plan& plan, Range found, const Plan& other, Range wanted);

// Does `ours` ask all that `theirs` asks, whenever it does and no later? no: it is seen to ask
// less.
Truth keeps(const Plan& in, const Duty& ours, const Plan& out, const Duty& theirs);

std::string text_of(const Term& one);  // "lteq 3 (consumer)"
std::string duty_text(const Plan& plan, const Duty& duty);

}  // namespace tally::odrl
