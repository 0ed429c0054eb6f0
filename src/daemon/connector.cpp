#include "connector.hpp"

#include <csignal>
#include <utility>

#include <boost/asio/co_spawn.hpp>
#include <boost/asio/signal_set.hpp>

#include <nlohmann/json.hpp>

#include "tally/api/data_routes.hpp"
#include "tally/api/log_routes.hpp"
#include "tally/api/use_receipt_routes.hpp"
#include "tally/api/witness_routes.hpp"
#include "tally/audit/recovery.hpp"
#include "tally/audit/story.hpp"
#include "tally/audit/trace.hpp"
#include "tally/negotiation/agreement.hpp"

#include "in_force.hpp"

namespace tally::daemon {

namespace {

std::string peer_base(const Config& config) {
  return config.peers.public_url + std::string(api::dsp_base_path);
}

api::Role role_of(const std::string& role) {
  if (role == "admin") return api::Role::admin;
  return role == "operator" ? api::Role::operator_ : api::Role::auditor;
}

net::ListenerConfig plain_listener(const Listener& listener, const std::filesystem::path& folder) {
  net::ListenerConfig out;
  out.transport = net::Transport::plain;
  out.address = listener.address;
  out.port = listener.port;
  if (!listener.socket.empty()) out.unix_socket = (folder / listener.socket).string();
  return out;
}

}  // namespace

// --- opening ---

Result<std::unique_ptr<Connector>> Connector::open(Config config, Notices& notices) {
  Opened opened;
  store::SqliteStore::Options options;
  options.folder = config.folder;
  auto store = store::SqliteStore::open(std::move(options), notices);
  if (!store) return fail(std::move(store));
  opened.store = std::move(*store);
  auto mark = opened.store->mark();
  if (!mark) return fail(std::move(mark));

  const std::string origin = config.participant.uri + "/log/1";
  auto credentials = load_credentials(config, origin);
  if (!credentials) return fail(std::move(credentials));
  opened.credentials = std::move(*credentials);
  auto trust = load_trust(config);
  if (!trust) return fail(std::move(trust));
  opened.trust = std::move(*trust);

  const auto folder = config.folder / "log";
  std::error_code failed;
  std::filesystem::create_directories(folder, failed);
  auto storage = audit::open_log_folder(folder, audit::FolderAccess::writable);
  if (!storage) return fail(std::move(storage));
  opened.log_storage = std::move(*storage);
  auto recovered = audit::recover(*opened.log_storage, *mark);
  if (!recovered && recovered.error().kind == ErrorKind::not_found && mark->size == 0) {
    // A first start: the log begins here.
    audit::Genesis genesis{
        origin, config.participant, opened.credentials.log_signer.key.text(), config.test_log};
    SystemClock clock(config.test_log);
    OsRandom random;
    auto created = audit::create_log(*opened.log_storage, genesis, clock, random);
    if (!created) return fail(std::move(created));
    recovered = audit::recover(*opened.log_storage, *mark);
  }
  if (!recovered) return fail(std::move(recovered));
  opened.recovered = std::move(*recovered);
  const auto& genesis = opened.recovered.genesis;
  if (genesis.actor != config.participant || genesis.test != config.test_log) {
    return fail(
        ErrorKind::invalid,
        {"daemon.log-of-another",
         {{"uri", genesis.actor.uri}, {"test", genesis.test ? "true" : "false"}}}
    );
  }

  // A rotation that a crash left is finished or undone before anything is signed.
  if (auto settled = settle_log_key(config.log_key, opened.recovered.keys); !settled) {
    return fail(std::move(settled));
  }
  auto log_signer = load_log_signer(config.log_key, genesis.origin);
  if (!log_signer) return fail(std::move(log_signer));
  opened.credentials.log_signer = *std::move(log_signer);

  std::unique_ptr<Connector> connector(new Connector(std::move(config), notices, genesis.test));
  auto assembled = connector->assemble(std::move(opened));
  if (!assembled) return fail(std::move(assembled));
  return connector;
}

Connector::Connector(Config config, Notices& notices, bool test_clock)
    : config_(std::move(config)),
      notices_(notices),
      clock_(test_clock),
      timers_(clock_),
      worker_(std::make_unique<ThreadWorker>(2)) {
  for (unsigned i = 0; i < config_.threads; ++i) {
    contexts_.push_back(std::make_unique<boost::asio::io_context>(1));
  }
}

Connector::~Connector() = default;

Result<void> Connector::assemble(Opened opened) {
  const auto& limits = config_.limits;
  const auto home = home_.get_executor();

  // Store and log, and what binds the two.
  store_ = std::move(opened.store);
  log_storage_ = std::move(opened.log_storage);
  genesis_ = opened.recovered.genesis;
  log_keys_ = opened.recovered.keys;
  const std::uint64_t recorded = opened.recovered.size;
  log_ = std::make_unique<audit::LogWriter>(
      *log_storage_, std::move(opened.recovered), clock_, random_, limits
  );
  auto quorum = load_witness_quorum(config_);
  if (!quorum) return fail(std::move(quorum));
  witnessing_ = std::make_unique<audit::Witnessing>(*std::move(quorum));
  milestones_ = std::make_unique<audit::MilestoneAppender>(*log_, *witnessing_, clock_, [this] {
    if (sender_) sender_->milestone();
  });
  journal_ = std::make_unique<audit::Journal>(*store_, *milestones_);

  // Facts about persons, beside the log.
  if (!config_.wrapping_key.empty()) {
    auto key_source = custody::open_key_file(config_.wrapping_key, config_.folder);
    if (!key_source) return fail(std::move(key_source));
    key_source_ = std::move(*key_source);
    const auto folder = config_.folder / "private";
    std::error_code failed;
    std::filesystem::create_directories(folder, failed);
    auto files = custody::open_posix_blob_store(folder);
    if (!files) return fail(std::move(files));
    fact_files_ = std::move(*files);
    facts_ = std::make_unique<custody::PrivateFacts>(*fact_files_, *key_source_, random_);
    auto open_log = [folder = log_folder()] {
      return audit::open_log_folder(folder, audit::FolderAccess::read_only);
    };
    facts_of_log_ = std::make_unique<FactsOfLog>(
        *facts_, *log_, clock_, random_, *worker_, std::move(open_log)
    );
    if (auto begun = facts_of_log_->begin(); !begun) return begun;
  }

  // The ledger is the sum of the log.
  enforcer_ = std::make_unique<usage::Enforcer>(*milestones_, clock_, random_, limits);
  enforcer_->attach(*witnessing_);
  auto drafts = store_->drafts();
  if (!drafts) return fail(std::move(drafts));
  outbox_.emplace(std::move(*drafts));
  Result<void> replayed;
  enrolments_ = std::make_unique<Enrolments>(*log_, clock_, random_);
  std::uint64_t seen = 0;
  auto read = audit::for_each_record(*log_storage_, 0, [&](const audit::RecordView& record) {
    ++seen;
    outbox_->see(record);
    witnessing_->replay(record);
    enrolments_->see(record);
    if (facts_of_log_) facts_of_log_->see(record);
    if (record.type == "config.changed") {
      in_force_ = Json::parse(record.raw("digests"), nullptr, false);
    }
    if (replayed) replayed = enforcer_->replay(record);
  });
  if (!read) return fail(std::move(read));
  if (!replayed) return fail(std::move(replayed));
  if (seen != recorded) return fail(ErrorKind::unavailable, {"daemon.log-short-read", {}});
  if (facts_of_log_) {
    if (auto tidied = facts_of_log_->tidy(); !tidied) return tidied;
  }

  // Who is who.
  credentials_ = std::move(opened.credentials);
  log_->tree().sign_with(credentials_.log_signer.key, credentials_.log_signer.signer);
  auto former = former_log_key(config_.log_key, log_keys_);
  if (!former) return fail(std::move(former));
  if (*former) {
    log_->tree().sign_also_with((*former)->key, (*former)->signer);
    overlap_until_ = audit::parse_rotation(log_keys_.entries().back().note)->overlap_until;
  }
  trust_ = std::make_unique<identity::TrustSource>(std::move(opened.trust));
  net::HttpsPeerConfig peer_config;
  peer_config.peers = addresses_of(config_.known_peers);
  peer_config.certificate_pem = credentials_.tls_certificate_pem;
  peer_config.key_pem = credentials_.tls_key_pem;
  peer_config.insecure_loopback = config_.insecure_loopback;
  auto https = net::HttpsPeer::create(home, peer_config, limits, *trust_, clock_);
  if (!https) return fail(std::move(https));
  https_ = std::move(*https);
  peer_ = https_.get();
  if (config_.insecure_loopback) {
    loopback_ = std::make_unique<LoopbackPeer>(*https_, config_.known_peers);
    peer_ = loopback_.get();
  }
  peers_ = std::make_unique<ConfiguredPeers>(*https_, config_.known_peers);
  refusals_ = std::make_unique<RefusalLog>(*log_, clock_, random_);

  // What is offered, and from where it is served.
  tasks_ = std::make_unique<TaskGroup>(home, notices_);
  apps_ = std::make_unique<usage::AppRegistry>(*store_, *journal_, clock_, random_);
  auto sources = sources::FileSources::open({config_.data_root}, *worker_);
  if (!sources) return fail(std::move(sources));
  sources_ = std::move(*sources);
  catalog::BuildOptions build;
  build.publisher = {config_.participant.uri, peer_base(config_)};
  build.limits = limits;
  for (const auto& entry : config_.trust) build.domains.push_back(entry.domain);
  build.check_source = [this](const Json& spec) -> Result<void> {
    auto source = sources_->source(spec);
    if (!source) return fail(std::move(source));
    return {};
  };
  catalog_ = std::make_unique<CatalogKeeper>(
      CatalogParts{*store_, *journal_, clock_, random_, timers_, *worker_, notices_},
      config_.folder,
      std::move(build)
  );

  // What is held for others.
  if (!config_.wrapping_key.empty()) {
    const auto folder = config_.folder / "custody";
    std::error_code failed;
    std::filesystem::create_directories(folder, failed);
    auto blobs = custody::open_posix_blob_store(folder);
    if (!blobs) return fail(std::move(blobs));
    blobs_ = std::move(*blobs);
    custody_ = std::make_unique<custody::Custody>(*blobs_, *key_source_, *worker_, random_);
    holdings_ = std::make_unique<custody::Holdings>(*store_, *journal_);
    puller_ = std::make_unique<custody::Puller>(
        *peer_, *custody_, *holdings_, clock_, timers_, notices_, limits
    );
  }

  // Contracts and transfers.
  auto witness_key = load_witness_key(config_);
  if (!witness_key) return fail(std::move(witness_key));
  identity::KeyStatement statement;
  statement.party = config_.participant.uri;
  statement.log_origin = genesis_.origin;
  statement.first_log_vkey = genesis_.vkey;
  if (*witness_key) statement.witness_vkey = (*witness_key)->key.text();
  statement.not_before = credentials_.contract.not_before;
  statement.not_after = credentials_.contract.not_after;
  delivery_ = std::make_unique<negotiation::Delivery>(
      *store_, *peer_, clock_, timers_, *tasks_, notices_, limits
  );
  negotiation::NegotiationSettings negotiation_settings;
  negotiation_settings.self = config_.participant;
  negotiation_settings.base_url = peer_base(config_);
  negotiation_settings.key_statement =
      identity::sign_key_statement(statement, *credentials_.signer);
  negotiations_ = std::make_unique<negotiation::NegotiationService>(
      negotiation::NegotiationParts{
          *store_,
          *journal_,
          *delivery_,
          clock_,
          random_,
          *tasks_,
          notices_,
          *catalog_,
          *peers_,
          *enforcer_,
          *trust_,
          credentials_.signer,
          [this](const PartyId& party) { return sender_->unasked(party); }},
      std::move(negotiation_settings)
  );
  watched_logs_ = std::make_unique<WatchedLogs>(negotiations_->partners(), config_.watched_logs);
  if (*witness_key) {
    witness_ = std::make_unique<audit::Witness>(
        audit::WitnessParts{*store_, *journal_, clock_, random_, *watched_logs_},
        (*witness_key)->key,
        (*witness_key)->signer
    );
  }
  // Our own log, cosigned by others.
  checkpoints_ = std::make_unique<LogCheckpoints>(log_->tree());
  audit::CheckpointSettings sending;
  sending.origin = genesis_.origin;
  sending.log_keys = log_keys_;
  sender_ = std::make_unique<audit::CheckpointSender>(
      audit::CheckpointSenderParts{
          *store_,
          *journal_,
          *peer_,
          clock_,
          timers_,
          *worker_,
          random_,
          *tasks_,
          notices_,
          *checkpoints_,
          [this] { return witness_targets(negotiations_->partners(), *peers_, config_.witnesses); },
          [this] { return log_->heads_due(); },
          *witnessing_,
          [this] {
            // What waited for the answer goes on. At start everything is taken up later anyway.
            if (!serving_) return;
            const auto resumed = negotiations_->resume();
            if (!resumed) notices_.note(Severity::error, resumed.error().message);
          },
          limits},
      std::move(sending)
  );
  tokens_ = std::make_unique<transfer::TokenRegistry>();
  transfer::TransferSettings transfer_settings;
  transfer_settings.self = config_.participant;
  transfer_settings.base_url = peer_base(config_);
  transfer_settings.data_url =
      config_.data_url.empty() ? config_.peers.public_url : config_.data_url;
  transfer_settings.log_origin = genesis_.origin;
  transfer_settings.receipt_deadline = config_.receipt_deadline;
  transfers_ = std::make_unique<transfer::TransferService>(
      transfer::TransferParts{
          *store_,
          *journal_,
          *delivery_,
          *peer_,
          clock_,
          timers_,
          random_,
          *tasks_,
          notices_,
          *catalog_,
          *peers_,
          *enforcer_,
          *tokens_,
          puller_.get(),
          credentials_.signer,
          limits},
      std::move(transfer_settings)
  );
  deletions_ = std::make_unique<transfer::DeletionSender>(
      transfer::DeletionParts{
          *store_, *journal_, *delivery_, clock_, random_, notices_, *peers_, credentials_.signer},
      config_.participant
  );
  use_receipts_ = std::make_unique<transfer::UseReceipts>(
      genesis_.origin, config_.participant.uri, credentials_.signer
  );
  statements_ = std::make_unique<transfer::StatementSender>(
      transfer::StatementParts{
          *store_,
          *journal_,
          *delivery_,
          clock_,
          timers_,
          *worker_,
          random_,
          notices_,
          *peers_,
          credentials_.signer,
          log_->tree(),
          [this] { return audit::open_log_folder(log_folder(), audit::FolderAccess::read_only); }},
      transfer::StatementSettings{config_.participant, genesis_.origin, config_.statement_period}
  );
  if (custody_) {
    auto tell_provider = [this](custody::DeletionRecord record) -> awaitable<Result<void>> {
      transfer::DeletionNote note;
      note.agreement = record.agreement;
      note.content = record.content;
      note.bytes = record.bytes;
      note.method = record.method;
      note.time = format_micros(record.time);
      note.log = {genesis_.origin, record.seq, to_hex(record.leaf)};
      co_return co_await deletions_->send(std::move(note));
    };
    auto expired = [this](AgreementId agreement) -> awaitable<Result<void>> {
      statements_->ended(agreement);
      co_return co_await set_status(std::move(agreement), negotiation::AgreementStatus::expired);
    };
    keeper_ = std::make_unique<custody::Keeper>(
        custody::KeeperParts{
            *custody_, *holdings_, *journal_, *enforcer_, clock_, timers_, random_, notices_},
        std::move(tell_provider),
        std::move(expired)
    );
  }
  delivery_->serve("negotiation", *negotiations_);
  delivery_->serve("transfer", *transfers_);
  return {};
}

// --- running ---

struct Connector::Serving {
  std::unique_ptr<api::Router> peer_router;
  std::unique_ptr<api::Router> app_router;
  std::unique_ptr<api::Router> management_router;
  std::unique_ptr<net::Server> peers;
  std::unique_ptr<net::Server> apps;
  std::unique_ptr<net::Server> management;
};

int Connector::run() {
  store_thread_ = std::make_unique<store::StoreThread>(*store_);
  log_thread_ = std::make_unique<audit::LogThread>(*log_);

  std::vector<std::thread> threads;
  std::vector<boost::asio::executor_work_guard<boost::asio::io_context::executor_type>> guards;
  for (auto& context : contexts_) {
    guards.emplace_back(context->get_executor());
    threads.emplace_back([&context] { context->run(); });
  }

  boost::asio::signal_set signals(home_, SIGTERM, SIGINT, SIGHUP);
  std::function<void()> wait = [&] {
    signals.async_wait([&](boost::system::error_code failed, int signal) {
      if (failed) return;
      if (signal == SIGHUP) {
        if (serving_) reload();
        reload_after_start_ = !serving_;
        return wait();
      }
      // A second signal ends what the first one left to finish.
      if (std::exchange(stopping_, true)) return home_.stop();
      boost::asio::co_spawn(home_, stop(), [&](std::exception_ptr) { signals.cancel(); });
      wait();
    });
  };
  wait();
  boost::asio::co_spawn(home_, start_and_report(), [&](std::exception_ptr fault) {
    if (!fault && exit_code_ == 0) return;
    if (fault) exit_code_ = 1;
    signals.cancel();
    home_.stop();
  });
  home_.run();

  for (auto& guard : guards) guard.reset();
  for (auto& context : contexts_) context->stop();
  for (auto& thread : threads) thread.join();
  worker_.reset();  // joins its threads: nothing completes after this
  log_thread_.reset();
  if (log_->failed()) {
    exit_code_ = 1;
  } else if (auto closed = log_->close(); !closed) {
    notices_.note(Severity::error, closed.error().message);
    exit_code_ = 1;
  }
  store_thread_.reset();
  // One more signal from an impatient service manager must not turn a clean stop into a kill: this
  // is the last thread, and from here on only memory is given back.
  sigset_t late;
  sigemptyset(&late);
  for (const int signal : {SIGTERM, SIGINT, SIGHUP}) sigaddset(&late, signal);
  pthread_sigmask(SIG_BLOCK, &late, nullptr);
  return exit_code_;
}

awaitable<void> Connector::start_and_report() {
  auto started = co_await start();
  if (started && !stopping_) started = listen();
  starting_ = false;
  if (started && stopping_) co_return;
  if (!started) {
    notices_.note(Severity::error, started.error().message);
    exit_code_ = 1;
    co_return;
  }
  notices_.note(
      Severity::info,
      {"daemon.serving",
       {{"uri", config_.participant.uri},
        {"peers", config_.peers.public_url},
        {"apps", config_.apps.address + ":" + std::to_string(config_.apps.port)},
        {"management", config_.management.address + ":" + std::to_string(config_.management.port)},
        {"offers", std::to_string(catalog_->offers())},
        {"agreements", std::to_string(enforcer_->agreements().size())}}}
  );
  if (genesis_.test) notices_.note(Severity::warning, {"daemon.test-log", {}});
  if (config_.insecure_loopback) notices_.note(Severity::warning, {"daemon.insecure-loopback", {}});
  if (std::exchange(reload_after_start_, false)) reload();
}

awaitable<Result<void>> Connector::start() {
  // First what the log lacks, then everything that is the sum of log and store.
  auto search = std::move(*outbox_);
  outbox_.reset();
  if (auto done = negotiations_->load(); !done) co_return done;
  // Before anything is appended: has this log been set back?
  auto silent = co_await sender_->ask_first();
  if (!silent) co_return fail(std::move(silent));
  if (auto done = co_await journal_->replay(std::move(search)); !done) co_return done;
  if (!silent->empty()) {
    Json unwitnessed = Json::array();
    for (const auto& party : *silent) {
      unwitnessed.push_back({{"domain", party.domain}, {"uri", party.uri}});
    }
    audit::RecordDraft draft("log.opened", new_event(random_, clock_.read().at));
    draft.set_json("unwitnessed", unwitnessed);
    auto opened = co_await audit::append(*log_, std::move(draft));
    if (!opened) co_return fail(std::move(opened));
  }
  // Also of what was changed while nothing ran.
  auto digests = digests_in_force(config_, credentials_);
  if (!digests) co_return fail(std::move(digests));
  if (!differing(in_force_, *digests).empty()) {
    auto changed = co_await record_configuration("start", *std::move(digests));
    if (!changed) co_return changed;
  }
  if (auto done = transfers_->load(); !done) co_return done;
  if (auto done = apps_->load(); !done) co_return done;
  if (auto done = co_await enforcer_->finish_replay(); !done) co_return done;
  if (keeper_) {
    if (auto done = holdings_->load(); !done) co_return done;
    if (auto done = co_await keeper_->start(); !done) co_return done;
    tasks_->spawn("keeper", keeper_->run());
  }
  if (auto done = co_await catalog_->reload(); !done) co_return done;
  tasks_->spawn("catalogue", catalog_->watch());
  tasks_->spawn("housekeeping", housekeeping());
  tasks_->spawn("checkpoints", sender_->run());
  for (const auto& id : enforcer_->agreements()) {
    const auto state = enforcer_->state(id);
    // A stop between an agreement's end and its statement.
    if (state && state->closed >= usage::Closed::expired) statements_->ended(id);
  }
  tasks_->spawn("statements", statements_->run());
  if (auto done = delivery_->resume(); !done) co_return done;
  if (auto done = negotiations_->resume(); !done) co_return done;
  co_return transfers_->resume();
}

Result<void> Connector::listen() {
  serving_ = std::make_unique<Serving>();
  const auto& limits = config_.limits;
  const auto home = home_.get_executor();
  std::vector<boost::asio::io_context*> contexts;
  contexts.reserve(contexts_.size());
  for (auto& context : contexts_) contexts.push_back(context.get());

  auto peer_routes =
      api::peer_routes({*catalog_, *negotiations_, *transfers_, [this] { return closed(); }, limits}
      );
  auto data_routes = api::peer_data_routes(
      {*enforcer_,
       *tokens_,
       *transfers_,
       *sources_,
       *catalog_,
       *tasks_,
       home,
       notices_,
       limits,
       use_receipts_.get()}
  );
  peer_routes.insert(peer_routes.end(), data_routes.begin(), data_routes.end());
  if (witness_) {
    auto witness_routes = api::witness_routes({*witness_, [this] { return closed(); }});
    peer_routes.insert(peer_routes.end(), witness_routes.begin(), witness_routes.end());
  }
  const api::LogApiParts log_parts{log_->tree(), *worker_};
  auto is_partner = [this](const PartyId& party) -> Result<bool> {
    const auto agreements = store_->rows({"agreement", {}, to_string(party), {}, 1});
    if (!agreements) return tl::unexpected(agreements.error());
    return !agreements->empty();
  };
  auto peer_log = api::peer_log_routes(log_parts, std::move(is_partner));
  peer_routes.insert(peer_routes.end(), peer_log.begin(), peer_log.end());
  const api::UseReceiptParts receipt_parts{log_->tree(), *worker_, *store_, *use_receipts_};
  auto peer_receipts = api::peer_use_receipt_routes(receipt_parts);
  peer_routes.insert(peer_routes.end(), peer_receipts.begin(), peer_receipts.end());
  serving_->peer_router = std::make_unique<api::Router>(
      std::move(peer_routes), &api::admit_peer, home, limits, clock_, notices_
  );
  std::function<void()> after_use;
  if (keeper_) after_use = [this] { used_.store(true, std::memory_order_relaxed); };
  auto app_routes = api::app_routes(
      {*enforcer_,
       *apps_,
       *this,
       facts_of_log_.get(),
       config_.participant,
       std::move(after_use),
       limits,
       use_receipts_.get()}
  );
  auto app_receipts = api::app_use_receipt_routes(receipt_parts);
  app_routes.insert(app_routes.end(), app_receipts.begin(), app_receipts.end());
  serving_->app_router = std::make_unique<api::Router>(
      std::move(app_routes), api::admit_apps(*apps_), home, limits, clock_, notices_
  );
  std::vector<api::ApiToken> tokens;
  tokens.reserve(config_.management.tokens.size());
  for (const auto& token : config_.management.tokens) {
    tokens.push_back({token.name, role_of(token.role), token.sha256});
  }
  auto management_routes = api::management_routes(
      {*this,
       *catalog_,
       *store_,
       *peer_,
       *peers_,
       *negotiations_,
       *transfers_,
       *enforcer_,
       *apps_,
       config_.participant,
       [this] { return closed(); },
       [this] { return journal_->settled(); },
       limits}
  );
  auto log_routes = api::log_routes(log_parts);
  management_routes.insert(management_routes.end(), log_routes.begin(), log_routes.end());
  serving_->management_router = std::make_unique<api::Router>(
      std::move(management_routes),
      api::admit_tokens(std::move(tokens)),
      home,
      limits,
      clock_,
      notices_
  );

  net::ListenerConfig peers = plain_listener(config_.peers, config_.folder);
  if (!config_.insecure_loopback) {
    peers.transport = net::Transport::mutual_tls;
    peers.certificate_pem = credentials_.tls_certificate_pem;
    peers.key_pem = credentials_.tls_key_pem;
  }
  const auto make = [&](net::ListenerConfig listener, net::Handler handler) {
    return std::make_unique<net::Server>(
        contexts,
        std::move(listener),
        limits,
        *trust_,
        clock_,
        std::move(handler),
        *refusals_,
        notices_
    );
  };
  const auto routed = [](const api::Router& router) -> net::Handler {
    return [&router](HttpRequest request, const identity::Caller& caller) {
      return router.handle(std::move(request), caller);
    };
  };
  net::Handler peer_handler =
      [this](HttpRequest request, const identity::Caller& caller) -> awaitable<HttpResponse> {
    if (caller.peer) {
      const auto recorded = co_await enrolments_->met(*caller.peer);
      if (!recorded) co_return api::problem(recorded.error(), Lang::en);
    }
    co_return co_await serving_->peer_router->handle(std::move(request), caller);
  };
  if (config_.insecure_loopback) {
    peer_handler =
        [this](HttpRequest request, const identity::Caller& caller) -> awaitable<HttpResponse> {
      identity::Caller known = caller;
      known.peer = identify_loopback(request, caller, config_.known_peers);
      co_return co_await serving_->peer_router->handle(std::move(request), known);
    };
  }
  serving_->management = make(
      plain_listener(config_.management, config_.folder), routed(*serving_->management_router)
  );
  serving_->apps =
      make(plain_listener(config_.apps, config_.folder), routed(*serving_->app_router));
  serving_->peers = make(std::move(peers), std::move(peer_handler));
  // A port that the system chose is known only now; the line at start has to name it.
  const std::pair<net::Server&, std::uint16_t&> listeners[] = {
      {*serving_->management, config_.management.port},
      {*serving_->apps, config_.apps.port},
      {*serving_->peers, config_.peers.port},
  };
  for (const auto& [server, port] : listeners) {
    auto bound = server.listen();
    if (!bound) return fail(std::move(bound));
    port = *bound;
  }
  return {};
}

awaitable<void> Connector::housekeeping() {
  for (Nanos since_flush = 0;; since_flush += milliseconds(500)) {
    co_await timers_.sleep_for(milliseconds(500));
    enforcer_->flush_completions(false);
    // Duties that come due with a use: the keeper looks once for all uses of this half second.
    if (used_.exchange(false, std::memory_order_relaxed)) keeper_->kick();
    // Whether there is room again shows when something ordinary is written.
    if (log_->on_reserve()) {
      audit::RecordDraft draft("log.heartbeat", new_event(random_, clock_.read().at));
      log_->enqueue(std::move(draft));
    }
    if (overlap_until_) co_await end_overlap();
    if (since_flush >= seconds(60)) {
      refusals_->flush();
      since_flush = 0;
    }
  }
}

// --- the log's key ---

awaitable<Result<Json>> Connector::rotate_log_key(Nanos overlap) {
  if (std::exchange(rotating_, true)) co_return fail(ErrorKind::conflict, {"daemon.rotating", {}});
  auto done = co_await rotate(overlap);
  rotating_ = false;
  co_return done;
}

awaitable<Result<Json>> Connector::rotate(Nanos overlap) {
  const auto reading = clock_.read();
  if (!reading.reliable) {
    co_return fail(ErrorKind::unavailable, {"daemon.clock-stepped", {}});
  }
  if (log_keys_.entries().size() > audit::most_rotations) {
    const Message most{"daemon.rotations-most", {{"most", std::to_string(audit::most_rotations)}}};
    co_return fail(ErrorKind::conflict, most);
  }
  const LogSigner before = credentials_.log_signer;
  Result<LogSigner> next = before;
  auto make = [this, &next] { next = make_next_log_key(config_.log_key, genesis_.origin); };
  co_await worker_->run(std::move(make));
  if (!next) co_return fail(std::move(next));
  audit::KeyRotation rotation{genesis_.origin, before.key, next->key, reading.at + overlap};
  rotation.overlap_until.nanos = 0;
  const auto note = audit::sign_rotation(rotation, before.signer, next->signer);
  if (!note) co_return tl::unexpected(note.error());

  // From here to the record nothing is signed: no checkpoint over it may bear the old key alone.
  auto hold = [this] { log_->tree().hold_signing(); };
  co_await worker_->run(std::move(hold));
  audit::RecordDraft draft("key.rotated", new_event(random_, reading.at));
  draft.set("vkey", next->key.text()).set("note", *note);
  const auto recorded = co_await audit::append(*log_, std::move(draft));
  if (!recorded && !log_->failed()) {
    log_->tree().sign_with(before.key, before.signer);
    auto drop = [this] { (void)drop_next_log_key(config_.log_key); };
    co_await worker_->run(std::move(drop));
  }
  // After a failure of the log the record may be there all the same: the next start knows.
  if (!recorded) co_return tl::unexpected(recorded.error());
  if (auto known = log_keys_.rotate(recorded->seq, *note); !known) co_return fail(std::move(known));
  log_->tree().rotated(next->key);
  credentials_.log_signer = *next;
  log_->tree().sign_with(next->key, next->signer);
  log_->tree().sign_also_with(before.key, before.signer);
  overlap_until_ = rotation.overlap_until;
  sender_->rotated(log_keys_);
  Result<void> taken;
  auto take = [this, &taken] { taken = take_next_log_key(config_.log_key); };
  co_await worker_->run(std::move(take));
  // The next start finishes it.
  if (!taken) notices_.note(Severity::error, taken.error().message);
  co_return Json{
      {"vkey", next->key.text()},
      {"before", before.key.text()},
      {"seq", recorded->seq},
      {"overlapUntil", format_seconds(rotation.overlap_until)}};
}

awaitable<void> Connector::end_overlap() {
  const auto reading = clock_.read();
  if (!reading.reliable || reading.at < *overlap_until_ || rotating_) co_return;
  const auto& entries = log_keys_.entries();
  audit::RecordDraft draft("admin.action", new_event(random_, reading.at));
  draft.set("action", "log-key.erased").set("vkey", entries[entries.size() - 2].key.text());
  const auto recorded = co_await audit::append(*log_, std::move(draft));
  if (!recorded) co_return;  // tried again, if the log goes on
  overlap_until_.reset();
  log_->tree().sign_with(credentials_.log_signer.key, credentials_.log_signer.signer);
  Result<void> erased;
  auto erase = [this, &erased] { erased = erase_former_log_key(config_.log_key); };
  co_await worker_->run(std::move(erase));
  if (!erased) notices_.note(Severity::error, erased.error().message);
}

awaitable<void> Connector::stop() {
  notices_.note(Severity::info, {"daemon.stopping", {}});
  // A start that is under way comes to its end first: what it spawns has to be ended too.
  while (starting_) co_await timers_.sleep_for(milliseconds(10));
  if (serving_) {
    for (auto* server : {&serving_->peers, &serving_->apps, &serving_->management}) {
      if (*server) co_await (*server)->shutdown();
    }
  }
  enforcer_->flush_completions(true);
  refusals_->flush();
  tasks_->cancel();
  co_await tasks_->drained();
}

void Connector::reload() {
  auto changed = load_config(config_.folder);
  if (!changed) {
    for (const auto& problem : changed.error()) notices_.note(Severity::error, problem.message);
    return;
  }
  auto trust = load_trust(*changed);
  auto credentials = load_credentials(*changed, genesis_.origin);
  auto digests = credentials ? digests_in_force(*changed, *credentials) : Result<Json>();
  for (const auto* failed :
       {trust ? nullptr : &trust.error(),
        credentials ? nullptr : &credentials.error(),
        digests ? nullptr : &digests.error()}) {
    if (failed != nullptr) notices_.note(Severity::error, failed->message);
  }
  if (!trust || !credentials || !digests) return;  // what is in force stays

  // Recorded before it takes effect.
  auto apply = [](Connector& self,
                  Config config,
                  std::shared_ptr<const identity::TrustStore> store,
                  Credentials fresh,
                  Json digests) -> awaitable<void> {
    auto recorded = co_await self.record_configuration("reload", std::move(digests));
    if (!recorded) {
      self.notices_.note(Severity::error, recorded.error().message);
      co_return;
    }
    self.trust_->replace(std::move(store));
    auto tls = self.serving_->peers->reload_tls(fresh.tls_certificate_pem, fresh.tls_key_pem);
    if (tls) tls = self.https_->reload_tls(fresh.tls_certificate_pem, fresh.tls_key_pem);
    if (!tls) self.notices_.note(Severity::error, tls.error().message);
    self.credentials_.tls = fresh.tls;
    self.https_->set_addresses(addresses_of(config.known_peers));
    self.peers_->replace(config.known_peers);
    auto catalog = co_await self.catalog_->reload();
    if (!catalog) self.notices_.note(Severity::error, catalog.error().message);
    self.notices_.note(Severity::info, {"daemon.reloaded", {}});
  };
  tasks_->spawn(
      "reload",
      apply(
          *this,
          std::move(*changed),
          std::move(*trust),
          std::move(*credentials),
          std::move(*digests)
      )
  );
}

awaitable<Result<void>> Connector::record_configuration(std::string change, Json digests) {
  audit::RecordDraft draft("config.changed", new_event(random_, clock_.read().at));
  draft.set("change", change).set_json("changed", differing(in_force_, digests));
  draft.set_json("digests", digests);
  auto recorded = co_await audit::append(*log_, std::move(draft));
  if (!recorded) co_return fail(std::move(recorded));
  in_force_ = std::move(digests);
  co_return Result<void>{};
}

// --- state of health ---

std::optional<Error> Connector::closed() const {
  if (auto failure = log_->failure()) return failure;
  if (const auto& alarm = sender_->alarm()) return Error{ErrorKind::unavailable, *alarm, {}};
  if (log_->on_reserve()) {
    return Error{ErrorKind::unavailable, {"daemon.disk-reserve", {}}, {}};
  }
  switch (store_->health()) {
    case store::Health::good:
      return std::nullopt;
    case store::Health::low_space:
      return Error{ErrorKind::unavailable, {"daemon.disk-reserve", {}}, {}};
    case store::Health::failed:
      break;
  }
  return Error{ErrorKind::unavailable, {"daemon.store-failed", {}}, {}};
}

std::vector<api::Check> Connector::checks() const {
  std::vector<api::Check> out;
  const auto failure = log_->failure();
  if (failure) {
    out.push_back({"log", false, failure->message});
  } else if (const auto& alarm = sender_->alarm()) {
    out.push_back({"log", false, *alarm});
  } else if (log_->on_reserve()) {
    out.push_back({"log", false, {"daemon.disk-reserve", {}}});
  } else {
    out.push_back({"log", true, {"daemon.log-good", {{"size", std::to_string(log_->mark().size)}}}}
    );
  }
  const auto health = store_->health();
  out.push_back(
      {"store",
       health == store::Health::good,
       {health == store::Health::good        ? "daemon.store-good"
        : health == store::Health::low_space ? "daemon.disk-reserve"
                                             : "daemon.store-failed",
        {}}}
  );
  const auto reading = clock_.read();
  out.push_back(
      {"clock",
       reading.reliable,
       {reading.reliable ? "daemon.clock-good" : "daemon.clock-stepped", {}}}
  );
  const auto until = std::min(credentials_.tls.not_after, credentials_.contract.not_after);
  const bool valid = reading.at < until;
  out.push_back(
      {"certificate",
       valid,
       {valid ? "daemon.certificate-good" : "daemon.certificate-expired",
        {{"until", format_seconds(until)}}}}
  );
  const auto problems = keeper_ ? keeper_->problems() : std::vector<Message>{};
  out.push_back(
      {"duties",
       problems.empty(),
       problems.empty() ? Message{"daemon.duties-good", {}} : problems.front()}
  );
  return out;
}

Json Connector::status() const {
  const auto mark = log_->mark();
  bool ready = true;
  for (const auto& check : checks()) ready = ready && check.good;
  return {
      {"participant", {{"domain", config_.participant.domain}, {"uri", config_.participant.uri}}},
      {"publicUrl", config_.peers.public_url},
      {"log",
       {{"origin", genesis_.origin},
        {"size", mark.size},
        {"leaf", mark.leaf},
        {"test", genesis_.test}}},
      {"witness", {{"vkey", witness_ ? witness_->key().text() : std::string()}}},
      {"receiptKey", use_receipts_->key().text()},
      {"receiptsMissing", transfers_->receipts_missing()},
      {"offers", catalog_->offers()},
      {"agreements", enforcer_->agreements().size()},
      {"ready", ready},
      {"time", format_micros(clock_.read().at)}};
}

// --- commands ---

std::string Connector::log_folder() const {
  return (config_.folder / "log").string();
}

awaitable<Result<Json>> Connector::history(AgreementId agreement, Lang lang) {
  Result<audit::Story> story = fail(ErrorKind::unavailable, {"api.internal", {}});
  auto job = [this, &story, &agreement] {
    auto storage = audit::open_log_folder(log_folder(), audit::FolderAccess::read_only);
    if (!storage) {
      story = fail(std::move(storage));
      return;
    }
    story = audit::tell_story({storage->get()}, agreement);
  };
  co_await worker_->run(std::move(job));
  if (!story) co_return fail(std::move(story));
  Json rows = Json::array();
  for (const auto& row : story->rows) {
    rows.push_back(
        {{"time", row.time},
         {"seq", row.seq},
         {"type", row.type},
         {"summary",
          {{"code", row.summary.code},
           {"params", row.summary.params},
           {"text", render(row.summary, lang)}}}}
    );
  }
  co_return Json{{"agreement", agreement.value}, {"rows", std::move(rows)}};
}

awaitable<Result<Json>> Connector::lineage(std::string artefact) {
  std::string content = artefact;
  if (!parse_digest_text(artefact)) {
    const auto row = store_->row("artefact", artefact);
    if (!row) co_return tl::unexpected(row.error());
    const auto body = *row ? Json::parse((*row)->body, nullptr, false) : Json();
    content = body.is_object() ? body.value("content", std::string()) : std::string();
  }
  Result<audit::Trace> trace = fail(ErrorKind::unavailable, {"api.internal", {}});
  auto job = [this, &trace, &content] {
    auto storage = audit::open_log_folder(log_folder(), audit::FolderAccess::read_only);
    if (!storage) {
      trace = fail(std::move(storage));
      return;
    }
    trace = audit::trace_lineage({audit::records_of(**storage)}, content, audit::Direction::both);
  };
  if (content.empty()) {
    const Message unknown{"audit.trace-unknown", {{"start", artefact}}};
    co_return fail(ErrorKind::not_found, unknown);
  }
  co_await worker_->run(std::move(job));
  if (!trace) co_return fail(std::move(trace));
  co_return audit::to_json(*trace);
}

awaitable<Result<void>> Connector::set_status(AgreementId id, negotiation::AgreementStatus status) {
  for (;;) {
    auto found = negotiation::find_agreement(*store_, id);
    if (!found) co_return fail(std::move(found));
    if (!*found || (*found)->status == status) co_return Result<void>{};
    (*found)->status = status;
    Transaction transaction;
    transaction.puts.push_back(negotiation::to_row(**found));
    auto committed = co_await journal_->commit(std::move(transaction), {});
    if (committed) co_return Result<void>{};
    if (committed.error().kind != ErrorKind::conflict) co_return fail(std::move(committed));
  }
}

awaitable<Result<void>> Connector::terminate(AgreementId id, std::string reason) {
  auto found = negotiation::find_agreement(*store_, id);
  if (!found) co_return fail(std::move(found));
  if (!*found) {
    co_return fail(ErrorKind::not_found, {"api.unknown-agreement", {{"agreement", id.value}}});
  }
  const auto agreement = std::move(**found);
  Message why{"daemon.agreement-ended", {{"agreement", id.value}, {"reason", std::move(reason)}}};
  audit::RecordDraft draft("contract.terminated", new_event(random_, clock_.read().at));
  draft.about(id).set("counterparty", agreement.peer()).set("pid", agreement.negotiation.value);
  // Free text stays out of the log: what an operator typed may name a person.
  draft.set("reason", Message{why.code, {{"agreement", id.value}}});
  // Under the lock of authorise: no use is permitted after this record.
  auto closed = co_await enforcer_->close(id, usage::Closed::terminated, std::move(draft));
  if (!closed) co_return closed;
  if (auto stored = co_await set_status(id, negotiation::AgreementStatus::terminated); !stored) {
    co_return stored;
  }
  statements_->ended(id);
  auto running = transfers_->list();
  if (!running) co_return fail(std::move(running));
  for (const auto& process : *running) {
    const auto state = process.value("state", "");
    if (process.value("agreement", "") != id.value || state == "TERMINATED" ||
        state == "COMPLETED") {
      continue;
    }
    Pid pid(process.value("id", ""));
    Message told = why;
    // A transfer that ended meanwhile needs no ending.
    auto ended = co_await transfers_->terminate(std::move(pid), std::move(told));
    if (!ended && ended.error().kind == ErrorKind::unavailable) co_return ended;
  }
  if (keeper_) co_return co_await keeper_->destroy(id, why);
  co_return Result<void>{};
}

awaitable<Result<Instant>> Connector::advance_clock(Nanos span) {
  if (!clock_.is_test()) co_return fail(ErrorKind::conflict, {"daemon.clock-not-test", {}});
  audit::RecordDraft draft("admin.action", new_event(random_, clock_.read().at));
  draft.set("action", "clock.advanced").set("seconds", span / nanos_per_second);
  auto recorded = co_await audit::append(*log_, std::move(draft));
  if (!recorded) co_return fail(std::move(recorded));
  auto moved = clock_.advance(span);
  if (!moved) co_return fail(std::move(moved));
  if (keeper_) keeper_->kick();
  statements_->kick();
  co_return clock_.read().at;
}

awaitable<Result<void>> Connector::ordered(api::AdminOrder order) {
  audit::RecordDraft draft("admin.action", new_event(random_, clock_.read().at));
  draft.set("action", order.action).set("role", api::to_string(order.role));
  draft.set("token", order.credential);
  if (!order.target.empty()) draft.set("target", order.target);
  if (facts_of_log_) {
    // Who that was may be a person.
    auto fact = co_await facts_of_log_->keep_fact(order.principal, {{"token", order.principal}});
    if (fact) draft.set("private", *fact);
    if (!fact && !order.ends) co_return fail(std::move(fact));
  }
  const auto priority = order.ends ? audit::Priority::reserved : audit::Priority::ordinary;
  auto recorded = co_await audit::append(*log_, std::move(draft), priority);
  if (!recorded) co_return fail(std::move(recorded));
  co_return Result<void>{};
}

awaitable<Result<std::vector<std::uint64_t>>> Connector::erase(api::Erasure erasure) {
  if (!facts_of_log_) co_return fail(ErrorKind::conflict, {"api.no-private-store", {}});
  co_return co_await facts_of_log_->erase(std::move(erasure));
}

awaitable<Result<Json>> Connector::opening(std::uint64_t seq) {
  if (!facts_of_log_) co_return fail(ErrorKind::conflict, {"api.no-private-store", {}});
  co_return co_await facts_of_log_->opening(seq);
}

// --- what custody holds ---

Result<void> Connector::held(const AgreementId& agreement) {
  std::optional<Instant> destroyed;
  bool destroying = false;
  if (holdings_) {
    for (const auto& holding : holdings_->of(agreement)) {
      if (holding.state == custody::HoldingState::held) return {};
      if (holding.state == custody::HoldingState::destroying) destroying = true;
      if (holding.destroyed) destroyed = holding.destroyed;
    }
  }
  if (destroying) {
    return fail(ErrorKind::not_found, {"api.being-destroyed", {{"agreement", agreement.value}}});
  }
  if (destroyed) {
    return fail(
        ErrorKind::not_found,
        {"api.destroyed", {{"agreement", agreement.value}, {"at", format_seconds(*destroyed)}}}
    );
  }
  return fail(ErrorKind::not_found, {"api.nothing-held", {{"agreement", agreement.value}}});
}

awaitable<Result<api::HeldData>> Connector::open(AgreementId agreement) {
  if (auto there = held(agreement); !there) co_return fail(std::move(there));
  // Several pulls under one agreement share its counter; the latest is what is read.
  std::optional<custody::Holding> latest;
  for (auto& holding : holdings_->of(agreement)) {
    if (holding.state != custody::HoldingState::held) continue;
    if (!latest || latest->received < holding.received) latest = std::move(holding);
  }
  if (!latest) {
    co_return fail(ErrorKind::not_found, {"api.nothing-held", {{"agreement", agreement.value}}});
  }
  auto opened = co_await custody_->open(latest->id);
  if (!opened) co_return fail(std::move(opened));
  api::HeldData out;
  out.body = std::move(opened->body);
  out.length = opened->length;
  out.media_type = latest->media_type.empty() ? "application/octet-stream" : latest->media_type;
  co_return out;
}

}  // namespace tally::daemon
