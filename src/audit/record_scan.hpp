// One pass over the bytes of a record: whether they are canonical JSON as records allow it, and
// where the top-level members stand. No tree, no allocation.
#pragma once

#include <array>
#include <cstddef>
#include <cstdint>
#include <string>
#include <string_view>

#include "tally/audit/canonical_value.hpp"

namespace tally::audit {

struct RawMember {
  std::string_view key;    // without quotes; never holds an escape in a valid record
  std::string_view value;  // canonical JSON
};

class RecordScan {
 public:
  static constexpr std::size_t most_members = 64;

  bool canonical = false;
  std::size_t fault = 0;  // where the first byte stands that is not canonical

  // The members in key order, into the text that was scanned.
  [[nodiscard]] std::size_t count() const { return count_; }
  [[nodiscard]] RawMember member(std::size_t i) const {
    return {at(places_[i].key), at(places_[i].value)};
  }
  // The value of a member, or empty when absent.
  [[nodiscard]] std::string_view value(std::string_view key) const;
  // The content of a string member without escapes; empty when it is absent or anything else.
  [[nodiscard]] std::string_view plain(std::string_view key) const;

 private:
  friend RecordScan scan_record(std::string_view text);
  friend class Scanner;

  struct Piece {
    std::uint32_t at;
    std::uint32_t size;
  };
  struct Place {
    Piece key;
    Piece value;
  };
  [[nodiscard]] std::string_view at(Piece piece) const {
    return text_.substr(piece.at, piece.size);
  }

  std::string_view text_;
  std::size_t count_ = 0;
  // Offsets, and none of them set beyond `count_`: setting 64 texts to nothing costs as much as
  // scanning a record.
  std::array<Place, most_members> places_;
};

// Canonical: RFC 8785 with ASCII keys, integers of at most 2^53-1 and no other numbers, depth at
// most 16, at most 64 members at the top.
RecordScan scan_record(std::string_view text);

// Characters to a canonical string.
std::string quote(std::string_view text);
// A whole canonical value (no top-level object needed).
bool is_canonical_value(std::string_view text);

}  // namespace tally::audit
