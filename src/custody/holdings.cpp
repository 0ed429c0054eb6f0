#include "tally/custody/holdings.hpp"

#include <algorithm>
#include <array>
#include <map>
#include <mutex>
#include <utility>

#include <nlohmann/json.hpp>

#include "tally/core/json.hpp"

namespace tally::custody {

namespace {

constexpr std::string_view kind = "artefact";
constexpr std::array<std::string_view, 4> state_names = {
    "staged", "held", "destroying", "destroyed"};

Json to_json(const Instant& at) {
  return Json::array({at.seconds, at.nanos});
}
Instant instant_of(const Json& json) {
  return {json.at(0).get<std::int64_t>(), json.at(1).get<std::int32_t>()};
}

Json to_json(const Message& message) {
  return {{"code", message.code}, {"params", message.params}};
}
Message message_of(const Json& json) {
  Message message;
  message.code = json.at("code").get<std::string>();
  json.at("params").get_to(message.params);
  return message;
}

Row to_row(const Holding& holding) {
  Json body = {
      {"asset", holding.asset.value},
      {"provider", {{"domain", holding.provider.domain}, {"uri", holding.provider.uri}}},
      {"process", holding.process.value},
      {"content", holding.content},
      {"bytes", holding.bytes},
      {"media_type", holding.media_type},
      {"received", to_json(holding.received)},
      {"told", holding.told},
  };
  if (!holding.asset_class.empty()) body["class"] = holding.asset_class;
  if (!holding.form.is_null()) body["form"] = holding.form;
  for (const AgreementId& one : holding.bound_by) body["bound_by"].push_back(one.value);
  if (!holding.instead_of.empty()) body["instead_of"] = holding.instead_of.value;
  for (const RuleId& one : holding.masked_by) body["masked_by"].push_back(one.value);
  if (holding.late) body["late"] = true;
  if (!holding.ended_under.empty()) body["ended_under"] = holding.ended_under.value;
  if (holding.destroyed) body["destroyed"] = to_json(*holding.destroyed);
  if (!holding.reason.code.empty()) body["reason"] = to_json(holding.reason);
  if (holding.checked) body["checked"] = to_json(*holding.checked);
  if (!holding.altered.code.empty()) body["altered"] = to_json(holding.altered);
  Row row;
  row.kind = kind;
  row.id = holding.id.value;
  row.version = holding.version;
  row.state = state_names[static_cast<std::size_t>(holding.state)];
  row.owner = holding.agreement.value;
  row.body = to_jcs(body);
  return row;
}

Result<Holding> parse(const Row& row) {
  const auto malformed = [&] {
    return fail(ErrorKind::internal, {"custody.row-malformed", {{"artefact", row.id}}});
  };
  std::size_t state = 0;
  while (state < state_names.size() && state_names[state] != row.state) ++state;
  if (state == state_names.size()) return malformed();
  const Json body = Json::parse(row.body, nullptr, false);
  if (!body.is_object()) return malformed();
  Holding holding;
  holding.id = ArtefactId(row.id);
  holding.agreement = AgreementId(row.owner);
  holding.state = static_cast<HoldingState>(state);
  holding.version = row.version;
  try {
    holding.asset = AssetId(body.at("asset").get<std::string>());
    const Json& provider = body.at("provider");
    holding.provider = {
        provider.at("domain").get<std::string>(), provider.at("uri").get<std::string>()};
    holding.process = Pid(body.at("process").get<std::string>());
    holding.content = body.at("content").get<std::string>();
    holding.bytes = body.at("bytes").get<std::uint64_t>();
    holding.media_type = body.at("media_type").get<std::string>();
    holding.received = instant_of(body.at("received"));
    holding.told = body.at("told").get<bool>();
    if (const auto found = body.find("class"); found != body.end()) {
      holding.asset_class = found->get<std::string>();
    }
    holding.form = body.value("form", Json());
    for (const Json& one : body.value("bound_by", Json::array())) {
      holding.bound_by.emplace_back(one.get<std::string>());
    }
    holding.instead_of = ArtefactId(body.value("instead_of", std::string()));
    for (const Json& one : body.value("masked_by", Json::array())) {
      holding.masked_by.emplace_back(one.get<std::string>());
    }
    holding.late = body.value("late", false);
    holding.ended_under = AgreementId(body.value("ended_under", std::string()));
    if (const auto found = body.find("destroyed"); found != body.end()) {
      holding.destroyed = instant_of(*found);
    }
    if (const auto found = body.find("reason"); found != body.end()) {
      holding.reason = message_of(*found);
    }
    if (const auto found = body.find("checked"); found != body.end()) {
      holding.checked = instant_of(*found);
    }
    if (const auto found = body.find("altered"); found != body.end()) {
      holding.altered = message_of(*found);
    }
  } catch (const Json::exception&) {
    return malformed();
  }
  return holding;
}

}  // namespace

Result<Json> shown(const Row& row) {
  const auto holding = parse(row);
  if (!holding) return tl::unexpected(holding.error());
  Json out = {
      {"id", holding->id.value},
      {"state", row.state},
      {"agreement", holding->agreement.value},
      {"asset", holding->asset.value},
      {"provider", {{"domain", holding->provider.domain}, {"uri", holding->provider.uri}}},
      {"process", holding->process.value},
      {"content", holding->content},
      {"bytes", holding->bytes},
      {"mediaType", holding->media_type},
      {"received", format_micros(holding->received)},
      {"told", holding->told}};
  if (!holding->asset_class.empty()) out["class"] = holding->asset_class;
  if (!holding->form.is_null()) out["form"] = holding->form;
  for (const AgreementId& one : holding->bound_by) out["boundBy"].push_back(one.value);
  if (!holding->instead_of.empty()) out["insteadOf"] = holding->instead_of.value;
  for (const RuleId& one : holding->masked_by) out["maskedBy"].push_back(one.value);
  if (holding->late) out["late"] = true;
  if (!holding->ended_under.empty()) out["endedUnder"] = holding->ended_under.value;
  if (holding->destroyed) out["destroyed"] = format_micros(*holding->destroyed);
  if (!holding->reason.code.empty()) out["reason"] = to_json(holding->reason);
  if (holding->checked) out["checked"] = format_micros(*holding->checked);
  if (!holding->altered.code.empty()) out["altered"] = to_json(holding->altered);
  return out;
}

bool Holding::is_under(const AgreementId& one) const {
  return agreement == one || std::find(bound_by.begin(), bound_by.end(), one) != bound_by.end();
}

struct Holdings::State {
  State(Store& store_, audit::Journal& journal_) : store(store_), journal(journal_) {}

