// Which of the groups of one answer may leave, and which of their values: none of fewer rows than
// `least`, and none from which such a one could be computed (docs/aggregates.md). Pure.
#pragma once

#include <cstddef>

#include "grouping.hpp"

namespace tally::aggregates {

struct Suppression {
  std::size_t least = 2;
  // Also hides what would give a small one away. Off in the control runs of tests alone.
  bool secondary = true;
};

// Sets `shown` and `column_shown`. What holds of every group shown with its rows S, and of the rows
// P of it that have a value in a column shown: S and P have `least` rows or more (P may be empty);
// so have S without P, and S (or P) without what is shown of the groups within it, unless they are
// empty.
void suppress(Grouping& groups, const Suppression& how);

}  // namespace tally::aggregates
