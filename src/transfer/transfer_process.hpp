// One transfer as its row holds it.
#pragma once

#include <map>
#include <optional>
#include <string>
#include <vector>

#include <nlohmann/json.hpp>

#include "tally/core/json.hpp"
#include "tally/core/store.hpp"
#include "tally/dsp/messages.hpp"
#include "tally/negotiation/exchange.hpp"
#include "tally/negotiation/history.hpp"
#include "tally/transfer/receipt.hpp"

namespace tally::transfer {

inline constexpr std::string_view process_kind = "transfer";
// Notes of deletion: those that this side sent, and those that it was given.
inline constexpr std::string_view deletion_kind = "deletion";
inline constexpr std::string_view deletion_record_kind = "deletion_record";
// Notices of uses that this side owes or gave, and each use that it was told of.
inline constexpr std::string_view use_notice_kind = "use-notice";
inline constexpr std::string_view told_use_kind = "use-told";
// Statements of uses: those that this side sent, and those that it was given.
inline constexpr std::string_view statement_kind = "statement";
inline constexpr std::string_view statement_record_kind = "statement_record";
// What else was signed, by its digest: notices of uses that this side was given, word of duties.
inline constexpr std::string_view signed_note_kind = "signed-note";
Row signed_note_row(const AgreementId& agreement, const std::string& note);
inline constexpr std::string_view peer_index_kind = "transfer-peer";
// Of statements, sent or received: each log of a party numbers its own. Those of a first log have
// ids without its origin.
std::string statement_row_id(
    const AgreementId& agreement, std::string_view log, std::uint64_t number
);

struct Process {
  struct Pending {
    std::string message;
    dsp::TransferEvent event = dsp::TransferEvent::request;
    dsp::TransferState target = dsp::TransferState::requested;
  };
  struct Measured {
    std::string content;
    std::uint64_t bytes = 0;
    bool operator==(const Measured&) const = default;
  };

  std::uint64_t version = 0;  // of its row, as read
  Pid pid;
  dsp::Role role = dsp::Role::provider;
  PartyId peer;
  Pid peer_pid;
  std::string peer_base;
  dsp::TransferState state = dsp::TransferState::none;
  std::map<dsp::TransferState, int> entered;  // how often each was
  std::string entered_at;                     // when `state` was entered last
  std::optional<Pending> pending;
  AgreementId agreement;
  AssetId asset;
  std::string format;
  std::optional<Message> objection;
  std::optional<Message> reason;
  bool ended_by_peer = false;
  std::string began_at;
  negotiation::History history;

  // The provider's.
  std::string action;       // what the token opens: odrl archive or read
  std::string certificate;  // of the request: what the token is bound to
  std::optional<Measured> sent;
  std::string key_released_for;  // the receipt ("sha256:…") for which `key.released` is in the log

  // The consumer's.
  std::string endpoint;
  std::string token;
  bool asked_to_resume = false;    // the provider's start with a fresh token is on its way
  bool start_may_follow = false;   // another one may: it came while ours was under way
  bool received = false;           // `transfer.received` is in the log
  bool published = false;          // the artefact may be read
  std::optional<Measured> pulled;  // of what was received
  bool opened = false;             // `key.received` is in the log

  // Both, of a payload that went out encrypted; what it opens to the consumer learns with the key.
  std::optional<SealedContent> sealed;
  std::optional<OpenedContent> opens;

  // Both: what columns the data have and which duties made them so; null: bytes as they are.
  Json form;

  // Both: the two receipts, and where our own record of the data stands.
  std::optional<LogPlace> place;
  std::string sent_receipt;
  std::string received_receipt;
  bool receipt_missing = false;
  std::string sent_receipt_at;  // the provider's: when it was signed

  // Whether a consumer's receipt of what we sent is still waited for.
  [[nodiscard]] bool owes_receipt() const {
    return role == dsp::Role::provider && !sent_receipt_at.empty() && received_receipt.empty() &&
           !receipt_missing;
  }
  // Whether the other side's receipt was missed and has not come since.
  [[nodiscard]] bool is_owed() const {
    const bool provider = role == dsp::Role::provider;
    return receipt_missing && (provider ? received_receipt : sent_receipt).empty();
  }

  // The provider's: data and keys may leave; already while the peer's answer to the start is on its
  // way, and no longer once anything else was sent.
  [[nodiscard]] bool is_running() const;
  // Whether it was data with this digest that the provider sent, encrypted or as it opens.
  [[nodiscard]] bool brought(const std::string& content) const {
    return (sent && sent->content == content) || (opens && opens->content == content);
  }

  // Moves to `next` at `now`; staying where it is counts as no entry.
  void enter(dsp::TransferState next, Instant now);
  // How often it has entered the state it is in.
  [[nodiscard]] int times_entered() const;

  [[nodiscard]] std::string key() const;
  [[nodiscard]] dsp::TransferState shown() const;
  [[nodiscard]] dsp::TransferProcess as_message() const;
  [[nodiscard]] dsp::KnownPids pids() const;
  [[nodiscard]] const Pid& provider_pid() const {
    return role == dsp::Role::provider ? pid : peer_pid;
  }
};

// What a payload opens to, as records have it.
Json plain_of(const OpenedContent& opens);
std::string peer_index(const PartyId& peer, const Pid& peer_pid);
Result<Process> parse_process(const Row& row);
Row to_row(const Process& process);

}  // namespace tally::transfer
