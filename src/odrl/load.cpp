// From a document to a plan. One pass over the document, every fault collected; a plan comes out
// only when there was none. What is not understood is a fault: nothing is ever skipped.
#include <algorithm>
#include <array>
#include <map>
#include <set>
#include <utility>

#include <nlohmann/json.hpp>

#include "tally/odrl/policy.hpp"

#include "context.hpp"
#include "plan.hpp"
#include "values.hpp"

namespace tally::odrl {
namespace {

constexpr std::size_t most_problems = 200;  // more of them help nobody

// Members by where they stand. What ODRL knows and this engine cannot enforce is refused with a
// sentence of its own.
constexpr auto policy_members = std::to_array<std::string_view>({
    "uid",
    "@type",
    "@context",
    "profile",
    "conflict",
    "target",
    "assigner",
    "assignee",
    "action",
    "permission",
    "prohibition",
    "obligation",
    "timestamp",
});
constexpr auto permission_members = std::to_array<std::string_view>({
    "uid",
    "@type",
    "target",
    "assigner",
    "assignee",
    "action",
    "constraint",
    "duty",
});
constexpr auto rule_members = std::to_array<std::string_view>({
    "uid",
    "@type",
    "target",
    "assigner",
    "assignee",
    "action",
    "constraint",
});
constexpr auto constraint_members = std::to_array<std::string_view>({
    "uid",
    "@type",
    "leftOperand",
    "operator",
    "rightOperand",
    "dataType",
    "and",
    "or",
    "xone",
});
constexpr auto reserved_members = std::to_array<std::string_view>({
    "andSequence",
    "asset",
    "attributedParty",
    "attributingParty",
    "compensatedParty",
    "compensatingParty",
    "consentedParty",
    "consentingParty",
    "consequence",
    "constraint",
    "contractedParty",
    "contractingParty",
    "duty",
    "failure",
    "function",
    "hasPolicy",
    "implies",
    "includedIn",
    "informedParty",
    "informingParty",
    "inheritAllowed",
    "inheritFrom",
    "inheritRelation",
    "obligation",
    "output",
    "partOf",
    "proximity",
    "refinement",
    "relation",
    "remedy",
    "rightOperandReference",
    "scope",
    "source",
    "status",
    "timedCount",
    "trackedParty",
    "trackingParty",
    "undefined",
    "unit",
});

// Vocabularies that only describe. They decide nothing, so a policy may carry them.
constexpr auto annotation_namespaces = std::to_array<std::string_view>({
    "http://purl.org/dc/terms/",
    "http://purl.org/dc/elements/1.1/",
    "http://www.w3.org/2000/01/rdf-schema#",
    "http://www.w3.org/2004/02/skos/core#",
});
constexpr std::string_view replaced_by = "http://purl.org/dc/terms/isReplacedBy";
constexpr std::string_view dspace_timestamp = "https://w3id.org/dspace/2025/1/timestamp";

template <class Range>
bool holds(const Range& range, std::string_view word) {
  return std::ranges::find(range, word) != std::ranges::end(range);
}

std::string joined(std::span<const std::string_view> words) {
  std::string text;
  for (const auto word : words) {
    if (!text.empty()) text += ", ";
    text += word;
  }
  return text;
}

// How a term of ours is best written: ODRL's as a bare word, the profile's as a full IRI.
std::string_view as_written(std::string_view iri) {
  return iri.starts_with(iri::odrl) ? iri.substr(iri::odrl.size()) : iri;
}

bool deeper_than(const Json& value, std::size_t depth) {
  if (!value.is_structured()) return false;
  if (depth == 0) return true;
  return std::any_of(value.begin(), value.end(), [&](const Json& inner) {
    return deeper_than(inner, depth - 1);
  });
}

struct Member {
  const Json* value = nullptr;
  std::string pointer;
};
using Members = std::map<std::string, Member, std::less<>>;

// What a rule inherits from the policy (compact form).
struct Shared {
  std::vector<std::string> targets, assigners, assignees;
  std::vector<ActionId> actions;
};

class Loader {
 public:
  explicit Loader(const LoadOptions& options) : options_(options) {}

  tl::expected<PolicyPtr, std::vector<Problem>> load(const Json& document);

 private:
  void problem(std::string code, std::map<std::string, std::string> params, std::string at) {
    problems_.push_back({{std::move(code), std::move(params)}, std::move(at)});
  }
  void warn(std::string code, std::map<std::string, std::string> params, std::string at) {
    plan_->warnings.push_back({{std::move(code), std::move(params)}, std::move(at)});
  }
  // `code` with the closest term, or `code`-listed with all of them.
  void unknown_word(
      const std::string& code,
      std::string_view written,
      std::span<const std::string_view> known,
      std::string at
  );

  Members members_of(
      const Json& object, const std::string& at, std::span<const std::string_view> known
  );
  std::vector<std::string> read_iris(
      const Member& member, std::string_view name, std::string_view kind
  );
  std::string read_iri(
      const Json& value, const std::string& at, std::string_view name, std::string_view kind
  );
  std::string read_uid(const Members& members);
  std::vector<ActionId> read_actions(const Member& member);
  void read_type(const Members& members);
  void read_profiles(const Member& member);
  void read_conflict(const Member& member);
  void read_policy(const Json& document);
  void check_type(const Members& members, std::string_view expected);

  void read_rules(const Members& members, std::string_view name, RuleKind kind);
  void read_rule(const Json& object, const std::string& at, RuleKind kind);
  void read_parties_and_assets(const Members& members, Rule& rule);
  void read_duties(const Member& member, const Rule* permission);
  void read_duty(const Json& object, const std::string& at, const Rule* permission);
  void read_deadline(const Json& object, const std::string& at, DutySummary& duty);

