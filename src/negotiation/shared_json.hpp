// A JSON value that all its copies share: never changed, only replaced, and written out once. What
// a process carries from step to step is of this kind. One thread.
#pragma once

#include <memory>
#include <string>
#include <utility>

#include <nlohmann/json.hpp>

#include "tally/core/json.hpp"

namespace tally::negotiation {

class SharedJson {
 public:
  SharedJson() : SharedJson(Json()) {}
  // Implicit: whoever assigns a value to it means its being shared.
  SharedJson(Json json) : value_(std::make_shared<Value>(std::move(json))) {}

  [[nodiscard]] const Json& operator*() const { return value_->json; }
  [[nodiscard]] const Json* operator->() const { return &value_->json; }
  [[nodiscard]] const std::string& text() const {
    if (value_->text.empty()) value_->text = value_->json.dump();
    return value_->text;
  }

 private:
  struct Value {
    explicit Value(Json its) : json(std::move(its)) {}
    const Json json;
    std::string text;  // empty until it is asked for
  };
  std::shared_ptr<Value> value_;
};

}  // namespace tally::negotiation
