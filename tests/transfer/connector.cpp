#include "transfer/connector.hpp"

#include <algorithm>
#include <stdexcept>

#include <nlohmann/json.hpp>

#include "tally/dsp/messages.hpp"
#include "tally/negotiation/exchange.hpp"
#include "tally/odrl/terms.hpp"

#include "sim/sim_blob_store.hpp"

namespace tally::transfer::test {

namespace {

class FixedKey final : public custody::KeySource {
 public:
  Result<custody::SecretKey> current() override {
    custody::SecretKey key;
    key.bytes.fill(7);
    return key;
  }
  Result<custody::SecretKey> find(const custody::KeyName&) override { return current(); }
};

class TextReader final : public BodyReader {
 public:
  explicit TextReader(std::string text) : text_(std::move(text)) {}
  awaitable<Result<std::size_t>> read(std::span<std::uint8_t> out) override {
    const std::size_t n = std::min({out.size(), text_.size() - at_, std::size_t{1000}});
    std::copy_n(text_.data() + at_, n, out.data());
    at_ += n;
    co_return n;
  }

 private:
  std::string text_;
  std::size_t at_ = 0;
};

class TextSource final : public dataplane::Source {
 public:
  explicit TextSource(std::string text) : text_(std::move(text)) {}
  awaitable<Result<dataplane::SourceIdentity>> identify() override {
    co_return dataplane::SourceIdentity{to_hex(sha256(text_)), text_.size()};
  }
  awaitable<Result<std::unique_ptr<BodyReader>>> open(
      std::uint64_t offset, std::optional<std::uint64_t> length
  ) override {
    std::unique_ptr<BodyReader> body =
        std::make_unique<TextReader>(text_.substr(offset, length.value_or(text_.size())));
    co_return body;
  }

 private:
  std::string text_;
};

// Passes a body on and keeps what it passed.
class HeardReader final : public BodyReader {
 public:
  HeardReader(std::unique_ptr<BodyReader> inner, std::string& heard)
      : inner_(std::move(inner)), heard_(heard) {}
  awaitable<Result<std::size_t>> read(std::span<std::uint8_t> out) override {
    auto got = co_await inner_->read(out);
    if (got) heard_.append(reinterpret_cast<const char*>(out.data()), *got);
    co_return got;
  }

 private:
  std::unique_ptr<BodyReader> inner_;
  std::string& heard_;
};

// Passes a body on with its first byte changed: what a faulty wire that no checksum catches, or a
// provider that lies, does.
class ChangedReader final : public BodyReader {
 public:
  explicit ChangedReader(std::unique_ptr<BodyReader> inner) : inner_(std::move(inner)) {}
  awaitable<Result<std::size_t>> read(std::span<std::uint8_t> out) override {
    auto got = co_await inner_->read(out);
    if (got && *got > 0 && !changed_) {
      out[0] ^= 1;
      changed_ = true;
    }
    co_return got;
  }

