// Which rows are handed out: all of its clauses have to hold, and of a clause any condition. A
// value that is not there, or none of its column's type, satisfies nothing, "neq" included.
#pragma once

#include <cstddef>
#include <vector>

#include "tally/odrl/terms.hpp"
#include "tally/odrl/values.hpp"

#include "record.hpp"

namespace tally::dataplane {

struct RowCondition {
  std::size_t column = 0;
  odrl::Operator op = odrl::Operator::eq;  // eq, neq or one of order
  odrl::Value value;
};

using RowFilter = std::vector<std::vector<RowCondition>>;

bool holds(const RowFilter& filter, const catalog::Schema& schema, const Record& record);

}  // namespace tally::dataplane
