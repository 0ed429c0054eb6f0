#include "duties_json.hpp"

#include <utility>

#include <nlohmann/json.hpp>

#include "tally/odrl/terms.hpp"

namespace tally::api {

Json duties_json(const std::vector<usage::DutyState>& duties) {
  Json all = Json::array();
  for (const auto& one : duties) {
    Json item = {
        {"duty", one.duty.duty.value},
        {"pointer", one.duty.pointer},
        {"action", odrl::local_name(one.duty.action)},
        {"before", one.comes_before()},
        {"state", to_string(one.standing)}};
    if (!one.duty.permission.empty()) item["rule"] = one.duty.permission.value;
    const auto tell = [&item](const char* member, const std::optional<Instant>& at) {
      if (at) item[member] = format_micros(*at);
    };
    tell("since", one.since);
    tell("until", one.until);
    tell("asked", one.asked);
    tell("rejected", one.rejected);
    for (const auto& [function, party] : one.duty.parties) item["parties"][function] = party;
    for (const auto& parameter : one.duty.parameters) {
      item["parameters"][std::string(odrl::local_name(parameter.operand))] = parameter.text;
    }
    all.push_back(std::move(item));
  }
  return all;
}

}  // namespace tally::api