 private:
  std::unique_ptr<BodyReader> inner_;
  bool changed_ = false;
};

// Parties beside the two that could be told.
class Nobody final : public InformedParties {
 public:
  bool knows(const std::string&) const override { return false; }
  awaitable<Result<bool>> tell(std::string, std::string, std::string) override { co_return false; }
};

}  // namespace

std::string cohort_csv(std::size_t bytes) {
  std::string text = "id,district,code,value\n";
  for (int row = 0; text.size() < bytes; ++row) {
    text += std::to_string(row) + ",west,E11." + std::to_string(row % 10) + "," +
            std::to_string(row * 37 % 1000) + "\n";
  }
  return text;
}

void Connector::offer(const PartyId& to, int count, const std::string& until) {
  const Json asset = {
      {"id", "urn:test:cohort"},
      {"title", "Cohort"},
      {"mediaType", "text/csv"},
      {"delivery", asset_delivery},
      {"source", {{"type", "text"}}},
  };
  const auto atom = [](const std::string& operand, const std::string& op, Json value) {
    return Json{{"leftOperand", operand}, {"operator", op}, {"rightOperand", std::move(value)}};
  };
  const Json number = {{"@value", std::to_string(count)}, {"@type", "xsd:integer"}};
  const Json end = {{"@value", until}, {"@type", "xsd:dateTime"}};
  Json constraints = Json::array(
      {atom("purpose", "isAnyOf", Json::array({research, "urn:test:purpose:statistics"})),
       atom("count", "lteq", number),
       atom("dateTime", "lt", end)}
  );
  if (receipt_before_key) {
    constraints.push_back(atom(std::string(odrl::iri::receipt_before_key), "eq", "required"));
  }
  Json all_duties = duties;
  all_duties.push_back({{"action", "delete"}});
  const Json permission = {
      {"action", "use"},
      {"constraint", std::move(constraints)},
      {"duty", std::move(all_duties)},
  };
  const Json offer_document = {
      {"visibleTo", Json::array({{{"domain", to.domain}, {"uri", to.uri}}})},
      {"policy",
       {{"@context", "http://www.w3.org/ns/odrl.jsonld"},
        {"@id", "urn:test:offer"},
        {"@type", "Offer"},
        {"profile", std::string(odrl::iri::profile)},
        {"target", "urn:test:cohort"},
        {"permission", Json::array({permission})}}},
  };
  catalog::BuildOptions options;
  options.keeps_keys = true;
  const std::string base =
      negotiation::test::Directory::root_of(self) + negotiation::test::dsp_base;
  options.publisher = {self.uri, [base](const PartyId&) { return base; }};
  const auto built = catalog::build(
      {{"cohort.json", asset.dump()}}, {{"research.json", offer_document.dump()}}, options
  );
  for (const auto& problem : built.problems) {
    throw std::runtime_error(
        problem.file + problem.pointer + ": " + render(problem.message, Lang::en)
    );
  }
  offered = built.catalog;
  book = this;
}

void Connector::build() {
  const auto signer = has_signer ? negotiation::test::signer_of(self) : nullptr;
  const std::string root = negotiation::test::Directory::root_of(self);
  const OurUrl base_url = [root](const PartyId&) { return root + negotiation::test::dsp_base; };
  if (!offered) {
    offered = std::make_shared<const catalog::Catalog>(catalog::Publisher{self.uri, base_url});
  }
  apps = std::make_unique<usage::AppRegistry>(*store, *journal, node->clock(), node->random());
  keys = std::make_unique<FixedKey>();
  payload_key_files = std::make_unique<sim::SimBlobStore>(disk, "payload-keys");
  payload_keys = std::make_unique<custody::KeptDataKeys>(
      *payload_key_files, *keys, node->worker(), node->random()
  );
  if (auto loaded = payload_keys->load(); !loaded) {
    throw std::runtime_error(loaded.error().message.code);
  }
  blobs = std::make_unique<sim::SimBlobStore>(disk);
  custody = std::make_unique<custody::Custody>(*blobs, *keys, node->worker(), node->random());
  holdings = std::make_unique<custody::Holdings>(*store, *journal);
  quota = std::make_unique<custody::Quota>(*holdings, node->notices());
  puller = std::make_unique<custody::Puller>(
      *peer, *custody, *holdings, *quota, node->clock(), node->timers(), node->notices(), limits
  );
  tokens = std::make_unique<TokenRegistry>();
  TransferSettings settings;
  settings.self = self;
  settings.base_url = base_url;
  settings.data_url = [root](const PartyId&) { return root; };
  settings.log_origin = origin();
  settings.longest_idle = longest_idle;
  transfers = std::make_unique<TransferService>(
      TransferParts{
          *store,
          *journal,
          *delivery,
          *peer,
          node->clock(),
          node->timers(),
          node->random(),
          *tasks,
          node->notices(),
          *this,
          directory,
          *enforcer,
          *tokens,
          puller.get(),
          signer,
          limits,
          payload_keys.get(),
          &rules},
      settings
  );
  deletions = std::make_unique<DeletionSender>(
      DeletionParts{
          *store,
          *journal,
          *delivery,
          node->clock(),
          node->random(),
          node->notices(),
          directory,
          signer},
      self
  );
  keeper = std::make_unique<custody::Keeper>(
      custody::KeeperParts{
          *custody,
          *holdings,
          *journal,
          *enforcer,
          node->clock(),
          node->timers(),
          node->random(),
          node->notices(),
          custody_records},
      [this](custody::DeletionRecord record) { return tell_provider(std::move(record)); },
      [this](AgreementId agreement) { return set_expired(std::move(agreement)); }
  );
  holds = std::make_unique<usage::HoldBook>(
      usage::HoldBookParts{*store, *journal, node->clock(), node->random(), *enforcer},
      self,
      std::vector<audit::Regulator>{}
  );
  holds->on_change([this] { transfers->holds_changed(); });
  orders = std::make_unique<AgreementOrders>(
      AgreementOrderParts{
          *store,
          *journal,
          *delivery,
          node->clock(),
          node->random(),
          node->notices(),
          directory,
          *enforcer,
          *holds,
          *transfers},
      [this](AgreementId agreement, Message why) {
        return after_end(std::move(agreement), std::move(why));
      }
  );
  confirmations = std::make_unique<Confirmations>(
      ConfirmationParts{
          *store,
          *journal,
          *delivery,
          node->clock(),
          node->timers(),
          node->random(),
          node->notices(),
          directory,
          *enforcer,
          signer},
      self
  );
  informed = std::make_unique<Nobody>();
  if (informs) {
    informer = std::make_unique<Informer>(
        InformerParts{
            *store,
            *journal,
            *delivery,
            node->clock(),
            node->timers(),
            node->worker(),
            node->random(),
            *tasks,
            node->notices(),
            directory,
            *enforcer,
            signer,
            *informed,
            [this]() -> Result<std::unique_ptr<audit::LogStorage>> {
              return std::make_unique<sim::SimLogStorage>(disk);
            },
            [this] { return log->mark().size; },
            limits},
        self,
        origin()
    );
  }
  auto routes =
      api::peer_routes({*negotiations, *transfers, [] { return std::optional<Error>(); }, limits});
  auto hold_routes = api::peer_hold_routes({*orders, *holds, limits});
  routes.insert(routes.end(), hold_routes.begin(), hold_routes.end());
  auto confirmation_routes = api::peer_confirmation_routes(*confirmations);
  routes.insert(routes.end(), confirmation_routes.begin(), confirmation_routes.end());
  auto catalog_routes = api::catalog_routes({*this, base_url, 100, limits});
  routes.insert(routes.end(), catalog_routes.begin(), catalog_routes.end());
  auto data_routes = api::peer_data_routes(
      {*enforcer,
       *tokens,
       *transfers,
       *this,
       *this,
       *tasks,
       node->executor(),
       node->notices(),
       limits,
       nullptr,
       payload_keys.get()}
  );
  routes.insert(routes.end(), data_routes.begin(), data_routes.end());
  peer_router = std::make_unique<api::Router>(
      std::move(routes), &api::admit_peer, node->executor(), limits, node->clock(), node->notices()
  );
  app_router = std::make_unique<api::Router>(
      api::app_routes(
          {*enforcer, *apps, *this, nullptr, nullptr, self, nullptr, node->notices(), limits}
      ),
      api::admit_apps(*apps),
      node->executor(),
      limits,
      node->clock(),
      node->notices()
  );
}

awaitable<Result<void>> Connector::begin() {
  auto done = transfers->load();
  if (!done) co_return done;
  done = apps->load();
  if (!done) co_return done;
  done = holds->load();
  if (!done) co_return done;
  done = confirmations->load();
  if (!done) co_return done;
  done = holdings->load();
  if (!done) co_return done;
  if (informer) done = co_await informer->start();
  if (!done) co_return done;
  co_return co_await keeper->start();
}

Result<void> Connector::resume_all() {
  tasks->spawn("keeper", keeper->run());
  if (auto done = transfers->resume(); !done) return done;
  tasks->spawn("ended agreements", orders->finish());
  tasks->spawn("duties", confirmations->run());
  if (informer) tasks->spawn("inform", informer->run());
  return {};
}

void Connector::destroy_more() {
  app_router.reset();
  peer_router.reset();
  keeper.reset();
  informer.reset();
  informed.reset();
  confirmations.reset();
  orders.reset();
  holds.reset();
  deletions.reset();
  transfers.reset();
  tokens.reset();
  puller.reset();
  quota.reset();
  holdings.reset();
  custody.reset();
  blobs.reset();
  payload_keys.reset();
  payload_key_files.reset();
  keys.reset();
  apps.reset();
}

awaitable<Result<void>> Connector::tell_provider(custody::DeletionRecord record) {
  DeletionNote note;
  note.agreement = record.agreement;
  note.content = record.content;
  note.bytes = record.bytes;
  note.method = record.method;
  note.time = format_micros(record.time);
  note.log = {origin(), record.seq, to_hex(record.leaf)};
  co_return co_await deletions->send(std::move(note));
}

awaitable<Result<void>> Connector::after_end(AgreementId agreement, Message why) {
  const auto running = transfers->list();
  if (!running) co_return tl::unexpected(running.error());
  for (const auto& process : *running) {
    const auto state = process.value("state", "");
    if (process.value("agreement", "") != agreement.value || state == "TERMINATED" ||
        state == "COMPLETED") {
      continue;
    }
    Pid pid(process.value("id", ""));
    Message told = why;
    auto ended = co_await transfers->terminate(std::move(pid), std::move(told));
    if (!ended && ended.error().kind == ErrorKind::unavailable) co_return ended;
  }
  co_return co_await keeper->destroy(agreement, why);
}

awaitable<Result<void>> Connector::set_expired(AgreementId agreement) {
  for (;;) {
    auto found = negotiation::find_agreement(*store, agreement);
    if (!found) co_return fail(std::move(found));
    if (!*found) co_return Result<void>{};
    (*found)->status = negotiation::AgreementStatus::expired;
    Transaction transaction;
    transaction.puts.push_back(negotiation::to_row(**found));
    auto done = co_await journal->commit(std::move(transaction), {});
    if (!done && done.error().kind == ErrorKind::conflict) continue;
    if (!done) co_return fail(std::move(done));
    co_return Result<void>{};
  }
}

awaitable<HttpResponse> Connector::handle(HttpRequest request, PartyId caller) {
  if (heard) heard(request);
  const bool wants_data = request.target.find("/data/") == 0;
  const bool wants_key = request.target.find("/tally/v1/keys/") == 0;
  if ((wants_data && refuse_data) || (wants_key && refuse_keys)) {
    HttpResponse response;
    response.status = 503;
    co_return response;
  }
  identity::Caller called;
  called.peer = std::make_shared<const identity::PeerIdentity>(
      negotiation::test::identity_of(caller, peer_certificate)
  );
  called.authorization = Secret(request.headers.get("Authorization").value_or(""));
  const HttpRequest asked = request;
  auto response = co_await peer_router->handle(std::move(request), called);
  if (lie) lie(asked, response);
  if (wants_data && response.stream) {
    response.stream = std::make_unique<HeardReader>(std::move(response.stream), data_sent);
  }
  if (wants_data && swapped && response.stream) {
    response.stream = std::make_unique<ChangedReader>(std::move(response.stream));
  }
  co_return response;
}

Result<Pid> Connector::negotiate(const PartyId& provider, std::vector<std::string> purposes) {
  auto ask = [](Connector* self, PartyId whom, std::vector<std::string> why
             ) -> awaitable<Result<Pid>> {
    PeerRequest request;
    request.to = whom;
    request.url = *self->directory.base_url(whom) + "/catalog/request";
    request.http.method = "POST";
    request.http.headers.set("Content-Type", "application/json");
    request.http.body = dsp::to_json(dsp::CatalogRequestMessage{}).dump();
    auto answer = co_await self->peer->send(std::move(request));
    if (!answer) co_return fail(std::move(answer));
    const auto json = parse_json(answer->body);
    const auto catalog = json ? dsp::from_json<dsp::Catalog>(*json)
                              : Result<dsp::Catalog>(tl::unexpected(json.error()));
    const Message nothing{"test.no-offer", {}};
    if (!catalog || catalog->dataset.empty()) co_return fail(ErrorKind::not_found, nothing);
    const auto& dataset = catalog->dataset.front();
    negotiation::NegotiateOrder order;
    order.peer = whom;
    order.asset = AssetId(dataset.id);
    order.policy = dataset.has_policy.front();
    order.offer = OfferId(order.policy.at("@id").get<std::string>());
    order.purposes = std::move(why);
    co_return co_await self->negotiations->negotiate(std::move(order));
  };
  return await(ask(this, provider, std::move(purposes)));
}

Connector::Read Connector::read(
    const AgreementId& agreement, const std::string& token, const std::string& key
) {
  auto ask = [](Connector* self, HttpRequest request, std::string bearer) -> awaitable<Read> {
    identity::Caller caller;
    caller.authorization = Secret("Bearer " + bearer);
    auto response = co_await self->app_router->handle(std::move(request), caller);
    Read read;
    read.status = response.status;
    read.body = std::move(response.body);
    read.use = std::string(response.headers.get("Tally-Use").value_or(""));
    bool complete = true;
    std::uint8_t piece[512];
    while (response.stream) {
      auto got = co_await response.stream->read(piece);
      if (!got || *got == 0) {
        complete = got.has_value();
        break;
      }
      read.body.append(reinterpret_cast<const char*>(piece), *got);
    }
    if (response.on_sent) response.on_sent(read.body.size(), complete);
    if (!complete) read.status = 0;
    if (read.status >= 400) {
      const auto json = parse_json(read.body);
      if (json) read.code = negotiation::text_of(*json, "code");
    }
    co_return read;
  };
  HttpRequest request;
  request.method = "GET";
  request.target = "/api/v1/data/" + percent_encode_segment(agreement.value);
  if (!key.empty()) request.headers.set("Idempotency-Key", key);
  return await(ask(this, std::move(request), token));
}

std::string Connector::add_app(const std::string& id, const std::string& purpose) {
  usage::App app;
  app.id = AppId(id);
  app.purposes = {purpose};
  auto added = await(apps->add(std::move(app)));
  if (!added) throw std::runtime_error(added.error().message.code);
  return added->token;
}

std::vector<negotiation::Agreement> Connector::agreements() {
  std::vector<negotiation::Agreement> all;
  Store::Query query;
  query.kind = "agreement";
  const auto rows = store->rows(query).value();
  for (const auto& row : rows) {
    all.push_back(negotiation::parse_agreement(row).value());
  }
  return all;
}

// --- the books -----------------------------------------------------------------------------------

std::optional<negotiation::VisibleOffer> Connector::find(
    const OfferId& offer, const AssetId& target, const Viewer& viewer
) const {
  const auto* found = offered->visible_offer(offer, viewer);
  if (!found || (!target.empty() && found->asset != target)) return std::nullopt;
  negotiation::VisibleOffer visible;
  visible.id = found->id;
  visible.asset = found->asset;
  const auto pinned = asset(found->asset);
  visible.asset_version = pinned->version;
  visible.asset_level = pinned->level;
  visible.asset_class = pinned->class_;
  visible.policy = found->message_offer();
  visible.require_signature = found->require_signature && require_signature;
  visible.accept_unconfirmed = found->accept_unconfirmed;
  return visible;
}

std::optional<negotiation::PinnedAsset> Connector::asset(const AssetId& asset) const {
  const auto* found = offered->asset(asset);
  if (!found) return std::nullopt;
  return negotiation::PinnedAsset{found->digest, found->level, found->class_};
}

std::optional<std::string> Connector::action_of(const AssetId& asset, const std::string& format)
    const {
  return offered->action_of(asset, format);
}

catalog::Page Connector::page(const catalog::PageRequest& request) const {
  return offered->page(request);
}

std::optional<std::string> Connector::dataset(
    const AssetId& asset, const Viewer& viewer, Instant now
) const {
  return offered->dataset_body(asset, viewer, now);
}

Result<std::shared_ptr<const api::ServedAsset>> Connector::of(const AgreementId& agreement) {
  auto served = std::make_shared<api::ServedAsset>();
  served->source = Json::object();
  served->media_type = "text/csv";
  served->shapes = shapes_of(agreement);
  auto found = negotiation::find_agreement(*store, agreement);
  if (!found) return fail(std::move(found));
  if (*found) served->purposes = (*found)->purposes;
  return served;
}

Result<api::HeldData> Connector::held(const AgreementId& agreement) {
  bool destroyed = false;
  for (const auto& holding : holdings->of(agreement)) {
    destroyed = destroyed || holding.destroyed.has_value();
    if (holding.state != custody::HoldingState::held) continue;
    api::HeldData out;
    out.artefact = holding.id;
    out.length = holding.bytes;
    out.media_type = "text/csv";
    out.content = holding.content;
    out.shapes = shapes_of(agreement);
    return out;
  }
  return fail(ErrorKind::not_found, {destroyed ? "api.destroyed" : "api.nothing-held", {}});
}

Result<api::HeldData> Connector::artefact(const ArtefactId& id) {
  return fail(ErrorKind::not_found, {"custody.unknown-artefact", {{"artefact", id.value}}});
}

std::vector<AgreementId> Connector::bound_by(const ArtefactId&) {
  return {};
}

awaitable<Result<std::unique_ptr<BodyReader>>> Connector::open(
    ArtefactId artefact, std::uint64_t offset
) {
  auto opened = co_await custody->open(std::move(artefact), offset);
  if (!opened) co_return fail(std::move(opened));
  co_return std::move(opened->body);
}

std::shared_ptr<const dataplane::RuleShapes> Connector::shapes_of(const AgreementId& agreement) {
  const auto known = enforcer->state(agreement);
  if (!known) return nullptr;
  return std::make_shared<const dataplane::RuleShapes>(*known->terms.policy, nullptr, nullptr);
}

Result<std::unique_ptr<dataplane::Source>> Connector::source(const Json&) {
  return std::make_unique<TextSource>(data);
}

}  // namespace tally::transfer::test
