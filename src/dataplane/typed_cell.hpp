// The value of a cell as its column's type says, for filters and masks that have to understand it.
#pragma once

#include "tally/catalog/schema.hpp"
#include "tally/odrl/values.hpp"

#include "record.hpp"

namespace tally::dataplane {

// Malformed: there is none, or it is none of that type. In JSON the kind has to fit too: "12" is no
// integer there.
odrl::Value typed_cell(const Cell& cell, catalog::ColumnType type, catalog::DataForm form);

// The same of a policy's literal, which is always text.
odrl::Value typed_text(const std::string& text, catalog::ColumnType type);

}  // namespace tally::dataplane
