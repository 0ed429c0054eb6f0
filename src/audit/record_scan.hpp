// One pass over the bytes of a record: whether they are canonical JSON as records allow it, and
// where the top-level members stand. No tree, no allocation.
#pragma once

#include <array>
#include <cstddef>
#include <string>
#include <string_view>

namespace tally::audit {

struct RawMember {
  std::string_view key;    // without quotes; never holds an escape in a valid record
  std::string_view value;  // canonical JSON
};

struct RecordScan {
  static constexpr std::size_t most_members = 64;

  bool canonical = false;
  std::size_t fault = 0;  // where the first byte stands that is not canonical
  std::size_t count = 0;
  std::array<RawMember, most_members> members;  // in key order

  // The value of a member, or empty when absent.
  [[nodiscard]] std::string_view value(std::string_view key) const;
  // The content of a string member without escapes; empty when it is absent or anything else.
  [[nodiscard]] std::string_view plain(std::string_view key) const;
};

// Canonical: RFC 8785 with ASCII keys, integers of at most 2^53-1 and no other numbers, depth at
// most 16, at most 64 members at the top.
RecordScan scan_record(std::string_view text);

// Where the value of a top-level member stands, in a record that is known to be canonical; stops
// at the member.
std::string_view find_member(std::string_view record, std::string_view key);

// A canonical string back to its characters; the argument includes the quotes.
std::string unquote(std::string_view value);
// Characters to a canonical string.
std::string quote(std::string_view text);
// A whole canonical value (no top-level object needed).
bool is_canonical_value(std::string_view text);

}  // namespace tally::audit
