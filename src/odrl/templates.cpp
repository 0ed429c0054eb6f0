#include "tally/odrl/templates.hpp"

#include <algorithm>

#include <nlohmann/json.hpp>

#include "tally/odrl/values.hpp"

namespace tally::odrl {

// {file name, content}; made from policies/templates/ by CMakeLists.txt.
struct TemplateFile {
  std::string_view name;
  std::string_view text;
};
extern const std::span<const TemplateFile> template_files;

namespace {

PolicyTemplate read(const TemplateFile& file) {
  const auto json = Json::parse(file.text);
  PolicyTemplate out;
  out.name = json.at("template").get<std::string>();
  out.usage_class = json.value("class", 0);
  out.english = json.at("english").get<std::string>();
  out.chinese = json.at("chinese").get<std::string>();
  out.wire = json.at("wire").get<bool>();
  out.policy = json.at("policy").dump();
  for (const auto& one : json.at("parameters")) {
    out.parameters.push_back(
        {one.at("name").get<std::string>(),
         one.at("type").get<std::string>(),
         one.at("english").get<std::string>(),
         one.at("chinese").get<std::string>(),
         one.at("example").get<std::string>()}
    );
  }
  return out;
}

const std::vector<PolicyTemplate>& table() {
  static const std::vector<PolicyTemplate> made = [] {
    std::vector<PolicyTemplate> list;
    for (const auto& file : template_files) list.push_back(read(file));
    std::ranges::sort(list, {}, &PolicyTemplate::name);
    return list;
  }();
  return made;
}

std::vector<std::string> split(std::string_view text) {
  std::vector<std::string> out;
  while (true) {
    const auto comma = text.find(',');
    out.emplace_back(text.substr(0, comma));
    if (comma == std::string_view::npos) return out;
    text.remove_prefix(comma + 1);
  }
}

bool is_list(const TemplateParameter& parameter) {
  return parameter.type.ends_with("-list");
}

bool is_iri(std::string_view text) {
  const auto colon = text.find(':');
  return colon != std::string_view::npos && colon > 0 && text.find(' ') == std::string_view::npos;
}

bool is_of_type(const std::string& type, const std::string& text) {
  if (text.empty()) return false;
  if (type == "integer") {
    const auto number = parse_decimal(text);
    return number && integral(*number) && text.find('.') == std::string::npos;
  }
  if (type == "decimal") return parse_decimal(text).has_value();
  if (type == "duration") return parse_duration(text).has_value();
  if (type == "instant") return parse_date_time(text) || parse_date(text);
  if (type == "iri") return is_iri(text);
  if (type == "iri-list") {
    const auto list = split(text);
    return std::ranges::all_of(list, is_iri);
  }
  if (type == "word-list") {
    const auto list = split(text);
    return std::ranges::none_of(list, [](const std::string& one) { return one.empty(); });
  }
  return true;
}

void replace_all(std::string& text, const std::string& from, const std::string& to) {
  for (auto at = text.find(from); at != std::string::npos; at = text.find(from, at + to.size())) {
    text.replace(at, from.size(), to);
  }
}

void put(Json& value, const PolicyTemplate& from, const TemplateValues& values) {
  if (value.is_structured()) {
    for (auto& inner : value) put(inner, from, values);
    return;
  }
  if (!value.is_string()) return;
  auto text = value.get<std::string>();
  for (const auto& parameter : from.parameters) {
    const auto place = "{" + parameter.name + "}";
    if (text.find(place) == std::string::npos) continue;
    const auto& given = values.find(parameter.name)->second;
    if (text == place && is_list(parameter)) {
      value = split(given);
      return;
    }
    replace_all(text, place, given);
  }
  value = text;
}

Result<void> check(const PolicyTemplate& from, const TemplateValues& values) {
  std::vector<std::string_view> names;
  for (const auto& one : from.parameters) names.push_back(one.name);
  for (const auto& [name, value] : values) {
    if (std::ranges::find(names, name) != names.end()) continue;
    std::string known;
    for (const auto one : names) known += (known.empty() ? "" : ", ") + std::string(one);
    return fail(
        ErrorKind::invalid,
        {"odrl.template-unknown-parameter",
         {{"template", from.name}, {"name", name}, {"known", known}}}
    );
  }
  for (const auto& parameter : from.parameters) {
    const auto found = values.find(parameter.name);
    const std::map<std::string, std::string> params{
        {"template", from.name},
        {"name", parameter.name},
        {"type", parameter.type},
        {"example", parameter.example},
        {"value", found == values.end() ? "" : found->second}};
    if (found == values.end()) {
      return fail(ErrorKind::invalid, {"odrl.template-missing-parameter", params});
    }
    if (!is_of_type(parameter.type, found->second)) {
      return fail(ErrorKind::invalid, {"odrl.template-wrong-parameter", params});
    }
  }
  return {};
}

}  // namespace

std::span<const PolicyTemplate> policy_templates() {
  return table();
}

const PolicyTemplate* find_template(std::string_view name) {
  const auto found = std::ranges::find(table(), name, &PolicyTemplate::name);
  return found == table().end() ? nullptr : &*found;
}

Result<Json> fill(const PolicyTemplate& from, const TemplateValues& values) {
  if (auto good = check(from, values); !good) return tl::unexpected(std::move(good.error()));
  auto policy = Json::parse(from.policy);
  put(policy, from, values);
  return policy;
}

std::string sentence(const PolicyTemplate& from, const TemplateValues& values, Lang lang) {
  auto text = lang == Lang::zh ? from.chinese : from.english;
  for (const auto& [name, value] : values) replace_all(text, "{" + name + "}", value);
  return text;
}

}  // namespace tally::odrl
