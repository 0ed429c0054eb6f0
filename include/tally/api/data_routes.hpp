// Where data leaves: GET /data/<pid> on the peer port for what a provider serves, and
// GET /api/v1/data/<agreement> on the application port for what custody holds. Both are the same
// story: who asks → usage::authorise (waits for the record) → bytes → usage::complete.
//
// Nothing here decides. Handlers run where the connection was accepted.
#pragma once

#include <functional>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include <nlohmann/json.hpp>

#include "tally/api/provider_call.hpp"
#include "tally/api/router.hpp"
#include "tally/catalog/schema.hpp"
#include "tally/core/task_group.hpp"
#include "tally/dataplane/rule_shapes.hpp"
#include "tally/dataplane/source.hpp"
#include "tally/transfer/confirmations.hpp"
#include "tally/transfer/data_keys.hpp"
#include "tally/transfer/token_registry.hpp"
#include "tally/transfer/transfer_service.hpp"
#include "tally/transfer/use_receipts.hpp"
#include "tally/usage/app_registry.hpp"
#include "tally/usage/enforcer.hpp"

namespace tally::api {

// The data of an agreement as it was pinned when the agreement was made.
struct ServedAsset {
  Json source;  // as sources::SourceReader wants it
  std::string media_type;
  std::optional<catalog::Schema> schema;
  std::vector<catalog::Parameter> parameters;  // that a call may give
  AgreementId held_under;                      // of data that are passed on; empty: they are ours
  std::vector<std::string> onward_purposes;    // that its operator passes them on for
  std::vector<std::string> purposes;  // that the agreement names: the peer's word on our side
  // Which rows, columns and masks each permission means.
  std::shared_ptr<const dataplane::RuleShapes> shapes;
};
class ServedAssets {
 public:
  virtual ~ServedAssets() = default;
  // Any thread; a cached answer after the first. Errors: not_found (api.asset-gone), unavailable.
  virtual Result<std::shared_ptr<const ServedAsset>> of(const AgreementId& agreement) = 0;
};

struct PeerDataParts {
  usage::Enforcer& enforcer;
  const transfer::TokenRegistry& tokens;
  transfer::TransferService& transfers;
  dataplane::SourceReader& sources;
  ServedAssets& assets;
  TaskGroup& tasks;  // of the home executor
  boost::asio::any_io_executor home;
  Notices& notices;
  const Limits& limits;
  transfer::UseReceipts* receipts = nullptr;  // null: answers carry none
  transfer::DataKeys* keys = nullptr;         // null: nothing goes out encrypted
  Digest call_secret{};                       // binds an idempotency key to a call's parameters
  PartyId self = {};                          // who passes on what is held
};
std::vector<Route> peer_data_routes(PeerDataParts parts);
// The token that a peer shows for data: the Authorization value, with or without "Bearer " before
// it, since some connectors send it as it stood in the data address.
std::string_view data_token(const identity::Caller& caller);

// What custody holds under an agreement: of several artefacts the latest.
struct HeldData {
  ArtefactId artefact;
  std::uint64_t length = 0;
  std::string media_type;
  std::string content;      // "sha256:…" of it
  std::string asset_class;  // what the provider said of it, or empty
  bool is_derived = false;  // an application made it of what was received
  // Which rows, columns and masks are left to do under each permission. Null: of derived data,
  // whose columns nobody knows; they were made of what was handed out.
  std::shared_ptr<const dataplane::RuleShapes> shapes;
};
class HeldDataReader {
 public:
  virtual ~HeldDataReader() = default;
  // Any thread. Errors: not_found (api.nothing-held, api.being-destroyed, api.destroyed {at}),
  // unavailable.
  virtual Result<HeldData> held(const AgreementId& agreement) = 0;
  // One artefact, received or derived. Errors: the same; not_found (custody.unknown-artefact).
  virtual Result<HeldData> artefact(const ArtefactId& id) = 0;
  // The agreements whose terms an artefact goes by, also of one that is destroyed; none: there is
  // no such artefact.
  virtual std::vector<AgreementId> bound_by(const ArtefactId& id) = 0;
  // From `offset` to its end. Any executor. Errors: not_found (it is held no more), unavailable.
  virtual awaitable<Result<std::unique_ptr<BodyReader>>> open(
      ArtefactId artefact, std::uint64_t offset
  ) = 0;
};

// What an application made of data that custody holds.
struct Derived {
  struct Input {
    AgreementId agreement;
    AssetId asset;
    PartyId provider;
    std::string content;  // of what is held under it
    UseId use;
  };
  std::vector<Input> inputs;
  AppId app;
  std::string media_type;
  std::string bytes;
};
class DerivedKeeper {
 public:
  struct Kept {
    ArtefactId artefact;
    std::string content;  // "sha256:…"
    // Why it cannot be read yet, though it stands; the same request again makes it readable.
    std::optional<Error> unreadable;
  };
  virtual ~DerivedKeeper() = default;
  // In custody, bound by the terms of all inputs, and recorded: durable on return. Home executor.
  // Errors, after which there is nothing of it: conflict (custody.derived-other,
  // custody.already-destroyed), unavailable.
  virtual awaitable<Result<Kept>> keep(Derived derived) = 0;
};

// Keeps what an application says about the person it reads for, beside the log.
class FactKeeper {
 public:
  virtual ~FactKeeper() = default;
  // Durable on return; the commitment goes into the record of the use. Errors:
  // invalid (custody.subject-too-long), unavailable.
  virtual awaitable<Result<Digest>> keep_fact(std::string subject, Json fact) = 0;
  // No record holds the commitment after all.
  virtual awaitable<void> forget_fact(Digest commitment) = 0;
};

struct AppApiParts {
  usage::Enforcer& enforcer;
  usage::AppRegistry& apps;
  HeldDataReader& held;
  FactKeeper* facts = nullptr;       // null: there is no wrapping key to keep any under
  DerivedKeeper* derived = nullptr;  // likewise
  PartyId self;
  // A use has ended with all of its data handed over: a duty may be due now. Any thread; may be
  // null.
  std::function<void()> after_use;
  Notices& notices;
  const Limits& limits;
  transfer::UseReceipts* receipts = nullptr;  // null: answers carry none
  // What the provider serves itself is asked of it, on `home`; null: it is not.
  const ProviderCallParts* calls = nullptr;
  boost::asio::any_io_executor home = {};
  Digest call_secret{};                              // binds an idempotency key to what is asked
  transfer::Confirmations* confirmations = nullptr;  // null: no consent can be asked for
};
std::vector<Route> app_routes(AppApiParts parts);
// The token of an Authorization "Bearer …", or empty.
std::string_view bearer_token(const identity::Caller& caller);
// Bearer tokens of registered applications.
Admit admit_apps(usage::AppRegistry& apps);

// A refusal by policy as an answer: 403 with the code, and every reason in `reasons`.
HttpResponse refusal_response(const usage::Refusal& refusal, Lang lang);

}  // namespace tally::api
