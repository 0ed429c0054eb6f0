#include "tally/catalog/filter.hpp"

#include <algorithm>
#include <array>
#include <utility>

#include <nlohmann/json.hpp>

#include "published_text.hpp"

namespace tally::catalog {

namespace {

constexpr std::size_t most_conditions = 16;
constexpr std::size_t most_bytes = 2048;
constexpr std::size_t most_offset = 1'000'000'000;
constexpr std::string_view edc = "https://w3id.org/edc/v0.0.1/ns/";

// Our words for what askers look for most, and the published properties that they stand for.
constexpr std::array<std::pair<std::string_view, std::string_view>, 4> words{{
    {"id", "@id"},
    {"keyword", "dcat:keyword"},
    {"theme", "dcat:theme"},
    {"class", "urn:tally:profile:1#class"},
}};
constexpr std::array<std::pair<std::string_view, std::string_view>, 2> prefixes{{
    {"dct:", "http://purl.org/dc/terms/"},
    {"dcat:", "http://www.w3.org/ns/dcat#"},
}};

std::string_view property_of(std::string_view word) {
  const auto* found = std::find_if(words.begin(), words.end(), [&](const auto& known) {
    return known.first == word;
  });
  return found == words.end() ? std::string_view{} : found->second;
}

// "dct:title" for "http://purl.org/dc/terms/title" and the other way round; empty: has no other.
std::string other_spelling(std::string_view property) {
  for (const auto& [prefix, iri] : prefixes) {
    if (property.starts_with(prefix)) {
      return std::string(iri) + std::string(property.substr(prefix.size()));
    }
    if (property.starts_with(iri)) {
      return std::string(prefix) + std::string(property.substr(iri.size()));
    }
  }
  return {};
}

// A value as metadata may have it: bare, or in an object of JSON-LD with nothing beside it.
bool is_value(std::string_view found, std::string_view wanted) {
  if (found == wanted) return true;
  for (const std::string_view wrap : {"{\"@id\":", "{\"@value\":"}) {
    if (found.size() == wrap.size() + wanted.size() + 1 && found.starts_with(wrap) &&
        found.substr(wrap.size(), wanted.size()) == wanted) {
      return true;
    }
  }
  return false;
}

class FilterReader {
 public:
  Result<Filter> read(const std::vector<Json>& items) {
    for (std::size_t i = 0; i < items.size() && !fault_; ++i) {
      read_item(items[i], child("/filter", i));
    }
    if (filter_.conditions.size() > most_conditions) {
      fail_at("catalog.filter-too-long", "/filter");
    } else if (!fault_ && to_jcs(filter_.to_json()).size() > most_bytes) {
      fail_at("catalog.filter-too-long", "/filter");
    }
    if (fault_) return tl::unexpected(std::move(*fault_));
    return std::move(filter_);
  }

 private:
  void fail_at(std::string code, std::string pointer, std::string name = {}) {
    if (fault_) return;
    Message message{std::move(code), {}};
    if (!name.empty()) message.params["name"] = name.substr(0, 100);
    fault_ = Error{ErrorKind::invalid, std::move(message), std::move(pointer)};
  }

  void add(std::string property, const Json& value, const std::string& at) {
    if (property.empty()) return fail_at("catalog.filter-form", at);
    if (!value.is_string() && !value.is_number() && !value.is_boolean()) {
      return fail_at("catalog.filter-value", at);
    }
    filter_.conditions.push_back({std::move(property), to_jcs(value)});
  }

  void read_item(const Json& item, const std::string& at) {
    if (!item.is_object() || item.empty()) return fail_at("catalog.filter-form", at);
    const auto type = item.find("@type");
    if (type != item.end()) {
      if (!is_edc(*type, "QuerySpec")) return fail_at("catalog.filter-form", child(at, "@type"));
      return read_query(item, at);
    }
    const auto property = item.find("property");
    const auto value = item.find("value");
    if ((property == item.end()) != (value == item.end())) {
      return fail_at("catalog.filter-form", at);
    }
    if (property != item.end()) {
      if (!property->is_string()) return fail_at("catalog.filter-form", child(at, "property"));
      add(property->get<std::string>(), *value, child(at, "value"));
    }
    for (const auto& [key, member] : item.items()) {
      if (key == "property" || key == "value") continue;
      const auto published = property_of(key);
      if (published.empty()) return fail_at("catalog.filter-unknown", child(at, key), key);
      add(std::string(published), member, child(at, key));
    }
  }

