#include "tally/dsp/policy_reading.hpp"

#include <algorithm>
#include <array>
#include <optional>
#include <string_view>
#include <utility>

#include <nlohmann/json.hpp>

namespace tally::dsp {

namespace {

// What a word of `words` makes of `term`; nullopt: nothing.
struct Meaning {
  std::string word;  // the one that was used
  std::string iri;
};
std::optional<Meaning> meaning_of(const std::string& term, const Words& words) {
  const auto colon = term.find(':');
  if (colon == std::string::npos) {
    const auto found = words.find(term);
    if (found == words.end()) return std::nullopt;
    return Meaning{found->first, found->second};
  }
  // "https://…" is no word with the prefix "https" (JSON-LD 1.1, IRI compaction).
  if (std::string_view(term).substr(colon + 1).starts_with("//")) return std::nullopt;
  const auto found = words.find(term.substr(0, colon));
  if (found == words.end() ||
      std::string_view("/#:").find(found->second.back()) == std::string_view::npos) {
    return std::nullopt;
  }
  return Meaning{found->first, found->second + term.substr(colon + 1)};
}

PolicyReading reading_with(
    const Json& policy, std::vector<std::string> contexts, const Words& all, EmptyPolicy empty
) {
  PolicyReading reading;
  reading.contexts = std::move(contexts);
  if (!all.empty()) {
    // A copy is walked, for there is one walk of a policy's terms and it may change them.
    Json copy = policy;
    for_each_term(copy, [&](std::string& term, bool) {
      if (auto meaning = meaning_of(term, all))
        reading.words[meaning->word] = all.at(meaning->word);
    });
  }
  reading.empty_is_use = empty == EmptyPolicy::permits_use && is_without_rules(policy);
  return reading;
}

}  // namespace

PolicyReading reading_of(
    const Json& policy, const std::vector<std::string>& contexts, const PolicyDialect& dialect
) {
  std::vector<std::string> declared;
  Words words;
  for (const auto& url : contexts) {
    const auto found = dialect.contexts.find(url);
    if (found == dialect.contexts.end() || std::ranges::find(declared, url) != declared.end()) {
      continue;
    }
    declared.push_back(url);
    words.insert(found->second.begin(), found->second.end());
  }
  return reading_with(policy, std::move(declared), words, dialect.empty);
}

PolicyReading reading_by_all(const Json& policy, const PolicyDialect& dialect) {
  std::vector<std::string> contexts;
  for (const auto& [url, words] : dialect.contexts) contexts.push_back(url);
  return reading_of(policy, contexts, dialect);
}

std::vector<std::string> contexts_for(const PolicyDialect& dialect, const PolicyReading& reading) {
  std::vector<std::string> out = reading.contexts;
  for (const auto& [url, words] : dialect.contexts) {
    if (std::ranges::find(out, url) == out.end()) out.push_back(url);
  }
  return out;
}

Json with_words(Json policy, const PolicyReading& reading) {
  if (reading.words.empty()) return policy;
  for_each_term(policy, [&](std::string& term, bool) {
    if (auto meaning = meaning_of(term, reading.words)) term = std::move(meaning->iri);
  });
  return policy;
}

Json as_read(Json policy, const PolicyReading& reading) {
  policy = with_words(std::move(policy), reading);
  if (reading.empty_is_use && is_without_rules(policy)) {
    policy["permission"] = Json::array({{{"action", "use"}}});
  }
  return policy;
}

Json to_json(const PolicyReading& reading) {
  Json out = Json::object();
  if (!reading.contexts.empty()) out["contexts"] = reading.contexts;
  if (!reading.words.empty()) out["words"] = reading.words;
  if (reading.empty_is_use) out["emptyPolicy"] = "use";
  return out;
}

PolicyReading policy_reading_from_json(const Json& json) {
  PolicyReading reading;
  if (!json.is_object()) return reading;
  if (const auto found = json.find("contexts"); found != json.end() && found->is_array()) {
    for (const auto& url : *found) {
      if (url.is_string()) reading.contexts.push_back(url.get<std::string>());
    }
  }
  if (const auto found = json.find("words"); found != json.end() && found->is_object()) {
    for (const auto& [word, iri] : found->items()) {
      if (iri.is_string() && !iri.get_ref<const std::string&>().empty()) {
        reading.words[word] = iri.get<std::string>();
      }
    }
  }
  const auto empty = json.find("emptyPolicy");
  reading.empty_is_use = empty != json.end() && *empty == "use";
  return reading;
}

}  // namespace tally::dsp
