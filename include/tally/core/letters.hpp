// ASCII letters in either case, as field names and the words of field values are compared.
#pragma once

#include <algorithm>
#include <string_view>

namespace tally {

constexpr char lower(char c) {
  return c >= 'A' && c <= 'Z' ? static_cast<char>(c - 'A' + 'a') : c;
}

inline bool same_name(std::string_view a, std::string_view b) {
  return std::equal(a.begin(), a.end(), b.begin(), b.end(), [](char x, char y) {
    return lower(x) == lower(y);
  });
}

}  // namespace tally
