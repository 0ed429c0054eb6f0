#include "tally/odrl/vocabulary.hpp"

#include <nlohmann/json.hpp>

#include "tally/core/message.hpp"
#include "tally/odrl/evaluate.hpp"

#include "context.hpp"
#include "loader.hpp"

namespace tally::odrl {
namespace {

std::string_view role_word(OperandRole role) {
  switch (role) {
    case OperandRole::condition:
      return "condition";
    case OperandRole::modifier:
      return "modifier";
    case OperandRole::parameter:
      return "parameter";
    case OperandRole::instruction:
      return "instruction";
  }
  return {};
}

// What a term narrows that stands among the constraints of a rule.
std::string_view belongs_to(const OperandTerm& term) {
  if (term.role == OperandRole::parameter || term.role == OperandRole::instruction) return "action";
  if (term.place == Place::target) return "target";
  return term.place == Place::assignee ? "assignee" : "act";
}

Json split(std::string_view list) {
  Json out = Json::array();
  while (!list.empty()) {
    const auto bar = list.find('|');
    out.push_back(list.substr(0, bar));
    list = bar == std::string_view::npos ? std::string_view() : list.substr(bar + 1);
  }
  return out;
}

Json operand_json(const OperandTerm& term) {
  Json operators = Json::array();
  for (const auto word : known_operators()) {
    const bool takes = term.role != OperandRole::modifier || word == "eq" ||
                       (term.iri == iri::vouched_by && word == "isAnyOf");
    if (takes && operator_fits(term, *find_operator(word))) operators.push_back(word);
  }
  const Message name{"odrl.operand-" + std::string(local_name(term.iri)), {}};
  Json out = {
      {"leftOperand", term.iri},
      {"role", role_word(term.role)},
      {"belongsTo", belongs_to(term)},
      {"type", to_string(term.kind)},
      {"operators", std::move(operators)},
      {"vouchedBy", split(term.vouchers)},
      {"enforced", term.enforced},
      {"english", render(name, Lang::en)},
      {"chinese", render(name, Lang::zh)},
  };
  if (term.role == OperandRole::condition) {
    out["severalValues"] = term.every_value ? "every" : "any";
    if (term.ordered) out["ordered"] = true;
    if (term.security) out["needsVerified"] = true;
  }
  return out;
}

Json action_json(const ActionTerm& term) {
  const Message name{"odrl.action-" + std::string(local_name(term.iri)), {}};
  Json out = {
      {"action", term.iri},
      {"duty",
       {{"phase", to_string(term.phase)},
        {"carriedOutBy", term.carried_out ? "enforcer" : "others"},
        {"enforced", detail::holds(enforced_duties(), term.iri)}}},
      {"english", render(name, Lang::en)},
      {"chinese", render(name, Lang::zh)},
  };
  if (!term.parent.empty()) out["includedIn"] = term.parent;
  if (!term.implies.empty()) out["implies"] = term.implies;
  if (term.deprecated) out["deprecated"] = true;
  return out;
}

}  // namespace

Json policy_terms() {
  Json out = {
      {"profiles", Json::array({iri::core_profile, iri::profile})},
      {"leftOperands", Json::array()},
      {"actions", Json::array()},
      {"aliases", Json::object()},
      {"operators", known_operators()},
      {"logical", Json::array({"and", "or", "xone", "andSequence"})},
      {"conflict", Json::array({"perm", "prohibit", "invalid"})},
      {"policyTypes",
       Json::array({"Set", "Offer", "Agreement", "Assertion", "Privacy", "Request", "Ticket"})},
      {"reasons", Json::array()},
  };
  for (const auto& term : known_operands()) out["leftOperands"].push_back(operand_json(term));
  for (const auto& term : known_actions()) out["actions"].push_back(action_json(term));
  for (const auto& alias : action_aliases()) out["aliases"][std::string(alias.from)] = alias.to;
  for (const auto& alias : operand_aliases()) out["aliases"][std::string(alias.from)] = alias.to;
  for (auto i = 0; i <= static_cast<int>(Reason::clock_unreliable); ++i) {
    out["reasons"].push_back(to_string(static_cast<Reason>(i)));
  }
  return out;
}

std::optional<std::string> meaning_of_word(std::string_view word) {
  static const Context plain;
  return plain.fixed_meaning(word);
}

}  // namespace tally::odrl
