// Reads the members of one JSON object; the first fault sticks, and all later reads give defaults.
// So a from_json reads like the list of its members and asks once, at the end, whether it is good.
#pragma once

#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include <nlohmann/json.hpp>

#include "tally/core/ids.hpp"
#include "tally/core/json.hpp"
#include "tally/core/result.hpp"

namespace tally::dsp {

class Reader {
 public:
  // `fault` outlives the reader and is shared by the readers of nested objects.
  Reader(const Json& object, std::string at, std::optional<Error>& fault);

  // Required members. An id is a string that is not empty, short, and without blanks.
  std::string text(std::string_view key);
  std::string id(std::string_view key);
  std::optional<std::string> optional_text(std::string_view key);
  std::optional<std::string> optional_id(std::string_view key);
  // An absent member is an empty list; a single value is a list of one.
  std::vector<Json> list(std::string_view key);
  // Null if absent or of another type (which is a fault).
  const Json* object(std::string_view key);
  const Json* member(std::string_view key) const;

  void expect_type(std::string_view type);  // `@type` is there and is this
  void expect_type_if_present(std::string_view type);
  void expect_context();

  void fail(Message message, std::string_view key = {});
  // For the readers of nested objects.
  std::optional<Error>& fault() { return fault_; }
  [[nodiscard]] bool failed() const { return fault_.has_value(); }
  [[nodiscard]] std::string at(std::string_view key) const { return child(at_, key); }

 private:
  const Json& object_;
  std::string at_;
  std::optional<Error>& fault_;
};

}  // namespace tally::dsp
