// The part of Structured Field Values (RFC 8941) that signatures use: dictionaries, lists, inner
// lists, and of the bare items integers, strings, tokens, byte sequences and booleans. Strict and
// bounded: a key twice, padding left out, trailing text are errors. Pure.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <utility>
#include <variant>
#include <vector>

#include "tally/core/digest.hpp"

namespace tally::identity {

struct SfToken {
  std::string text;
};
using SfValue = std::variant<std::int64_t, std::string, SfToken, Bytes, bool>;
using SfParams = std::vector<std::pair<std::string, SfValue>>;

struct SfItem {
  SfValue value;
  SfParams params;
};
struct SfInnerList {
  std::vector<SfItem> items;
  SfParams params;
};
using SfMember = std::variant<SfItem, SfInnerList>;
using SfDictionary = std::vector<std::pair<std::string, SfMember>>;

std::optional<SfDictionary> parse_dictionary(std::string_view text);
std::optional<std::vector<SfItem>> parse_list(std::string_view text);  // items only
std::optional<SfItem> parse_item(std::string_view text);

std::string serialise(const SfValue& value);
std::string serialise(const SfInnerList& list);

// The value of the parameter `key` if it is there and of type T.
template <class T>
const T* param(const SfParams& params, std::string_view key) {
  for (const auto& [name, value] : params) {
    if (name == key) return std::get_if<T>(&value);
  }
  return nullptr;
}

}  // namespace tally::identity
