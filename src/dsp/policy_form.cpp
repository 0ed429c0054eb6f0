#include "tally/dsp/policy_form.hpp"

#include <algorithm>
#include <array>
#include <cctype>
#include <optional>
#include <string>
#include <utility>
#include <vector>

#include <nlohmann/json.hpp>

#include "tally/core/instant.hpp"

namespace tally::dsp {

namespace {

constexpr std::array<std::string_view, 13> operators{
    "eq",
    "neq",
    "gt",
    "gteq",
    "lt",
    "lteq",
    "term-lteq",
    "hasPart",
    "isA",
    "isAllOf",
    "isAnyOf",
    "isNoneOf",
    "isPartOf",
};
constexpr std::array<std::string_view, 4> logical_keys{"and", "or", "xone", "andSequence"};
constexpr std::array<std::string_view, 3> atomic_keys{"leftOperand", "operator", "rightOperand"};
constexpr std::array<std::string_view, 3> rule_keys{"permission", "prohibition", "obligation"};

// Words of ODRL that the protocol's context does not carry: a JSON-LD reader would drop them and
// read a wider policy than was written.
constexpr std::array<std::string_view, 17> without_wire_form{
    "uid",
    "inheritFrom",
    "refinement",
    "rightOperandReference",
    "unit",
    "dataType",
    "status",
    "remedy",
    "consequence",
    "output",
    "relation",
    "function",
    "assignerOf",
    "assigneeOf",
    "attributedParty",
    "compensatedParty",
    "informedParty",
};

constexpr std::string_view odrl_namespace = "http://www.w3.org/ns/odrl/2/";
constexpr std::string_view tally_namespace = "urn:tally:profile:1#";
constexpr std::string_view cc_namespace = "http://creativecommons.org/ns#";
constexpr std::string_view edc_namespace = "https://w3id.org/edc/v0.0.1/ns/";

template <class Array>
bool holds(const Array& array, std::string_view word) {
  return std::find(array.begin(), array.end(), word) != array.end();
}

std::string param(std::string_view text) {
  return std::string(text);
}

class Check {
 public:
  Check(PolicyForm form, PolicyOrigin origin, EmptyPolicy empty)
      : form_(form),
        own_(origin == PolicyOrigin::own),
        may_be_empty_(empty == EmptyPolicy::permits_use) {}

  Result<void> policy(const Json& policy, std::string_view at) const {
    if (!policy.is_object()) return bad("dsp.not-an-object", at);
    if (auto head = policy_head(policy, at); !head) return head;
    if (auto known = known_members(policy, at); !known) return known;
    const bool empty = may_be_empty_ && is_without_rules(policy);
    if (!empty && !policy.contains("permission") && !policy.contains("prohibition")) {
      return bad("dsp.policy-without-rule", at);
    }
    for (const std::string_view key : rule_keys) {
      if (!policy.contains(key)) continue;
      if (auto rules = rule_list(policy.at(param(key)), key, child(at, key)); !rules) return rules;
    }
    return {};
  }

 private:
  static tl::unexpected<Error> bad(
      std::string_view code, std::string_view at, std::map<std::string, std::string> params = {}
  ) {
    return fail(ErrorKind::invalid, {std::string(code), std::move(params)}, std::string(at));
  }

  static Result<void> string(const Json& object, std::string_view key, std::string_view at) {
    const auto found = object.find(key);
    if (found == object.end()) {
      return bad("dsp.member-missing", child(at, key), {{"member", param(key)}});
    }
    if (!found->is_string()) {
      return bad("dsp.not-a-string", child(at, key), {{"member", param(key)}});
    }
    return {};
  }

