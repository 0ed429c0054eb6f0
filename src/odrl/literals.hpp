// Literals: from JSON to typed values, exactly (docs/odrl-profile.md, "Values"). The loader and the
// reader of requests and worlds share it.
#pragma once

#include <string>
#include <string_view>
#include <vector>

#include <nlohmann/json_fwd.hpp>

#include "tally/odrl/policy.hpp"
#include "tally/odrl/values.hpp"

#include "context.hpp"

namespace tally::odrl {

// One value as it is written, before an operand gives it a type.
struct Literal {
  std::string text;
  std::string type;      // full IRI; empty: plain
  std::string language;  // lower case
  std::string unit;      // full IRI
  bool is_iri = false;
  bool is_number = false;   // a plain JSON number
  bool is_boolean = false;  // a plain JSON boolean
  std::string pointer;
};

// Reads a string, number, boolean, {"@value"}, {"@id"}, an array or {"@list"} of these. False when
// something was wrong; `problems` says what.
bool read_literals(
    const Json& value,
    const std::string& at,
    const Context& context,
    std::size_t most,
    std::vector<Literal>& out,
    std::vector<Problem>& problems
);

// The value of `literal` where a `kind` is expected. One that is none is Malformed; one of another
// type is itself, and comparing it is a type mismatch.
Value type_value(const Literal& literal, ValueKind kind, int default_zone);

// Whether a right operand of `kind` may have this value.
bool fits(const Value& value, ValueKind kind);
// "xsd:integer", "IRI|xsd:string": what a sentence says is expected.
std::string_view expected_type(ValueKind kind);
// What the sentence says was found.
std::string found_type(const Literal& literal);

// A time without a zone, which the caller may want to warn of.
bool lacks_zone(const Literal& literal, const Value& value);

}  // namespace tally::odrl
