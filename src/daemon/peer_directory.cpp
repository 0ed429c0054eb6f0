#include "peer_directory.hpp"

#include "tally/api/peer_routes.hpp"

namespace tally::daemon {

ConfiguredPeers::ConfiguredPeers(const net::HttpsPeer& peer, const Config& config)
    : peer_(peer), config_(config), entries_(config.known_peers) {}

void ConfiguredPeers::replace(std::vector<PeerEntry> entries) {
  const std::lock_guard lock(mutex_);
  entries_ = std::move(entries);
}

std::optional<PeerEntry> ConfiguredPeers::find(const PartyId& party) const {
  const std::lock_guard lock(mutex_);
  for (const auto& entry : entries_) {
    if (entry.party == party) return entry;
  }
  return std::nullopt;
}

bool ConfiguredPeers::host_allowed(const PartyId& party, std::string_view url) const {
  return peer_.reachable(party, std::string(url)).has_value();
}

std::optional<std::string> ConfiguredPeers::base_url(const PartyId& party) const {
  const auto entry = find(party);
  if (!entry) return std::nullopt;
  return entry->url;
}

std::optional<PartyId> ConfiguredPeers::party_at(std::string_view base_url) const {
  while (base_url.ends_with('/')) base_url.remove_suffix(1);
  const std::lock_guard lock(mutex_);
  for (const auto& entry : entries_) {
    // The configuration keeps none at the end.
    if (entry.url == base_url) return entry.party;
  }
  return std::nullopt;
}

// A Tally serves its own API beside the protocol: <root>/dsp/2025-1 and <root>/tally/v1. A peer
// whose endpoints lie elsewhere is no Tally, as far as is known.
std::optional<std::string> ConfiguredPeers::tally_url(const PartyId& party) const {
  const auto entry = find(party);
  if (!entry || !entry->url.ends_with(api::dsp_base_path)) return std::nullopt;
  return entry->url.substr(0, entry->url.size() - api::dsp_base_path.size()) +
         std::string(api::tally_base_path);
}

negotiation::DataDialect ConfiguredPeers::data_dialect(const PartyId& party) const {
  const auto entry = find(party);
  return entry ? entry->data_dialect : negotiation::DataDialect{};
}

dsp::PolicyDialect ConfiguredPeers::policy_dialect(const PartyId& party) const {
  const auto entry = find(party);
  return entry ? entry->policy_dialect : dsp::PolicyDialect{};
}

bool ConfiguredPeers::accepts_unsigned(const PartyId& party) const {
  const auto entry = find(party);
  return entry && entry->accept_unsigned;
}

bool ConfiguredPeers::by_credential(const PartyId& party) const {
  const auto entry = find(party);
  return entry && entry->credential.has_value();
}

std::string ConfiguredPeers::jurisdiction(const PartyId& party) const {
  const auto entry = find(party);
  return entry ? entry->jurisdiction : std::string();
}

const PeersListener& ConfiguredPeers::listener_of(const PartyId& party) const {
  const auto entry = find(party);
  const bool by_credential = entry && entry->credential;
  if (by_credential && config_.credential_peers) return *config_.credential_peers;
  return config_.peers ? *config_.peers : *config_.credential_peers;
}

std::string ConfiguredPeers::our_base_url(const PartyId& party) const {
  return listener_of(party).public_url + std::string(api::dsp_base_path);
}

std::string ConfiguredPeers::our_data_url(const PartyId& party) const {
  return listener_of(party).data_url;
}

}  // namespace tally::daemon
