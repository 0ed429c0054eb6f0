// Reads documents that an operator wrote (assets, offers, rules): every fault is found at once and
// named with its place, and a member that nobody asked for is a fault that names the closest word.
// Pure.
#pragma once

#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include <nlohmann/json.hpp>

#include "tally/catalog/catalog.hpp"

namespace tally::catalog {

// The document as JSON; nullopt: a fault was added. At most limits.policy_bytes.
std::optional<Json> parse_document(
    const Document& document, const Limits& limits, std::vector<Problem>& faults
);

// One object of a document: collects faults, asks for each member by name and in the end for
// members that nobody asked for. What it refers to has to live longer.
class StrictObject {
 public:
  StrictObject(
      const Json& object, std::string at, const Document& document, std::vector<Problem>& faults
  );

  const Json* member(std::string_view key);    // null: absent
  const Json* required(std::string_view key);  // absent: a fault

  std::string text(std::string_view key, std::string fallback = {});
  std::string required_text(std::string_view key);
  bool flag(std::string_view key, bool fallback);
  int number(std::string_view key, int fallback, int most);
  // `found`, if it is one of `words`; else empty, and a fault that names the closest or all.
  std::string word(
      std::string_view key, const std::string& found, const std::vector<std::string_view>& words
  );

  void wrong_type(std::string_view key, std::string expected);
  void refuse_others();
  void fault(Message message, std::string pointer);
  [[nodiscard]] std::string at(std::string_view key) const;

 private:
  std::string as_text(std::string_view key, const Json* value, std::string fallback);

  const Json& object_;
  std::string at_;
  const Document& document_;
  std::vector<Problem>& faults_;
  std::vector<std::string_view> known_;
};

}  // namespace tally::catalog
