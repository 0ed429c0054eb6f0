// One running connector: every part constructed here and handed to those that need it, nowhere
// else. The constructor reads like the story of the program; `open` may fail and says why.
#pragma once

#include <atomic>
#include <filesystem>
#include <memory>
#include <thread>
#include <vector>

#include <boost/asio/executor_work_guard.hpp>
#include <boost/asio/io_context.hpp>

#include "tally/aggregates/aggregates.hpp"
#include "tally/api/management_routes.hpp"
#include "tally/audit/log_writer.hpp"
#include "tally/audit/milestones.hpp"
#include "tally/audit/posix.hpp"
#include "tally/audit/pruning.hpp"
#include "tally/audit/snapshot_keeper.hpp"
#include "tally/custody/custody.hpp"
#include "tally/custody/holdings.hpp"
#include "tally/custody/keeper.hpp"
#include "tally/custody/kept_data_keys.hpp"
#include "tally/custody/key_ring.hpp"
#include "tally/custody/key_rotation.hpp"
#include "tally/custody/posix_blob_store.hpp"
#include "tally/custody/private_facts.hpp"
#include "tally/custody/puller.hpp"
#include "tally/custody/quota.hpp"
#include "tally/custody/rechecker.hpp"
#include "tally/events/event_feed.hpp"
#include "tally/events/webhooks.hpp"
#include "tally/negotiation/delivery.hpp"
#include "tally/sources/file_sources.hpp"
#include "tally/store/sqlite_store.hpp"
#include "tally/transfer/deletion_sender.hpp"
#include "tally/transfer/informer.hpp"
#include "tally/transfer/statement_sender.hpp"
#include "tally/transfer/use_receipts.hpp"

#include "backups.hpp"
#include "catalog_keeper.hpp"
#include "config.hpp"
#include "contacts.hpp"
#include "custody_desk.hpp"
#include "data_sources.hpp"
#include "derived_data.hpp"
#include "enrolments.hpp"
#include "facts_of_log.hpp"
#include "from_log.hpp"
#include "held_masks.hpp"
#include "held_reader.hpp"
#include "informed_parties.hpp"
#include "keys.hpp"
#include "limited_log.hpp"
#include "log_key_rotation.hpp"
#include "peer_credentials.hpp"
#include "peer_directory.hpp"
#include "programs.hpp"
#include "pseudonym_secret.hpp"
#include "real_world.hpp"
#include "refusal_log.hpp"
#include "rule_keeper.hpp"
#include "span_exporter.hpp"
#include "witness_setup.hpp"

namespace tally::daemon {

class Connector final : public api::Connector {
 public:
  // Opens store and log, recovers, and is ready to run. Nothing listens yet. Errors name what is
  // wrong and where; nothing was changed that recovery must not change.
  static Result<std::unique_ptr<Connector>> open(Config config, Notices& notices);
  ~Connector() override;
  Connector(const Connector&) = delete;
  Connector& operator=(const Connector&) = delete;

  // Serves until SIGTERM or SIGINT; SIGHUP reloads. Returns the exit code.
  int run();

  // --- api::Connector ---
  [[nodiscard]] std::vector<api::Check> checks() const override;
  [[nodiscard]] Json status() const override;
  [[nodiscard]] std::string metrics(Lang lang) const override;
  awaitable<Result<Json>> history(AgreementId agreement, Lang lang) override;
  awaitable<Result<Json>> lineage(std::string artefact) override;
  awaitable<Result<Instant>> advance_clock(Nanos span) override;
  awaitable<Result<void>> ordered(api::AdminOrder order) override;
  awaitable<Result<std::vector<std::uint64_t>>> erase(api::Erasure erasure) override;
  awaitable<Result<Json>> opening(std::uint64_t seq) override;
  awaitable<Result<Json>> rotate_log_key(Nanos overlap) override;
  awaitable<Result<Json>> prune_log(Lang lang) override;
  awaitable<Result<api::Reloaded>> reload() override;
  awaitable<Result<Json>> back_up() override;

