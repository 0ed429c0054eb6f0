#include "tally/catalog/strict_object.hpp"

#include <algorithm>
#include <utility>

namespace tally::catalog {

std::optional<Json> parse_document(
    const Document& document, const Limits& limits, std::vector<Problem>& faults
) {
  auto value = parse_json(document.bytes, {limits.policy_bytes, limits.json_depth});
  if (value) return std::move(*value);
  faults.push_back({document.name, value.error().pointer, value.error().message});
  return std::nullopt;
}

StrictObject::StrictObject(
    const Json& object, std::string at, const Document& document, std::vector<Problem>& faults
)
    : object_(object), at_(std::move(at)), document_(document), faults_(faults) {
  if (!object_.is_object()) fault({"catalog.not-an-object", {}}, at_);
}

const Json* StrictObject::member(std::string_view key) {
  known_.push_back(key);
  if (!object_.is_object()) return nullptr;
  const auto found = object_.find(key);
  return found == object_.end() ? nullptr : &*found;
}

const Json* StrictObject::required(std::string_view key) {
  const Json* value = member(key);
  if (!value && object_.is_object()) {
    fault({"catalog.member-missing", {{"member", std::string(key)}}}, at(key));
  }
  return value;
}

std::string StrictObject::text(std::string_view key, std::string fallback) {
  return as_text(key, member(key), std::move(fallback));
}

std::string StrictObject::required_text(std::string_view key) {
  return as_text(key, required(key), {});
}

bool StrictObject::flag(std::string_view key, bool fallback) {
  const Json* value = member(key);
  if (!value) return fallback;
  if (value->is_boolean()) return value->get<bool>();
  wrong_type(key, "true|false");
  return fallback;
}

int StrictObject::number(std::string_view key, int fallback, int most) {
  const Json* value = member(key);
  if (!value) return fallback;
  const bool whole = value->is_number_unsigned() &&
                     value->get<std::uint64_t>() <= static_cast<std::uint64_t>(most);
  if (whole) return value->get<int>();
  wrong_type(key, "0…" + std::to_string(most));
  return fallback;
}

std::string StrictObject::word(
    std::string_view key, const std::string& found, const std::vector<std::string_view>& words
) {
  if (std::find(words.begin(), words.end(), found) != words.end()) return found;
  std::string list;
  for (const std::string_view one : words) list += (list.empty() ? "" : ", ") + std::string(one);
  Message message{
      "catalog.unknown-value",
      {{"member", std::string(key)}, {"value", found}, {"known", std::move(list)}}};
  if (auto closest = closest_term(found, words); !closest.empty()) {
    message.code = "catalog.misspelt-value";
    message.params["closest"] = std::move(closest);
  }
  fault(std::move(message), at(key));
  return {};
}

void StrictObject::wrong_type(std::string_view key, std::string expected) {
  fault(
      {"catalog.member-type", {{"member", std::string(key)}, {"expected", std::move(expected)}}},
      at(key)
  );
}

void StrictObject::refuse_others() {
  if (!object_.is_object()) return;
  for (const auto& [key, value] : object_.items()) {
    if (std::find(known_.begin(), known_.end(), key) != known_.end()) continue;
    const std::string closest = closest_term(key, known_);
    if (closest.empty()) {
      fault({"catalog.unknown-member", {{"member", key}}}, at(key));
    } else {
      fault({"catalog.misspelt-member", {{"member", key}, {"closest", closest}}}, at(key));
    }
  }
}

void StrictObject::fault(Message message, std::string pointer) {
  faults_.push_back({document_.name, std::move(pointer), std::move(message)});
}

std::string StrictObject::at(std::string_view key) const {
  return child(at_, key);
}

std::string StrictObject::as_text(std::string_view key, const Json* value, std::string fallback) {
  if (!value) return fallback;
  if (value->is_string()) return value->get<std::string>();
  wrong_type(key, "string");
  return fallback;
}

}  // namespace tally::catalog