  Store& store;
  audit::Journal& journal;
  mutable std::mutex mutex;
  std::map<std::string, Holding> all;  // mutex; by id, so that every walk has one order

  void keep(Holding holding) {
    const std::lock_guard guard(mutex);
    all.insert_or_assign(holding.id.value, std::move(holding));
  }
  void drop(const ArtefactId& id) {
    const std::lock_guard guard(mutex);
    all.erase(id.value);
  }
  // After an error nobody knows here what the store has: it is asked.
  void refresh(const ArtefactId& id) {
    const auto row = store.row(kind, id.value);
    if (!row) return;
    if (!*row) return drop(id);
    if (auto holding = parse(**row)) keep(std::move(*holding));
  }
};

Holdings::Holdings(Store& store, audit::Journal& journal)
    : state_(std::make_unique<State>(store, journal)) {}
Holdings::~Holdings() = default;

Result<void> Holdings::load() {
  Store::Query query;
  query.kind = kind;
  while (true) {
    const auto rows = state_->store.rows(query);
    if (!rows) return tl::unexpected(rows.error());
    for (const Row& row : *rows) {
      auto holding = parse(row);
      if (!holding) return fail(std::move(holding));
      state_->keep(std::move(*holding));
    }
    if (rows->size() < query.most) return {};
    query.after = rows->back().id;
  }
}

std::optional<Holding> Holdings::find(const ArtefactId& id) const {
  const std::lock_guard guard(state_->mutex);
  const auto found = state_->all.find(id.value);
  if (found == state_->all.end()) return std::nullopt;
  return found->second;
}

std::vector<Holding> Holdings::of(const AgreementId& agreement) const {
  std::vector<Holding> found;
  const std::lock_guard guard(state_->mutex);
  for (const auto& [id, holding] : state_->all) {
    if (holding.agreement == agreement && !holding.is_derived()) found.push_back(holding);
  }
  return found;
}

std::vector<Holding> Holdings::under(const AgreementId& agreement) const {
  std::vector<Holding> found;
  const std::lock_guard guard(state_->mutex);
  for (const auto& [id, holding] : state_->all) {
    if (holding.is_under(agreement)) found.push_back(holding);
  }
  return found;
}

std::vector<Holding> Holdings::all() const {
  std::vector<Holding> found;
  const std::lock_guard guard(state_->mutex);
  for (const auto& [id, holding] : state_->all) found.push_back(holding);
  return found;
}

void Holdings::each(const std::function<void(const Holding&)>& look) const {
  const std::lock_guard guard(state_->mutex);
  for (const auto& [id, holding] : state_->all) look(holding);
}

awaitable<Result<std::vector<audit::Appended>>> Holdings::save(
    std::vector<Holding> changed, std::vector<audit::RecordDraft> records, audit::Priority priority
) {
  Transaction transaction;
  for (const Holding& holding : changed) transaction.puts.push_back(to_row(holding));
  auto appended =
      co_await state_->journal.commit(std::move(transaction), std::move(records), priority);
  for (Holding& holding : changed) {
    if (!appended) {
      state_->refresh(holding.id);
      continue;
    }
    ++holding.version;
    state_->keep(std::move(holding));
  }
  co_return appended;
}

awaitable<Result<void>> Holdings::erase(Holding holding) {
  Transaction transaction;
  transaction.erases.push_back(to_row(holding));
  std::vector<audit::RecordDraft> none;
  auto committed = co_await state_->journal.commit(std::move(transaction), std::move(none));
  if (!committed) {
    state_->refresh(holding.id);
    co_return fail(std::move(committed));
  }
  state_->drop(holding.id);
  co_return Result<void>();
}

Result<void> Holdings::begin_again(Store& store, Transaction& change) {
  const auto rows = all_rows(store, kind);
  if (!rows) return tl::unexpected(rows.error());
  for (const Row& row : *rows) {
    auto holding = parse(row);
    if (!holding) return fail(std::move(holding));
    const bool unfinished = holding->state == HoldingState::destroying ||
                            (holding->state == HoldingState::destroyed && !holding->told);
    if (!unfinished) continue;
    // Nobody reads what is staged, whether its key is still there or not.
    holding->state = HoldingState::staged;
    holding->destroyed.reset();
    change.puts.push_back(to_row(*holding));
  }
  return {};
}

}  // namespace tally::custody