  std::vector<Node> read_constraints(
      const Json& value,
      const std::string& at,
      std::size_t depth,
      bool anded,
      std::optional<Side> outer
  );
  std::optional<Node> read_constraint(
      const Json& object, const std::string& at, std::size_t depth, std::optional<Side> outer
  );
  struct Triple {
    std::string operand;  // IRI, one of known_operands or delayPeriod
    std::optional<Operator> op;
    std::vector<Literal> literals;
    bool good = false;
  };
  Triple read_triple(const Members& members, const std::string& at, bool in_duty);
  std::optional<Atom> make_atom(const Triple& triple, const std::string& at);
  std::optional<Side> owner_beside(
      const std::vector<const Json*>& list, const std::vector<std::string>& pointers, bool anded
  );
  bool is_counted_by(const Json& object);

  void count_constraint(const std::string& at);
  void finish();

  const LoadOptions& options_;
  Context context_;
  std::unique_ptr<Plan> plan_ = std::make_unique<Plan>();
  std::vector<Problem> problems_;
  Shared shared_;
  std::set<std::string> rule_ids_;
  std::map<std::string, std::string> duty_texts_;  // id → JCS: one duty may stand in several rules
  std::size_t expanded_rules_ = 0;
  std::size_t constraints_ = 0;
  std::size_t weight_ = 1;  // atomic rules of the rule being read
  bool uses_profile_ = false;
  bool names_profile_ = false;
};

void Loader::unknown_word(
    const std::string& code,
    std::string_view written,
    std::span<const std::string_view> known,
    std::string at
) {
  const auto iri = context_.expand_term(written);
  std::vector<std::string_view> words;
  const bool odrl_word = iri.starts_with(iri::odrl);
  for (const auto term : known) words.push_back(odrl_word ? local_name(term) : term);
  const auto near = closest_term(odrl_word ? local_name(iri) : iri, words);
  if (near.empty()) {
    std::vector<std::string_view> all;
    for (const auto term : known) all.push_back(as_written(term));
    problem(
        code + "-listed", {{"term", std::string(written)}, {"known", joined(all)}}, std::move(at)
    );
    return;
  }
  const auto index = static_cast<std::size_t>(std::ranges::find(words, near) - words.begin());
  problem(
      code,
      {{"term", std::string(written)}, {"closest", std::string(as_written(known[index]))}},
      std::move(at)
  );
}

Members Loader::members_of(
    const Json& object, const std::string& at, std::span<const std::string_view> known
) {
  Members members;
  const auto canonical = [&](const std::string& key) {
    if (key == "@id") return std::string("uid");
    if (key.find(':') == std::string::npos) return key;
    auto name = context_.expand(key);
    if (name.starts_with(iri::odrl)) name = name.substr(iri::odrl.size());
    if (name == dspace_timestamp) name = "timestamp";
    return name;
  };
  for (const auto& [key, value] : object.items()) {
    auto pointer = child(at, key);
    auto name = canonical(key);
    if (name == "datatype") name = "dataType";  // as a published context writes it
    if (holds(known, name)) {
      if (!members.emplace(name, Member{&value, pointer}).second) {
        problem("odrl.duplicate-member", {{"member", name}}, std::move(pointer));
      }
    } else if (name == replaced_by) {
      const std::string successor = value.is_string() ? value.get<std::string>() : value.dump();
      problem("odrl.policy-replaced", {{"successor", successor}}, std::move(pointer));
    } else if (std::ranges::any_of(annotation_namespaces, [&](auto ns) {
                 return name.starts_with(ns);
               })) {
      continue;
    } else if (name == "rightOperandReference" && object.contains("rightOperand")) {
      problem("odrl.right-operand-ambiguous", {}, std::move(pointer));
    } else if (holds(reserved_members, name)) {
      problem("odrl.unsupported-member", {{"member", key}}, std::move(pointer));
    } else {
      unknown_word("odrl.unknown-member", key, known, std::move(pointer));
    }
  }
  return members;
}

std::string Loader::read_iri(
    const Json& value, const std::string& at, std::string_view name, std::string_view kind
) {
  const Json* text = &value;
  if (value.is_object()) {
    static constexpr auto known = std::to_array<std::string_view>({"uid", "@type"});
    const auto members = members_of(value, at, known);
    const auto type = members.find("@type");
    if (type != members.end()) {
      const std::string word = type->second.value->is_string()
                                   ? context_.expand_term(type->second.value->get<std::string>())
                                   : std::string();
      if (word == std::string(iri::odrl) + std::string(kind) + "Collection") {
        problem("odrl.unsupported-collection", {{"member", std::string(name)}}, at);
      } else if (word != std::string(iri::odrl) + std::string(kind)) {
        problem(
            "odrl.member-type",
            {{"member", "@type"}, {"expected", std::string(kind)}},
            type->second.pointer
        );
      }
    }
    const auto uid = members.find("uid");
    if (uid == members.end()) {
      problem("odrl.missing-member", {{"member", "uid"}}, at);
      return {};
    }
    text = uid->second.value;
  }
  if (!text->is_string() || text->get_ref<const std::string&>().empty()) {
    problem("odrl.member-type", {{"member", std::string(name)}, {"expected", "IRI"}}, at);
    return {};
  }
  return context_.expand(text->get_ref<const std::string&>());
}

std::vector<std::string> Loader::read_iris(
    const Member& member, std::string_view name, std::string_view kind
) {
  std::vector<std::string> out;
  const Json& value = *member.value;
  if (!value.is_array()) {
    out.push_back(read_iri(value, member.pointer, name, kind));
    return out;
  }
  // An empty list must not come to mean "any".
  if (value.empty()) {
    problem("odrl.empty-list", {{"member", std::string(name)}}, member.pointer);
  }
  if (value.size() > options_.limits.policy_list) {
    problem(
        "odrl.too-large",
        {{"what", std::string(name)}, {"most", std::to_string(options_.limits.policy_list)}},
        member.pointer
    );
    return out;
  }
  for (std::size_t i = 0; i < value.size(); ++i) {
    out.push_back(read_iri(value[i], child(member.pointer, i), name, kind));
  }
  return out;
}

std::string Loader::read_uid(const Members& members) {
  const auto uid = members.find("uid");
  if (uid == members.end()) return {};
  const Json& value = *uid->second.value;
  if (!value.is_string() || value.get_ref<const std::string&>().empty()) {
    problem("odrl.member-type", {{"member", "uid"}, {"expected", "IRI"}}, uid->second.pointer);
    return {};
  }
  return context_.expand(value.get_ref<const std::string&>());
}

std::vector<ActionId> Loader::read_actions(const Member& member) {
  std::vector<ActionId> out;
  const auto
      one =
          [&](const Json& value, const std::string& at) {
            std::string written;
            if (value.is_string()) {
              written = value.get<std::string>();
            } else if (value.is_object() && value.size() == 1 && value.contains("@id") &&
               value["@id"].is_string()) {
              written = value["@id"].get<std::string>();
            } else if (value.is_object() && (value.contains("refinement") ||
                                     value.contains("odrl:refinement") ||
                                     value.contains("rdf:value"))) {
              problem("odrl.unsupported-refinement", {{"member", "action"}}, at);
              return;
            } else {
              problem("odrl.member-type", {{"member", "action"}, {"expected", "string"}}, at);
              return;
            }
            const auto iri = context_.expand_term(written);
            const auto action = find_action(iri);
            if (!action) {
              unknown_word("odrl.unknown-action", written, known_actions(), at);
              return;
            }
            if (iri == std::string(iri::odrl) + "export" && plan_->type == PolicyType::offer) {
              // The old word only meant a change of format; who writes it means leaving control.
              problem(
                  "odrl.export-ambiguous",
                  {{"term", written},
                   {"transform", "transform"},
                   {"export", std::string(iri::export_)}},
                  at
              );
              return;
            }
            if (iri != action_iri(*action)) {
              warn(
                  "odrl.deprecated-action",
                  {{"term", written}, {"instead", std::string(as_written(action_iri(*action)))}},
                  at
              );
            } else if (is_deprecated_root(*action)) {
              warn("odrl.deprecated-root", {{"term", written}}, at);
            }
            uses_profile_ = uses_profile_ || iri.starts_with(iri::profile);
            if (std::ranges::find(out, *action) == out.end()) out.push_back(*action);
          };
  const Json& value = *member.value;
  if (!value.is_array()) {
    one(value, member.pointer);
    return out;
  }
  if (value.empty()) problem("odrl.empty-list", {{"member", "action"}}, member.pointer);
  if (value.size() > options_.limits.policy_list) {
    problem(
        "odrl.too-large",
        {{"what", "action"}, {"most", std::to_string(options_.limits.policy_list)}},
        member.pointer
    );
    return out;
  }
  for (std::size_t i = 0; i < value.size(); ++i) one(value[i], child(member.pointer, i));
  return out;
}

void Loader::read_type(const Members& members) {
  const auto found = members.find("@type");
  if (found == members.end()) {
    plan_->type = PolicyType::set;  // the default of the information model, 2.1
  } else {
    const Json* value = found->second.value;
    if (value->is_array() && value->size() == 1) value = &(*value)[0];
    if (!value->is_string()) {
      problem(
          "odrl.member-type", {{"member", "@type"}, {"expected", "string"}}, found->second.pointer
      );
      return;
    }
    const auto& written = value->get_ref<const std::string&>();
    const auto iri = context_.expand_term(written);
    const auto word = as_written(iri);
    static constexpr auto other =
        std::to_array<std::string_view>({"Assertion", "Privacy", "Request", "Ticket"});
    static constexpr auto known =
        std::to_array<std::string_view>({"Set", "Offer", "Agreement", "Policy"});
    if (word == "Set" || word == "Policy") {
      plan_->type = PolicyType::set;
    } else if (word == "Offer") {
      plan_->type = PolicyType::offer;
    } else if (word == "Agreement") {
      plan_->type = PolicyType::agreement;
    } else if (holds(other, word)) {
      problem("odrl.unsupported-policy-type", {{"type", written}}, found->second.pointer);
      return;
    } else {
      unknown_word("odrl.unknown-policy-type", written, known, found->second.pointer);
      return;
    }
  }
  if (options_.required_type && plan_->type != *options_.required_type) {
    problem(
        "odrl.wrong-policy-type",
        {{"expected", std::string(to_string(*options_.required_type))},
         {"found", std::string(to_string(plan_->type))}},
        found == members.end() ? "" : found->second.pointer
    );
  }
}

void Loader::read_profiles(const Member& member) {
  const auto one = [&](const Json& value, const std::string& at) {
    const Json* text = &value;
    if (value.is_object() && value.size() == 1 && value.contains("@id")) text = &value["@id"];
    if (!text->is_string()) {
      problem("odrl.member-type", {{"member", "profile"}, {"expected", "IRI"}}, at);
      return;
    }
    const auto iri = context_.expand(text->get_ref<const std::string&>());
    if (iri == iri::profile) {
      names_profile_ = true;
    } else if (iri != iri::core_profile) {
      problem("odrl.unknown-profile", {{"profile", iri}, {"known", std::string(iri::profile)}}, at);
    }
  };
  if (!member.value->is_array()) {
    one(*member.value, member.pointer);
    return;
  }
  for (std::size_t i = 0; i < member.value->size(); ++i) {
    one((*member.value)[i], child(member.pointer, i));
  }
}

void Loader::read_conflict(const Member& member) {
  const Json* value = member.value;
  if (value->is_object() && value->size() == 1 && value->contains("@id")) value = &(*value)["@id"];
  if (!value->is_string()) {
    problem("odrl.member-type", {{"member", "conflict"}, {"expected", "string"}}, member.pointer);
    return;
  }
  const auto& written = value->get_ref<const std::string&>();
  const auto iri = context_.expand_term(written);
  const auto word = as_written(iri);
  static constexpr auto known = std::to_array<std::string_view>({"perm", "prohibit", "invalid"});
  if (word == "perm") {
    plan_->conflict = Conflict::perm;
  } else if (word == "prohibit") {
    plan_->conflict = Conflict::prohibit;
  } else if (word == "invalid") {
    plan_->conflict = Conflict::invalid;
  } else {
    unknown_word("odrl.unknown-conflict-term", written, known, member.pointer);
  }
}

void Loader::check_type(const Members& members, std::string_view expected) {
  const auto found = members.find("@type");
  if (found == members.end()) return;
  const Json* value = found->second.value;
  if (value->is_array() && value->size() == 1) value = &(*value)[0];
  if (value->is_string()) {
    const auto word = context_.expand_term(value->get_ref<const std::string&>());
    if (as_written(word) == expected) return;
    if (expected != "Constraint" && as_written(word) == "Rule") return;
    if (expected == "Constraint" && as_written(word) == "LogicalConstraint") return;
  }
  problem(
      "odrl.member-type",
      {{"member", "@type"}, {"expected", std::string(expected)}},
      found->second.pointer
  );
}

void Loader::read_policy(const Json& document) {
  if (const auto found = document.find("@context"); found != document.end()) {
    context_.read(*found, "/@context", problems_);
  }
  const auto members = members_of(document, "", policy_members);
  plan_->uid = read_uid(members);
  if (!members.contains("uid")) problem("odrl.missing-member", {{"member", "uid"}}, "");
  read_type(members);
  if (const auto at = members.find("profile"); at != members.end()) read_profiles(at->second);
  if (const auto at = members.find("conflict"); at != members.end()) read_conflict(at->second);
  const auto shared_iris = [&](std::string_view name, std::string_view kind) {
    const auto at = members.find(name);
    return at == members.end() ? std::vector<std::string>() : read_iris(at->second, name, kind);
  };
  shared_.targets = shared_iris("target", "Asset");
  shared_.assigners = shared_iris("assigner", "Party");
  shared_.assignees = shared_iris("assignee", "Party");
  if (const auto at = members.find("action"); at != members.end()) {
    shared_.actions = read_actions(at->second);
  }
  if (shared_.targets.size() == 1) plan_->target = shared_.targets.front();
  if (shared_.assigners.size() == 1) plan_->assigner = shared_.assigners.front();
  if (shared_.assignees.size() == 1) plan_->assignee = shared_.assignees.front();
  if (const auto at = members.find("timestamp"); at != members.end()) {
    const Json* value = at->second.value;
    if (value->is_object() && value->contains("@value")) value = &(*value)["@value"];
    if (!value->is_string() || !parse_date_time(value->get_ref<const std::string&>())) {
      problem(
          "odrl.member-type",
          {{"member", "timestamp"}, {"expected", "xsd:dateTime"}},
          at->second.pointer
      );
    }
  }

  read_rules(members, "permission", RuleKind::permission);
  read_rules(members, "prohibition", RuleKind::prohibition);
  if (const auto at = members.find("obligation"); at != members.end()) {
    read_duties(at->second, nullptr);
  }
  const bool names_rules = members.contains("permission") || members.contains("prohibition") ||
                           members.contains("obligation");
  const bool empty = plan_->rules.empty() && plan_->duties.empty() && problems_.empty();
  if (!names_rules || empty) {
    problem("odrl.missing-member", {{"member", "permission, prohibition, obligation"}}, "");
  }
}

void Loader::read_rules(const Members& members, std::string_view name, RuleKind kind) {
  const auto found = members.find(name);
  if (found == members.end()) return;
  const Json& value = *found->second.value;
  if (!value.is_array()) {
    read_rule(value, found->second.pointer, kind);
    return;
  }
  for (std::size_t i = 0; i < value.size() && problems_.size() < most_problems; ++i) {
    read_rule(value[i], child(found->second.pointer, i), kind);
  }
}

void Loader::read_parties_and_assets(const Members& members, Rule& rule) {
  if (const auto at = members.find("target"); at != members.end()) {
    rule.targets = read_iris(at->second, "target", "Asset");
    rule.own_targets = true;
  } else {
    rule.targets = shared_.targets;
  }
  if (const auto at = members.find("assignee"); at != members.end()) {
    rule.assignees = read_iris(at->second, "assignee", "Party");
    rule.own_assignees = true;
  } else {
    rule.assignees = shared_.assignees;
  }
  bool has_assigner = !shared_.assigners.empty();
  if (const auto at = members.find("assigner"); at != members.end()) {
    read_iris(at->second, "assigner", "Party");
    has_assigner = true;
  }
  if (plan_->type == PolicyType::agreement) {
    if (rule.assignees.empty()) {
      problem("odrl.missing-member", {{"member", "assignee"}}, rule.pointer);
    }
    if (!has_assigner) problem("odrl.missing-member", {{"member", "assigner"}}, rule.pointer);
  }
  if (rule.own_targets && rule.targets == shared_.targets) rule.own_targets = false;
  if (rule.own_assignees && rule.assignees == shared_.assignees) rule.own_assignees = false;
}

void Loader::read_rule(const Json& object, const std::string& at, RuleKind kind) {
  const std::string word(to_string(kind));
  if (!object.is_object()) {
    problem("odrl.member-type", {{"member", word}, {"expected", "object"}}, at);
    return;
  }
  const bool permits = kind == RuleKind::permission;
  const auto members =
      permits ? members_of(object, at, permission_members) : members_of(object, at, rule_members);
  check_type(members, permits ? "Permission" : "Prohibition");
  Rule rule;
  rule.kind = kind;
  rule.pointer = at;
  auto id = read_uid(members);
  if (id.empty()) id = plan_->uid + "#" + at;
  if (!rule_ids_.insert(id).second) problem("odrl.duplicate-rule", {{"rule", id}}, at);
  rule.id = RuleId(std::move(id));
  if (const auto found = members.find("action"); found != members.end()) {
    rule.actions = read_actions(found->second);
  } else {
    rule.actions = shared_.actions;
    if (rule.actions.empty()) problem("odrl.missing-member", {{"member", "action"}}, at);
  }
  read_parties_and_assets(members, rule);
  if (rule.targets.empty() && permits && plan_->type != PolicyType::offer) {
    warn("odrl.any-target", {{"rule", rule.id.value}}, at);
  }

  // The product that the information model speaks of (2.7.1) is never built, but it is what bounds
  // how much a document may say.
  weight_ = std::max<std::size_t>(rule.actions.size(), 1) *
            std::max<std::size_t>(rule.targets.size(), 1) *
            std::max<std::size_t>(rule.assignees.size(), 1);
  expanded_rules_ += weight_;
  if (expanded_rules_ > options_.limits.policy_rules) {
    problem(
        "odrl.too-large",
        {{"what", "rules"}, {"most", std::to_string(options_.limits.policy_rules)}},
        at
    );
    return;
  }
  if (const auto found = members.find("constraint"); found != members.end()) {
    rule.constraints =
        read_constraints(*found->second.value, found->second.pointer, 0, true, std::nullopt);
  }
  rule.has_elapsed = mentions(rule.constraints, Operand::elapsed_time);
  if (!permits && (rule.has_elapsed || mentions(rule.constraints, Operand::count))) {
    // Uses are counted under the permission that carried them, so a prohibition's own count would
    // stay at nothing and never forbid.
    problem("odrl.stateful-prohibition", {{"rule", rule.id.value}}, at);
  }
  if (const auto found = members.find("duty"); found != members.end()) {
    read_duties(found->second, &rule);
    for (std::size_t i = 0; i < plan_->duties.size(); ++i) {
      if (plan_->duties[i].permission == rule.id) rule.duties.push_back(i);
    }
  }
  plan_->rules.push_back(std::move(rule));
}

void Loader::read_duties(const Member& member, const Rule* permission) {
  const Json& value = *member.value;
  if (!value.is_array()) {
    read_duty(value, member.pointer, permission);
    return;
  }
  for (std::size_t i = 0; i < value.size() && problems_.size() < most_problems; ++i) {
    read_duty(value[i], child(member.pointer, i), permission);
  }
}

void Loader::read_duty(const Json& object, const std::string& at, const Rule* permission) {
  if (!object.is_object()) {
    problem("odrl.member-type", {{"member", "duty"}, {"expected", "object"}}, at);
    return;
  }
  if (++expanded_rules_ > options_.limits.policy_rules) {
    problem(
        "odrl.too-large",
        {{"what", "rules"}, {"most", std::to_string(options_.limits.policy_rules)}},
        at
    );
    return;
  }
  const auto members = members_of(object, at, rule_members);
  check_type(members, "Duty");
  DutySummary duty;
  duty.pointer = at;
  if (permission) duty.permission = permission->id;
  auto id = read_uid(members);
  if (id.empty()) {
    id = plan_->uid + "#" + at;
  } else {
    const auto [found, fresh] = duty_texts_.emplace(id, to_jcs(object));
    if ((!fresh && found->second != to_jcs(object)) || rule_ids_.contains(id)) {
      problem("odrl.duplicate-rule", {{"rule", id}}, at);
    }
  }
  duty.duty = RuleId(std::move(id));

  if (const auto found = members.find("action"); found != members.end()) {
    const auto before = problems_.size();
    const auto actions = read_actions(found->second);
    const auto deletes = find_action(iri::delete_);
    if (problems_.size() == before && (actions.size() != 1 || actions.front() != *deletes)) {
      const std::string written = found->second.value->is_string()
                                      ? found->second.value->get<std::string>()
                                      : found->second.value->dump();
      problem("odrl.unsupported-duty", {{"action", written}}, found->second.pointer);
    }
  } else {
    problem("odrl.missing-member", {{"member", "action"}}, at);
  }
  duty.action = std::string(iri::delete_);

  // The duty is about the asset of the contract and binds the one who received it. Anything else is
  // nobody's to carry out here.
  const auto same =
      [&](std::string_view name, std::string_view kind, const std::vector<std::string>& ours) {
        const auto found = members.find(name);
        if (found == members.end()) return;
        const auto theirs = read_iris(found->second, name, kind);
        const bool known = std::ranges::all_of(theirs, [&](const auto& one) {
          return one.empty() || holds(ours, one);
        });
        if (!known) {
          problem(
              "odrl.unsupported-duty-scope", {{"member", std::string(name)}}, found->second.pointer
          );
        }
      };
  same("target", "Asset", permission ? permission->targets : shared_.targets);
  same("assignee", "Party", permission ? permission->assignees : shared_.assignees);
  if (const auto found = members.find("assigner"); found != members.end()) {
    read_iris(found->second, "assigner", "Party");
  }

  if (const auto found = members.find("constraint"); found != members.end()) {
    const Json& list = *found->second.value;
    const auto pointer = [&](std::size_t i) { return child(found->second.pointer, i); };
    if (!list.is_array()) {
      read_deadline(list, found->second.pointer, duty);
    } else if (list.size() > 1) {
      problem("odrl.unsupported-deadline", {}, pointer(1));
    } else if (list.size() == 1) {
      read_deadline(list[0], pointer(0), duty);
    }
  }
  if (!permission) {
    plan_->obligations.push_back(plan_->duties.size());
  }
  plan_->duties.push_back(std::move(duty));
}

void Loader::read_deadline(const Json& object, const std::string& at, DutySummary& duty) {
  if (!object.is_object()) {
    problem("odrl.member-type", {{"member", "constraint"}, {"expected", "object"}}, at);
    return;
  }
  count_constraint(at);
  const auto members = members_of(object, at, constraint_members);
  check_type(members, "Constraint");
  for (const auto* logical : {"and", "or", "xone"}) {
    if (members.contains(logical)) {
      problem("odrl.unsupported-deadline", {}, members.at(logical).pointer);
      return;
    }
  }
  const auto triple = read_triple(members, at, true);
  if (!triple.good) return;
  const bool bound = triple.op == Operator::lteq || triple.op == Operator::lt ||
                     (triple.op == Operator::eq && triple.operand != iri::date_time);
  if (!bound || triple.literals.size() != 1) {
    problem("odrl.unsupported-deadline", {}, at);
    return;
  }
  Values values;
  if (triple.operand == iri::date_time) {
    if (!type_values(Operand::date_time, triple.literals, values, problems_, plan_->warnings)) {
      return;
    }
    const auto& span = std::get<std::vector<TimeSpan>>(values).front();
    duty.deadline = DeadlineKind::at_instant;
    // lteq a day: its last nanosecond.
    duty.at = triple.op == Operator::lteq ? span.end + -1 : span.start;
  } else if (triple.operand == iri::elapsed_time || triple.operand == iri::delay_period) {
    if (!type_values(Operand::elapsed_time, triple.literals, values, problems_, plan_->warnings)) {
      return;
    }
    duty.deadline = DeadlineKind::after_use;
    duty.after = std::get<std::vector<XsdDuration>>(values).front();
    if (duty.after.months < 0 || duty.after.seconds < 0 || duty.after.nanos < 0) {
      problem(
          "odrl.invalid-literal",
          {{"value", triple.literals.front().text}, {"expected", "xsd:duration"}},
          triple.literals.front().pointer
      );
    }
  } else {
    problem("odrl.unsupported-deadline", {}, at);
  }
}

void Loader::count_constraint(const std::string& at) {
  const auto before = constraints_;
  constraints_ += weight_;
  const auto most = options_.limits.policy_constraints;
  if (constraints_ > most && before <= most) {
    problem("odrl.too-large", {{"what", "constraints"}, {"most", std::to_string(most)}}, at);
  }
}

bool Loader::is_counted_by(const Json& object) {
  if (!object.is_object()) return false;
  for (const auto& [key, value] : object.items()) {
    if (key != "leftOperand" && context_.expand(key) != std::string(iri::odrl) + "leftOperand") {
      continue;
    }
    const Json* name = &value;
    if (value.is_object() && value.size() == 1 && value.contains("@id")) name = &value["@id"];
    if (name->is_string() &&
        context_.expand_term(name->get_ref<const std::string&>()) == iri::counted_by) {
      return true;
    }
  }
  return false;
}

// The owner that a countedBy in this list gives to the counts beside it. It is taken out of the
// list by the caller.
std::optional<Side> Loader::owner_beside(
    const std::vector<const Json*>& list, const std::vector<std::string>& pointers, bool anded
) {
  std::optional<Side> owner;
  bool seen = false;
  for (std::size_t i = 0; i < list.size(); ++i) {
    if (!is_counted_by(*list[i])) continue;
    uses_profile_ = true;
    count_constraint(pointers[i]);
    const auto members = members_of(*list[i], pointers[i], constraint_members);
    check_type(members, "Constraint");
    const auto triple = read_triple(members, pointers[i], false);
    if (!triple.good) continue;
    std::string_view side;
    if (triple.op == Operator::eq && triple.literals.size() == 1) {
      side = triple.literals.front().text;
    }
    if (side != "provider" && side != "consumer") {
      problem("odrl.counted-by-value", {{"value", triple.literals.front().text}}, pointers[i]);
      continue;
    }
    if (!anded || seen) {
      problem("odrl.counted-by-place", {}, pointers[i]);
      continue;
    }
    seen = true;
    owner = side == "provider" ? Side::provider : Side::consumer;
  }
  return owner;
}

std::vector<Node> Loader::read_constraints(
    const Json& value,
    const std::string& at,
    std::size_t depth,
    bool anded,
    std::optional<Side> outer
) {
  std::vector<Node> out;
  std::vector<const Json*> list;
  std::vector<std::string> pointers;
  const Json* array = &value;
  std::string array_at = at;
  if (value.is_object() && value.size() == 1 && value.contains("@list")) {
    array = &value["@list"];
    array_at = child(at, "@list");
  }
  if (array->is_array()) {
    for (std::size_t i = 0; i < array->size(); ++i) {
      list.push_back(&(*array)[i]);
      pointers.push_back(child(array_at, i));
    }
  } else {
    list.push_back(array);
    pointers.push_back(array_at);
  }
  if (depth > options_.limits.json_depth) {
    problem(
        "odrl.too-large",
        {{"what", "depth"}, {"most", std::to_string(options_.limits.json_depth)}},
        at
    );
    return out;
  }
  const auto before = problems_.size();
  const auto owner = owner_beside(list, pointers, anded);
  const auto inner = owner ? owner : outer;
  for (std::size_t i = 0; i < list.size() && problems_.size() < most_problems; ++i) {
    if (is_counted_by(*list[i])) continue;
    if (auto node = read_constraint(*list[i], pointers[i], depth, inner)) {
      out.push_back(std::move(*node));
    }
  }
  if (owner && problems_.size() == before && !mentions(out, Operand::count)) {
    problem("odrl.counted-by-alone", {}, at);
  }
  return out;
}

std::optional<Node> Loader::read_constraint(
    const Json& object, const std::string& at, std::size_t depth, std::optional<Side> outer
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
  Node node;
  node.pointer = at;
  const Member* logical = nullptr;
  for (const auto& [name, kind] :
       {std::pair{"and", NodeKind::all}, {"or", NodeKind::any}, {"xone", NodeKind::one}}) {
    const auto found = members.find(name);
    if (found == members.end()) continue;
    if (logical) problem("odrl.constraint-ambiguous", {}, found->second.pointer);
    logical = &found->second;
    node.kind = kind;
  }
  if (logical) {
    for (const auto* name : {"leftOperand", "operator", "rightOperand", "dataType"}) {
      if (const auto found = members.find(name); found != members.end()) {
        problem("odrl.constraint-ambiguous", {}, found->second.pointer);
      }
    }
    node.children = read_constraints(
        *logical->value, logical->pointer, depth + 1, node.kind == NodeKind::all, outer
    );
    if (node.children.empty() && problems_.size() == before) {
      problem("odrl.constraint-incomplete", {{"member", "constraint"}}, logical->pointer);
    }
    if (problems_.size() != before) return std::nullopt;
    return node;
  }
  const auto triple = read_triple(members, at, false);
  if (!triple.good || problems_.size() != before) return std::nullopt;
  auto atom = make_atom(triple, at);
  if (!atom) return std::nullopt;
  atom->owner = outer.value_or(options_.default_owner);
  node.atom = std::move(*atom);
  return node;
}

Loader::Triple Loader::read_triple(const Members& members, const std::string& at, bool in_duty) {
  Triple triple;
  const auto before = problems_.size();
  const auto term = [&](std::string_view name) -> std::optional<std::string> {
    const auto found = members.find(name);
    if (found == members.end()) {
      problem("odrl.constraint-incomplete", {{"member", std::string(name)}}, at);
      return std::nullopt;
    }
    const Json* value = found->second.value;
    if (value->is_object() && value->size() == 1 && value->contains("@id")) {
      value = &(*value)["@id"];
    }
    if (!value->is_string()) {
      problem(
          "odrl.member-type",
          {{"member", std::string(name)}, {"expected", "string"}},
          found->second.pointer
      );
      return std::nullopt;
    }
    return value->get<std::string>();
  };
  if (const auto written = term("leftOperand")) {
    triple.operand = context_.expand_term(*written);
    const bool deadline = in_duty && triple.operand == iri::delay_period;
    if (!holds(known_operands(), triple.operand) && !deadline) {
      const auto& pointer = members.at("leftOperand").pointer;
      if (holds(reserved_operands(), triple.operand)) {
        problem("odrl.unsupported-left-operand", {{"term", *written}}, pointer);
      } else {
        unknown_word("odrl.unknown-left-operand", *written, known_operands(), pointer);
      }
    }
  }
  if (const auto written = term("operator")) {
    const auto iri = context_.expand_term(*written);
    auto word = as_written(iri);
    if (word == "neg") word = "neq";  // as a published context expands it
    const auto known = known_operators();
    const auto found = std::ranges::find(known, word);
    if (found == known.end()) {
      unknown_word("odrl.unknown-operator", *written, known, members.at("operator").pointer);
    } else {
      triple.op = static_cast<Operator>(found - known.begin());
    }
  }
  if (const auto found = members.find("rightOperand"); found != members.end()) {
    read_literals(
        *found->second.value,
        found->second.pointer,
        context_,
        options_.limits.policy_list,
        triple.literals,
        problems_
    );
  } else if (problems_.size() == before) {
    problem("odrl.constraint-incomplete", {{"member", "rightOperand"}}, at);
  }
  if (const auto found = members.find("dataType"); found != members.end()) {
    const Json* value = found->second.value;
    if (value->is_object() && value->size() == 1 && value->contains("@id")) {
      value = &(*value)["@id"];
    }
    if (!value->is_string()) {
      problem(
          "odrl.member-type", {{"member", "dataType"}, {"expected", "IRI"}}, found->second.pointer
      );
    } else {
      const auto type = context_.expand(value->get_ref<const std::string&>());
      for (auto& literal : triple.literals) {
        if (literal.is_iri || (!literal.type.empty() && literal.type != type)) {
          problem(
              "odrl.type-mismatch",
              {{"value", literal.text},
               {"found", literal.is_iri ? "IRI" : literal.type},
               {"expected", type}},
              literal.pointer
          );
        }
        literal.type = type;
        literal.is_number = false;
      }
    }
  }
  triple.good = problems_.size() == before && triple.op && !triple.literals.empty();
  return triple;
}

std::optional<Atom> Loader::make_atom(const Triple& triple, const std::string& at) {
  Atom atom;
  const auto known = known_operands();
  atom.operand = static_cast<Operand>(std::ranges::find(known, triple.operand) - known.begin());
  atom.op = *triple.op;
  const bool orders = atom.op == Operator::lt || atom.op == Operator::lteq ||
                      atom.op == Operator::gt || atom.op == Operator::gteq;
  const bool equals = atom.op == Operator::eq || atom.op == Operator::neq;
  const bool lists = atom.op == Operator::is_any_of || atom.op == Operator::is_none_of ||
                     atom.op == Operator::is_all_of;
  const bool fits = [&] {
    switch (atom.operand) {
      case Operand::date_time:
      case Operand::count:
        return orders || equals || lists;
      case Operand::elapsed_time:
        return orders || equals;
      case Operand::purpose:
        return !orders;
    }
    return false;
  }();
  if (!fits) {
    problem(
        "odrl.operator-mismatch",
        {{"operator", std::string(operator_word(atom.op))},
         {"operand", std::string(operand_word(atom.operand))}},
        at
    );
    return std::nullopt;
  }
  if ((orders || equals) && triple.literals.size() > 1) {
    problem(
        "odrl.one-value",
        {{"operator", std::string(operator_word(atom.op))}},
        triple.literals[1].pointer
    );
    return std::nullopt;
  }
  if (!type_values(atom.operand, triple.literals, atom.values, problems_, plan_->warnings)) {
    return std::nullopt;
  }
  for (const auto& literal : triple.literals) {
    if (!atom.required.empty()) atom.required += ", ";
    atom.required += literal.text;
  }
  if (atom.operand == Operand::elapsed_time && atom.op == Operator::eq) {
    // A point in time that no use would ever hit; what is meant is a budget.
    warn("odrl.eq-read-as-lteq", {{"value", atom.required}}, at);
    atom.op = Operator::lteq;
  }
  return atom;
}

void collect_limits(const std::vector<Node>& nodes, Rule& rule, RuleSummary& summary) {
  for (const auto& node : nodes) {
    collect_limits(node.children, rule, summary);
    if (node.kind != NodeKind::atom || node.atom.operand != Operand::count) continue;
    (node.atom.owner == Side::provider ? rule.counts_at_provider : rule.counts_at_consumer) = true;
    const auto& values = std::get<std::vector<std::int64_t>>(node.atom.values);
    const auto most = *std::ranges::max_element(values);
    const auto op = node.atom.op;
    const bool bounds = op == Operator::lt || op == Operator::lteq || op == Operator::eq ||
                        op == Operator::is_any_of;
    if (!bounds) continue;
    LimitSummary limit;
    limit.rule = rule.id;
    limit.limit = most;
    limit.allowed = std::max<std::int64_t>(0, op == Operator::lt ? most - 1 : most);
    limit.owner = node.atom.owner;
    limit.op = op;
    limit.pointer = node.pointer;
    summary.limits.push_back(std::move(limit));
  }
}

void Loader::finish() {
  auto& plan = *plan_;
  std::optional<Instant> latest;
  bool bounded = true;
  bool any_permission = false;
  for (auto& rule : plan.rules) {
    RuleSummary summary;
    summary.id = rule.id;
    summary.kind = rule.kind;
    summary.pointer = rule.pointer;
    for (const auto action : rule.actions) summary.actions.emplace_back(action_iri(action));
    collect_limits(rule.constraints, rule, summary);
    const auto bounds = time_bounds(rule.constraints);
    summary.not_before = bounds.from;
    summary.not_after = bounds.until;
    if (rule.kind == RuleKind::permission) {
      any_permission = true;
      if (!bounds.until) {
        bounded = false;
      } else if (!latest || *bounds.until > *latest) {
        latest = bounds.until;
      }
    }
    plan.summaries.push_back(std::move(summary));
  }
  if (any_permission && bounded) plan.not_after = latest;
  // An obligation of the policy without a deadline: the data go when nobody may use them any more.
  // If that never comes by itself, and for a duty of a permission, they go with the end of the use.
  for (const auto index : plan.obligations) {
    auto& duty = plan.duties[index];
    if (duty.deadline != DeadlineKind::at_once || !plan.not_after) continue;
    duty.deadline = DeadlineKind::when_expired;
    duty.at = plan.not_after;
  }
  if (plan.assignee.empty() && plan.type == PolicyType::agreement && !plan.rules.empty()) {
    warn("odrl.parties-in-rules", {}, "");
  }
  if (uses_profile_ && !names_profile_) {
    warn("odrl.profile-not-named", {{"profile", std::string(iri::profile)}}, "");
  }
}

tl::expected<PolicyPtr, std::vector<Problem>> Loader::load(const Json& document) {
  const auto& limits = options_.limits;
  const auto refuse = [&]() -> tl::expected<PolicyPtr, std::vector<Problem>> {
    return tl::unexpected<std::vector<Problem>>(std::move(problems_));
  };
  if (!document.is_object()) {
    problem("odrl.member-type", {{"member", "policy"}, {"expected", "object"}}, "");
    return refuse();
  }
  if (deeper_than(document, limits.json_depth)) {
    problem("odrl.too-large", {{"what", "depth"}, {"most", std::to_string(limits.json_depth)}}, "");
    return refuse();
  }
  const auto text = to_jcs(document);
  if (text.size() > limits.policy_bytes) {
    problem(
        "odrl.too-large", {{"what", "bytes"}, {"most", std::to_string(limits.policy_bytes)}}, ""
    );
    return refuse();
  }
  plan_->digest = sha256(text);
  read_policy(document);
  if (!problems_.empty()) return refuse();
  finish();
  return std::make_shared<const CompiledPolicy>(std::unique_ptr<const Plan>(std::move(plan_)));
}

}  // namespace

tl::expected<PolicyPtr, std::vector<Problem>> load_policy(
    const Json& document, const LoadOptions& options
) {
  return Loader(options).load(document);
}

}  // namespace tally::odrl
