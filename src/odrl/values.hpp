// Right operands: from JSON to typed values, exactly (docs/odrl-profile.md, "Values").
#pragma once

#include <string>
#include <string_view>
#include <vector>

#include <nlohmann/json_fwd.hpp>

#include "context.hpp"
#include "plan.hpp"

namespace tally::odrl {

// One value as it is written, before the operand gives it a type.
struct Literal {
  std::string text;
  std::string type;  // full IRI; empty: plain
  bool is_iri = false;
  bool is_number = false;  // a plain JSON number
  std::string pointer;
};

// Reads a string, number, {"@value"}, {"@id"}, an array or {"@list"} of these. False when something
// was wrong; `problems` says what.
bool read_literals(
    const Json& value,
    const std::string& at,
    const Context& context,
    std::size_t most,
    std::vector<Literal>& out,
    std::vector<Problem>& problems
);

// Gives `literals` the type of `operand`. False when something was wrong.
bool type_values(
    Operand operand,
    const std::vector<Literal>& literals,
    Values& out,
    std::vector<Problem>& problems,
    std::vector<Problem>& warnings
);

// An xsd decimal with an integral value, cut to the range of 64 bits (beyond it no count reaches).
enum class IntegerFault { none, not_a_number, not_integral };
IntegerFault parse_integral(std::string_view text, std::int64_t& out);

}  // namespace tally::odrl
