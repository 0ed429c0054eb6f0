// What received messages are answered with where nothing moves. For the source files that take
// messages.
#pragma once

#include <string_view>

#include "tally/dsp/policy_reading.hpp"
#include "tally/negotiation/exchange.hpp"

namespace tally::negotiation {

inline HttpAnswer refuse(
    int status, const Message& message, const dsp::KnownPids& pids, std::string_view pointer = {}
) {
  return error_answer(dsp::Family::negotiation, status, message, pids, pointer);
}

inline HttpAnswer refuse(const Error& error, const dsp::KnownPids& pids) {
  return error_answer(dsp::Family::negotiation, error, pids);
}

inline HttpAnswer not_here(const dsp::KnownPids& pids) {
  return refuse(404, {"negotiation.unknown-process", {}}, pids);
}

// How often a step is decided anew when its row keeps moving.
inline constexpr int most_decisions = 16;

// The same words for an offer that does not exist and for one that is not for this party.
inline HttpAnswer unknown_offer(const dsp::KnownPids& pids) {
  return refuse(400, {"negotiation.unknown-offer", {}}, pids, "/offer");
}

// The form of an offer that a peer sent, and its ids.
inline Result<void> check_offer(const Json& offer, const dsp::PolicyDialect& dialect) {
  auto form = dsp::check_wire_policy(
      offer, dsp::PolicyForm::message_offer, "/offer", dsp::PolicyOrigin::peer, dialect.empty
  );
  if (!form) return form;
  auto id = check_id(text_of(offer, "@id"), "/offer/@id");
  return id ? check_id(text_of(offer, "target"), "/offer/target") : id;
}

}  // namespace tally::negotiation
