// JSON as this program reads and signs it: strict on the way in, canonical on the way out.
//
// Strict: duplicate keys, numbers outside I-JSON (RFC 7493), invalid UTF-8, depth and size over the
// limit are errors with a JSON pointer, never repaired. Canonical: RFC 8785 (JCS). Pure.
#pragma once

#include <cstddef>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include <nlohmann/json_fwd.hpp>

#include "tally/core/result.hpp"

namespace tally {

using Json = nlohmann::json;

struct JsonLimits {
  std::size_t bytes = 1 << 20;
  std::size_t depth = 64;
};

// Parses one document and nothing after it. Errors: invalid, codes core.json-*.
Result<Json> parse_json(std::string_view text, const JsonLimits& limits = {});

// The canonical form of RFC 8785: keys by UTF-16 code units, numbers as ECMAScript writes them.
// Equality of policies and agreements is equality of this text. Precondition: finite numbers.
std::string to_jcs(const Json& value);

// One step further down a JSON pointer, with '~' and '/' escaped (RFC 6901).
std::string child(std::string_view pointer, std::string_view key);
std::string child(std::string_view pointer, std::size_t index);

// Members that must be there and be of a type. Errors: invalid, core.member-missing or
// core.member-type, at the member's pointer.
Result<std::string> string_member(const Json& object, std::string_view key, std::string_view at);
// An absent member is `fallback`; one of another type is an error.
Result<std::string> string_member_or(
    const Json& object, std::string_view key, std::string fallback, std::string_view at
);

// The byte at which `text` stops being UTF-8, or nullopt. Overlong forms and surrogates are
// refused.
std::optional<std::size_t> broken_utf8(std::string_view text);

// The term of `known` with the smallest edit distance to `word`, or empty if none is near (at most
// a third of the word's length). For sentences that say what was probably meant.
std::string closest_term(std::string_view word, const std::vector<std::string_view>& known);

}  // namespace tally
