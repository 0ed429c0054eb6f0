// The document: its members, type, profiles, conflict term, parents, and the plan's summaries.
#include <algorithm>
#include <array>
#include <utility>

#include "loader.hpp"

namespace tally::odrl {

using detail::holds;
using detail::string_of;
using detail::without_id;

namespace {

constexpr std::size_t most_problems = 200;  // more of them help nobody
constexpr std::size_t most_parents = 64;

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
    "inheritFrom",
});
// What ODRL knows and no place of ours takes.
constexpr auto reserved_members = std::to_array<std::string_view>({
    "action",
    "and",
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
    "dataType",
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
    "or",
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
    "xone",
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

std::string joined(std::span<const std::string_view> words) {
  std::string text;
  for (const auto word : words) {
    if (!text.empty()) text += ", ";
    text += word;
  }
  return text;
}

bool deeper_than(const Json& value, std::size_t depth) {
  if (!value.is_structured()) return false;
  if (depth == 0) return true;
  // By the containers themselves: the iterators over both kinds cost more than what they look at.
  if (const auto* object = value.get_ptr<const Json::object_t*>()) {
    return std::ranges::any_of(*object, [&](const auto& member) {
      return deeper_than(member.second, depth - 1);
    });
  }
  return std::ranges::any_of(*value.get_ptr<const Json::array_t*>(), [&](const Json& inner) {
    return deeper_than(inner, depth - 1);
  });
}

struct TypeWord {
  std::string_view word;
  PolicyType type;
};
constexpr auto policy_types = std::to_array<TypeWord>({
    {"Set", PolicyType::set},
    {"Policy", PolicyType::set},
    {"Offer", PolicyType::offer},
    {"Agreement", PolicyType::agreement},
    {"Assertion", PolicyType::assertion},
    {"Privacy", PolicyType::privacy},
    {"Request", PolicyType::request},
    {"Ticket", PolicyType::ticket},
});

}  // namespace

const Members::Member* Members::find(std::string_view name) const {
  for (const auto& one : list_) {
    if (one.name == name) return &one;
  }
  return nullptr;
}

std::string Members::pointer(std::string_view name) const {
  const auto* found = find(name);
  return found ? child(at_, found->key) : at_;
}

void Loader::problem(std::string code, Params params, std::string at) {
  problems_.push_back({{std::move(code), std::move(params)}, std::move(at)});
}

void Loader::doubt(std::string code, Params params, std::string at) {
  auto& list = strict_ ? problems_ : plan_->doubts;
  list.push_back({{std::move(code), std::move(params)}, std::move(at)});
}

void Loader::warn(std::string code, Params params, std::string at) {
  plan_->warnings.push_back({{std::move(code), std::move(params)}, std::move(at)});
}

void Loader::unsupported(std::string code, Params params, std::string at) {
  if (strict_ && options_.enforced_only) problem(std::move(code), std::move(params), std::move(at));
}

// The IRI of a word of the vocabulary. A prefix that nothing explains is a problem, whoever reads.
void Loader::unknown_prefix(const std::string& written, const std::string& at) {
  problem(
      "odrl.unknown-prefix",
      {{"term", written}, {"prefix", written.substr(0, written.find(':'))}},
      at
  );
}

std::string Loader::read_term(
    const std::string& written, const Members& members, std::string_view name
) {
  // The place is put together only where it is needed: a large policy has thousands.
  if (document_->context.is_unknown_prefix(written)) unknown_prefix(written, members.pointer(name));
  return document_->context.expand_term(written);
}

Message Loader::unknown_word(std::string code, std::string_view written, Words known) const {
  const auto iri = document_->context.expand_term(written);
  std::vector<std::string_view> words;
  const bool odrl_word = iri.starts_with(iri::odrl);
  words.reserve(known.size());
  for (const auto term : known) words.push_back(odrl_word ? local_name(term) : term);
  const auto near = closest_term(odrl_word ? local_name(iri) : iri, words);
  if (near.empty()) {
    std::vector<std::string_view> all;
    for (const auto term : known) all.push_back(as_written(term));
    return {std::move(code) + "-listed", {{"term", std::string(written)}, {"known", joined(all)}}};
  }
  const auto index = static_cast<std::size_t>(std::ranges::find(words, near) - words.begin());
  return {
      std::move(code),
      {{"term", std::string(written)}, {"closest", std::string(as_written(known[index]))}}};
}

void Loader::too_large(std::string what, std::size_t most, std::string at) {
  problem(
      "odrl.too-large", {{"what", std::move(what)}, {"most", std::to_string(most)}}, std::move(at)
  );
}

bool Loader::too_many_problems() const {
  return problems_.size() >= most_problems || plan_->doubts.size() >= most_problems;
}

Index Loader::intern(std::string text) {
  const auto found = names_.find(text);
  if (found != names_.end()) return found->second;
  const auto index = static_cast<Index>(plan_->names.size());
  plan_->names.push_back(text);
  names_.emplace(std::move(text), index);
  return index;
}

Members Loader::members_of(const Json& object, std::string at, Words known) {
  Members members(std::move(at));
  members.reserve(object.size());
  for (const auto& [key, value] : object.get_ref<const Json::object_t&>()) {
    std::string name = key;
    if (key == "@id") {
      name = "uid";
    } else if (key.find(':') != std::string::npos) {
      name = document_->context.expand(key);
      if (name.starts_with(iri::odrl)) name.erase(0, iri::odrl.size());
      if (name == dspace_timestamp) name = "timestamp";
    }
    if (name == "datatype") name = "dataType";  // as a published context writes it
    if (const auto found = std::ranges::find(known, name); found != known.end()) {
      if (members.find(name)) {
        problem("odrl.duplicate-member", {{"member", name}}, child(members.at(), key));
      } else {
        members.add(*found, key, value);
      }
    } else if (name == replaced_by) {
      const auto* text = string_of(without_id(value));
      problem(
          "odrl.policy-replaced",
          {{"successor", text ? *text : value.dump()}},
          child(members.at(), key)
      );
    } else if (std::ranges::any_of(annotation_namespaces, [&](auto ns) {
                 return name.starts_with(ns);
               })) {
      continue;
    } else if (holds(reserved_members, name)) {
      problem("odrl.unsupported-member", {{"member", key}}, child(members.at(), key));
    } else {
      auto message = unknown_word("odrl.unknown-member", key, known);
      problems_.push_back({std::move(message), child(members.at(), key)});
    }
  }
  return members;
}

void Loader::check_type(const Members& members, std::string_view expected) {
  const auto* written = members.value("@type");
  if (!written) return;
  if (written->is_array() && written->size() == 1) written = &(*written)[0];
  if (const auto* text = string_of(*written)) {
    const auto iri = document_->context.expand_term(*text);
    const auto word = as_written(iri);
    if (word == expected) return;
    if (expected != "Constraint" && word == "Rule") return;
    if (expected == "Constraint" && word == "LogicalConstraint") return;
  }
  problem(
      "odrl.member-type",
      {{"member", "@type"}, {"expected", std::string(expected)}},
      members.pointer("@type")
  );
}

std::string Loader::read_iri(const Json& value, const std::string& at, std::string_view name) {
  const auto* text = string_of(without_id(value));
  if (!text || text->empty()) {
    problem("odrl.member-type", {{"member", std::string(name)}, {"expected", "IRI"}}, at);
    return {};
  }
  return document_->context.expand(*text);
}

std::string Loader::read_uid(const Members& members) {
  const auto* value = members.value("uid");
  return value ? read_iri(*value, members.pointer("uid"), "uid") : std::string();
}

// A word of the vocabulary, as it is written.
std::optional<std::string> Loader::read_word(const Members& members, std::string_view name) {
  const auto* value = members.value(name);
  if (!value) {
    problem("odrl.constraint-incomplete", {{"member", std::string(name)}}, members.at());
    return std::nullopt;
  }
  const auto* text = string_of(without_id(*value));
  if (!text) {
    problem(
        "odrl.member-type",
        {{"member", std::string(name)}, {"expected", "string"}},
        members.pointer(name)
    );
    return std::nullopt;
  }
  return *text;
}

void Loader::open_document(const Json& json, Document& document, std::vector<std::string>& chain) {
  document_ = &document;
  if (const auto found = json.find("@context"); found != json.end()) {
    document.context.read(*found, child(document.at, "@context"), problems_);
  }
  document.members = members_of(json, document.at, policy_members);
  document.uid = read_uid(document.members);
  if (document.uid.empty() && !document.members.find("uid")) {
    problem("odrl.missing-member", {{"member", "uid"}}, document.at);
  }
  document.conflict = read_conflict(document.members);
  chain.push_back(document.uid);
  visited_.push_back(document.uid);
  open_parents(document, chain);
  chain.pop_back();
  document_ = &document;
}

void Loader::open_parents(Document& document, std::vector<std::string>& chain) {
  const auto* parents = document.members.value("inheritFrom");
  if (!parents) return;
  const auto at = document.members.pointer("inheritFrom");
  unsupported("odrl.unsupported-member", {{"member", "inheritFrom"}}, at);
  if (strict_ && options_.enforced_only) return;
  detail::each(*parents, at, [&](const Json& value, const std::string& place) {
    document_ = &document;
    const auto uid = read_iri(value, place, "inheritFrom");
    if (uid.empty()) return;
    if (holds(chain, uid)) {
      problem("odrl.inheritance-cycle", {{"policy", uid}}, place);
      return;
    }
    if (holds(visited_, uid)) return;  // a diamond: each ancestor once
    if (visited_.size() > most_parents) {
      too_large("inheritFrom", most_parents, place);
      return;
    }
    const Json* found = options_.library ? options_.library(uid) : nullptr;
    if (!found || !found->is_object()) {
      problem("odrl.inheritance-unresolved", {{"policy", uid}}, place);
      return;
    }
    auto parent = std::make_unique<Document>(uid + "#");
    parent->inherited = true;
    open_document(*found, *parent, chain);
    document.parents.push_back(std::move(parent));
  });
}

void Loader::read_type(const Document& document) {
  const auto* written = document.members.value("@type");
  const auto at = document.members.pointer("@type");
  plan_->type = PolicyType::set;  // the default of the information model, 2.1
  if (written) {
    if (written->is_array() && written->size() == 1) written = &(*written)[0];
    const auto* text = string_of(*written);
    if (!text) {
      problem("odrl.member-type", {{"member", "@type"}, {"expected", "string"}}, at);
      return;
    }
    const auto iri = document_->context.expand_term(*text);
    const auto found = std::ranges::find(policy_types, as_written(iri), &TypeWord::word);
    if (found == policy_types.end()) {
      static constexpr auto known = std::to_array<std::string_view>(
          {"Set", "Offer", "Agreement", "Policy", "Assertion", "Privacy", "Request", "Ticket"}
      );
      problems_.push_back({unknown_word("odrl.unknown-policy-type", *text, known), at});
      return;
    }
    plan_->type = found->type;
    if (plan_->type > PolicyType::agreement) {
      unsupported("odrl.unsupported-policy-type", {{"type", *text}}, at);
    }
  }
  if (options_.required_type && plan_->type != *options_.required_type) {
    problem(
        "odrl.wrong-policy-type",
        {{"expected", std::string(to_string(*options_.required_type))},
         {"found", std::string(to_string(plan_->type))}},
        written ? at : ""
    );
  }
}

void Loader::read_profiles(const Document& document) {
  const auto* value = document.members.value("profile");
  if (!value) return;
  detail::each(
      *value,
      document.members.pointer("profile"),
      [&](const Json& one, const std::string& at) {
        const auto iri = read_iri(one, at, "profile");
        if (iri.empty()) return;
        if (iri == iri::profile) {
          names_profile_ = true;
        } else if (iri != iri::core_profile && !holds(options_.extra_profiles, iri)) {
          problem(
              "odrl.unknown-profile", {{"profile", iri}, {"known", std::string(iri::profile)}}, at
          );
        }
      }
  );
}

std::optional<Conflict> Loader::read_conflict(const Members& members) {
  if (!members.find("conflict")) return std::nullopt;
  const auto written = read_word(members, "conflict");
  if (!written) return std::nullopt;
  const auto iri = document_->context.expand_term(*written);
  const auto word = as_written(iri);
  if (word == "perm") {
    return Conflict::perm;
  }
  if (word == "prohibit") return Conflict::prohibit;
  if (word == "invalid") return Conflict::invalid;
  static constexpr auto known = std::to_array<std::string_view>({"perm", "prohibit", "invalid"});
  problems_.push_back(
      {unknown_word("odrl.unknown-conflict-term", *written, known), members.pointer("conflict")}
  );
  return std::nullopt;
}

void Loader::read_timestamp(const Members& members) {
  const auto* value = members.value("timestamp");
  if (!value) return;
  if (value->is_object() && value->contains("@value")) value = &(*value)["@value"];
  const auto* text = string_of(*value);
  if (const auto at = text ? parse_date_time(*text) : std::nullopt) {
    if (at->had_zone && plan_->type == PolicyType::agreement) agreed_at_ = at->instant;
    return;
  }
  problem(
      "odrl.member-type",
      {{"member", "timestamp"}, {"expected", "xsd:dateTime"}},
      members.pointer("timestamp")
  );
}

// A term that an ancestor states otherwise is disputed: a real conflict then voids the policy. Who
// says nothing casts no vote.
void Loader::settle_conflict(const Document& document) {
  if (document.conflict) {
    if (plan_->conflict && *plan_->conflict != *document.conflict) plan_->conflict_disputed = true;
    if (!plan_->conflict) plan_->conflict = document.conflict;
  }
  for (const auto& parent : document.parents) settle_conflict(*parent);
}

// The child's own properties win; what it lacks it takes from its parents.
void Loader::inherit_shared(Document& document) {
  for (auto& parent : document.parents) inherit_shared(*parent);
  document_ = &document;
  auto& shared = document.shared;
  shared.targets = read_selectors(document.members, "target");
  shared.assignees = read_selectors(document.members, "assignee");
  if (const auto* value = document.members.value("assigner")) {
    detail::each(
        *value,
        document.members.pointer("assigner"),
        [&](const Json& one, const std::string& at) {
          if (const auto party = read_selector(one, at, "assigner")) {
            shared.assigners.push_back(plan_->names[party->name]);
          }
        }
    );
  }
  if (const auto* value = document.members.value("action")) {
    shared.actions = read_actions(*value, document.members.pointer("action"));
  }
  for (const auto& parent : document.parents) {
    const auto& theirs = parent->shared;
    if (shared.targets.empty()) shared.targets = theirs.targets;
    if (shared.assignees.empty()) shared.assignees = theirs.assignees;
    if (shared.assigners.empty()) shared.assigners = theirs.assigners;
    if (shared.actions.empty()) shared.actions = theirs.actions;
  }
}

void Loader::read_root(const Document& document) {
  plan_->uid = document.uid;
  read_timestamp(document.members);
  settle_conflict(document);
  const auto one = [&](const std::vector<Selector>& list) {
    return list.size() == 1 ? plan_->names[list.front().name] : std::string();
  };
  plan_->target = one(document.shared.targets);
  plan_->assignee = one(document.shared.assignees);
  if (document.shared.assigners.size() == 1) plan_->assigner = document.shared.assigners.front();
}

void Loader::read_all_rules(Document& document) {
  document_ = &document;
  collect_duties(document);
  read_rules("permission", RuleKind::permission);
  read_rules("prohibition", RuleKind::prohibition);
  if (const auto* value = document.members.value("obligation")) {
    const auto list = read_duties(*value, document.members.pointer("obligation"), nullptr, false);
    plan_->obligations.insert(plan_->obligations.end(), list.begin(), list.end());
  }
  for (auto& parent : document.parents) {
    // The child's parties stand in for what the parent's rules leave open.
    if (document.members.find("assignee")) parent->shared.assignees = document.shared.assignees;
    if (document.members.find("assigner")) parent->shared.assigners = document.shared.assigners;
    read_profiles(*parent);
    read_all_rules(*parent);
  }
}

Reading Loader::load(const Json& json) {
  const auto& limits = options_.limits;
  Reading out;
  const auto refuse = [&] {
    const auto all_are = [&](std::string_view code) {
      return std::ranges::all_of(problems_, [&](const Problem& one) {
        return one.message.code == code;
      });
    };
    out.reason = all_are("odrl.policy-replaced")   ? "policy-replaced"
                 : all_are("odrl.unknown-profile") ? "unsupported-profile"
                                                   : "invalid-policy";
    out.problems = std::move(problems_);
    return std::move(out);
  };
  if (!json.is_object()) {
    problem("odrl.member-type", {{"member", "policy"}, {"expected", "object"}}, "");
    return refuse();
  }
  if (deeper_than(json, limits.json_depth)) {
    too_large("depth", limits.json_depth, "");
    return refuse();
  }
  const auto text = to_jcs(json);
  if (text.size() > limits.policy_bytes) {
    too_large("bytes", limits.policy_bytes, "");
    return refuse();
  }
  plan_->digest = sha256(text);
  Document document("");
  std::vector<std::string> chain;
  open_document(json, document, chain);
  read_type(document);
  inherit_shared(document);
  document_ = &document;
  read_root(document);
  read_profiles(document);
  read_all_rules(document);
  document_ = &document;
  if (plan_->rules.empty() && plan_->duties.empty() && problems_.empty()) {
    problem("odrl.missing-member", {{"member", "permission, prohibition, obligation"}}, "");
  }
  if (problems_.empty()) finish();
  if (!problems_.empty()) return refuse();
  out.doubts = plan_->doubts;
  out.policy =
      std::make_shared<const CompiledPolicy>(std::unique_ptr<const Plan>(std::move(plan_)));
  return out;
}

Reading read_policy(const Json& document, const LoadOptions& options) {
  return Loader(options, false).load(document);
}

tl::expected<PolicyPtr, std::vector<Problem>> load_policy(
    const Json& document, const LoadOptions& options
) {
  auto reading = Loader(options, true).load(document);
  if (reading.policy) return std::move(reading.policy);
  return tl::unexpected<std::vector<Problem>>(std::move(reading.problems));
}

}  // namespace tally::odrl