 private:
  // What `open` finds before the parts can be built.
  struct Opened {
    std::unique_ptr<store::SqliteStore> store;
    std::unique_ptr<audit::LogStorage> log_storage;
    audit::Reopened log;
    Credentials credentials;
    LogSigner log_signer;
    std::shared_ptr<const identity::TrustStore> trust;
    std::vector<LoadedCredential> peer_credentials;
    LoadedPrograms programs;
  };
  struct Serving;  // listeners and their routers

  Connector(Config config, Notices& notices);
  Result<void> assemble(Opened opened);
  awaitable<Result<void>> start();
  awaitable<void> start_and_report();
  awaitable<void> stop();
  awaitable<void> housekeeping();
  awaitable<void> keep_snapshots();
  awaitable<void> keep_pruned();
  Result<void> open_log(Opened& opened, const audit::Genesis& genesis);
  awaitable<Result<void>> record_configuration(std::string change, Json digests);
  Result<void> listen();
  // Whom a request is from, at each of the two listeners for peers, and what it is answered.
  awaitable<HttpResponse> serve_certified(HttpRequest request, const identity::Caller& caller);
  awaitable<HttpResponse> serve_by_credential(HttpRequest request, const identity::Caller& caller);
  [[nodiscard]] std::shared_ptr<const identity::PeerIdentity> known_by_credential(
      const HttpRequest& request, const identity::Caller& caller
  ) const;
  void say_insecure() const;
  // The certificate that ends first: good, soon over (30 days), over.
  Message certificate_state(Instant now) const;
  void say_ending() const;
  void say_serving() const;
  void reload_in_background();
  // What a reload found, all of it good; nothing is changed yet.
  struct Fresh {
    Config config;
    std::shared_ptr<const identity::TrustStore> trust;
    Credentials credentials;
    std::vector<LoadedCredential> peers;
    Json digests;
  };
  // Errors: conflict, the first fault; each one is noted.
  Result<Fresh> read_again() const;
  void take_up(Fresh fresh);
  // What differs from what is in force, and is named by `wanted`: taken up by a reload, or not.
  [[nodiscard]] std::vector<std::string> changes(const Fresh& fresh, bool taken_up) const;
  [[nodiscard]] std::optional<Error> closed() const;
  [[nodiscard]] std::string log_folder() const;
  awaitable<Result<void>> set_status(AgreementId id, negotiation::AgreementStatus status);
  // What follows once an agreement has ended by order: its transfers, its last statement, and what
  // is held under it.
  awaitable<Result<void>> after_end(AgreementId id, Message why);

  Config config_;
  Notices& notices_;

  // The world.
  boost::asio::io_context home_{1};
  std::vector<std::unique_ptr<boost::asio::io_context>> contexts_;
  OsRandom random_;
  mutable SystemClock clock_;  // reading it changes nothing that anyone sees
  AsioTimers timers_;
  std::unique_ptr<ThreadWorker> worker_;
  std::unique_ptr<ThreadWorker> query_worker_;  // seconds of computing hold up nothing else

  // What survives.
  std::unique_ptr<store::SqliteStore> store_;
  std::unique_ptr<store::StoreThread> store_thread_;
  std::unique_ptr<audit::LogStorage> log_storage_;
  audit::Genesis genesis_;
  std::unique_ptr<audit::LogWriter> log_;
  std::unique_ptr<audit::LogThread> log_thread_;
  std::unique_ptr<LogKeyRotation> log_key_;
  audit::MakeLogParts make_from_log_;
  std::unique_ptr<FromLog> from_log_;
  usage::Enforcer* enforcer_ = nullptr;                   // of from_log_
  std::unique_ptr<audit::MilestoneAppender> milestones_;  // before the log, for journal and ledger
  std::unique_ptr<audit::Journal> journal_;
  std::optional<audit::OutboxSearch> outbox_;
  std::unique_ptr<audit::SnapshotKeeper> snapshots_;
  std::unique_ptr<audit::Pruning> pruning_;  // null: records stay for ever

