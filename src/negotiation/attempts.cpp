#include "tally/negotiation/attempts.hpp"

#include <utility>

#include <nlohmann/json.hpp>

#include "tally/negotiation/exchange.hpp"

namespace tally::negotiation {

namespace {

Json list_of(const auto& attempts) {
  Json list = Json::array();
  for (const auto& one : attempts) list.push_back({{"at", one.at}, {"answer", one.answer}});
  return list;
}

void read_list(const Json& json, const char* key, auto& out) {
  const auto list = json.find(key);
  if (list == json.end() || !list->is_array()) return;
  for (const auto& one : *list) out.push_back({text_of(one, "at"), text_of(one, "answer")});
}

}  // namespace

Attempts Attempts::of(Store& store, std::string_view message) {
  Attempts attempts;
  const auto row = store.row(attempts_kind, message);
  if (!row || !*row) return attempts;
  attempts.version_ = (*row)->version;
  const auto json = parse_row(**row);
  if (!json) return attempts;
  const auto count = json->find("count");
  if (count != json->end() && count->is_number_unsigned()) {
    attempts.count_ = count->get<std::uint64_t>();
  }
  read_list(*json, "first", attempts.first_);
  read_list(*json, "last", attempts.last_);
  return attempts;
}

void Attempts::add(Attempt attempt) {
  ++count_;
  if (first_.size() < first_kept) {
    first_.push_back(std::move(attempt));
    return;
  }
  last_.push_back(std::move(attempt));
  if (last_.size() > last_kept) last_.pop_front();
}

std::string Attempts::last_answer() const {
  if (!last_.empty()) return last_.back().answer;
  return first_.empty() ? std::string() : first_.back().answer;
}

Json Attempts::to_json() const {
  return {{"count", count_}, {"first", list_of(first_)}, {"last", list_of(last_)}};
}

Row Attempts::to_row(std::string_view message, std::string_view process) const {
  Row row;
  row.kind = attempts_kind;
  row.id = message;
  row.version = version_;
  row.owner = process;
  row.body = to_json().dump();
  return row;
}

Json history_with_attempts(Json history, Store& store) {
  for (auto& entry : history) {
    // The line that says it was queued: the other one tells how it ended.
    if (text_of(entry, "direction") != "out" || text_of(entry, "message").empty()) continue;
    const auto attempts = Attempts::of(store, text_of(entry, "id"));
    if (attempts.count() > 0) entry["attempts"] = attempts.to_json();
  }
  return history;
}

Json to_json(const std::vector<OutgoingMessage>& waiting) {
  Json list = Json::array();
  for (const auto& message : waiting) {
    list.push_back(
        {{"id", message.id},
         {"url", message.url},
         {"attempts", message.attempts},
         {"lastAnswer", message.last_answer},
         {"nextAttempt", format_micros(message.next_attempt)}}
    );
  }
  return list;
}

}  // namespace tally::negotiation
