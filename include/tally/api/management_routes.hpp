// The management API (/api/v1 on the management listener): what operators, auditors and the command
// line ask. Docs: docs/management-api.md. Every route is a line of the table in the .cpp.
#pragma once

#include <functional>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include <nlohmann/json.hpp>

#include "tally/api/custody_routes.hpp"
#include "tally/api/data_routes.hpp"
#include "tally/api/router.hpp"
#include "tally/audit/checkpoint_sender.hpp"
#include "tally/audit/witness.hpp"
#include "tally/events/event_feed.hpp"
#include "tally/events/webhooks.hpp"
#include "tally/negotiation/negotiation_service.hpp"
#include "tally/negotiation/peers.hpp"
#include "tally/transfer/agreement_orders.hpp"
#include "tally/transfer/confirmations.hpp"
#include "tally/transfer/informer.hpp"
#include "tally/transfer/statement_inquiry.hpp"
#include "tally/transfer/transfer_service.hpp"
#include "tally/usage/app_registry.hpp"
#include "tally/usage/enforcer.hpp"
#include "tally/usage/hold_book.hpp"

namespace tally::api {

// Assets and policies as the operator manages them. Each has one home, its file or this API; a
// change of one that lives in a file is a conflict that names the file.
class CatalogAdmin {
 public:
  virtual ~CatalogAdmin() = default;
  [[nodiscard]] virtual std::vector<Json> assets() const = 0;
  [[nodiscard]] virtual std::vector<Json> policies() const = 0;
  // What is wrong with files and documents that are not in force.
  [[nodiscard]] virtual std::vector<Json> problems(Lang lang) const = 0;
  // What authors of documents that are in force should know.
  [[nodiscard]] virtual std::vector<Json> warnings(Lang lang) const = 0;
  // Errors: invalid (the document's first problem), conflict (api.home-is-file).
  virtual awaitable<Result<void>> put_asset(AssetId id, Json document) = 0;
  virtual awaitable<Result<void>> put_policy(std::string id, Json document) = 0;
  virtual awaitable<Result<void>> remove_asset(AssetId id) = 0;
  virtual awaitable<Result<void>> remove_policy(std::string id) = 0;
};

// The rules by which processes go on by themselves (docs/reactions.md).
class RuleAdmin {
 public:
  virtual ~RuleAdmin() = default;
  [[nodiscard]] virtual std::vector<Json> rules(
  ) const = 0;  // in the order in which they are asked
  // What is wrong with documents that are not in force.
  [[nodiscard]] virtual std::vector<Json> problems(Lang lang) const = 0;
};

// One line of the readiness answer.
struct Check {
  std::string name;  // log, store, clock, certificate, duties, custody
  bool good = true;
  Message message;
};

// An order of an operator that changes something, as the log keeps it: by role and token.
struct AdminOrder {
  std::string action;  // "terminate-agreement"
  std::string target;  // the path's id, or empty
  Role role = Role::admin;
  std::string principal;   // the token's name: it may be a person's, so no record holds it
  std::string credential;  // Call::credential
  bool ends = false;       // it ends something: recorded even when the disk is nearly full
};

// Which facts about a person to destroy, and on which ground.
struct Erasure {
  std::optional<std::uint64_t> record;  // the fact beside this record, else
  std::string subject;                  // every fact about this person
  std::string basis;                    // a code: lower-case letters, digits and '-', at most 64
};

// What came of a reload.
struct Reloaded {
  Message said;                      // all of it in a sentence
  std::vector<std::string> changed;  // settings, files and lists that are in force anew
  std::vector<std::string> restart;  // that differ from what is in force until a restart
  std::vector<Message> documents;    // offers that came, changed, went; documents that are refused
};

// What only the composition root knows.
class Connector {
 public:
  virtual ~Connector() = default;
  [[nodiscard]] virtual std::vector<Check> checks() const = 0;  // any thread
  [[nodiscard]] virtual Json status() const = 0;
  // How it goes in numbers, in the text format of Prometheus, with help in `lang`. Home executor.
  [[nodiscard]] virtual std::string metrics(Lang lang) const = 0;
  // The records of one agreement, in order (audit::tell_story of our own log).
  virtual awaitable<Result<Json>> history(AgreementId agreement, Lang lang) = 0;
  // Where an artefact came from and where it went, as far as our own log tells
  // (audit::trace_lineage). `artefact`: the id of one in custody, or a content ("sha256:…").
  virtual awaitable<Result<Json>> lineage(std::string artefact) = 0;
  // Moves a test clock; conflict on any other.
  virtual awaitable<Result<Instant>> advance_clock(Nanos span) = 0;
  // `admin.action`, durable on return: before anything that was ordered is done.
  virtual awaitable<Result<void>> ordered(AdminOrder order) = 0;
  // `private.erased`, durable, and then the facts are destroyed; gives the records that they stood
  // beside. Errors: not_found (api.no-private-fact), conflict (api.no-private-store).
  virtual awaitable<Result<std::vector<std::uint64_t>>> erase(Erasure erasure) = 0;
  // {"seq", "record": its exact text, "opening": audit::print(…)}. Errors as of `erase`.
  virtual awaitable<Result<Json>> opening(std::uint64_t seq) = 0;
  // Gives the log a new key, which signs from the record of it on; the key before signs too for
  // `overlap` and is erased then. Returns vkey, before, seq and overlapUntil once the record is
  // durable. Errors: conflict (a rotation or its overlap is under way), unavailable.
  virtual awaitable<Result<Json>> rotate_log_key(Nanos overlap) = 0;
  // Drops the leading segments of the log that are past their term (audit::Pruning); gives what was
  // pruned, or null, where the log begins now, and why no more went. Errors: conflict (no term is
  // configured, pruning is under way), and those of Pruning::prune.
  virtual awaitable<Result<Json>> prune_log(Lang lang) = 0;
  // Reads configuration, certificates, anchors, revocation lists, rules and documents again and
  // puts them in force, recorded before. Transfers go on. Errors: conflict, a fault of the
  // configuration, by which nothing is changed; unavailable (log).
  virtual awaitable<Result<Reloaded>> reload() = 0;
  // The database as it is now, as a file of its own in the connector's folder, and how far the log
  // is at the same moment: "database", "log" with "size" and "leaf". Nothing waits for it. Errors:
  // unavailable.
  virtual awaitable<Result<Json>> back_up() = 0;
};

// How logs are witnessed: ours by others, and theirs here.
struct WitnessAdminParts {
  const audit::CheckpointSender& sender;
  const audit::Witnessing& witnessing;
  // Which logs are watched here, those of partners and those that the operator named.
  std::function<std::vector<audit::WatchedName>()> watched;
  audit::LiftParts lift;
};

struct ManagementApiParts {
  Connector& connector;
  CatalogAdmin& catalog;
  const RuleAdmin& rules;
  Store& store;
  Peer& peer;
  const negotiation::PeerDirectory& peers;
  negotiation::NegotiationService& negotiations;
  transfer::TransferService& transfers;
  usage::Enforcer& enforcer;
  usage::AppRegistry& apps;
  CustodyAdmin* custody;  // null: nothing is held for others
  // A row of kind "artefact" as an operator sees it (custody::shown).
  std::function<Result<Json>(const Row& row)> shown_artefact;
  HeldDataReader& held;
  ServedAssets& served;
  usage::HoldBook& holds;
  transfer::AgreementOrders& agreement_orders;
  transfer::Confirmations& confirmations;
  const transfer::StatementInquiry& inquiry;
  WitnessAdminParts witness;
  events::EventFeed& events;
  const events::Webhooks& webhooks;
  const transfer::Informer& informer;
  PartyId self;
  // Refuses new work (with the reason) while the log or the store cannot take it.
  std::function<std::optional<Error>()> closed;
  // What is shown of the store waits until its records are in the log (audit::Journal::settled).
  std::function<awaitable<void>()> settled;
  const Limits& limits;
  Clock& clock;
};

using ManagementParts = std::shared_ptr<const ManagementApiParts>;

std::vector<Route> management_routes(ManagementApiParts parts);

// A token of the management API, as configured.
struct ApiToken {
  std::string name;
  Role role = Role::auditor;
  std::string sha256;
};
// Bearer tokens; compared by digest, in constant time.
Admit admit_tokens(std::vector<ApiToken> tokens);

}  // namespace tally::api
