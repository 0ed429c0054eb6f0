// Looks into JSON text that we made ourselves (canonical: no blanks, well formed) without making a
// tree of it. Never for text from outside.
#pragma once

#include <cstddef>
#include <string_view>

namespace tally::catalog {

// Behind the value that begins at `at`.
inline std::size_t end_of_value(std::string_view text, std::size_t at) {
  std::size_t depth = 0;
  bool in_string = false;
  for (; at < text.size(); ++at) {
    const char c = text[at];
    if (in_string) {
      if (c == '\\') {
        ++at;
      } else if (c == '"') {
        in_string = false;
        if (depth == 0) return at + 1;
      }
    } else if (c == '"') {
      in_string = true;
    } else if (c == '{' || c == '[') {
      ++depth;
    } else if (c == '}' || c == ']') {
      if (depth == 0) return at;  // of the value around this one
      if (--depth == 0) return at + 1;
    } else if (c == ',' && depth == 0) {
      return at;
    }
  }
  return text.size();
}

// True once `wanted(name, value)` is, for a member of the object that `text` begins; both as they
// stand there, the name with its quotes. The object may lack its end.
template <class Wanted>
bool any_member(std::string_view text, Wanted wanted) {
  std::size_t at = 1;
  while (at < text.size() && text[at] == '"') {
    const std::size_t colon = end_of_value(text, at);
    const std::size_t end = end_of_value(text, colon + 1);
    if (wanted(text.substr(at, colon - at), text.substr(colon + 1, end - colon - 1))) return true;
    at = end + 1;
  }
  return false;
}

// The same for the items of a list; a value that is none stands for a list of one.
template <class Wanted>
bool any_value(std::string_view text, Wanted wanted) {
  if (!text.starts_with('[')) return wanted(text);
  std::size_t at = 1;
  while (at < text.size() && text[at] != ']') {
    const std::size_t end = end_of_value(text, at);
    if (wanted(text.substr(at, end - at))) return true;
    at = end + 1;
  }
  return false;
}

}  // namespace tally::catalog
