// What is within a record's text, found without a tree: members, values of a list, characters. All
// of it is for canonical JSON alone, which everything is that a log's chain has taken; of other
// bytes it says something, reads nothing outside of them, and never throws. Pure.
#pragma once

#include <cstdint>
#include <optional>
#include <span>
#include <string>
#include <string_view>

namespace tally::audit {

// Of which kind a value is. An absent one, which is empty, is of none.
inline bool is_text(std::string_view value) {
  return value.starts_with('"');
}
inline bool is_object(std::string_view value) {
  return value.starts_with('{');
}
inline bool is_list(std::string_view value) {
  return value.starts_with('[');
}
inline bool is_number(std::string_view value) {
  return !value.empty() && (value[0] == '-' || (value[0] >= '0' && value[0] <= '9'));
}

// The value of a member of an object, or empty when it is absent; stops at the member.
std::string_view find_member(std::string_view object, std::string_view key);
// Those of several members, in one pass. Precondition: the keys are sorted, and there is one;
// `values` are as many, and empty.
void find_members(
    std::string_view object,
    std::span<const std::string_view> keys,
    std::span<std::string_view> values
);

// The values of a list, one after another.
class ArrayValues {
 public:
  explicit ArrayValues(std::string_view array);
  // nullopt: there are no more.
  std::optional<std::string_view> next();

 private:
  std::string_view rest_;
};

// The content of a string without escapes; empty when it is anything else.
std::string_view plain_content(std::string_view value);
// A string back to its characters; the argument includes the quotes. Empty when it is none.
std::string unquote(std::string_view value);
// nullopt when it is no number.
std::optional<std::int64_t> integer_of(std::string_view value);

}  // namespace tally::audit
