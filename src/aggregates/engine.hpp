// SQLite, in memory, for one query: rows in, groups out. The one home of the SQL that counts and
// sums (docs/decisions/0018). Whatever the query says, its words never become part of a statement:
// columns have names of our own, and literals are bound.
//
// The connection is this query's alone: no file, no extension, nothing allowed but to read one
// table with five functions, so many pages, so many steps. Blocks; one thread.
#pragma once

#include <cstdint>
#include <memory>

#include "tally/core/result.hpp"
#include "tally/dataplane/cell.hpp"

#include "bound_query.hpp"
#include "grouping.hpp"

namespace tally::aggregates {

struct EngineLimits {
  std::size_t memory_bytes = 256 << 20;
  std::uint64_t steps = 2'000'000'000;  // of SQLite's machine
  std::size_t groups = 10'000;
};

class Engine {
 public:
  Engine(const BoundQuery& query, const EngineLimits& limits);  // `query` outlives it
  ~Engine();

  // A row of what is handed out, with its place in the source; places ascend. Errors: unavailable
  // (aggregates.engine), forbidden (aggregates.too-much, it does not fit into memory).
  Result<void> add(std::uint32_t place, const dataplane::Record& values);
  // Once, after the last row. Errors: the same; aggregates.too-many-groups.
  Result<Grouping> run();

 private:
  struct State;
  std::unique_ptr<State> state_;
};

}  // namespace tally::aggregates
