// Code points of text that is known to be UTF-8.
#pragma once

#include <cstdint>
#include <string>
#include <string_view>

namespace tally::dataplane {

void append_utf8(std::string& out, std::uint32_t code_point);

// The code point that `text` begins with. Precondition: UTF-8, not empty.
struct CodePoint {
  std::uint32_t value = 0;
  std::size_t bytes = 1;
};
CodePoint first_code_point(std::string_view text);

// How many bytes of `text` are its first character as people count them: a code point with the
// combining marks, variation selectors and modifiers behind it. 0: there is none.
std::size_t character_bytes(std::string_view text);

}  // namespace tally::dataplane
