#include "row_filter.hpp"

#include <algorithm>

#include "typed_cell.hpp"

namespace tally::dataplane {

bool holds(const RowFilter& filter, const catalog::Schema& schema, const Record& record) {
  static constexpr odrl::OperandTerm any_value{};
  const auto is_true = [&](const RowCondition& one) {
    const auto type = schema.columns[one.column].type;
    const auto actual = typed_cell(record[one.column], type, schema.form);
    return odrl::compare_one(any_value, actual, one.op, one.value, {}).truth == odrl::Truth::yes;
  };
  return std::ranges::all_of(filter, [&](const auto& clause) {
    return std::ranges::any_of(clause, is_true);
  });
}

}  // namespace tally::dataplane
