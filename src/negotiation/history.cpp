#include "tally/negotiation/history.hpp"

#include <nlohmann/json.hpp>

namespace tally::negotiation {

History::History(const Json& list) {
  if (!list.is_array()) return;
  for (const auto& line : list) {
    if (count_++ > 0) lines_ += ',';
    lines_ += line.dump();
  }
}

void History::add(const HistoryEntry& entry) {
  if (count_ >= history_length) {
    Json kept = json();
    while (kept.size() >= history_length) kept.erase(kept.begin());
    *this = History(kept);
  }
  if (count_++ > 0) lines_ += ',';
  const Json line = {
      {"at", entry.at},
      {"direction", entry.direction},
      {"message", entry.message},
      {"id", entry.id},
      {"note", entry.note}};
  lines_ += line.dump();
}

Json History::json() const {
  return Json::parse(text());
}

}  // namespace tally::negotiation
