// Policies to start from: one template for each usage class that the field knows, with parameters.
// They are the files of policies/templates/, built into the program. Pure; any thread.
#pragma once

#include <map>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include <nlohmann/json_fwd.hpp>

#include "tally/core/json.hpp"
#include "tally/core/message.hpp"
#include "tally/core/result.hpp"

namespace tally::odrl {

struct TemplateParameter {
  std::string name;
  std::string type;  // integer, decimal, duration, instant, iri, word, iri-list, word-list, text
  std::string english, chinese;
  std::string example;
};

struct PolicyTemplate {
  std::string name;
  int usage_class = 0;           // 1 … 25; 0: none of them
  std::string english, chinese;  // one sentence with {placeholders}
  bool wire = false;             // has a form in the messages of DSP 2025-1
  std::vector<TemplateParameter> parameters;
  std::string policy;  // JSON text with {placeholders}
};

std::span<const PolicyTemplate> policy_templates();  // sorted by name
const PolicyTemplate* find_template(std::string_view name);

using TemplateValues = std::map<std::string, std::string, std::less<>>;

// The policy with its parameters filled in; lists are separated by commas. Errors: invalid, a
// parameter that is missing, not one of the template's, or not of its type.
Result<Json> fill(const PolicyTemplate& from, const TemplateValues& values);
// The template's sentence with the same values.
std::string sentence(const PolicyTemplate& from, const TemplateValues& values, Lang lang);

}  // namespace tally::odrl
