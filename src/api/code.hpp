// The codes that an operator gives as a ground. They stand in the log for ever, so they are no free
// text. Pure.
#pragma once

#include <algorithm>
#include <string_view>

namespace tally::api {

// Lower-case letters, digits and '-', 1 to 64.
inline bool is_code(std::string_view text) {
  return !text.empty() && text.size() <= 64 && std::all_of(text.begin(), text.end(), [](char c) {
    return (c >= 'a' && c <= 'z') || (c >= '0' && c <= '9') || c == '-';
  });
}

}  // namespace tally::api
