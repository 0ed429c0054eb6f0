// From an active agreement to a running transfer and its receipts, in both roles.
//
// Works like NegotiationService: one function per message, one commit per step, and `advance` for
// what follows by rule. Home executor only, but for TokenRegistry::find.
#pragma once

#include <cstdint>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "tally/audit/journal.hpp"
#include "tally/core/clock.hpp"
#include "tally/core/message.hpp"
#include "tally/core/notices.hpp"
#include "tally/core/peer.hpp"
#include "tally/core/store.hpp"
#include "tally/core/task_group.hpp"
#include "tally/identity/contract_key.hpp"
#include "tally/negotiation/delivery.hpp"
#include "tally/negotiation/peers.hpp"
#include "tally/negotiation/reactions.hpp"
#include "tally/negotiation/received.hpp"
#include "tally/transfer/data_keys.hpp"
#include "tally/transfer/pull_executor.hpp"
#include "tally/transfer/receipt.hpp"
#include "tally/transfer/token_registry.hpp"
#include "tally/usage/enforcer.hpp"

namespace tally::transfer {

using negotiation::HttpAnswer;
using negotiation::Received;

// The catalogue, as transfer asks it.
class FormatBook {
 public:
  virtual ~FormatBook() = default;
  // The ODRL action that data in `format` of this asset is handed out for: odrl archive for a pull
  // into custody, odrl read for calls one by one. nullopt: the asset is not offered in that format.
  [[nodiscard]] virtual std::optional<std::string> action_of(
      const AssetId& asset, const std::string& format
  ) const = 0;
};

struct TransferSettings {
  PartyId self;
  OurUrl base_url;         // of our DSP endpoints: also our callbackAddress
  OurUrl data_url;         // "https://host:port": data is at <data_url>/data/<provider pid>
  std::string log_origin;  // of our own log
  // How long a consumer waits for the provider's receipt after the last byte.
  Nanos receipt_wait = seconds(60);
  // Under an agreement that says `strict`: how long a start waits for cosignatures on their way.
  Nanos witness_wait = seconds(10);
  // How long a provider waits for the consumer's receipt of what it sent; then it is missing.
  Nanos receipt_deadline = seconds(3600);
  // How long nothing moves after a pull went out whole to a peer that gives no receipts, until the
  // provider completes it.
  Nanos idle = seconds(300);
  // How long nothing moves under any running transfer until its provider ends it; 0: for ever.
  Nanos longest_idle = 0;
};

struct TransferParts {
  Store& store;
  audit::Journal& journal;
  negotiation::Delivery& delivery;
  Peer& peer;
  Clock& clock;
  Timers& timers;
  Random& random;
  TaskGroup& tasks;
  Notices& notices;
  const FormatBook& formats;
  const negotiation::PeerDirectory& peers;
  usage::Enforcer& enforcer;
  TokenRegistry& tokens;
  PullExecutor* executor = nullptr;  // null: this connector keeps no custody
  std::shared_ptr<const identity::ContractSigner> signer;
  const Limits& limits;
  DataKeys* keys = nullptr;  // null: nothing goes out encrypted, for want of a wrapping key
  const negotiation::Reactions* reactions = nullptr;  // null: everything as always
};

// Data in this format is not pulled into custody: applications call for it and the provider counts.
inline constexpr std::string_view call_format = "HttpData-QUERY";

struct TransferOrder {
  AgreementId agreement;
  std::string format;
};

// What the data route served under a transfer.
struct Sent {
  Pid process;
  std::string content;  // "sha256:…" of the whole, known once it went out whole
  std::uint64_t bytes = 0;
  std::optional<SealedContent> sealed;  // it was encrypted, and opens to `opens`
  std::optional<OpenedContent> opens;
  Json form;  // what the consumer is told of rows and columns (docs/peer-api.md); null: nothing
};

class TransferService final : public negotiation::ProcessOwner {
 public:
  TransferService(TransferParts parts, TransferSettings settings);
  ~TransferService() override;

  Result<void> load();    // tokens; before anything is served
  Result<void> resume();  // takes up transfers that are not at their end
  // What is held has changed: fetches under it stop with the next piece, and go on afterwards.
  void holds_changed();
  // What comes next where transfers stand: after rules have changed.
  Result<void> look_again();

  // --- DSP ---
  awaitable<HttpAnswer> receive_request(Received received);  // provider
  awaitable<HttpAnswer> receive_start(Received received);
  awaitable<HttpAnswer> receive_suspension(Received received);
  awaitable<HttpAnswer> receive_completion(Received received);
  awaitable<HttpAnswer> receive_termination(Received received);
  awaitable<HttpAnswer> read(Received received);

  // --- /tally/v1 (docs/peer-api.md) ---
  awaitable<HttpAnswer> get_receipt(Received received);         // our "sent" receipt
  awaitable<HttpAnswer> receive_receipt(Received received);     // the peer's "received" receipt
  awaitable<HttpAnswer> release_key(Received received);         // the key, for that receipt
  awaitable<HttpAnswer> fresh_token(Received received);         // after a renewed certificate
  awaitable<HttpAnswer> receive_deletion(Received received);    // a signed deletion record
  awaitable<HttpAnswer> receive_statement(Received received);   // of the uses that the peer served
  awaitable<HttpAnswer> receive_use_notice(Received received);  // of uses, by the duty to inform
  // The same of one that we asked for.
  awaitable<HttpAnswer> take_statement(PartyId from, AgreementId agreement, std::string note);

  // --- the provider's data route ---
  // The whole content went out under `process`: recorded, receipt signed. Errors: unavailable.
  awaitable<Result<void>> sent(Sent sent);

  // --- local commands: durable on return, the message on its way. Errors: not_found
  // (transfer.unknown-process), conflict (transfer.cannot, transfer.message-under-way, and why the
  // agreement does not permit it), unavailable ---
  awaitable<Result<Pid>> request(TransferOrder order);
  // Nothing leaves any more once it returns; the reason is told to the peer.
  awaitable<Result<void>> suspend(Pid pid, Message reason);
  // Out of a suspension. A provider sends a fresh token, a consumer asks for one.
  awaitable<Result<void>> restart(Pid pid);
  awaitable<Result<void>> complete(Pid pid);
  awaitable<Result<void>> terminate(Pid pid, Message reason);
  Result<Json> describe(const Pid& pid) const;
  // Where a consumer's applications call while a transfer in `call_format` runs: {endpoint,
  // authType, authorization}. The token opens with our TLS certificate alone. Errors: not_found,
  // conflict (transfer.cannot).
  Result<Json> data_address(const Pid& pid) const;
  // The transfer under which data_address answers for this agreement, if one does.
  Result<std::optional<Pid>> running_call(const AgreementId& agreement) const;
  Result<std::vector<Json>> list() const;
  // At most `most` behind the id `after`, in the order of their ids.
  Result<std::vector<Json>> list(const std::string& after, std::size_t most) const;
  // How many transfers there are whose other side owes its receipt.
  [[nodiscard]] std::size_t receipts_missing() const;

  // --- ProcessOwner ---
  awaitable<Result<void>> on_delivered(OutgoingMessage message, std::string body) override;
  awaitable<Result<void>> on_refused(OutgoingMessage message, negotiation::Refused refused)
      override;
  std::string state_url(const OutgoingMessage& message) override;
  negotiation::Standing compare(const OutgoingMessage& message, const std::string& state) override;
  [[nodiscard]] std::optional<Nanos> deadline() const override;

 private:
  struct State;
  std::unique_ptr<State> state_;
};

}  // namespace tally::transfer
