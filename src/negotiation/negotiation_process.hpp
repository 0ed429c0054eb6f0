// One negotiation as its row holds it.
#pragma once

#include <optional>
#include <string>
#include <vector>

#include "tally/core/store.hpp"
#include "tally/core/viewer.hpp"
#include "tally/dsp/messages.hpp"
#include "tally/negotiation/exchange.hpp"

namespace tally::negotiation {

inline constexpr std::string_view process_kind = "negotiation";
// A row that makes (peer, peer's pid) unique: its body names our own pid.
inline constexpr std::string_view peer_index_kind = "negotiation-peer";
std::string peer_index(const PartyId& peer, const Pid& peer_pid);

struct Process {
  // A message of ours that the peer has not acknowledged. The state moves when it does.
  struct Pending {
    std::string message;  // its @id
    dsp::NegotiationEvent event = dsp::NegotiationEvent::request;
    dsp::NegotiationState target = dsp::NegotiationState::requested;
  };

  Row row;  // as read
  Pid pid;
  dsp::Role role = dsp::Role::provider;
  PartyId peer;
  // What its certificate said when it asked (provider): who may see an offer may depend on it.
  SubjectAttributes subject;
  Pid peer_pid;           // empty until the peer has said it
  std::string peer_base;  // where its messages go to
  dsp::NegotiationState state = dsp::NegotiationState::none;
  std::optional<Pending> pending;
  Json offer;  // the offer on the table, as it was sent or received
  OfferId offer_id;
  AssetId asset;
  AgreementId agreement;  // empty until there is one
  // Of the offer, pinned when the agreement was made (provider).
  bool require_signature = true;
  bool accept_unconfirmed = false;
  // Set by a check that failed: the rules end the negotiation with it.
  std::optional<Message> objection;
  // Why it ended, and who said so.
  std::optional<Message> reason;
  bool ended_by_peer = false;
  std::string began_at;
  std::vector<HistoryEntry> history;

  [[nodiscard]] std::string key() const { return process_key_of(pid); }
  static std::string process_key_of(const Pid& pid);
  // What the peer may be told: a request that was sent stands as REQUESTED.
  [[nodiscard]] dsp::NegotiationState shown() const;
  [[nodiscard]] dsp::ContractNegotiation as_message() const;
  [[nodiscard]] dsp::KnownPids pids() const;
};

Result<Process> parse_process(const Row& row);
Row to_row(const Process& process);

}  // namespace tally::negotiation
