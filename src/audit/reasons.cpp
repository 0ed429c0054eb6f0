#include "reasons.hpp"

#include <optional>
#include <string>
#include <utility>

#include <nlohmann/json.hpp>

namespace tally::audit {
namespace {

std::optional<Message> message_of(const Json& value) {
  const auto code = value.is_object() ? value.find("code") : value.end();
  if (!value.is_object() || code == value.end() || !code->is_string()) return std::nullopt;
  Message message;
  message.code = *code;
  const auto params = value.find("params");
  if (params != value.end() && params->is_object()) {
    for (const auto& [name, param] : params->items()) {
      message.params[name] = param.is_string() ? param.get<std::string>() : param.dump();
    }
  }
  return message;
}

}  // namespace

std::vector<Message> reasons_of(const Json& record) {
  std::vector<Message> reasons;
  const auto reason = record.find("reason");
  if (reason == record.end()) return reasons;
  if (reason->is_array()) {
    for (const Json& one : *reason) {
      if (auto message = message_of(one)) reasons.push_back(std::move(*message));
    }
  } else if (auto message = message_of(*reason)) {
    reasons.push_back(std::move(*message));
  } else if (reason->is_string()) {
    reasons.push_back({reason->get<std::string>(), {}});
  }
  return reasons;
}

}  // namespace tally::audit
