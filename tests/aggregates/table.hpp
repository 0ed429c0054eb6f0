// A table that is written down, and what is asked of it: the way from a query's JSON to the numbers
// without a policy, a store or a connector.
#pragma once

#include <map>
#include <memory>
#include <optional>
#include <string>
#include <utility>
#include <vector>

#include <gtest/gtest.h>
#include <nlohmann/json.hpp>

#include "tally/aggregates/query.hpp"
#include "tally/dataplane/shape.hpp"

#include "aggregates/bound_query.hpp"
#include "aggregates/compute.hpp"

namespace tally::aggregates {

inline catalog::Schema schema_of(
    const std::vector<std::pair<std::string, catalog::ColumnType>>& columns
) {
  catalog::Schema out;
  for (const auto& [name, type] : columns) {
    catalog::Column column;
    column.name = name;
    column.type = type;
    out.columns.push_back(std::move(column));
  }
  return out;
}

// What an obligation `selectRows` with one rowFilter is.
inline odrl::Obligation only_rows(const std::string& filter) {
  odrl::Obligation out;
  out.duty = RuleId("urn:example:duty:rows");
  out.action = std::string(odrl::iri::select_rows);
  odrl::DutyParameter parameter;
  parameter.operand = std::string(odrl::iri::row_filter);
  parameter.values = {odrl::Text{filter, {}}};
  parameter.text = filter;
  out.parameters.push_back(std::move(parameter));
  return out;
}

inline dataplane::ShapePtr shape_of(
    const catalog::Schema& schema, const std::vector<odrl::Obligation>& obligations = {}
) {
  auto made =
      dataplane::compile_shape(obligations, schema, nullptr, dataplane::PrivateColumns::decided);
  if (!made) throw std::runtime_error(render(made.error().front().message, Lang::en));
  return *made;
}

inline Query query_of(const std::string& text) {
  auto query = read_query(Json::parse(text));
  if (!query) throw std::runtime_error(render(query.error().message, Lang::en));
  return *query;
}

inline GroupTerms terms_of(std::size_t least) {
  GroupTerms out;
  out.min_group_size = least;
  out.functions = {Function::count, Function::sum, Function::avg, Function::min, Function::max};
  out.columns_named = true;
  return out;
}

// A participant asks, and what it is told is remembered.
class Asker {
 public:
  Asker(catalog::Schema schema, std::string data, std::size_t least, Protection protection = {})
      : schema_(std::move(schema)),
        data_(std::move(data)),
        least_(least),
        protection_(protection) {}

  // Nothing: refused; its code is in `refused`.
  std::optional<Json> ask(const std::string& text) { return ask(text, least_, shape_of(schema_)); }
  std::optional<Json> ask(
      const std::string& text, std::size_t least, const dataplane::ShapePtr& shape
  ) {
    refused.clear();
    const auto bound = bind(query_of(text), shape->output(), terms_of(least));
    if (!bound) throw std::runtime_error(render(bound.error().message, Lang::en));
    auto done = compute(as_bytes(data_), shape, *bound, least, memory, {}, protection_);
    if (!done) throw std::runtime_error(render(done.error().message, Lang::en));
    if (done->refused) {
      refused = done->refused->code;
      return std::nullopt;
    }
    auto& found = done->computed;
    memory.rows.insert(memory.rows.end(), found.fresh.begin(), found.fresh.end());
    memory.told.push_back({least, std::move(found.told)});
    cells = found.cells;
    return std::move(found.answer);
  }
  void replace(std::string data) { data_ = std::move(data); }
  [[nodiscard]] const catalog::Schema& schema() const { return schema_; }

  Memory memory;
  std::string refused;
  std::size_t cells = 0;

 private:
  catalog::Schema schema_;
  std::string data_;
  std::size_t least_;
  Protection protection_;
};

// A number of the group with this key, of the list "groups" or "totals"; nullopt: there is no such
// group, or the number is suppressed.
inline std::optional<double> value_of(
    const std::optional<Json>& answer,
    const Json& key,
    std::size_t measure = 0,
    const char* list = "groups"
) {
  if (!answer || !answer->contains(list)) return std::nullopt;
  for (const auto& group : (*answer)[list]) {
    if (group["key"] != key) continue;
    const auto& value = group["values"][measure];
    if (!value.is_number()) return std::nullopt;
    return value.get<double>();
  }
  return std::nullopt;
}

}  // namespace tally::aggregates
