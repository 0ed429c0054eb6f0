// Permissions and prohibitions: actions, assets, parties, and how much of them a policy may hold.
#include <algorithm>
#include <array>

#include "loader.hpp"

namespace tally::odrl {

using detail::holds;
using detail::string_of;
using detail::without_id;

namespace {

constexpr auto permission_members = detail::joined(
    std::to_array<std::string_view>(
        {"uid", "@type", "target", "assigner", "assignee", "action", "constraint", "duty", "output"}
    ),
    detail::party_functions
);
// The same with remedies for duties.
constexpr auto prohibition_members = [] {
  auto out = permission_members;
  for (auto& one : out) {
    if (one == "duty") one = "remedy";
  }
  return out;
}();
// From here on: "output" and the party functions.
constexpr std::size_t first_function =
    permission_members.size() - detail::party_functions.size() - 1;

constexpr auto selector_members = std::to_array<std::string_view>({
    "uid",
    "@type",
    "source",
    "refinement",
});
constexpr auto action_members = std::to_array<std::string_view>({
    "uid",
    "@type",
    "http://www.w3.org/1999/02/22-rdf-syntax-ns#value",
    "refinement",
});
constexpr std::string_view rdf_value = action_members[2];

constexpr auto collections =
    std::to_array<std::string_view>({"AssetCollection", "PartyCollection"});

}  // namespace

Range Loader::read_refinements(const Json& value, const std::string& at, std::string_view of) {
  unsupported("odrl.unsupported-refinement", {{"member", std::string(of)}}, at);
  refining_ = true;
  const auto out = read_constraints(value, at, 0, true, {});
  refining_ = false;
  return out;
}

void Loader::read_action(const Json& value, const std::string& at, std::vector<ActionUse>& out) {
  const auto wrong = [&] {
    problem("odrl.member-type", {{"member", "action"}, {"expected", "string"}}, at);
  };
  const Json* word = &without_id(value);
  Range refinements;
  if (word->is_object()) {
    const auto members = members_of(*word, at, action_members);
    const auto* inner = members.value(rdf_value);
    if (!inner) inner = members.value("uid");
    if (!inner) return wrong();
    word = &without_id(*inner);
    if (const auto* list = members.value("refinement")) {
      refinements = read_refinements(*list, members.pointer("refinement"), "action");
    }
  }
  const auto* written = string_of(*word);
  if (!written || written->empty()) return wrong();
  if (document_->context.is_unknown_prefix(*written)) unknown_prefix(*written, at);
  const auto iri = document_->context.expand_term(*written);
  const auto action = find_action(iri);
  if (!action) {
    const auto message = unknown_word("odrl.unknown-action", *written, action_iris());
    doubt(message.code, message.params, at);
    out.push_back({std::nullopt, intern(iri), refinements});
    return;
  }
  if (iri == std::string(iri::odrl) + "export" && plan_->type == PolicyType::offer) {
    // The old word only meant a change of format; who writes it means leaving control.
    problem(
        "odrl.export-ambiguous",
        {{"term", *written}, {"transform", "transform"}, {"export", std::string(iri::export_)}},
        at
    );
    return;
  }
  const auto canonical = action_iri(*action);
  if (known_actions()[*action].deprecated) {
    warn("odrl.deprecated-root", {{"term", *written}}, at);
  } else if (iri != canonical && iri.starts_with(iri::odrl)) {
    warn(
        "odrl.deprecated-action",
        {{"term", *written}, {"instead", std::string(as_written(canonical))}},
        at
    );
  }
  uses_profile_ = uses_profile_ || iri.starts_with(iri::profile);
  const bool seen = refinements.count == 0 && std::ranges::any_of(out, [&](const ActionUse& one) {
                      return one.action == action && one.refinements.count == 0;
                    });
  if (!seen) out.push_back({action, intern(std::string(canonical)), refinements});
}

std::vector<ActionUse> Loader::read_actions(const Json& value, const std::string& at) {
  std::vector<ActionUse> out;
  if (value.is_array()) {
    if (value.empty()) problem("odrl.empty-list", {{"member", "action"}}, at);
    if (value.size() > options_.limits.policy_list) {
      too_large("action", options_.limits.policy_list, at);
      return out;
    }
  }
  detail::each(value, at, [&](const Json& one, const std::string& place) {
    read_action(one, place, out);
  });
  return out;
}

std::optional<Selector> Loader::read_selector(
    const Json& value, const std::string& at, std::string_view name
) {
  Selector out;
  if (!value.is_object()) {
    const auto iri = read_iri(value, at, name);
    if (iri.empty()) return std::nullopt;
    out.name = intern(iri);
    return out;
  }
  const auto members = members_of(value, at, selector_members);
  const bool asset = name == "target";
  bool collection = false;
  if (const auto* type = members.value("@type")) {
    const auto* word = string_of(*type);
    const auto iri = word ? document_->context.expand_term(*word) : std::string();
    collection = as_written(iri) == collections[asset ? 0 : 1];
    if (!collection && as_written(iri) != (asset ? "Asset" : "Party")) {
      problem(
          "odrl.member-type",
          {{"member", "@type"}, {"expected", asset ? "Asset" : "Party"}},
          members.pointer("@type")
      );
    }
  }
  const auto* source = members.value("source");
  const auto* refinement = members.value("refinement");
  if (collection || source || refinement) {
    unsupported("odrl.unsupported-collection", {{"member", std::string(name)}}, at);
  }
  if (source) {
    out.source = intern(read_iri(*source, members.pointer("source"), "source"));
  }
  const auto uid = read_uid(members);
  out.name = uid.empty() ? out.source : intern(uid);
  if (out.name == nothing) {
    problem("odrl.missing-member", {{"member", "uid"}}, at);
    return std::nullopt;
  }
  if (refinement) {
    out.refinements = read_refinements(*refinement, members.pointer("refinement"), name);
  }
  return out;
}

std::vector<Selector> Loader::read_selectors(const Members& members, std::string_view name) {
  std::vector<Selector> out;
  const auto* value = members.value(name);
  if (!value) return out;
  const auto at = members.pointer(name);
  if (value->is_array()) {
    // An empty list must not come to mean "any".
    if (value->empty()) problem("odrl.empty-list", {{"member", std::string(name)}}, at);
    if (value->size() > options_.limits.policy_list) {
      too_large(std::string(name), options_.limits.policy_list, at);
      return out;
    }
  }
  detail::each(*value, at, [&](const Json& one, const std::string& place) {
    if (auto selector = read_selector(one, place, name)) out.push_back(*selector);
  });
  return out;
}

std::vector<std::string> Loader::names_of(const std::vector<Selector>& selectors) const {
  std::vector<std::string> out;
  out.reserve(selectors.size());
  for (const auto& one : selectors) out.push_back(plan_->names[one.name]);
  return out;
}

void Loader::read_parties_and_assets(const Members& members, Rule& rule) {
  const auto& shared = document_->shared;
  if (members.find("target")) {
    rule.targets = read_selectors(members, "target");
  } else {
    rule.targets = shared.targets;
  }
  rule.assignees =
      members.find("assignee") ? read_selectors(members, "assignee") : shared.assignees;
  rule.own_targets = members.find("target") && names_of(rule.targets) != names_of(shared.targets);
  rule.own_assignees =
      members.find("assignee") && names_of(rule.assignees) != names_of(shared.assignees);
  bool has_assigner = !shared.assigners.empty();
  if (const auto* value = members.value("assigner")) {
    detail::each(*value, members.pointer("assigner"), [&](const Json& one, const std::string& at) {
      read_selector(one, at, "assigner");
    });
    has_assigner = true;
  }
  for (std::size_t i = first_function; i < permission_members.size(); ++i) {
    if (!members.find(permission_members[i])) continue;
    const auto at = members.pointer(permission_members[i]);
    unsupported("odrl.unsupported-member", {{"member", std::string(permission_members[i])}}, at);
  }
  if (plan_->type != PolicyType::agreement) return;
  if (rule.assignees.empty()) {
    problem("odrl.missing-member", {{"member", "assignee"}}, rule.pointer);
  }
  if (!has_assigner) problem("odrl.missing-member", {{"member", "assigner"}}, rule.pointer);
}

std::string Loader::rule_id(const Members& members) {
  auto id = read_uid(members);
  if (!id.empty()) return id;
  // Stable: the policy's id and the place. Places of a parent begin with its id already.
  return document_->inherited ? members.at() : plan_->uid + "#" + members.at();
}

bool Loader::read_rule_actions(const Members& members, Rule& rule) {
  if (const auto* value = members.value("action")) {
    rule.actions = read_actions(*value, members.pointer("action"));
    return true;
  }
  rule.actions = document_->shared.actions;
  if (!rule.actions.empty()) return true;
  // A rule that names nothing at all speaks of everything. One that names something and lost its
  // action is incomplete: nobody can tell what it was about.
  const bool names_scope =
      !rule.targets.empty() || !rule.assignees.empty() || members.find("duty") != nullptr;
  if (names_scope) {
    problem("odrl.missing-member", {{"member", "action"}}, rule.pointer);
    return false;
  }
  if (strict_ || members.find("constraint")) {
    doubt("odrl.missing-member", {{"member", "action"}}, rule.pointer);
    rule.lacks_action = true;
    return !strict_;
  }
  warn("odrl.any-action", {{"rule", rule.id.value}}, rule.pointer);
  rule.any_action = true;
  return true;
}

// The product that the information model speaks of (2.7.1) is never built, but it is what bounds
// how much a document may say.
bool Loader::weigh(const Rule& rule) {
  weight_ = std::max<std::size_t>(rule.actions.size(), 1) *
            std::max<std::size_t>(rule.targets.size(), 1) *
            std::max<std::size_t>(rule.assignees.size(), 1);
  expanded_rules_ += weight_;
  if (expanded_rules_ <= options_.limits.policy_rules) return true;
  too_large("rules", options_.limits.policy_rules, rule.pointer);
  return false;
}

void Loader::read_rules(std::string_view name, RuleKind kind) {
  const auto* value = document_->members.value(name);
  if (!value) return;
  detail::each(
      *value,
      document_->members.pointer(name),
      [&](const Json& one, const std::string& at) {
        if (!too_many_problems()) read_rule(one, at, kind);
      }
  );
}

void Loader::read_rule(const Json& object, const std::string& at, RuleKind kind) {
  if (!object.is_object()) {
    problem(
        "odrl.member-type", {{"member", std::string(to_string(kind))}, {"expected", "object"}}, at
    );
    return;
  }
  const bool permits = kind == RuleKind::permission;
  const auto members = members_of(object, at, permits ? permission_members : prohibition_members);
  check_type(members, permits ? "Permission" : "Prohibition");
  Rule rule;
  rule.kind = kind;
  rule.pointer = at;
  rule.id = RuleId(rule_id(members));
  if (!rule_ids_.insert(rule.id.value).second) {
    problem("odrl.duplicate-rule", {{"rule", rule.id.value}}, at);
  }
  Lowered lowered;
  lowered.permits = permits;
  lowered_ = &lowered;
  read_parties_and_assets(members, rule);
  read_rule_actions(members, rule);
  if (rule.targets.empty() && permits && plan_->type != PolicyType::offer) {
    if (options_.strict_target) {
      problem("odrl.missing-member", {{"member", "target"}}, at);
    } else {
      warn("odrl.any-target", {{"rule", rule.id.value}}, at);
    }
  }
  if (!weigh(rule)) {
    lowered_ = nullptr;
    return;
  }
  if (const auto* value = members.value("constraint")) {
    rule.constraints = read_constraints(*value, members.pointer("constraint"), 0, true, {});
  }
  lowered_ = nullptr;
  rule.target_attributes = append_children(lowered.target);
  rule.assignee_attributes = append_children(lowered.assignee);
  const auto* duties = permits ? "duty" : "remedy";
  if (const auto* value = members.value(duties)) {
    const auto place = members.pointer(duties);
    if (!permits) {
      unsupported("odrl.unsupported-member", {{"member", "remedy"}}, place);
    }
    rule.duties = read_duties(*value, place, &rule, !permits);
  }
  for (const auto index : lowered.instructions) {
    plan_->duties[index].rule = static_cast<Index>(plan_->rules.size());
    rule.duties.push_back(index);
  }
  plan_->rules.push_back(std::move(rule));
}

}  // namespace tally::odrl
