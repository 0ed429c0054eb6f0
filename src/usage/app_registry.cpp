#include "tally/usage/app_registry.hpp"

#include <algorithm>
#include <array>
#include <map>
#include <mutex>
#include <unordered_map>
#include <utility>

#include <nlohmann/json.hpp>

#include "tally/core/digest.hpp"
#include "tally/core/json.hpp"

namespace tally::usage {
namespace {

constexpr const char* app_kind = "app";
constexpr std::size_t name_bytes = 128;
constexpr std::size_t list_items = 64;
constexpr std::size_t item_bytes = 512;

tl::unexpected<Error> invalid_app(const App& app, const char* member) {
  return fail(
      ErrorKind::invalid,
      {"usage.app-invalid", {{"app", app.id.value}, {"member", member}}},
      child("", member)
  );
}

bool within(const std::vector<std::string>& list) {
  return list.size() <= list_items && std::all_of(list.begin(), list.end(), [](const auto& item) {
           return !item.empty() && item.size() <= item_bytes;
         });
}

Result<void> check(const App& app) {
  // The name stands in records, tables and addresses: plain characters only, those of an IRI as
  // policies name applications among them.
  const auto plain = [](char c) {
    return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') || c == '-' ||
           c == '_' || c == '.' || c == ':' || c == '/' || c == '#';
  };
  const auto& name = app.id.value;
  if (name.empty() || name.size() > name_bytes || !std::all_of(name.begin(), name.end(), plain)) {
    return invalid_app(app, "id");
  }
  if (app.purposes.empty() || !within(app.purposes)) return invalid_app(app, "purposes");
  if (!within(app.roles)) return invalid_app(app, "roles");
  if (app.agreements.size() > list_items) return invalid_app(app, "agreements");
  for (const auto& agreement : app.agreements) {
    if (agreement.empty() || agreement.value.size() > item_bytes) {
      return invalid_app(app, "agreements");
    }
  }
  return {};
}

Json texts(const std::vector<AgreementId>& ids) {
  Json list = Json::array();
  for (const auto& id : ids) list.push_back(id.value);
  return list;
}

std::string to_body(const App& app) {
  const Json body = {
      {"purposes", app.purposes},
      {"roles", app.roles},
      {"agreements", texts(app.agreements)},
      {"tokenSha256", app.token_sha256},
  };
  return to_jcs(body);
}

std::optional<std::vector<std::string>> read_texts(const Json& body, const char* key) {
  const auto found = body.find(key);
  if (found == body.end() || !found->is_array()) return std::nullopt;
  std::vector<std::string> texts;
  for (const Json& item : *found) {
    if (!item.is_string()) return std::nullopt;
    texts.push_back(item.get<std::string>());
  }
  return texts;
}

std::optional<App> from_row(const Row& row) {
  const auto body = parse_json(row.body);
  if (!body || !body->is_object()) return std::nullopt;
  auto purposes = read_texts(*body, "purposes");
  auto roles = read_texts(*body, "roles");
  auto agreements = read_texts(*body, "agreements");
  const auto token = string_member(*body, "tokenSha256", "");
  if (!purposes || !roles || !agreements || !token) return std::nullopt;
  App app;
  app.id = AppId(row.id);
  app.purposes = std::move(*purposes);
  app.roles = std::move(*roles);
  for (auto& id : *agreements) app.agreements.emplace_back(std::move(id));
  app.token_sha256 = *token;
  return app;
}

Narrowed narrow(const std::vector<std::string>& registered, const std::vector<std::string>& asked) {
  Narrowed narrowed;
  if (asked.empty()) {
    narrowed.allowed = registered;
    return narrowed;
  }
  for (const auto& one : asked) {
    const bool known = std::find(registered.begin(), registered.end(), one) != registered.end();
    (known ? narrowed.allowed : narrowed.not_registered).push_back(one);
  }
  return narrowed;
}

std::string token_hash(std::string_view token) {
  return to_hex(sha256(token));
}

// What the operator did, without the token.
audit::RecordDraft admin_record(const char* action, const App& app, const EventId& event) {
  audit::RecordDraft draft("admin.action", event);
  draft.set("action", action).set("app", app.id.value);
  if (!app.purposes.empty()) draft.set_json("purposes", Json(app.purposes));
  if (!app.roles.empty()) draft.set_json("roles", Json(app.roles));
  if (!app.agreements.empty()) draft.set_json("agreements", texts(app.agreements));
  return draft;
}

// An app and the version of its row.
struct Registered {
  std::shared_ptr<const App> app;
  std::uint64_t version = 0;
};
struct Snapshot {
  std::map<std::string, Registered> by_id;
  std::unordered_map<std::string, std::shared_ptr<const App>> by_token;  // SHA-256 in hex

  void put(const App& app, std::uint64_t version) {
    auto shared = std::make_shared<const App>(app);
    by_token[app.token_sha256] = shared;
    by_id[app.id.value] = {std::move(shared), version};
  }
  void erase(const std::string& id) {
    const auto found = by_id.find(id);
    if (found == by_id.end()) return;
    by_token.erase(found->second.app->token_sha256);
    by_id.erase(found);
  }
};

}  // namespace

struct AppRegistry::State {
  Store& store;
  audit::Journal& journal;
  Clock& clock;
  Random& random;
  mutable std::mutex mutex;  // guards the pointer, for as long as a copy of it takes
  std::shared_ptr<const Snapshot> snapshot = std::make_shared<const Snapshot>();