  Result<void> policy_head(const Json& policy, std::string_view at) const {
    if (auto id = string(policy, "@id", at); !id) return id;
    if (auto type = policy_type(policy, at); !type) return type;
    if (form_ == PolicyForm::catalogue_offer && policy.contains("target")) {
      return bad("dsp.policy-target-in-catalogue", child(at, "target"));
    }
    if (form_ != PolicyForm::catalogue_offer) {
      if (auto target = string(policy, "target", at); !target) return target;
    }
    if (form_ == PolicyForm::agreement) {
      for (const std::string_view key : {"assigner", "assignee", "timestamp"}) {
        if (auto member = string(policy, key, at); !member) return member;
      }
      if (!is_timestamp(policy.at("timestamp").get_ref<const std::string&>())) {
        return bad("dsp.policy-timestamp", child(at, "timestamp"));
      }
    }
    return profile(policy, at);
  }

  Result<void> policy_type(const Json& policy, std::string_view at) const {
    const std::string_view expected = form_ == PolicyForm::agreement ? "Agreement" : "Offer";
    const bool optional = form_ == PolicyForm::catalogue_offer && !own_;
    if (optional && !policy.contains("@type")) return {};
    if (auto type = string(policy, "@type", at); !type) return type;
    const auto& found = policy.at("@type").get_ref<const std::string&>();
    if (found == expected) return {};
    return bad(
        "dsp.wrong-type", child(at, "@type"), {{"expected", param(expected)}, {"found", found}}
    );
  }

  static Result<void> profile(const Json& policy, std::string_view at) {
    const auto found = policy.find("profile");
    if (found == policy.end() || found->is_string()) return {};
    const bool strings =
        found->is_array() &&
        std::all_of(found->begin(), found->end(), [](auto& p) { return p.is_string(); });
    if (!strings) return bad("dsp.policy-profile", child(at, "profile"));
    return {};
  }

  // For what we write: nothing that another reader of the same JSON would not see.
  Result<void> known_members(const Json& object, std::string_view at) const {
    if (!own_) return {};
    for (const auto& [key, value] : object.items()) {
      if (holds(without_wire_form, key)) {
        return bad("dsp.policy-no-wire-form", child(at, key), {{"member", key}});
      }
      // Dropped by a reader, `prohibit` denies the same requests and `perm` permits more.
      if (key == "conflict" && value != "prohibit" && value != "invalid") {
        return bad("dsp.policy-no-wire-form", child(at, key), {{"member", key}});
      }
    }
    return {};
  }

  // A list with at least one member; from a peer also a single value in its place.
  template <class Each>
  Result<void> list(
      const Json& value, std::string_view key, std::string_view at, bool may_be_empty, Each each
  ) const {
    if (!value.is_array()) {
      if (own_) return bad("dsp.policy-not-a-list", at, {{"member", param(key)}});
      return each(value, std::string(at));
    }
    if (value.empty() && !may_be_empty) {
      return bad("dsp.policy-empty-list", at, {{"member", param(key)}});
    }
    for (std::size_t i = 0; i < value.size(); ++i) {
      if (auto item = each(value[i], child(at, i)); !item) return item;
    }
    return {};
  }

  Result<void> rule_list(const Json& value, std::string_view key, std::string_view at) const {
    return list(value, key, at, false, [&](const Json& item, const std::string& item_at) {
      return rule(item, key, item_at);
    });
  }

  Result<void> rule(const Json& rule, std::string_view kind, std::string_view at) const {
    if (!rule.is_object()) return bad("dsp.not-an-object", at);
    if (rule.contains("target")) return bad("dsp.policy-rule-target", child(at, "target"));
    if (auto known = known_members(rule, at); !known) return known;
    if (auto action = string(rule, "action", at); !action) {
      return bad("dsp.policy-action", child(at, "action"));
    }
    if (auto term = wire_term(rule, "action", at); !term) return term;
    if (rule.contains("constraint")) {
      auto constraints =
          constraint_list(rule.at("constraint"), "constraint", child(at, "constraint"));
      if (!constraints) return constraints;
    }
    if (kind == "permission" && rule.contains("duty")) {
      return rule_list(rule.at("duty"), "duty", child(at, "duty"));
    }
    return {};
  }

