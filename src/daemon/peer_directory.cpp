#include "peer_directory.hpp"

#include "tally/api/peer_routes.hpp"

namespace tally::daemon {

ConfiguredPeers::ConfiguredPeers(const net::HttpsPeer& peer, std::vector<PeerEntry> entries)
    : peer_(peer), entries_(std::move(entries)) {}

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

std::string ConfiguredPeers::jurisdiction(const PartyId& party) const {
  const auto entry = find(party);
  return entry ? entry->jurisdiction : std::string();
}

std::vector<net::PeerAddress> addresses_of(const std::vector<PeerEntry>& entries) {
  std::vector<net::PeerAddress> out;
  out.reserve(entries.size());
  for (const auto& entry : entries) out.push_back({entry.party, entry.hosts});
  return out;
}

}  // namespace tally::daemon
