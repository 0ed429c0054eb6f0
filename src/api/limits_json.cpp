#include "limits_json.hpp"

#include <utility>

#include <nlohmann/json.hpp>

namespace tally::api {

Json limits_json(const usage::AgreementState& state) {
  Json limits = Json::array();
  for (const auto& limit : state.limits) {
    Json item = {
        {"rule", limit.rule.value},
        {"owner", odrl::to_string(limit.owner)},
        {"limit", limit.limit}};
    if (!limit.window.empty()) item["window"] = limit.window;
    // Only the side that owns a limit knows what is left of it.
    if (limit.counted_here) {
      item["used"] = limit.used;
      item["left"] = limit.left;
    }
    limits.push_back(std::move(item));
  }
  return limits;
}

}  // namespace tally::api