  // The context knows `use` alone; another bare word would mean nothing, or something else, to a
  // reader that expands it.
  Result<void> wire_term(const Json& object, std::string_view key, std::string_view at) const {
    const auto& term = object.at(param(key)).get_ref<const std::string&>();
    if (!own_ || term == "use" || term.find(':') != std::string::npos) return {};
    return bad("dsp.policy-bare-term", child(at, key), {{"member", param(key)}, {"term", term}});
  }

  Result<void> constraint_list(const Json& value, std::string_view key, std::string_view at) const {
    return list(value, key, at, true, [&](const Json& item, const std::string& item_at) {
      return constraint(item, item_at);
    });
  }

  Result<void> constraint(const Json& value, std::string_view at) const {
    if (!value.is_object()) return bad("dsp.not-an-object", at);
    if (auto known = known_members(value, at); !known) return known;
    std::string_view logical;
    for (const std::string_view key : logical_keys) {
      if (!value.contains(key)) continue;
      if (!logical.empty()) {
        return bad(
            "dsp.policy-two-logical",
            child(at, key),
            {{"first", param(logical)}, {"second", param(key)}}
        );
      }
      logical = key;
    }
    if (logical.empty()) return atomic(value, at);
    for (const std::string_view key : atomic_keys) {
      if (value.contains(key)) {
        return bad(
            "dsp.policy-mixed-constraint",
            child(at, key),
            {{"first", param(logical)}, {"second", param(key)}}
        );
      }
    }
    return constraint_list(value.at(param(logical)), logical, child(at, logical));
  }

  Result<void> atomic(const Json& value, std::string_view at) const {
    if (auto left = string(value, "leftOperand", at); !left) return left;
    if (auto term = wire_term(value, "leftOperand", at); !term) return term;
    if (auto op = string(value, "operator", at); !op) return op;
    const auto& name = value.at("operator").get_ref<const std::string&>();
    // The schema lists term-lteq and no context defines it: read, never written.
    if (!holds(operators, name) || (own_ && name == "term-lteq")) {
      return bad("dsp.policy-operator", child(at, "operator"), {{"operator", name}});
    }
    if (!value.contains("rightOperand")) {
      return bad("dsp.member-missing", child(at, "rightOperand"), {{"member", "rightOperand"}});
    }
    return right_operand(value.at("rightOperand"), child(at, "rightOperand"));
  }

  // Numbers, booleans and null fail the schema at the top and are refused inside a list or @value
  // too, since JSON-LD would make a double of them.
  Result<void> right_operand(const Json& value, std::string_view at) const {
    if (value.is_string()) return {};
    if (value.is_array()) {
      for (std::size_t i = 0; i < value.size(); ++i) {
        if (auto item = right_operand(value[i], child(at, i)); !item) return item;
      }
      return {};
    }
    if (!value.is_object()) return bad("dsp.policy-right-operand", at, {{"value", value.dump()}});
    if (own_ && (value.contains("@list") || value.contains("@id"))) {
      return bad("dsp.policy-right-operand-object", at);
    }
    const auto literal = value.find("@value");
    if (literal != value.end() && !literal->is_string()) {
      return bad("dsp.policy-right-operand", child(at, "@value"), {{"value", literal->dump()}});
    }
    return {};
  }