  // Who is who.
  Credentials credentials_;
  std::unique_ptr<identity::TrustSource> trust_;
  std::unique_ptr<PeerCredentials> peer_credentials_;
  std::unique_ptr<net::HttpsPeer> peer_;
  std::unique_ptr<LastContacts> contacts_;
  std::unique_ptr<HeardPeer> heard_peer_;  // peer_, for everything that services send
  std::unique_ptr<ConfiguredPeers> peers_;
  std::unique_ptr<RefusalLog> refusals_;
  std::unique_ptr<LimitedLog> limited_;
  std::unique_ptr<Enrolments> enrolments_;

  // The services.
  std::unique_ptr<TaskGroup> tasks_;
  std::unique_ptr<usage::AppRegistry> apps_;
  std::unique_ptr<sources::FileSources> sources_;
  std::unique_ptr<CatalogKeeper> catalog_;
  std::unique_ptr<RuleKeeper> rules_;
  std::unique_ptr<custody::KeyRing> ring_;
  std::unique_ptr<custody::BlobStore> fact_files_;
  std::unique_ptr<custody::PrivateFacts> facts_;
  std::unique_ptr<FactsOfLog> facts_of_log_;  // null: no wrapping key
  std::unique_ptr<custody::BlobStore> payload_key_files_;
  std::unique_ptr<custody::KeptDataKeys> payload_keys_;  // null: no wrapping key
  std::unique_ptr<custody::BlobStore> blobs_;
  std::unique_ptr<custody::Custody> custody_;
  std::unique_ptr<custody::Holdings> holdings_;
  std::unique_ptr<custody::Quota> quota_;
  std::unique_ptr<custody::Puller> puller_;
  PseudonymSecret pseudonyms_;
  std::unique_ptr<HeldReader> held_;
  std::unique_ptr<HeldMasks> held_masks_;
  std::unique_ptr<custody::Masker> masker_;  // null: no wrapping key
  std::unique_ptr<DerivedData> derived_;
  std::unique_ptr<DataSources> data_sources_;
  std::unique_ptr<custody::Keeper> keeper_;
  std::unique_ptr<Backups> backups_;
  std::unique_ptr<custody::KeyRotation> key_rotation_;
  std::unique_ptr<custody::Rechecker> rechecker_;
  std::unique_ptr<CustodyDesk> custody_desk_;  // null: no wrapping key
  std::unique_ptr<negotiation::Delivery> delivery_;
  std::unique_ptr<net::HttpsPeer> programs_;  // those that this connector calls
  std::unique_ptr<SpanExporter> spans_;       // null: nobody takes them
  std::unique_ptr<ConfiguredParties> informed_;
  std::unique_ptr<events::HookCaller> hooks_;
  std::unique_ptr<negotiation::NegotiationService> negotiations_;
  std::unique_ptr<WatchedLogs> watched_logs_;
  std::unique_ptr<audit::Witness> witness_;  // null: no witness key
  std::unique_ptr<LogCheckpoints> checkpoints_;
  std::unique_ptr<audit::CheckpointSender> sender_;
  std::unique_ptr<transfer::TokenRegistry> tokens_;
  std::unique_ptr<transfer::TransferService> transfers_;
  std::unique_ptr<transfer::DeletionSender> deletions_;
  std::unique_ptr<transfer::UseReceipts> use_receipts_;
  std::unique_ptr<transfer::StatementSender> statements_;
  std::unique_ptr<transfer::Informer> informer_;
  std::unique_ptr<aggregates::Aggregates> aggregates_;
  std::unique_ptr<transfer::StatementInquiry> inquiry_;
  std::unique_ptr<usage::HoldBook> holds_;
  std::unique_ptr<transfer::AgreementOrders> agreement_orders_;
  std::unique_ptr<transfer::Confirmations> confirmations_;

  std::unique_ptr<events::EventFeed> event_feed_;
  std::unique_ptr<events::Webhooks> webhooks_;

  std::atomic<bool> used_ = false;  // a local use has ended since the keeper last looked
  std::unique_ptr<Serving> serving_;
  // Of the home executor alone.
  bool starting_ = true;
  bool stopping_ = false;
  bool reload_after_start_ = false;
  bool reloading_ = false;
  Json at_start_;  // digests of the files that were read then
  int exit_code_ = 0;
};

}  // namespace tally::daemon
