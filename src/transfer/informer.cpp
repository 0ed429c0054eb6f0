#include "tally/transfer/informer.hpp"

#include <algorithm>
#include <utility>

#include <nlohmann/json.hpp>

#include "tally/negotiation/agreement.hpp"
#include "tally/negotiation/exchange.hpp"

#include "informer_state.hpp"

namespace tally::transfer {

namespace {

constexpr std::string_view place_kind = "use-notice-place";  // one row
constexpr std::string_view place_id = "log";
constexpr Nanos look_again = milliseconds(500);
constexpr std::size_t most_shown = 1000;

Json to_json(const Pending& pending) {
  Json json = to_json(pending.use);
  json["agreement"] = pending.agreement.value;
  json["duties"] = pending.duties;
  return json;
}

// Of rows that we wrote ourselves.
ToldUse use_of(const Json& json) {
  return {
      UseId(json.value("use", std::string())),
      json.value("action", std::string()),
      json.value("time", std::string()),
      json.value("seq", std::uint64_t{0}),
      json.value("leaf", std::string())};
}

}  // namespace

Informer::Informer(InformerParts parts, PartyId self, std::string log_origin)
    : state_(std::make_shared<State>(std::move(parts), std::move(self), std::move(log_origin))) {}
Informer::~Informer() = default;

// --- what the store has ---

Result<void> Informer::State::load_place() {
  const auto row = parts.store.row(place_kind, place_id);
  if (!row) return tl::unexpected(row.error());
  pending.clear();
  tail.reset();
  place = Row{};
  place.kind = place_kind;
  place.id = place_id;
  place.state = "read";
  if (!*row) {
    next = parts.durable();
    saved = 0;
    loaded = true;
    return {};
  }
  const auto json = negotiation::parse_row(**row);
  if (!json) return tl::unexpected(json.error());
  place = **row;
  next = saved = json->value("next", std::uint64_t{0});
  for (const Json& one : json->value("pending", Json::array())) {
    Pending use{
        AgreementId(one.value("agreement", std::string())),
        use_of(one),
        one.value("duties", std::vector<std::string>())};
    const std::string id = use.use.use.value;
    pending.emplace(id, std::move(use));
  }
  loaded = true;
  return {};
}

Result<void> Informer::State::load_owed() {
  for (const auto state : {notice_state::sending, notice_state::refused}) {
    const auto rows = all_rows(parts.store, use_notice_kind, state);
    if (!rows) return tl::unexpected(rows.error());
    for (const Row& row : *rows) {
      const auto json = negotiation::parse_row(row);
      if (!json) return tl::unexpected(json.error());
      Owed one;
      one.agreement = AgreementId(row.owner);
      one.duty = json->value("duty", std::string());
      one.party = json->value("party", std::string());
      one.is_peer = json->value("peer", false);
      one.queued = state == notice_state::sending && json->value("queued", false);
      one.violated = json->value("violated", false);
      if (const auto due = parse_date_time(json->value("due", std::string()))) {
        one.due = due->instant;
      }
      owed.emplace(row.id, std::move(one));
    }
  }
  std::set<std::string> agreements;
  for (const auto& [id, one] : owed) {
    if (one.violated) agreements.insert(one.agreement.value);
  }
  for (const auto& agreement : agreements) refresh(AgreementId(agreement));
  return {};
}

Row Informer::State::place_row() const {
  Row row = place;
  Json waiting = Json::array();
  for (const auto& [id, one] : pending) waiting.push_back(to_json(one));
  const Json body = {{"next", next}, {"pending", std::move(waiting)}};
  row.body = body.dump();
  return row;
}

awaitable<Result<void>> Informer::State::save_place() {
  Transaction transaction;
  transaction.puts.push_back(place_row());
  const std::uint64_t reached = next;
  auto done = co_await parts.journal.commit(std::move(transaction), {});
  if (!done) {
    loaded = false;
    co_return fail(std::move(done));
  }
  ++place.version;
  saved = reached;
  co_return Result<void>{};
}

// --- the loop ---

awaitable<Result<void>> Informer::start() {
  State& state = *state_;
  auto loaded = state.load_place();
  if (!loaded) co_return loaded;
  auto owed = state.load_owed();
  if (!owed) co_return owed;
  // Where it begins is kept: what is told begins with the first start that knows of it.
  if (state.place.version == 0) co_return co_await state.save_place();
  co_return Result<void>{};
}

awaitable<void> Informer::run() {
  const auto state = state_;
  bool failing = false;
  for (;;) {
    auto done = co_await state->follow();
    const ClockReading reading = state->parts.clock.read();
    if (done) done = co_await state->mark_overdue(reading);
    if (done) done = co_await state->send_waiting(reading.at);
    if (!done && !failing) state->parts.notices.note(Severity::error, done.error().message);
    failing = !done;
    co_await state->parts.timers.sleep_for(look_again);
  }
}

Result<Json> Informer::shown(const AgreementId& agreement) const {
  const auto list = [&](std::string_view kind, auto shape) -> Result<Json> {
    Json items = Json::array();
    Store::Query query;
    query.kind = kind;
    query.owner = agreement.value;
    while (items.size() < most_shown) {
      const auto rows = state_->parts.store.rows(query);
      if (!rows) return tl::unexpected(rows.error());
      for (const Row& row : *rows) {
        const auto body = negotiation::parse_row(row);
        if (!body) return tl::unexpected(body.error());
        items.push_back(shape(row, *body));
      }
      if (rows->size() < query.most) break;
      query.after = rows->back().id;
    }
    return items;
  };
  auto notices = list(use_notice_kind, [](const Row& row, const Json& body) {
    Json item = {{"id", row.id}, {"state", row.state}};
    for (const char* member : {"duty", "party", "since", "due", "uses"}) {
      if (body.contains(member)) item[member] = body.at(member);
    }
    item["overdue"] = row.state != notice_state::delivered && body.value("violated", false);
    return item;
  });
  if (!notices) return notices;
  auto told = list(told_use_kind, [](const Row&, const Json& body) { return body; });
  if (!told) return told;
  return Json{{"notices", std::move(*notices)}, {"told", std::move(*told)}};
}

Result<void> Informer::begin_again(Store& store, Transaction& change) {
  auto rows = all_rows(store, place_kind);
  if (!rows) return fail(std::move(rows));
  for (auto& row : *rows) change.erases.push_back(std::move(row));
  return {};
}

}  // namespace tally::transfer
