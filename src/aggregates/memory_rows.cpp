#include "memory_rows.hpp"

#include <algorithm>
#include <utility>

#include <nlohmann/json.hpp>

namespace tally::aggregates {

namespace {

constexpr const char* head_kind = "aggregate_memory";
constexpr const char* rows_kind = "aggregate_row_ids";
constexpr const char* told_kind = "aggregate_told";
constexpr std::size_t ids_of_a_row = 16'384;

tl::unexpected<Error> unreadable(const std::string& kind) {
  return fail(ErrorKind::internal, {"aggregates.memory-unreadable", {{"kind", kind}}});
}

// Lengths before texts: two scopes never give the same name.
std::string scope_of(const PartyId& consumer, const AssetId& asset) {
  Sha256 hash;
  for (const std::string* text : {&consumer.domain, &consumer.uri, &asset.value}) {
    hash.update(std::to_string(text->size()));
    hash.update(":");
    hash.update(*text);
  }
  return to_hex(hash.finish());
}

// Ids in order of their numbers.
std::string numbered(const std::string& scope, std::size_t number) {
  auto digits = std::to_string(number);
  return scope + "/" + std::string(10 - std::min<std::size_t>(10, digits.size()), '0') + digits;
}

Result<std::vector<std::string>> bodies(Store& store, const char* kind, const std::string& scope) {
  std::vector<std::string> out;
  Store::Query query{kind, {}, scope, {}, 100};
  for (;;) {
    auto rows = store.rows(query);
    if (!rows) return fail(std::move(rows));
    for (auto& row : *rows) out.push_back(std::move(row.body));
    if (rows->size() < query.most) return out;
    query.after = rows->back().id;
  }
}

std::optional<std::size_t> count_of(const Json& body, const char* key) {
  const auto found = body.find(key);
  if (found == body.end() || !found->is_number_unsigned()) return std::nullopt;
  return found->get<std::size_t>();
}

}  // namespace

Result<MemoryRows> MemoryRows::load(Store& store, const PartyId& consumer, const AssetId& asset) {
  MemoryRows out;
  const auto scope = scope_of(consumer, asset);
  auto head = store.row(head_kind, scope);
  if (!head) return fail(std::move(head));
  if (!*head) {
    const Json body{
        {"answers", 0}, {"asset", asset.value}, {"consumer", to_string(consumer)}, {"rows", 0}};
    out.head_ = Row{head_kind, scope, 0, "", asset.value, body.dump()};
    return out;
  }
  out.head_ = std::move(**head);
  const auto body = Json::parse(out.head_.body, nullptr, false);
  if (!body.is_object()) return unreadable(head_kind);
  const auto rows = count_of(body, "rows");
  const auto answers = count_of(body, "answers");
  if (!rows || !answers) return unreadable(head_kind);
  out.rows_ = *rows;
  out.answers_ = *answers;
  auto ids = bodies(store, rows_kind, scope);
  if (!ids) return fail(std::move(ids));
  auto told = bodies(store, told_kind, scope);
  if (!told) return fail(std::move(told));
  out.row_ids_ = std::move(*ids);
  out.told_ = std::move(*told);
  return out;
}

Result<Memory> MemoryRows::decode() const {
  Memory out;
  for (const auto& text : row_ids_) {
    const auto ids = decode_ids(text);
    if (!ids) return unreadable(rows_kind);
    out.rows.insert(out.rows.end(), ids->begin(), ids->end());
  }
  // What is missing would be a number that was told and is forgotten.
  if (out.rows.size() != rows_ || told_.size() != answers_) return unreadable(head_kind);
  for (const auto& text : told_) {
    const auto body = Json::parse(text, nullptr, false);
    if (!body.is_object() || !body.contains("sets") || !body["sets"].is_array()) {
      return unreadable(told_kind);
    }
    const auto least = count_of(body, "least");
    if (!least) return unreadable(told_kind);
    Told told{*least, {}};
    for (const auto& one : body["sets"]) {
      const auto set =
          one.is_string() ? decode_set(one.get_ref<const std::string&>(), rows_) : std::nullopt;
      if (!set) return unreadable(told_kind);
      told.sets.push_back(*set);
    }
    out.told.push_back(std::move(told));
  }
  return out;
}

void MemoryRows::add(
    const Computed& computed,
    const AgreementId& agreement,
    std::size_t least,
    std::vector<Row>& puts
) const {
  const auto& scope = head_.id;
  const std::span<const RowId> fresh(computed.fresh);
  // The number of a part is its first ordinal.
  for (std::size_t at = 0; at < fresh.size(); at += ids_of_a_row) {
    const auto part = fresh.subspan(at, std::min(ids_of_a_row, fresh.size() - at));
    puts.push_back({rows_kind, numbered(scope, rows_ + at), 0, "", scope, encode_ids(part)});
  }
  Json sets = Json::array();
  for (const auto& one : computed.told) sets.push_back(encode_set(one));
  const Json told{{"agreement", agreement.value}, {"least", least}, {"sets", std::move(sets)}};
  puts.push_back({told_kind, numbered(scope, answers_), 0, "", scope, told.dump()});
  auto body = Json::parse(head_.body);
  body["rows"] = rows_ + fresh.size();
  body["answers"] = answers_ + 1;
  auto head = head_;
  head.body = body.dump();
  puts.push_back(std::move(head));
}

}  // namespace tally::aggregates
