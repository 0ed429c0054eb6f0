#include "tally/aggregates/query.hpp"

#include <algorithm>
#include <array>
#include <optional>
#include <utility>

#include <nlohmann/json.hpp>

namespace tally::aggregates {

namespace {

constexpr auto functions = std::to_array<std::string_view>({"count", "sum", "avg", "min", "max"});
constexpr auto operators =
    std::to_array<std::string_view>({"eq", "neq", "lt", "lteq", "gt", "gteq", "isAnyOf"});

template <class List>
std::string joined(const List& words) {
  std::string out;
  for (const std::string_view one : words) {
    if (!out.empty()) out += ", ";
    out += one;
  }
  return out;
}

tl::unexpected<Error> refuse(
    const char* code, std::map<std::string, std::string> params, std::string at
) {
  return fail(ErrorKind::invalid, {code, std::move(params)}, std::move(at));
}

// An object of known members alone.
Result<void> check_object(
    const Json& value, std::initializer_list<std::string_view> known, const std::string& at
) {
  if (!value.is_object()) return refuse("aggregates.query-type", {{"expected", "object"}}, at);
  for (const auto& [key, ignored] : value.items()) {
    if (std::ranges::find(known, key) != known.end()) continue;
    return refuse(
        "aggregates.query-member",
        {{"member", key.substr(0, query_name_bytes)}, {"known", joined(known)}},
        child(at, key)
    );
  }
  return {};
}

// Absent: an empty list.
Result<const Json*> list_of(
    const Json& document, const char* key, std::size_t most, const std::string& at
) {
  static const Json none = Json::array();
  const auto found = document.find(key);
  if (found == document.end()) return &none;
  if (!found->is_array()) return refuse("aggregates.query-type", {{"expected", "array"}}, at);
  if (found->size() > most) {
    return refuse("aggregates.query-too-many", {{"most", std::to_string(most)}}, at);
  }
  return &*found;
}

Result<std::string> name_of(const Json& value, const std::string& at) {
  if (!value.is_string()) return refuse("aggregates.query-type", {{"expected", "string"}}, at);
  auto text = value.get<std::string>();
  if (text.empty() || text.size() > query_name_bytes) {
    return refuse("aggregates.query-name", {{"most", std::to_string(query_name_bytes)}}, at);
  }
  return text;
}

Result<std::string> name_member(const Json& object, const char* key, const std::string& at) {
  const auto found = object.find(key);
  if (found == object.end()) {
    return refuse("aggregates.query-missing", {{"member", key}}, child(at, key));
  }
  return name_of(*found, child(at, key));
}

Result<std::string> literal_of(const Json& value, const std::string& at) {
  if (value.is_boolean()) return std::string(value.get<bool>() ? "true" : "false");
  if (value.is_number()) return to_jcs(value);
  if (!value.is_string()) {
    return refuse("aggregates.query-type", {{"expected", "string, number, true, false"}}, at);
  }
  auto text = value.get<std::string>();
  if (text.size() > query_name_bytes) {
    return refuse("aggregates.query-name", {{"most", std::to_string(query_name_bytes)}}, at);
  }
  return text;
}

Result<Measure> read_measure(const Json& value, const std::string& at) {
  if (auto good = check_object(value, {"function", "column"}, at); !good) {
    return fail(std::move(good));
  }
  const auto word = name_member(value, "function", at);
  if (!word) return tl::unexpected(word.error());
  const auto function = find_function(*word);
  if (!function) {
    return refuse(
        "aggregates.query-function", {{"known", known_functions()}}, child(at, "function")
    );
  }
  Measure out{*function, {}};
  if (!value.contains("column") && *function == Function::count) return out;
  auto column = name_member(value, "column", at);
  if (!column) return fail(std::move(column));
  out.column = std::move(*column);
  return out;
}

Result<Condition> read_condition(const Json& value, const std::string& at) {
  if (auto good = check_object(value, {"column", "operator", "value"}, at); !good) {
    return fail(std::move(good));
  }
  Condition out;
  auto column = name_member(value, "column", at);
  if (!column) return fail(std::move(column));
  out.column = std::move(*column);
  const auto word = name_member(value, "operator", at);
  if (!word) return tl::unexpected(word.error());
  if (std::ranges::find(operators, *word) == operators.end()) {
    return refuse(
        "aggregates.query-operator", {{"known", joined(operators)}}, child(at, "operator")
    );
  }
  out.op = *odrl::find_operator(*word);
  const auto found = value.find("value");
  const auto place = child(at, "value");
  if (found == value.end()) return refuse("aggregates.query-missing", {{"member", "value"}}, place);
  const bool lists = out.op == odrl::Operator::is_any_of;
  if (found->is_array() != lists) {
    return refuse(
        "aggregates.query-type",
        {{"expected", lists ? "array" : "string, number, true, false"}},
        place
    );
  }
  if (!lists) {
    auto literal = literal_of(*found, place);
    if (!literal) return fail(std::move(literal));
    out.values.push_back(std::move(*literal));
    return out;
  }
  if (found->empty() || found->size() > query_literals) {
    return refuse("aggregates.query-too-many", {{"most", std::to_string(query_literals)}}, place);
  }
  for (std::size_t i = 0; i < found->size(); ++i) {
    auto literal = literal_of((*found)[i], child(place, i));
    if (!literal) return fail(std::move(literal));
    out.values.push_back(std::move(*literal));
  }
  std::ranges::sort(out.values);
  const auto twice = std::ranges::unique(out.values);
  out.values.erase(twice.begin(), twice.end());
  if (out.values.size() == 1) out.op = odrl::Operator::eq;
  return out;
}

template <class One>
void put_in_order(std::vector<One>& list) {
  std::sort(list.begin(), list.end());
  list.erase(std::unique(list.begin(), list.end()), list.end());
}

}  // namespace

std::string_view to_string(Function function) {
  return functions[static_cast<std::size_t>(function)];
}

std::optional<Function> find_function(std::string_view word) {
  const auto found = std::ranges::find(functions, word);
  if (found == functions.end()) return std::nullopt;
  return static_cast<Function>(found - functions.begin());
}

std::string known_functions() {
  return joined(functions);
}

std::string to_string(const Measure& measure) {
  std::string out(to_string(measure.function));
  if (!measure.column.empty()) out += "(" + measure.column + ")";
  return out;
}

Result<Query> read_query(const Json& document) {
  if (auto good = check_object(document, {"groupBy", "values", "filter", "totals"}, ""); !good) {
    return fail(std::move(good));
  }
  Query out;
  const auto columns = list_of(document, "groupBy", query_columns, "/groupBy");
  if (!columns) return tl::unexpected(columns.error());
  for (std::size_t i = 0; i < (*columns)->size(); ++i) {
    const auto at = child("/groupBy", i);
    auto name = name_of((**columns)[i], at);
    if (!name) return fail(std::move(name));
    if (std::ranges::find(out.group_by, *name) != out.group_by.end()) {
      return refuse("aggregates.query-twice", {{"column", *name}}, at);
    }
    out.group_by.push_back(std::move(*name));
  }
  const auto values = list_of(document, "values", query_values, "/values");
  if (!values) return tl::unexpected(values.error());
  for (std::size_t i = 0; i < (*values)->size(); ++i) {
    auto measure = read_measure((**values)[i], child("/values", i));
    if (!measure) return fail(std::move(measure));
    out.values.push_back(std::move(*measure));
  }
  if (out.values.empty()) return refuse("aggregates.query-empty", {}, "/values");
  const auto filter = list_of(document, "filter", query_values, "/filter");
  if (!filter) return tl::unexpected(filter.error());
  for (std::size_t i = 0; i < (*filter)->size(); ++i) {
    auto condition = read_condition((**filter)[i], child("/filter", i));
    if (!condition) return fail(std::move(condition));
    out.filter.push_back(std::move(*condition));
  }
  if (const auto totals = document.find("totals"); totals != document.end()) {
    if (!totals->is_boolean()) {
      return refuse("aggregates.query-type", {{"expected", "true, false"}}, "/totals");
    }
    // Of no group there is nothing but the total.
    out.totals = totals->get<bool>() && !out.group_by.empty();
  }
  put_in_order(out.values);
  put_in_order(out.filter);
  return out;
}

Json to_json(const Query& query) {
  Json values = Json::array();
  for (const auto& one : query.values) {
    Json value{{"function", to_string(one.function)}};
    if (!one.column.empty()) value["column"] = one.column;
    values.push_back(std::move(value));
  }
  Json filter = Json::array();
  for (const auto& one : query.filter) {
    Json value = one.op == odrl::Operator::is_any_of ? Json(one.values) : Json(one.values.front());
    filter.push_back(
        {{"column", one.column},
         {"operator", odrl::operator_word(one.op)},
         {"value", std::move(value)}}
    );
  }
  return {
      {"groupBy", query.group_by},
      {"values", std::move(values)},
      {"filter", std::move(filter)},
      {"totals", query.totals}};
}

Digest digest_of(const Query& query) {
  return sha256(to_jcs(to_json(query)));
}

}  // namespace tally::aggregates
