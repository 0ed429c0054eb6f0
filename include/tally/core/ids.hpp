// Ids as distinct types, so that a mixed-up argument does not compile; and the name of a party.
#pragma once

#include <compare>
#include <cstddef>
#include <functional>
#include <string>
#include <utility>

namespace tally {

template <class Tag>
struct Id {
  std::string value;
  Id() = default;
  explicit Id(std::string text) : value(std::move(text)) {}
  [[nodiscard]] bool empty() const { return value.empty(); }
  auto operator<=>(const Id&) const = default;
};

using AssetId = Id<struct AssetTag>;
using OfferId = Id<struct OfferTag>;
using AgreementId = Id<struct AgreementTag>;
using Pid = Id<struct PidTag>;              // a DSP process as this side names it
using EventId = Id<struct EventTag>;        // UUIDv7: one event of the log, exactly once
using UseId = Id<struct UseTag>;            // the event id of the permit of a use
using AppId = Id<struct AppTag>;            // a registered local application
using RuleId = Id<struct RuleTag>;          // a rule of a policy as it was written
using ArtefactId = Id<struct ArtefactTag>;  // an object in custody

// An organisation: the trust domain its certificate chain ends in, and the one SAN URI of the leaf,
// compared byte by byte. The same URI under two domains is two parties.
struct PartyId {
  std::string domain;
  std::string uri;
  [[nodiscard]] bool empty() const { return uri.empty(); }
  auto operator<=>(const PartyId&) const = default;
};

// "domain|uri", unambiguous since a domain name holds no '|' (configuration refuses it).
std::string to_string(const PartyId& party);

}  // namespace tally

template <class Tag>
struct std::hash<tally::Id<Tag>> {
  std::size_t operator()(const tally::Id<Tag>& id) const noexcept {
    return std::hash<std::string>{}(id.value);
  }
};
