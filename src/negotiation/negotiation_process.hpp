// One negotiation as its row holds it.
#pragma once

#include <map>
#include <optional>
#include <string>
#include <vector>

#include "tally/core/store.hpp"
#include "tally/core/viewer.hpp"
#include "tally/dsp/messages.hpp"
#include "tally/dsp/policy_reading.hpp"
#include "tally/negotiation/exchange.hpp"
#include "tally/negotiation/history.hpp"
#include "tally/negotiation/negotiation_service.hpp"

#include "shared_json.hpp"

namespace tally::negotiation {

inline constexpr std::string_view process_kind = "negotiation";
// A row for each negotiation that waits, or waited, for a decision; its body says nothing.
inline constexpr std::string_view approval_kind = "approval";
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

  std::uint64_t version = 0;  // of its row, as read
  // What the row said, whatever a step has made of the process since.
  struct AsRead {
    bool waits = false;  // for an approval
    dsp::NegotiationState shown = dsp::NegotiationState::none;
    dsp::NegotiationState heading = dsp::NegotiationState::none;
  };
  AsRead as_read;
  Pid pid;
  dsp::Role role = dsp::Role::provider;
  PartyId peer;
  // What its certificate said when it asked (provider): who may see an offer may depend on it.
  SubjectAttributes subject;
  Pid peer_pid;                                               // empty until the peer has said it
  std::string peer_base;                                      // where its messages go to
  dsp::NegotiationState state = dsp::NegotiationState::none;  // moved by `enter` alone
  std::map<std::string, int> entered;                         // how often, by state
  Instant since;                                              // when `state` was entered
  std::optional<Pending> pending;
  SharedJson offer;            // on the table, as it was sent or received last, by whichever side
  dsp::PolicyReading reading;  // how `offer` is read, where the peer wrote it
  SharedJson asked;            // consumer: what it asked for last; null: it has asked for nothing
  OfferId offer_id;
  AssetId asset;
  AgreementId agreement;  // empty until there is one
  // Of the offer, pinned when the agreement was made (provider).
  bool require_signature = true;
  bool accept_unconfirmed = false;
  bool served_each_time = false;
  // Somebody has to decide before it goes on.
  struct Approval {
    Instant since;
    Message why;
    bool person = false;  // the hook that was asked has left it to one
  };
  std::optional<Approval> approval;
  // What becomes of a counter-offer that is not what was asked for (consumer).
  Decide on_counter_offer = Decide::by_itself;
  // Set by a check that failed: the negotiation ends with it.
  std::optional<Message> objection;
  // Why it ended, and who said so.
  std::optional<Message> reason;
  bool ended_by_peer = false;
  std::string began_at;
  History history;

  [[nodiscard]] Viewer viewer() const { return {peer, subject}; }
  [[nodiscard]] std::string key() const { return process_key_of(pid); }
  static std::string process_key_of(const Pid& pid);
  void enter(dsp::NegotiationState to, Instant at);
  // How often the state has been entered, this time included.
  [[nodiscard]] int occurrence() const;
  // What the peer may be told: a request that was sent stands as REQUESTED.
  [[nodiscard]] dsp::NegotiationState shown() const;
  // Where it goes to: a message of ours counts once it is sure to be sent.
  [[nodiscard]] dsp::NegotiationState heading() const { return pending ? pending->target : state; }
  [[nodiscard]] dsp::ContractNegotiation as_message() const;
  [[nodiscard]] dsp::KnownPids pids() const;
  // What its row says once it is written as it is.
  [[nodiscard]] AsRead as_written() const { return {approval.has_value(), shown(), heading()}; }
};

Result<Process> parse_process(const Row& row);
Row to_row(const Process& process);

}  // namespace tally::negotiation
