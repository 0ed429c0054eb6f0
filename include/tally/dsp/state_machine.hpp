// Both state machines of the protocol as tables in data.
//
// What is not in a table is illegal: 400, the state stays. Local extra states (a message was sent
// and not yet acknowledged) are the business of the services and never shown. Pure.
#pragma once

#include <optional>
#include <span>
#include <string_view>

namespace tally::dsp {

enum class Role { provider, consumer };
std::string_view to_string(Role role);  // "provider", "consumer"
constexpr Role other(Role role) {
  return role == Role::provider ? Role::consumer : Role::provider;
}

enum class NegotiationState {
  none,  // no process yet
  requested,
  offered,
  accepted,
  agreed,
  verified,
  finalized,
  terminated,
};

// One event per message; a ContractRequestMessage or ContractOfferMessage is two.
enum class NegotiationEvent {
  request,          // ContractRequestMessage that begins a negotiation
  counter_request,  // ContractRequestMessage with providerPid
  offer_initial,    // ContractOfferMessage that begins a negotiation
  offer,            // ContractOfferMessage with consumerPid
  accepted,
  agreement,
  verification,
  finalized,
  termination,
};

enum class TransferState { none, requested, started, suspended, completed, terminated };
enum class TransferEvent { request, start, suspension, completion, termination };

// The state after `event` by `sender`, or nullopt when that is not legal. This is how a receiver
// judges: by the text, either party may terminate in any state that is not final.
std::optional<NegotiationState> next(NegotiationState state, NegotiationEvent event, Role sender);
std::optional<TransferState> next(TransferState state, TransferEvent event, Role sender);

// Whether we send it. Narrower than `next`: the diagram lets only the provider terminate in
// ACCEPTED and VERIFIED, and only the consumer in AGREED.
bool may_send(NegotiationState state, NegotiationEvent event, Role sender);
bool may_send(TransferState state, TransferEvent event, Role sender);

bool is_final(NegotiationState state);
bool is_final(TransferState state);

// The protocol's spelling ("REQUESTED"); "NONE" for none, which never goes on the wire.
std::string_view to_string(NegotiationState state);
std::string_view to_string(TransferState state);
std::optional<NegotiationState> parse_negotiation_state(std::string_view text);  // never none
std::optional<TransferState> parse_transfer_state(std::string_view text);        // never none

// For logs, histories and tests: "counter-request" and so on.
std::string_view to_string(NegotiationEvent event);
std::string_view to_string(TransferEvent event);

template <class State, class Event>
struct Transition {
  State from;
  Event event;
  Role sender;
  State to;
  bool in_diagram;  // false: legal by the text only; accepted, never sent
};
std::span<const Transition<NegotiationState, NegotiationEvent>> negotiation_transitions();
std::span<const Transition<TransferState, TransferEvent>> transfer_transitions();

}  // namespace tally::dsp
