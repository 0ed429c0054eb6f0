// What a consumer may ask of groups (docs/aggregates.md): a bounded question as JSON, never the
// text of a query language. Values; pure.
#pragma once

#include <cstddef>
#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "tally/core/digest.hpp"
#include "tally/core/json.hpp"
#include "tally/core/result.hpp"
#include "tally/odrl/terms.hpp"

namespace tally::aggregates {

enum class Function : std::uint8_t { count, sum, avg, min, max };
std::string_view to_string(Function function);  // "count"
std::optional<Function> find_function(std::string_view word);
std::string known_functions();  // all of them, for sentences

struct Measure {
  Function function = Function::count;
  std::string column;  // empty: rows, of `count` alone
  auto operator<=>(const Measure&) const = default;
};
std::string to_string(const Measure& measure);  // "count", "sum(cost)"

struct Condition {
  std::string column;
  odrl::Operator op = odrl::Operator::eq;  // eq, neq, one of order, isAnyOf
  std::vector<std::string> values;         // as text; of isAnyOf alone more than one
  auto operator<=>(const Condition&) const = default;
};

struct Query {
  std::vector<std::string> group_by;  // in order; columns are those of the rows as handed out
  std::vector<Measure> values;        // in order, each once, at least one
  std::vector<Condition> filter;      // all hold; in order, each once
  bool totals = false;                // also of the leading parts of group_by, down to none
  bool operator==(const Query&) const = default;
};

// The most of everything. Of what a peer sends nothing else is unbounded.
inline constexpr std::size_t query_bytes = 16 << 10;
inline constexpr std::size_t query_columns = 8;    // of group_by
inline constexpr std::size_t query_values = 16;    // and conditions
inline constexpr std::size_t query_literals = 64;  // of one condition
inline constexpr std::size_t query_name_bytes = 256;

// Strict: a member that is not known is refused. Errors: invalid (aggregates.query-*), with the
// place; none repeats a value of the filter.
Result<Query> read_query(const Json& document);

// Its canonical form: two queries that ask the same in another order are one.
Json to_json(const Query& query);
// SHA-256 of the JCS of that: what logs and records call a query by, since it hides the values of
// its filter as far as they are hard to guess.
Digest digest_of(const Query& query);

}  // namespace tally::aggregates