  State(Store& store_, audit::Journal& journal_, Clock& clock_, Random& random_)
      : store(store_), journal(journal_), clock(clock_), random(random_) {}

  std::shared_ptr<const Snapshot> now() const {
    const std::lock_guard lock(mutex);
    return snapshot;
  }
  // Changes come from the home thread alone, so what is copied is the newest.
  template <class Change>
  void change(const Change& how) {
    auto next = std::make_shared<Snapshot>(*now());
    how(*next);
    const std::lock_guard lock(mutex);
    snapshot = std::move(next);
  }
};

Narrowed narrow_purposes(const App& app, const std::vector<std::string>& asked) {
  return narrow(app.purposes, asked);
}
Narrowed narrow_roles(const App& app, const std::vector<std::string>& asked) {
  return narrow(app.roles, asked);
}

bool may_use(const App& app, const AgreementId& agreement) {
  return app.agreements.empty() ||
         std::find(app.agreements.begin(), app.agreements.end(), agreement) != app.agreements.end();
}

AppRegistry::AppRegistry(Store& store, audit::Journal& journal, Clock& clock, Random& random)
    : state_(std::make_unique<State>(store, journal, clock, random)) {}
AppRegistry::~AppRegistry() = default;

Result<void> AppRegistry::load() {
  Snapshot loaded;
  Store::Query query;
  query.kind = app_kind;
  for (;;) {
    auto rows = state_->store.rows(query);
    if (!rows) return fail(std::move(rows));
    for (const Row& row : *rows) {
      const auto app = from_row(row);
      if (!app) return fail(ErrorKind::internal, {"usage.app-unreadable", {{"app", row.id}}});
      loaded.put(*app, row.version);
      query.after = row.id;
    }
    if (rows->size() < query.most) break;
  }
  state_->change([&loaded](Snapshot& snapshot) { snapshot = std::move(loaded); });
  return {};
}

awaitable<Result<RegisteredApp>> AppRegistry::add(App app) {
  if (auto checked = check(app); !checked) co_return fail(std::move(checked));
  if (state_->now()->by_id.contains(app.id.value)) {
    co_return fail(ErrorKind::conflict, {"usage.app-exists", {{"app", app.id.value}}});
  }
  std::array<std::uint8_t, 32> secret{};
  state_->random.fill(secret);
  RegisteredApp registered;
  registered.token = to_base64url(secret);
  app.token_sha256 = token_hash(registered.token);
  registered.app = app;

  Row row;
  row.kind = app_kind;
  row.id = app.id.value;
  row.state = "registered";
  row.body = to_body(app);
  Transaction transaction;
  transaction.puts.push_back(std::move(row));
  std::vector<audit::RecordDraft> drafts;
  const EventId event = new_event(state_->random, state_->clock.read().at);
  drafts.push_back(admin_record("app.add", app, event));
  auto committed = co_await state_->journal.commit(std::move(transaction), std::move(drafts));
  if (!committed) {
    // Another registration of the same name was first.
    if (committed.error().kind == ErrorKind::conflict) {
      co_return fail(ErrorKind::conflict, {"usage.app-exists", {{"app", app.id.value}}});
    }
    co_return fail(std::move(committed));
  }
  state_->change([&app](Snapshot& snapshot) { snapshot.put(app, 1); });
  co_return registered;
}

awaitable<Result<void>> AppRegistry::remove(AppId id) {
  const auto before = state_->now();
  const auto found = before->by_id.find(id.value);
  if (found == before->by_id.end()) {
    co_return fail(ErrorKind::not_found, {"usage.unknown-app", {{"app", id.value}}});
  }
  const Registered registered = found->second;
  // Closing takes effect before it is written; if the write fails it is back after a restart.
  state_->change([&id](Snapshot& snapshot) { snapshot.erase(id.value); });

  Row row;
  row.kind = app_kind;
  row.id = id.value;
  row.version = registered.version;
  Transaction transaction;
  transaction.erases.push_back(std::move(row));
  std::vector<audit::RecordDraft> drafts;
  const EventId event = new_event(state_->random, state_->clock.read().at);
  drafts.push_back(admin_record("app.remove", *registered.app, event));
  auto committed = co_await state_->journal.commit(std::move(transaction), std::move(drafts));
  if (!committed) co_return fail(std::move(committed));
  co_return Result<void>();
}

std::shared_ptr<const App> AppRegistry::find_by_token(std::string_view token) const {
  // The lookup is by a hash of the secret, so that its time says nothing of the secret.
  const auto snapshot = state_->now();
  const auto found = snapshot->by_token.find(token_hash(token));
  return found == snapshot->by_token.end() ? nullptr : found->second;
}

std::vector<App> AppRegistry::list() const {
  std::vector<App> apps;
  const auto snapshot = state_->now();
  for (const auto& [id, registered] : snapshot->by_id) apps.push_back(*registered.app);
  return apps;
}

}  // namespace tally::usage
