#include "tally/dsp/state_machine.hpp"

#include <algorithm>
#include <array>
#include <utility>

namespace tally::dsp {

namespace {

using NS = NegotiationState;
using NE = NegotiationEvent;
using TS = TransferState;
using TE = TransferEvent;
constexpr Role P = Role::provider;
constexpr Role C = Role::consumer;

constexpr std::array<Transition<NS, NE>, 19> negotiation_table{{
    {NS::none, NE::request, C, NS::requested, true},
    {NS::none, NE::offer_initial, P, NS::offered, true},
    {NS::requested, NE::offer, P, NS::offered, true},
    {NS::requested, NE::agreement, P, NS::agreed, true},
    {NS::requested, NE::termination, C, NS::terminated, true},
    {NS::requested, NE::termination, P, NS::terminated, true},
    {NS::offered, NE::counter_request, C, NS::requested, true},
    {NS::offered, NE::accepted, C, NS::accepted, true},
    {NS::offered, NE::termination, C, NS::terminated, true},
    {NS::offered, NE::termination, P, NS::terminated, true},
    {NS::accepted, NE::agreement, P, NS::agreed, true},
    {NS::accepted, NE::termination, P, NS::terminated, true},
    {NS::accepted, NE::termination, C, NS::terminated, false},
    {NS::agreed, NE::verification, C, NS::verified, true},
    {NS::agreed, NE::termination, C, NS::terminated, true},
    {NS::agreed, NE::termination, P, NS::terminated, false},
    {NS::verified, NE::finalized, P, NS::finalized, true},
    {NS::verified, NE::termination, P, NS::terminated, true},
    {NS::verified, NE::termination, C, NS::terminated, false},
    // `finalized` and `terminated` have no way out.
}};

constexpr std::array<Transition<TS, TE>, 14> transfer_table{{
    {TS::none, TE::request, C, TS::requested, true},
    {TS::requested, TE::start, P, TS::started, true},
    {TS::requested, TE::termination, C, TS::terminated, true},
    {TS::requested, TE::termination, P, TS::terminated, true},
    {TS::started, TE::completion, C, TS::completed, true},
    {TS::started, TE::completion, P, TS::completed, true},
    {TS::started, TE::suspension, C, TS::suspended, true},
    {TS::started, TE::suspension, P, TS::suspended, true},
    {TS::started, TE::termination, C, TS::terminated, true},
    {TS::started, TE::termination, P, TS::terminated, true},
    {TS::suspended, TE::start, C, TS::started, true},
    {TS::suspended, TE::start, P, TS::started, true},
    {TS::suspended, TE::termination, C, TS::terminated, true},
    {TS::suspended, TE::termination, P, TS::terminated, true},
}};

template <class Table, class State, class Event>
auto find(const Table& table, State state, Event event, Role sender) {
  return std::find_if(table.begin(), table.end(), [&](const auto& row) {
    return row.from == state && row.event == event && row.sender == sender;
  });
}

template <class State, class Table, class Event>
std::optional<State> next_in(const Table& table, State state, Event event, Role sender) {
  const auto row = find(table, state, event, sender);
  return row == table.end() ? std::nullopt : std::optional<State>(row->to);
}

template <class Table, class State, class Event>
bool may_send_in(const Table& table, State state, Event event, Role sender) {
  const auto row = find(table, state, event, sender);
  return row != table.end() && row->in_diagram;
}

constexpr std::array<std::pair<NS, std::string_view>, 8> negotiation_names{{
    {NS::none, "NONE"},
    {NS::requested, "REQUESTED"},
    {NS::offered, "OFFERED"},
    {NS::accepted, "ACCEPTED"},
    {NS::agreed, "AGREED"},
    {NS::verified, "VERIFIED"},
    {NS::finalized, "FINALIZED"},
    {NS::terminated, "TERMINATED"},
}};

constexpr std::array<std::pair<TS, std::string_view>, 6> transfer_names{{
    {TS::none, "NONE"},
    {TS::requested, "REQUESTED"},
    {TS::started, "STARTED"},
    {TS::suspended, "SUSPENDED"},
    {TS::completed, "COMPLETED"},
    {TS::terminated, "TERMINATED"},
}};

constexpr std::array<std::pair<NE, std::string_view>, 9> negotiation_event_names{{
    {NE::request, "request"},
    {NE::counter_request, "counter-request"},
    {NE::offer_initial, "offer-initial"},
    {NE::offer, "offer"},
    {NE::accepted, "accepted"},
    {NE::agreement, "agreement"},
    {NE::verification, "verification"},
    {NE::finalized, "finalized"},
    {NE::termination, "termination"},
}};

constexpr std::array<std::pair<TE, std::string_view>, 5> transfer_event_names{{
    {TE::request, "request"},
    {TE::start, "start"},
    {TE::suspension, "suspension"},
    {TE::completion, "completion"},
    {TE::termination, "termination"},
}};

template <class Names, class Value>
std::string_view name_of(const Names& names, Value value) {
  for (const auto& [known, name] : names) {
    if (known == value) return name;
  }
  return "?";
}

template <class State, class Names>
std::optional<State> parse(const Names& names, std::string_view text) {
  for (const auto& [state, name] : names) {
    if (name == text && state != State::none) return state;
  }
  return std::nullopt;
}

}  // namespace

std::string_view to_string(Role role) {
  return role == P ? "provider" : "consumer";
}

std::optional<NegotiationState> next(NegotiationState state, NegotiationEvent event, Role sender) {
  return next_in(negotiation_table, state, event, sender);
}

std::optional<TransferState> next(TransferState state, TransferEvent event, Role sender) {
  return next_in(transfer_table, state, event, sender);
}

bool may_send(NegotiationState state, NegotiationEvent event, Role sender) {
  return may_send_in(negotiation_table, state, event, sender);
}

bool may_send(TransferState state, TransferEvent event, Role sender) {
  return may_send_in(transfer_table, state, event, sender);
}

bool is_final(NegotiationState state) {
  return state == NS::finalized || state == NS::terminated;
}
bool is_final(TransferState state) {
  return state == TS::completed || state == TS::terminated;
}

std::string_view to_string(NegotiationState state) {
  return name_of(negotiation_names, state);
}
std::string_view to_string(TransferState state) {
  return name_of(transfer_names, state);
}
std::string_view to_string(NegotiationEvent event) {
  return name_of(negotiation_event_names, event);
}
std::string_view to_string(TransferEvent event) {
  return name_of(transfer_event_names, event);
}

std::optional<NegotiationState> parse_negotiation_state(std::string_view text) {
  return parse<NegotiationState>(negotiation_names, text);
}
std::optional<TransferState> parse_transfer_state(std::string_view text) {
  return parse<TransferState>(transfer_names, text);
}

std::span<const Transition<NegotiationState, NegotiationEvent>> negotiation_transitions() {
  return negotiation_table;
}
std::span<const Transition<TransferState, TransferEvent>> transfer_transitions() {
  return transfer_table;
}

}  // namespace tally::dsp