  PolicyForm form_;
  bool own_;
  bool may_be_empty_;
};

}  // namespace

bool is_without_rules(const Json& policy) {
  if (!policy.is_object()) return false;
  const auto items = policy.items();
  return std::none_of(items.begin(), items.end(), [](const auto& member) {
    // Under any prefix and as an IRI: what a prefix stands for is not known here, and odrl's loader
    // reads rules by all of these.
    const std::string_view name = member.key();
    const auto behind = name.find_last_of(":/#");
    return holds(rule_keys, behind == std::string_view::npos ? name : name.substr(behind + 1));
  });
}

Result<void> check_wire_policy(
    const Json& policy,
    PolicyForm form,
    std::string_view pointer,
    PolicyOrigin origin,
    EmptyPolicy empty
) {
  return Check(form, origin, empty).policy(policy, pointer);
}

bool is_timestamp(std::string_view text) {
  return parse_date_time(text).has_value();
}

// --- other forms of the same words -------------------------------------------------------------

namespace {

// Calls `each` for every constraint below `holder[key]`, the list's members being objects.
template <class Each>
void for_each_object(Json& holder, std::string_view key, Each each) {
  const auto found = holder.find(key);
  if (found == holder.end()) return;
  if (found->is_object()) each(*found);
  if (!found->is_array()) return;
  for (Json& item : *found) {
    if (item.is_object()) each(item);
  }
}

void to_list(Json& holder, std::string_view key) {
  const auto found = holder.find(key);
  if (found != holder.end() && !found->is_array()) *found = Json::array({*found});
}

void constraint_arrays(Json& constraint) {
  for (const std::string_view key : logical_keys) {
    to_list(constraint, key);
    for_each_object(constraint, key, constraint_arrays);
  }
}

void rule_arrays(Json& rule) {
  for (const std::string_view key : {"constraint", "duty"}) to_list(rule, key);
  for_each_object(rule, "constraint", constraint_arrays);
  for_each_object(rule, "duty", rule_arrays);
}

std::string wire_term(const std::string& term, bool is_action) {
  if (is_action && (term == "use" || term == "odrl:use")) return "use";
  for (const auto& [prefix, space] :
       {std::pair<std::string_view, std::string_view>{"odrl:", odrl_namespace},
        {"tally:", tally_namespace},
        {"cc:", cc_namespace},
        {"edc:", edc_namespace}}) {
    if (term.starts_with(prefix)) return param(space) + term.substr(prefix.size());
  }
  if (term.empty() || term.find(':') != std::string::npos) return term;
  return param(odrl_namespace) + term;
}

using EachTerm = std::function<void(std::string& term, bool is_action)>;

void term_of(Json& object, std::string_view key, bool is_action, const EachTerm& each) {
  const auto found = object.find(key);
  if (found == object.end() || !found->is_string()) return;
  each(found->get_ref<std::string&>(), is_action);
}

void constraint_terms(Json& constraint, const EachTerm& each) {
  term_of(constraint, "leftOperand", false, each);
  for (const std::string_view key : logical_keys) {
    for_each_object(constraint, key, [&](Json& inner) { constraint_terms(inner, each); });
  }
}

void rule_terms(Json& rule, const EachTerm& each) {
  term_of(rule, "action", true, each);
  for_each_object(rule, "constraint", [&](Json& inner) { constraint_terms(inner, each); });
  for_each_object(rule, "duty", [&](Json& inner) { rule_terms(inner, each); });
}

void drop_empty_constraints(Json& rule) {
  for (const std::string_view key : {"constraint", "duty"}) {
    const auto found = rule.find(key);
    if (found != rule.end() && found->is_array() && found->empty()) rule.erase(found);
  }
  for_each_object(rule, "duty", drop_empty_constraints);
}

}  // namespace

Json with_arrays(Json policy) {
  if (!policy.is_object()) return policy;
  for (const std::string_view key : rule_keys) {
    to_list(policy, key);
    for_each_object(policy, key, rule_arrays);
  }
  return policy;
}

void for_each_term(Json& policy, const EachTerm& each) {
  if (!policy.is_object()) return;
  for (const std::string_view key : rule_keys) {
    for_each_object(policy, key, [&](Json& rule) { rule_terms(rule, each); });
  }
}

Json with_wire_terms(Json policy) {
  for_each_term(policy, [](std::string& term, bool is_action) {
    term = wire_term(term, is_action);
  });
  return policy;
}

bool same_rules(const Json& one, const Json& other) {
  return to_jcs(with_wire_terms(policy_core(one))) == to_jcs(with_wire_terms(policy_core(other)));
}

Json policy_core(const Json& policy) {
  Json core = with_arrays(policy);
  if (!core.is_object()) return core;
  for (const char* key :
       {"@id", "@type", "@context", "target", "assigner", "assignee", "timestamp"}) {
    core.erase(key);
  }
  to_list(core, "profile");
  for (const std::string_view key : rule_keys) for_each_object(core, key, drop_empty_constraints);
  return core;
}

}  // namespace tally::dsp
