#include "tally/custody/custody_records.hpp"

#include <nlohmann/json.hpp>

#include "tally/core/json.hpp"

namespace tally::custody {

bool CustodyRecords::destroyed(const Holding& holding) const {
  if (artefacts_.contains(holding.id.value)) return true;
  const auto found = contents_.find({holding.agreement.value, holding.content});
  return found != contents_.end() && holding.received < found->second;
}

Result<void> CustodyRecords::replay(const audit::RecordView& record) {
  if (record.type == "wrapping.rotated") {
    const Json json = record.json();
    current_key_ = json.value("key", std::string());
    replaced_.insert(json.value("before", std::string()));
    replaced_.erase(current_key_);
    return {};
  }
  if (record.type != "data.destroyed") return {};
  const Json artefacts = Json::parse(record.raw("artefacts"), nullptr, false);
  if (artefacts.is_array()) {
    for (const auto& one : artefacts) {
      if (one.is_string()) artefacts_.insert(one.get<std::string>());
    }
    return {};
  }
  const auto at = parse_date_time(record.time);
  const Json contents = Json::parse(record.raw("contents"), nullptr, false);
  if (!at || !contents.is_array()) return {};
  for (const auto& one : contents) {
    if (one.is_string()) contents_[{record.agreement, one.get<std::string>()}] = at->instant;
  }
  return {};
}

void CustodyRecords::save(const Item& item) const {
  for (const auto& artefact : artefacts_) item({{"artefact", artefact}});
  for (const auto& [which, at] : contents_) {
    item({{"agreement", which.first}, {"content", which.second}, {"until", format_micros(at)}});
  }
  for (const auto& key : replaced_) item({{"replaced", key}});
  if (!current_key_.empty()) item({{"current", current_key_}});
}

Result<void> CustodyRecords::restore(const Json& item) {
  const auto malformed = [this] { return audit::malformed_item(part_name()); };
  if (!item.is_object()) return malformed();
  const auto text = [&item](const char* member) {
    const auto found = item.find(member);
    return found != item.end() && found->is_string() ? found->get<std::string>() : std::string();
  };
  if (const auto artefact = text("artefact"); !artefact.empty()) {
    artefacts_.insert(artefact);
  } else if (const auto content = text("content"); !content.empty()) {
    const auto until = parse_date_time(text("until"));
    if (!until) return malformed();
    contents_[{text("agreement"), content}] = until->instant;
  } else if (const auto key = text("replaced"); !key.empty()) {
    replaced_.insert(key);
  } else if (const auto current = text("current"); !current.empty()) {
    current_key_ = current;
  } else {
    return malformed();
  }
  return {};
}

}  // namespace tally::custody
