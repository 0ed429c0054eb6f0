#include "context.hpp"

#include <algorithm>
#include <array>

#include <nlohmann/json.hpp>

#include "tally/odrl/terms.hpp"

namespace tally::odrl {
namespace {

constexpr auto known_contexts = std::to_array<std::string_view>({
    "http://www.w3.org/ns/odrl.jsonld",
    "https://www.w3.org/ns/odrl.jsonld",
    "https://w3id.org/dspace/2025/1/context.jsonld",
    "https://w3id.org/dspace/2025/1/odrl-profile.jsonld",
});

// Schemes of IRIs that name things without an authority, and W3C's prefix of examples, which its
// documents write without defining it.
constexpr auto opaque_schemes = std::to_array<std::string_view>(
    {"urn", "did", "tag", "info", "ni", "data", "mailto", "uuid", "ex"}
);

constexpr auto members = std::to_array<std::string_view>({
    "uid",         "profile",     "permission", "prohibition", "obligation", "duty",
    "remedy",      "consequence", "conflict",   "target",      "assigner",   "assignee",
    "action",      "constraint",  "refinement", "leftOperand", "operator",   "rightOperand",
    "dataType",    "unit",        "status",     "and",         "or",         "xone",
    "andSequence", "inheritFrom", "Offer",      "Agreement",   "Set",        "Policy",
    "provider",    "consumer",    "perm",       "prohibit",    "invalid",
});

bool is_odrl_word(std::string_view word) {
  const auto iri = std::string(iri::odrl) + std::string(word);
  return std::ranges::find(members, word) != members.end() || find_operator(word) ||
         find_operand(iri) || find_action(iri);
}

}  // namespace

Context::Context()
    : prefixes_{
          {"odrl", std::string(iri::odrl)},
          {"xsd", std::string(iri::xsd)},
          {"cc", std::string(iri::cc)},
          {"dct", "http://purl.org/dc/terms/"},
          {"dc", "http://purl.org/dc/elements/1.1/"},
          {"dcat", "http://www.w3.org/ns/dcat#"},
          {"dspace", "https://w3id.org/dspace/2025/1/"},
          {"rdf", "http://www.w3.org/1999/02/22-rdf-syntax-ns#"},
          {"rdfs", "http://www.w3.org/2000/01/rdf-schema#"},
          {"skos", "http://www.w3.org/2004/02/skos/core#"},
          {"tally", std::string(iri::profile_terms)},
          {"idsc", std::string(iri::ids_code)},
          {"edc", "https://w3id.org/edc/v0.0.1/ns/"},
          {"vcard", "http://www.w3.org/2006/vcard/ns#"},
      } {}

void Context::read(const Json& context, const std::string& at, std::vector<Problem>& problems) {
  if (context.is_array()) {
    for (std::size_t i = 0; i < context.size(); ++i) {
      // An array in an array has no meaning in JSON-LD, and would let the input choose our depth.
      if (context[i].is_array()) {
        problems.push_back({{"odrl.unsupported-context", {{"term", "[]"}}}, child(at, i)});
      } else {
        read(context[i], child(at, i), problems);
      }
    }
  } else if (context.is_string()) {
    const auto& name = context.get_ref<const std::string&>();
    if (std::ranges::find(known_contexts, name) == known_contexts.end()) {
      problems.push_back({{"odrl.unknown-context", {{"context", name}}}, at});
    }
  } else if (context.is_object()) {
    read_definitions(context, at, problems);
  } else {
    problems.push_back(
        {{"odrl.member-type", {{"member", "@context"}, {"expected", "string|object|array"}}}, at}
    );
  }
}

void Context::read_definitions(
    const Json& object, const std::string& at, std::vector<Problem>& problems
) {
  for (const auto& [name, value] : object.items()) {
    const bool text = value.is_string();
    const std::string meaning = text ? value.get<std::string>() : std::string();
    if (name == "@version") continue;
    if (name == "@vocab" && meaning == iri::odrl) continue;
    const bool prefix =
        !meaning.empty() && std::string_view("/#:").find(meaning.back()) != std::string_view::npos;
    if (name.empty() || name.front() == '@' || name.find(':') != std::string::npos || !prefix ||
        is_odrl_word(name)) {
      problems.push_back({{"odrl.unsupported-context", {{"term", name}}}, child(at, name)});
      continue;
    }
    prefixes_[name] = meaning;
  }
}

std::optional<std::string> Context::fixed_meaning(std::string_view word) const {
  if (const auto prefix = prefixes_.find(word); prefix != prefixes_.end()) return prefix->second;
  if (is_odrl_word(word)) return std::string(iri::odrl) + std::string(word);
  const bool scheme = word == "http" || word == "https" ||
                      std::ranges::find(opaque_schemes, word) != opaque_schemes.end();
  if (scheme) return std::string(word) + ":";
  return std::nullopt;
}

std::string Context::expand(std::string_view text) const {
  const auto colon = text.find(':');
  if (colon == std::string_view::npos || text.substr(colon + 1).starts_with("//")) {
    return canonical_iri(std::string(text));
  }
  const auto found = prefixes_.find(text.substr(0, colon));
  if (found == prefixes_.end()) return std::string(text);
  return canonical_iri(found->second + std::string(text.substr(colon + 1)));
}

bool Context::is_unknown_prefix(std::string_view text) const {
  const auto colon = text.find(':');
  if (colon == std::string_view::npos || text.substr(colon + 1).starts_with("//")) return false;
  const auto scheme = text.substr(0, colon);
  return !prefixes_.contains(scheme) &&
         std::ranges::find(opaque_schemes, scheme) == opaque_schemes.end();
}

std::string Context::expand_term(std::string_view text) const {
  if (text.find(':') != std::string_view::npos) return expand(text);
  return std::string(iri::odrl) + std::string(text);
}

}  // namespace tally::odrl
