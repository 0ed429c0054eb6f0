#include "catalog_keeper.hpp"

#include <algorithm>
#include <utility>

#include <malloc.h>
#include <nlohmann/json.hpp>

#include "tally/core/digest.hpp"
#include "tally/negotiation/agreement.hpp"

#include "data_sources.hpp"
#include "document_folder.hpp"

namespace tally::daemon {

namespace {

Digest fingerprint_of(const std::filesystem::path& folder) {
  return fingerprint({folder / "assets", folder / "policies"});
}

// The id of a pinned asset: which asset, as which document.
std::string version_id(const AssetId& asset, std::string_view digest) {
  return asset.value + "@" + std::string(digest);
}

std::string problem_text(const catalog::Problem& problem) {
  return problem.file + problem.pointer + problem.message.code;
}

// An offer in force as its row says it. Rows of earlier versions do not say since when.
struct PublishedOffer {
  std::string digest;
  std::string since;

  static PublishedOffer read(const std::string& body) {
    const auto blank = std::min(body.find(' '), body.size());
    return {body.substr(0, blank), body.substr(std::min(blank + 1, body.size()))};
  }
  [[nodiscard]] std::string text() const { return digest + " " + since; }
};

}  // namespace

CatalogKeeper::CatalogKeeper(
    CatalogParts parts, std::filesystem::path folder, catalog::BuildOptions options
)
    : parts_(parts),
      folder_(std::move(folder)),
      options_(std::move(options)),
      current_(std::make_shared<const catalog::Catalog>(options_.publisher, options_.nested)) {}

CatalogKeeper::~CatalogKeeper() = default;

std::shared_ptr<const catalog::Catalog> CatalogKeeper::current() const {
  const std::lock_guard lock(mutex_);
  return current_;
}

std::size_t CatalogKeeper::offers() const {
  return current()->offers().size();
}

CatalogKeeper::Reach CatalogKeeper::reach(const std::vector<PartyId>& parties) const {
  const auto catalog = current();
  std::set<AssetId> assets;
  // Offers for the same readers are asked about once.
  std::map<std::vector<catalog::Audience>, OfferId> audiences;
  for (const auto& [id, offer] : catalog->offers()) {
    assets.insert(offer.asset);
    audiences.emplace(offer.visible_to, id);
  }
  Reach out{catalog->offers().size(), assets.size(), 0};
  for (const auto& party : parties) {
    for (const auto& [audience, offer] : audiences) {
      if (catalog->visible_offer(offer, party) == nullptr) continue;
      ++out.parties;
      break;
    }
  }
  return out;
}

// --- publishing ---

Result<CatalogKeeper::Documents> CatalogKeeper::stored() const {
  Documents out;
  for (const bool asset : {true, false}) {
    Store::Query query{asset ? "asset_document" : "policy_document", {}, {}, {}, 1000};
    for (;;) {
      auto rows = parts_.store.rows(query);
      if (!rows) return fail(std::move(rows));
      for (const auto& row : *rows) {
        (asset ? out.assets : out.policies)
            .push_back({"api:" + row.id, row.body, catalog::Home::api});
      }
      if (rows->size() < query.most) break;
      query.after = rows->back().id;
    }
  }
  return out;
}

awaitable<Result<std::vector<Message>>> CatalogKeeper::reload() {
  Documents read;
  const auto bytes = options_.limits.policy_bytes;
  auto job = [this, &read, bytes] {
    // Before the files: one that changes while it is read is read again.
    seen_ = fingerprint_of(folder_);
    read.assets = read_folder(folder_ / "assets", bytes);
    read.policies = read_folder(folder_ / "policies", bytes);
  };
  co_await parts_.worker.run(std::move(job));
  auto from_api = stored();
  if (!from_api) co_return fail(std::move(from_api));
  read.assets.insert(read.assets.end(), from_api->assets.begin(), from_api->assets.end());
  read.policies.insert(read.policies.end(), from_api->policies.begin(), from_api->policies.end());
  auto published = co_await publish(std::move(read));
  // Reading and compiling thousands of documents leaves the heaps of two threads full of holes.
  malloc_trim(0);
  co_return published;
}

awaitable<void> CatalogKeeper::watch() {
  for (;;) {
    co_await parts_.timers.sleep_for(seconds(1));
    Digest now{};
    auto job = [this, &now] { now = fingerprint_of(folder_); };
    co_await parts_.worker.run(std::move(job));
    if (now == seen_) continue;
    auto published = co_await reload();
    if (!published) parts_.notices.note(Severity::error, published.error().message);
  }
}

awaitable<Result<std::vector<Message>>> CatalogKeeper::publish(Documents documents) {
  // One at a time: a second change waits for the first to be in the log.
  while (publishing_) co_await parts_.timers.sleep_for(milliseconds(10));
  publishing_ = true;
  struct Release {
    bool& flag;
    ~Release() { flag = false; }
  } release{publishing_};

  auto built = catalog::build(documents.assets, documents.policies, options_);
  const auto before = current();
  const Instant now = parts_.clock.read().at;
  Transaction transaction;
  std::vector<audit::RecordDraft> drafts;
  std::vector<Message> told;

  for (const auto& [id, asset] : built.catalog->assets()) {
    const auto key = version_id(id, asset.digest);
    const auto known = parts_.store.row("asset_version", key);
    if (!known) co_return fail(ErrorKind::unavailable, known.error().message);
    if (*known) continue;
    Json body = {{"source", asset.source}, {"mediaType", asset.media_type}};
    if (asset.schema) body["schema"] = catalog::to_json(*asset.schema);
    if (!asset.parameters.empty()) body["parameters"] = catalog::to_json(asset.parameters);
    transaction.puts.push_back({"asset_version", key, 0, "pinned", id.value, body.dump()});
  }

  // Offers as the store last saw them: what was published survives a restart without a new record.
  std::map<std::string, Row> published;
  Store::Query query{"offer", "published", {}, {}, 1000};
  for (;;) {
    auto rows = parts_.store.rows(query);
    if (!rows) co_return fail(std::move(rows));
    const bool more = rows->size() == query.most;
    if (more) query.after = rows->back().id;
    for (auto& row : *rows) published.emplace(row.id, std::move(row));
    if (!more) break;
  }
  Since since;
  for (const auto& [id, offer] : built.catalog->offers()) {
    const auto old = published.find(id.value);
    const auto state =
        old != published.end() ? PublishedOffer::read(old->second.body) : PublishedOffer{};
    if (state.digest == offer.digest) {
      since.emplace(id, state.since);
      published.erase(old);
      continue;
    }
    const PublishedOffer fresh{offer.digest, format_seconds(now)};
    since.emplace(id, fresh.since);
    const bool update = old != published.end();
    audit::RecordDraft loaded("policy.loaded", new_event(parts_.random, now));
    loaded.set("policy", sha256(offer.policy)).set("file", offer.file);
    drafts.push_back(std::move(loaded));
    audit::RecordDraft draft(
        update ? "offer.updated" : "offer.published", new_event(parts_.random, now)
    );
    draft.set("asset", offer.asset.value).set("offer", id.value);
    draft.set("policy", sha256(offer.policy));
    drafts.push_back(std::move(draft));
    // A withdrawn offer may come back: its row is there under another state.
    Row row{"offer", id.value, 0, "published", offer.asset.value, fresh.text()};
    if (update) {
      row.version = old->second.version;
      published.erase(old);
    } else {
      const auto withdrawn = parts_.store.row("offer", id.value);
      if (!withdrawn) co_return fail(ErrorKind::unavailable, withdrawn.error().message);
      if (*withdrawn) row.version = (*withdrawn)->version;
    }
    transaction.puts.push_back(std::move(row));
    told.push_back(
        {update ? "daemon.offer-updated" : "daemon.offer-published",
         {{"offer", id.value}, {"asset", offer.asset.value}, {"file", offer.file}}}
    );
  }
  for (auto& [id, row] : published) {
    audit::RecordDraft draft("offer.withdrawn", new_event(parts_.random, now));
    draft.set("asset", row.owner).set("offer", id);
    drafts.push_back(std::move(draft));
    told.push_back({"daemon.offer-withdrawn", {{"offer", id}}});
    row.state = "withdrawn";
    transaction.puts.push_back(std::move(row));
  }

  std::set<std::string> known_problems, known_warnings;
  {
    const std::lock_guard lock(mutex_);
    for (const auto& warning : warnings_) known_warnings.insert(problem_text(warning));
    for (const auto& problem : problems_) known_problems.insert(problem_text(problem));
  }
  for (const auto& problem : built.problems) {
    if (known_problems.contains(problem_text(problem))) continue;
    audit::RecordDraft draft("policy.refused", new_event(parts_.random, now));
    // A file's name is the operator's own; no data is in it or in the parameters of the reason.
    draft.set("reason", problem.message).set("file", problem.file).set("pointer", problem.pointer);
    // Passing on what another's agreement forbids stands in that agreement's story.
    if (problem.message.code == "catalog.not-passed-on" ||
        problem.message.code == "catalog.onward-not-next") {
      draft.about(AgreementId(problem.message.params.at("agreement")));
    }
    drafts.push_back(std::move(draft));
    Message refused{
        "daemon.document-refused",
        {{"file", problem.file},
         {"pointer", problem.pointer.empty() ? "/" : problem.pointer},
         {"code", problem.message.code},
         {"why", render(problem.message, Lang::en)}}};
    told.push_back(std::move(refused));
  }
  for (const auto& warning : built.warnings) {
    if (known_warnings.contains(problem_text(warning))) continue;
    told.push_back(
        {"daemon.document-warning",
         {{"file", warning.file},
          {"pointer", warning.pointer.empty() ? "/" : warning.pointer},
          {"code", warning.message.code},
          {"why", render(warning.message, Lang::en)}}}
    );
  }

  if (!transaction.puts.empty() || !drafts.empty()) {
    auto committed = co_await parts_.journal.commit(std::move(transaction), std::move(drafts));
    if (!committed) co_return fail(std::move(committed));
  }
  {
    const std::lock_guard lock(mutex_);
    current_ = std::move(built.catalog);
    since_ = std::make_shared<const Since>(std::move(since));
    problems_ = std::move(built.problems);
    warnings_ = std::move(built.warnings);
  }
  for (const auto& message : told) {
    const bool warns =
        message.code == "daemon.document-refused" || message.code == "daemon.document-warning";
    parts_.notices.note(warns ? Severity::warning : Severity::info, message);
  }
  co_return told;
}

// --- api::CatalogView ---

catalog::Page CatalogKeeper::page(const catalog::PageRequest& request) const {
  return current()->page(request);
}

std::optional<std::string> CatalogKeeper::dataset(
    const AssetId& asset, const Viewer& viewer, Instant now
) const {
  return current()->dataset_body(asset, viewer, now);
}

// --- api::CatalogAdmin ---

std::vector<Json> CatalogKeeper::assets() const {
  const auto catalog = current();
  std::vector<Json> out;
  for (const auto& [id, asset] : catalog->assets()) {
    out.push_back(
        {{"id", id.value},
         {"title", asset.title},
         {"version", asset.version},
         {"mediaType", asset.media_type},
         {"delivery", catalog::to_string(asset.delivery)},
         {"digest", asset.digest},
         {"home", asset.file}}
    );
  }
  return out;
}

std::vector<Json> CatalogKeeper::policies() const {
  std::unique_lock lock(mutex_);
  const auto catalog = current_;
  const auto in_force = since_;
  lock.unlock();
  std::vector<Json> out;
  for (const auto& [id, offer] : catalog->offers()) {
    const auto& since = in_force->at(id);
    out.push_back(
        {{"id", id.value},
         {"asset", offer.asset.value},
         {"digest", offer.digest},
         {"since", since.empty() ? Json() : Json(since)},
         {"home", offer.file}}
    );
  }
  return out;
}

std::vector<Json> CatalogKeeper::problems(Lang lang) const {
  const std::lock_guard lock(mutex_);
  return to_json(problems_, lang);
}

std::vector<Json> CatalogKeeper::warnings(Lang lang) const {
  const std::lock_guard lock(mutex_);
  return to_json(warnings_, lang);
}

awaitable<Result<void>> CatalogKeeper::put(std::string kind, std::string id, std::string text) {
  const auto old = parts_.store.row(kind, id);
  if (!old) co_return fail(ErrorKind::unavailable, old.error().message);
  audit::RecordDraft draft("admin.action", new_event(parts_.random, parts_.clock.read().at));
  draft.set("action", kind + ".put").set("target", id).set("content", sha256(text));
  Transaction transaction;
  transaction.puts.push_back({kind, id, *old ? (*old)->version : 0, "", "", std::move(text)});
  std::vector<audit::RecordDraft> drafts;
  drafts.push_back(std::move(draft));
  auto committed = co_await parts_.journal.commit(std::move(transaction), std::move(drafts));
  if (!committed) co_return fail(std::move(committed));
  auto reloaded = co_await reload();
  if (!reloaded) co_return fail(std::move(reloaded));
  co_return Result<void>{};
}

awaitable<Result<void>> CatalogKeeper::remove(
    std::string kind, std::string id, std::string unknown
) {
  auto old = parts_.store.row(kind, id);
  if (!old) co_return fail(ErrorKind::unavailable, old.error().message);
  if (!*old) co_return fail(ErrorKind::not_found, {unknown, {{"asset", id}, {"id", id}}});
  audit::RecordDraft draft("admin.action", new_event(parts_.random, parts_.clock.read().at));
  draft.set("action", kind + ".removed").set("target", id);
  Transaction transaction;
  transaction.erases.push_back(std::move(**old));
  std::vector<audit::RecordDraft> drafts;
  drafts.push_back(std::move(draft));
  auto committed = co_await parts_.journal.commit(std::move(transaction), std::move(drafts));
  if (!committed) co_return fail(std::move(committed));
  auto reloaded = co_await reload();
  if (!reloaded) co_return fail(std::move(reloaded));
  co_return Result<void>{};
}

awaitable<Result<void>> CatalogKeeper::put_asset(AssetId id, Json document) {
  std::string text = document.dump();
  const catalog::Document checked{"api:" + id.value, text, catalog::Home::api};
  auto asset = catalog::check_asset(checked, *current(), options_);
  if (!asset) co_return fail(std::move(asset));
  if (asset->id != id) {
    co_return fail(ErrorKind::invalid, {"daemon.id-differs", {{"id", id.value}}}, "/id");
  }
  co_return co_await put("asset_document", id.value, std::move(text));
}

awaitable<Result<void>> CatalogKeeper::put_policy(std::string id, Json document) {
  std::string text = document.dump();
  const catalog::Document checked{"api:" + id, text, catalog::Home::api};
  auto offer = catalog::check_policy(checked, *current(), options_);
  if (!offer) co_return fail(std::move(offer));
  if (offer->id.value != id) {
    co_return fail(ErrorKind::invalid, {"daemon.id-differs", {{"id", id}}}, "/policy/uid");
  }
  co_return co_await put("policy_document", id, std::move(text));
}

awaitable<Result<void>> CatalogKeeper::remove_asset(AssetId id) {
  const auto home = current()->home_of(id);
  if (home && home->home == catalog::Home::file) {
    co_return fail(
        ErrorKind::conflict, {"api.home-is-file", {{"id", id.value}, {"file", home->name}}}
    );
  }
  co_return co_await remove("asset_document", id.value, "api.unknown-asset");
}

awaitable<Result<void>> CatalogKeeper::remove_policy(std::string id) {
  const auto home = current()->home_of(OfferId(id));
  if (home && home->home == catalog::Home::file) {
    co_return fail(ErrorKind::conflict, {"api.home-is-file", {{"id", id}, {"file", home->name}}});
  }
  co_return co_await remove("policy_document", id, "api.unknown-policy");
}

// --- what agreements are served from ---

Result<std::shared_ptr<const api::ServedAsset>> CatalogKeeper::of(const AgreementId& agreement) {
  {
    const std::lock_guard lock(mutex_);
    const auto known = pinned_.find(agreement.value);
    if (known != pinned_.end()) return known->second;
  }
  const auto found = negotiation::find_agreement(parts_.store, agreement);
  if (!found) return tl::unexpected(found.error());
  const auto gone = [&] {
    return fail(ErrorKind::not_found, {"api.asset-gone", {{"agreement", agreement.value}}});
  };
  if (!*found) return gone();
  const auto row =
      parts_.store.row("asset_version", version_id((*found)->asset, (*found)->asset_version));
  if (!row) return tl::unexpected(row.error());
  if (!*row) return gone();
  const auto body = Json::parse((*row)->body, nullptr, false);
  if (!body.is_object()) return gone();
  auto asset = std::make_shared<api::ServedAsset>();
  asset->source = body.value("source", Json::object());
  asset->media_type = body.value("mediaType", std::string("application/octet-stream"));
  if (const auto schema = body.find("schema"); schema != body.end()) {
    auto parsed = catalog::parse_schema(*schema, asset->media_type);
    if (!parsed) return tl::unexpected(parsed.error());
    asset->schema = *std::move(parsed);
  }
  asset->held_under = held_under(asset->source);
  asset->onward_purposes = onward_purposes(asset->source);
  asset->parameters = catalog::parse_parameters(body.value("parameters", Json::array()));
  asset->shapes = parts_.shapes(agreement, asset->schema ? &*asset->schema : nullptr);
  if (!asset->shapes) return gone();
  asset->purposes = (*found)->purposes;
  const std::lock_guard lock(mutex_);
  pinned_[agreement.value] = asset;
  return asset;
}

// --- negotiation::OfferBook, transfer::FormatBook ---

std::optional<negotiation::VisibleOffer> CatalogKeeper::find(
    const OfferId& offer, const AssetId& target, const Viewer& viewer
) const {
  const auto catalog = current();
  const auto* found = catalog->visible_offer(offer, viewer, parts_.clock.read().at);
  if (found == nullptr) return std::nullopt;
  if (!target.empty() && found->asset != target) return std::nullopt;
  const auto* asset = catalog->asset(found->asset);
  if (asset == nullptr) return std::nullopt;
  negotiation::VisibleOffer out;
  out.id = found->id;
  out.asset = found->asset;
  out.asset_version = asset->digest;
  out.asset_level = asset->level;
  out.asset_class = asset->class_;
  out.policy = found->message_offer();
  out.served_each_time = asset->delivery == catalog::Delivery::call;
  switch (found->decide) {
    case catalog::Decide::automatic:
      out.decide = negotiation::Decide::by_itself;
      break;
    case catalog::Decide::approve:
      out.decide = negotiation::Decide::by_person;
      break;
    case catalog::Decide::hook:
      out.decide = negotiation::Decide::by_hook;
      out.hook = found->hook;
      break;
  }
  out.require_signature = found->require_signature;
  out.accept_unconfirmed = found->accept_unconfirmed;
  return out;
}

std::optional<negotiation::PinnedAsset> CatalogKeeper::asset(const AssetId& asset) const {
  const auto catalog = current();
  const auto* found = catalog->asset(asset);
  if (found == nullptr) return std::nullopt;
  return negotiation::PinnedAsset{found->digest, found->level, found->class_};
}

std::optional<std::string> CatalogKeeper::action_of(const AssetId& asset, const std::string& format)
    const {
  return current()->action_of(asset, format);
}

}  // namespace tally::daemon
