// A query held against the columns that an agreement hands out.
#pragma once

#include <cstdint>
#include <string>
#include <variant>
#include <vector>

#include "tally/aggregates/group_terms.hpp"
#include "tally/aggregates/query.hpp"
#include "tally/catalog/schema.hpp"

namespace tally::aggregates {

using Literal = std::variant<std::int64_t, double, std::string>;

struct BoundCondition {
  std::size_t column = 0;  // into the schema
  odrl::Operator op = odrl::Operator::eq;
  std::vector<Literal> values;
};

struct BoundMeasure {
  Function function = Function::count;
  std::size_t slot = 0;  // into BoundQuery::measured, or `rows`
  static constexpr std::size_t rows = static_cast<std::size_t>(-1);
};

struct BoundQuery {
  catalog::Schema columns;             // of what is handed out
  std::vector<std::size_t> keys;       // into columns
  std::vector<std::size_t> measured;   // the same; each column once
  std::vector<BoundMeasure> measures;  // in order of the query's values
  std::vector<BoundCondition> filter;
  bool totals = false;
};

// Errors: invalid: aggregates.unknown-column, -misspelt-column, -column-type, -filter-value,
// -private-column, with the place in the query; forbidden: -function-not-allowed.
Result<BoundQuery> bind(
    const Query& query, const catalog::Schema& columns, const GroupTerms& terms
);

// The value of a cell or literal as its column's type says; nullopt: it is none.
std::optional<Literal> typed_literal(const std::string& text, catalog::ColumnType type);

}  // namespace tally::aggregates
