#include "connector.hpp"

#include <set>
#include <utility>

#include <nlohmann/json.hpp>

#include "tally/api/peer_routes.hpp"
#include "tally/audit/new_log.hpp"
#include "tally/audit/pruned.hpp"
#include "tally/audit/recovery.hpp"
#include "tally/dataplane/shape.hpp"
#include "tally/negotiation/agreement.hpp"

#include "in_force.hpp"
#include "serving.hpp"

namespace tally::daemon {

namespace {

// What the logs before the current one commit to: their records stay, and so do the facts.
Result<std::set<Digest>> facts_of_former_logs(const std::filesystem::path& connector) {
  std::set<Digest> found;
  for (const auto& folder : audit::former_logs(connector)) {
    auto log = audit::open_log_folder(folder, audit::FolderAccess::read_only);
    if (!log) return fail(std::move(log));
    // Numbers of records mean something within their own log alone.
    CommittedFacts committed;
    // What a file stands for, where the first records were pruned.
    const auto missing = audit::read_missing(**log);
    if (!missing) return tl::unexpected(missing.error());
    if (*missing) {
      for (const auto& piece : (*missing)->snapshot.pieces) {
        if (piece.part != committed.part_name()) continue;
        const Json items = Json::parse(piece.items, nullptr, false);
        for (const auto& item : items) {
          if (auto restored = committed.restore(item); !restored) return fail(std::move(restored));
        }
      }
    }
    const auto take = [&committed](const audit::RecordView& record) {
      (void)committed.replay(record);
    };
    const std::uint64_t first = *missing ? (*missing)->snapshot.at.size : 0;
    if (auto read = audit::for_each_record(**log, first, take); !read) return fail(std::move(read));
    found.merge(committed.all());
  }
  return found;
}

}  // namespace

Result<std::unique_ptr<Connector>> Connector::open(Config config, Notices& notices) {
  Opened opened;
  store::SqliteStore::Options options;
  options.folder = config.folder;
  auto store = store::SqliteStore::open(std::move(options), notices);
  if (!store) return fail(std::move(store));
  opened.store = std::move(*store);
  // The store's lock is held: nobody is at it now.
  if (audit::new_log_under_way(config.folder)) {
    return fail(
        ErrorKind::conflict, {"daemon.new-log-unfinished", {{"folder", config.folder.string()}}}
    );
  }
  const std::string origin = config.participant.uri + "/log/1";
  auto credentials = load_credentials(config);
  if (!credentials) return fail(std::move(credentials));
  opened.credentials = std::move(*credentials);
  auto trust = load_trust(config);
  if (!trust) return fail(std::move(trust));
  opened.trust = std::move(*trust);
  auto peer_credentials = load_peer_credentials(config);
  if (!peer_credentials) return fail(std::move(peer_credentials));
  opened.peer_credentials = std::move(*peer_credentials);
  auto programs = load_programs(config);
  if (!programs) return fail(std::move(programs));
  opened.programs = std::move(*programs);
  auto log_signer = load_log_signer(config.log_key, origin);
  if (!log_signer) return fail(std::move(log_signer));

  audit::Genesis first{origin, config.participant, log_signer->key.text(), config.test_log};
  std::unique_ptr<Connector> connector(new Connector(std::move(config), notices));
  if (auto read = connector->open_log(opened, first); !read) return fail(std::move(read));
  const auto& genesis = opened.log.recovered.genesis;
  if (genesis.actor != first.actor || genesis.test != first.test) {
    return fail(
        ErrorKind::invalid,
        {"daemon.log-of-another",
         {{"uri", genesis.actor.uri}, {"test", genesis.test ? "true" : "false"}}}
    );
  }

  // A rotation that a crash left is finished or undone before anything is signed.
  if (auto settled = settle_log_key(connector->config_.log_key, opened.log.recovered.keys);
      !settled) {
    return fail(std::move(settled));
  }
  log_signer = load_log_signer(connector->config_.log_key, genesis.origin);
  if (!log_signer) return fail(std::move(log_signer));
  opened.log_signer = *std::move(log_signer);

  auto assembled = connector->assemble(std::move(opened));
  if (!assembled) return fail(std::move(assembled));
  return connector;
}

// Reads the log from its snapshot on, and makes it where there is none: `genesis` is how it begins
// then.
Result<void> Connector::open_log(Opened& opened, const audit::Genesis& genesis) {
  const auto mark = opened.store->mark();
  if (!mark) return tl::unexpected(mark.error());
  auto drafts = opened.store->drafts();
  if (!drafts) return fail(std::move(drafts));
  outbox_.emplace(std::move(*drafts), *mark);
  auto quorum = load_witness_quorum(config_);
  if (!quorum) return fail(std::move(quorum));
  make_from_log_ = [this, quorum = *std::move(quorum)] {
    return std::make_unique<FromLog>(clock_, random_, config_.limits, quorum);
  };

  const auto folder = config_.folder / "log";
  std::error_code failed;
  std::filesystem::create_directories(folder, failed);
  auto storage = audit::open_log_folder(folder, audit::FolderAccess::writable);
  if (!storage) return fail(std::move(storage));
  opened.log_storage = std::move(*storage);
  const auto snapshot = audit::load_snapshot(*opened.store);
  const auto reopen = [&] {
    const auto see = [this](const audit::RecordView& record) { outbox_->see(record); };
    return audit::reopen_log(*opened.log_storage, *mark, snapshot, make_from_log_, see);
  };
  auto log = reopen();
  if (!log && log.error().kind == ErrorKind::not_found && mark->size == 0) {
    // A first start: the log begins here.
    auto created = audit::create_log(*opened.log_storage, genesis, clock_, random_);
    if (!created) return created;
    log = reopen();
  }
  if (!log) return fail(std::move(log));
  if (log->refused) notices_.note(Severity::warning, *log->refused);
  const auto first = audit::first_kept(*opened.log_storage);
  if (!first) return tl::unexpected(first.error());
  if (outbox_->from() < *first) {
    // What it lacks cannot be seen any more: an older database than the log.
    return fail(
        ErrorKind::conflict,
        {"daemon.drafts-pruned",
         {{"size", std::to_string(outbox_->from())}, {"first", std::to_string(*first)}}}
    );
  }
  if (outbox_->from() < log->from) {
    // What was not marked as recorded, or is not known, may stand before the snapshot. A record
    // that is not found is written again, so all of them must have been looked at.
    std::uint64_t end = 0;
    const auto see = [&](const audit::RecordView& record) {
      outbox_->see(record);
      end = record.seq + 1;
    };
    auto read = audit::for_each_record(*opened.log_storage, outbox_->from(), see);
    if (!read) return read;
    if (end != log->recovered.size) {
      return fail(ErrorKind::unavailable, {"daemon.log-short-read", {}});
    }
  }
  if (auto knows = outbox_->check_store(); !knows) return knows;
  if (log->from > 0) {
    notices_.note(
        Severity::info,
        {"daemon.log-read",
         {{"from", std::to_string(log->from)}, {"size", std::to_string(log->recovered.size)}}}
    );
  }
  opened.log = *std::move(log);
  return {};
}

Connector::Connector(Config config, Notices& notices)
    : config_(std::move(config)),
      notices_(notices),
      clock_(config_.test_log),
      timers_(clock_),
      worker_(std::make_unique<ThreadWorker>(2)),
      query_worker_(std::make_unique<ThreadWorker>(1)) {
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
  genesis_ = opened.log.recovered.genesis;
  auto log_keys = opened.log.recovered.keys;
  const auto pruned = opened.log.recovered.pruned;
  log_ = std::make_unique<audit::LogWriter>(
      *log_storage_, std::move(opened.log.recovered), clock_, random_, limits
  );
  // make_from_log_ makes nothing else.
  from_log_.reset(static_cast<FromLog*>(opened.log.parts.release()));
  milestones_ =
      std::make_unique<audit::MilestoneAppender>(*log_, from_log_->witnessing, clock_, [this] {
        if (sender_) sender_->milestone();
      });
  journal_ = std::make_unique<audit::Journal>(*store_, *milestones_);
  const auto open_log = [folder = log_folder()] {
    return audit::open_log_folder(folder, audit::FolderAccess::read_only);
  };
  snapshots_ = std::make_unique<audit::SnapshotKeeper>(
      audit::SnapshotKeeperParts{*store_, *journal_, *log_, *worker_, open_log, make_from_log_},
      opened.log.from
  );
  // What a stop between the record of a pruning and its end left.
  if (auto done = audit::remove_pruned(*log_storage_, log_->tree(), pruned); !done) return done;
  backups_ = std::make_unique<Backups>(
      BackupParts{*store_, *log_, *worker_, clock_, random_}, config_.folder
  );
  if (auto tidied = backups_->tidy(); !tidied) return tidied;
  if (config_.log_retention > 0) {
    const auto is_witnessed = [this]() -> Result<bool> {
      return !witness_targets(negotiations_->partners(), *peers_, config_.witnesses).empty();
    };
    pruning_ = std::make_unique<audit::Pruning>(
        audit::PruningParts{
            *store_,
            *milestones_,
            *log_,
            *log_storage_,
            clock_,
            random_,
            *worker_,
            *snapshots_,
            make_from_log_,
            is_witnessed},
        pruned,
        config_.log_retention
    );
  }

  // Facts about persons, beside the log.
  if (!config_.wrapping_key.empty()) {
    auto ring = custody::open_key_ring(config_.wrapping_key, config_.folder);
    if (!ring) return fail(std::move(ring));
    ring_ = std::move(*ring);
    if (auto fits = custody::check_ring(*ring_, from_log_->custody); !fits) return fits;
    if (auto settled = ring_->settle(); !settled) return settled;
    const auto folder = config_.folder / "private";
    std::error_code failed;
    std::filesystem::create_directories(folder, failed);
    auto files = custody::open_posix_blob_store(folder);
    if (!files) return fail(std::move(files));
    fact_files_ = std::move(*files);
    facts_ = std::make_unique<custody::PrivateFacts>(*fact_files_, *ring_, random_);
    facts_of_log_ =
        std::make_unique<FactsOfLog>(*facts_, *log_, clock_, random_, *worker_, open_log);
    auto former = facts_of_former_logs(config_.folder);
    if (!former) return fail(std::move(former));
    if (auto tidied = facts_of_log_->tidy(from_log_->facts, *former); !tidied) return tidied;
  }

  // The ledger is the sum of the log.
  enforcer_ = &from_log_->enforcer;
  enforcer_->attach(*milestones_);
  enforcer_->attach(from_log_->witnessing);
  enforcer_->surround(surroundings_of(config_));
  contacts_ = std::make_unique<LastContacts>(*store_, *journal_, clock_);
  enforcer_->attach(*contacts_);
  enrolments_ = std::make_unique<Enrolments>(*log_, clock_, random_, from_log_->certificates);

  // Who is who.
  credentials_ = std::move(opened.credentials);
  log_key_ = std::make_unique<LogKeyRotation>(
      LogKeyParts{*log_, clock_, random_, *worker_, notices_, config_.log_key},
      std::move(opened.log_signer),
      std::move(log_keys)
  );
  if (auto begun = log_key_->begin(); !begun) return begun;
  trust_ = std::make_unique<identity::TrustSource>(std::move(opened.trust));
  net::HttpsPeerConfig peer_config;
  peer_config.peers = addresses_of(config_.known_peers, opened.peer_credentials);
  peer_config.certificate_pem = credentials_.tls_certificate_pem;
  peer_config.key_pem = credentials_.tls_key_pem;
  peer_config.insecure_loopback = config_.insecure_loopback;
  auto peer = net::HttpsPeer::create(home, peer_config, limits, *trust_, clock_);
  if (!peer) return fail(std::move(peer));
  peer_ = std::move(*peer);
  heard_peer_ = std::make_unique<HeardPeer>(*peer_, *contacts_);
  peer_credentials_ = std::make_unique<PeerCredentials>(std::move(opened.peer_credentials));
  peers_ = std::make_unique<ConfiguredPeers>(*peer_, config_);
  const OurUrl base_url = [this](const PartyId& party) { return peers_->our_base_url(party); };
  refusals_ = std::make_unique<RefusalLog>(*log_, clock_, random_);
  limited_ = std::make_unique<LimitedLog>(*log_, notices_, clock_, random_);

  // What is offered, and from where it is served.
  tasks_ = std::make_unique<TaskGroup>(home, notices_);
  apps_ = std::make_unique<usage::AppRegistry>(*store_, *journal_, clock_, random_);
  if (!config_.pseudonym_key.empty()) {
    auto secret = PseudonymSecret::read(config_.pseudonym_key);
    if (!secret) return fail(std::move(secret));
    pseudonyms_ = *std::move(secret);
  }
  auto sources = sources::FileSources::open({config_.data_root}, *worker_);
  if (!sources) return fail(std::move(sources));
  sources_ = std::move(*sources);
  data_sources_ = std::make_unique<DataSources>(*sources_, *enforcer_, config_.participant);
  catalog::BuildOptions build;
  build.publisher = {config_.participant.uri, base_url, [this](const PartyId& party) {
                       return peers_->data_dialect(party).call_format;
                     }};
  build.nested = config_.catalog.nested;
  build.limits = limits;
  std::vector<std::string> domains;
  for (const auto& entry : config_.trust) domains.push_back(entry.domain);
  build.domains = domains;
  build.check_source = [this](const Json& spec) -> Result<void> {
    return data_sources_->check(spec);
  };
  build.bound_by = [this](const Json& spec) { return data_sources_->bound_by(spec); };
  build.check_shape = [keeps_keys = pseudonyms_.is_there(
                       )](const odrl::CompiledPolicy& policy, const catalog::Schema* schema) {
    auto faults = dataplane::check_shape(policy, schema, keeps_keys);
    auto of_groups = aggregates::check_groups(policy, schema, keeps_keys);
    std::move(of_groups.begin(), of_groups.end(), std::back_inserter(faults));
    return faults;
  };
  build.keeps_keys = !config_.wrapping_key.empty();
  const auto informs = [this](const std::string& party) { return informed_->knows(party); };
  build.informs = informs;
  for (const auto& hook : config_.hooks) build.hooks.push_back(hook.name);
  const auto shapes_of = [this](const AgreementId& agreement, const catalog::Schema* schema) {
    const auto known = enforcer_->state(agreement);
    if (!known) return std::shared_ptr<const dataplane::RuleShapes>();
    const auto keys = pseudonyms_.keys_of(agreement);
    return std::make_shared<const dataplane::RuleShapes>(*known->terms.policy, schema, keys.get());
  };
  catalog_ = std::make_unique<CatalogKeeper>(
      CatalogParts{*store_, *journal_, clock_, random_, timers_, *worker_, notices_, shapes_of},
      config_.folder,
      std::move(build)
  );

  // What is done by itself where somebody wrote a rule for it.
  rules_ = std::make_unique<RuleKeeper>(
      RuleKeeperParts{
          clock_,
          timers_,
          *worker_,
          notices_,
          [this](std::string digest) {
            return record_configuration(
                "rules", with_rules(from_log_->configuration.digests(), digest)
            );
          },
          [this] {
            for (const auto& looked : {negotiations_->resume(), transfers_->look_again()}) {
              if (!looked) notices_.note(Severity::error, looked.error().message);
            }
          }},
      config_.folder / "rules",
      limits,
      domains
  );

  // The keys of what goes out encrypted, and what is held for others.
  if (!config_.wrapping_key.empty()) {
    const auto key_folder = config_.folder / "payload-keys";
    std::error_code not_made;
    std::filesystem::create_directories(key_folder, not_made);
    auto key_files = custody::open_posix_blob_store(key_folder);
    if (!key_files) return fail(std::move(key_files));
    payload_key_files_ = std::move(*key_files);
    payload_keys_ =
        std::make_unique<custody::KeptDataKeys>(*payload_key_files_, *ring_, *worker_, random_);
    if (auto loaded = payload_keys_->load(); !loaded) return loaded;
    const auto folder = config_.folder / "custody";
    std::error_code failed;
    std::filesystem::create_directories(folder, failed);
    auto blobs = custody::open_posix_blob_store(folder);
    if (!blobs) return fail(std::move(blobs));
    blobs_ = std::move(*blobs);
    custody_ = std::make_unique<custody::Custody>(*blobs_, *ring_, *worker_, random_);
    holdings_ = std::make_unique<custody::Holdings>(*store_, *journal_);
    derived_ =
        std::make_unique<DerivedData>(custody::Deriver(*custody_, *holdings_, clock_, random_));
    quota_ = std::make_unique<custody::Quota>(*holdings_, notices_);
    quota_->set(quota_of(config_, config_.known_peers));
    puller_ = std::make_unique<custody::Puller>(
        *heard_peer_, *custody_, *holdings_, *quota_, clock_, timers_, notices_, limits
    );
    key_rotation_ = std::make_unique<custody::KeyRotation>(custody::KeyRotationParts{
        *ring_,
        {custody_.get(), payload_keys_.get(), facts_.get()},
        *log_,
        clock_,
        timers_,
        *worker_,
        random_,
        notices_});
    rechecker_ = std::make_unique<custody::Rechecker>(
        custody::RecheckerParts{*custody_, *holdings_, clock_, timers_, random_, notices_},
        custody::RecheckSettings{config_.recheck_every, config_.recheck_rate}
    );
    custody_desk_ = std::make_unique<CustodyDesk>(
        *holdings_, *ring_, *key_rotation_, *rechecker_, *quota_, config_.recheck_every
    );
  }

  held_ = std::make_unique<HeldReader>(
      custody_.get(), holdings_.get(), rechecker_.get(), *enforcer_, pseudonyms_
  );
  data_sources_->attach(held_.get());
  if (custody_) {
    held_masks_ = std::make_unique<HeldMasks>(*enforcer_, pseudonyms_);
    masker_ = std::make_unique<custody::Masker>(
        *custody_, *holdings_, clock_, random_, *held_masks_, limits.record_bytes
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
      *store_, *heard_peer_, clock_, timers_, *tasks_, notices_, limits
  );
  net::HttpsPeerConfig program_config;
  program_config.peers = std::move(opened.programs.addresses);
  program_config.insecure_loopback = true;  // the operator's own programs, on the same machine
  auto programs = net::HttpsPeer::create(home, program_config, limits, *trust_, clock_);
  if (!programs) return fail(std::move(programs));
  programs_ = std::move(*programs);
  if (!config_.collector.url.empty()) {
    spans_ = std::make_unique<SpanExporter>(
        *programs_, timers_, notices_, config_.collector.url + "/v1/traces", config_.participant.uri
    );
  }
  informed_ =
      std::make_unique<ConfiguredParties>(*programs_, clock_, std::move(opened.programs.informed));
  hooks_ = std::make_unique<events::HookCaller>(
      events::HookParts{*programs_, clock_, timers_}, std::move(opened.programs.hooks)
  );
  negotiation::NegotiationSettings negotiation_settings;
  negotiation_settings.self = config_.participant;
  negotiation_settings.base_url = base_url;
  negotiation_settings.keeps_keys = payload_keys_ != nullptr;
  negotiation_settings.informs = informs;
  const auto decides = [](bool person) {
    return person ? negotiation::Decide::by_person : negotiation::Decide::by_itself;
  };
  negotiation_settings.counter_offers = decides(config_.approve_counter_offers);
  negotiation_settings.unasked_offers = decides(config_.approve_unasked_offers);
  negotiation_settings.key_statement =
      identity::sign_key_statement(statement, *credentials_.signer);
  negotiations_ = std::make_unique<negotiation::NegotiationService>(
      negotiation::NegotiationParts{
          *store_,
          *journal_,
          *delivery_,
          clock_,
          timers_,
          random_,
          *tasks_,
          notices_,
          *catalog_,
          *peers_,
          *enforcer_,
          *trust_,
          credentials_.signer,
          [this](const PartyId& party) { return sender_->unasked(party); },
          rules_.get(),
          hooks_.get()},
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
  checkpoints_ = std::make_unique<LogCheckpoints>(log_->tree(), *log_storage_);
  audit::CheckpointSettings sending;
  sending.origin = genesis_.origin;
  sending.log_keys = log_key_->keys();
  sender_ = std::make_unique<audit::CheckpointSender>(
      audit::CheckpointSenderParts{
          *store_,
          *journal_,
          *heard_peer_,
          clock_,
          timers_,
          *worker_,
          random_,
          *tasks_,
          notices_,
          *checkpoints_,
          [this] { return witness_targets(negotiations_->partners(), *peers_, config_.witnesses); },
          [this] { return log_->heads_due(); },
          from_log_->witnessing,
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
  transfer_settings.base_url = base_url;
  transfer_settings.data_url = [this](const PartyId& party) { return peers_->our_data_url(party); };
  transfer_settings.log_origin = genesis_.origin;
  transfer_settings.receipt_deadline = config_.receipt_deadline;
  transfer_settings.idle = config_.transfer_idle;
  transfer_settings.longest_idle = config_.transfer_longest_idle;
  transfers_ = std::make_unique<transfer::TransferService>(
      transfer::TransferParts{
          *store_,
          *journal_,
          *delivery_,
          *heard_peer_,
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
          limits,
          payload_keys_.get(),
          rules_.get()},
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
  informer_ = std::make_unique<transfer::Informer>(
      transfer::InformerParts{
          *store_,
          *journal_,
          *delivery_,
          clock_,
          timers_,
          *worker_,
          random_,
          *tasks_,
          notices_,
          *peers_,
          *enforcer_,
          credentials_.signer,
          *informed_,
          [this] { return audit::open_log_folder(log_folder(), audit::FolderAccess::read_only); },
          [this] { return log_->mark().size; },
          limits},
      config_.participant,
      genesis_.origin
  );
  aggregates_ = std::make_unique<aggregates::Aggregates>(aggregates::AggregatesParts{
      *store_, *journal_, *enforcer_, clock_, timers_, *query_worker_, random_, limits});
  inquiry_ =
      std::make_unique<transfer::StatementInquiry>(*store_, *peer_, timers_, *peers_, *transfers_);
  holds_ = std::make_unique<usage::HoldBook>(
      usage::HoldBookParts{*store_, *journal_, clock_, random_, *enforcer_},
      config_.participant,
      config_.regulators
  );
  holds_->on_change([this] { transfers_->holds_changed(); });
  agreement_orders_ = std::make_unique<transfer::AgreementOrders>(
      transfer::AgreementOrderParts{
          *store_,
          *journal_,
          *delivery_,
          clock_,
          random_,
          notices_,
          *peers_,
          *enforcer_,
          *holds_,
          *transfers_},
      [this](AgreementId agreement, Message why) {
        return after_end(std::move(agreement), std::move(why));
      }
  );
  confirmations_ = std::make_unique<transfer::Confirmations>(
      transfer::ConfirmationParts{
          *store_,
          *journal_,
          *delivery_,
          clock_,
          timers_,
          random_,
          notices_,
          *peers_,
          *enforcer_,
          credentials_.signer},
      config_.participant
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
            *custody_,
            *holdings_,
            *journal_,
            *enforcer_,
            clock_,
            timers_,
            random_,
            notices_,
            from_log_->custody,
            masker_.get()},
        std::move(tell_provider),
        std::move(expired)
    );
  }
  const events::EventLog event_log{
      *store_,
      *worker_,
      timers_,
      open_log,
      [this] { return log_->mark().size; },
      [this] { return journal_->settled(); },
      events::log_number_of(genesis_.origin)};
  event_feed_ = std::make_unique<events::EventFeed>(event_log, home);
  webhooks_ = std::make_unique<events::Webhooks>(
      events::WebhookParts{*programs_, *journal_, clock_, *tasks_, notices_},
      event_log,
      std::move(opened.programs.webhooks)
  );
  delivery_->serve("negotiation", *negotiations_);
  delivery_->serve("transfer", *transfers_);
  return {};
}

}  // namespace tally::daemon