  // --- the QuerySpec of an Eclipse EDC, which a stock one sends with each request ---

  static bool is_edc(const Json& type, std::string_view word) {
    const auto* text = type.get_ptr<const std::string*>();
    return text != nullptr && bare(*text) == word;
  }
  // Its words without prefix or namespace.
  static std::string_view bare(std::string_view name) {
    for (const std::string_view start : {edc, std::string_view("edc:")}) {
      if (name.starts_with(start)) return name.substr(start.size());
    }
    return name;
  }

  void read_query(const Json& query, const std::string& at) {
    for (const auto& [key, member] : query.items()) {
      const auto word = bare(key);
      const auto where = child(at, key);
      if (word == "@type" || word == "@id" || word == "sortOrder") continue;
      if (word == "limit") {
        if (const auto limit = number(member, where))
          filter_.limit = std::max<std::size_t>(*limit, 1);
      } else if (word == "offset") {
        if (const auto offset = number(member, where)) filter_.offset = *offset;
      } else if (word == "filterExpression") {
        const Json list = member.is_array() ? member : Json::array({member});
        for (std::size_t i = 0; i < list.size(); ++i) read_criterion(list[i], child(where, i));
      } else {
        // We sort by id alone.
        return fail_at("catalog.filter-unknown", where, key);
      }
    }
  }

  std::optional<std::size_t> number(const Json& value, const std::string& at) {
    const bool fits = value.is_number_unsigned() && value.get<std::uint64_t>() <= most_offset;
    if (fits) return value.get<std::size_t>();
    fail_at("catalog.filter-number", at);
    return std::nullopt;
  }

  void read_criterion(const Json& criterion, const std::string& at) {
    if (!criterion.is_object()) return fail_at("catalog.filter-form", at);
    const Json* left = nullptr;
    const Json* op = nullptr;
    const Json* right = nullptr;
    for (const auto& [key, member] : criterion.items()) {
      const auto word = bare(key);
      if (word == "operandLeft") left = &member;
      if (word == "operator") op = &member;
      if (word == "operandRight") right = &member;
    }
    if (left == nullptr || op == nullptr || right == nullptr || !left->is_string()) {
      return fail_at("catalog.filter-form", at);
    }
    if (*op != "=") {
      return fail_at("catalog.filter-operator", child(at, "operator"), op->dump());
    }
    const auto name = bare(left->get_ref<const std::string&>());
    const auto published = property_of(name);
    add(std::string(published.empty() ? name : published), *right, child(at, "operandRight"));
  }

  Filter filter_;
  std::optional<Error> fault_;
};

}  // namespace

bool Filter::holds(std::string_view dataset) const {
  return std::all_of(conditions.begin(), conditions.end(), [&](const Condition& condition) {
    // Most datasets are told apart by a look for the value alone.
    if (dataset.find(condition.value) == std::string_view::npos) return false;
    const std::string key = to_jcs(condition.property);
    const std::string other = other_spelling(condition.property);
    const std::string other_key = other.empty() ? std::string() : to_jcs(other);
    return any_member(dataset, [&](std::string_view name, std::string_view value) {
      if (name != key && (other_key.empty() || name != other_key)) return false;
      return any_value(value, [&](std::string_view one) { return is_value(one, condition.value); });
    });
  });
}

Json Filter::to_json() const {
  Json out = Json::array();
  for (const Condition& condition : conditions) {
    out.push_back(
        {{"property", condition.property}, {"value", Json::parse(condition.value, nullptr, false)}}
    );
  }
  if (limit) out.push_back({{"@type", "QuerySpec"}, {"limit", *limit}});
  return out;
}

Result<Filter> read_filter(const std::vector<Json>& items) {
  return FilterReader().read(items);
}

}  // namespace tally::catalog
