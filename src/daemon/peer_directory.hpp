// The peers of the configuration, as services ask for them.
#pragma once

#include <memory>
#include <mutex>
#include <vector>

#include "tally/negotiation/peers.hpp"
#include "tally/net/client.hpp"

#include "config.hpp"

namespace tally::daemon {

class ConfiguredPeers final : public negotiation::PeerDirectory {
 public:
  ConfiguredPeers(const net::HttpsPeer& peer, std::vector<PeerEntry> entries);

  [[nodiscard]] bool host_allowed(const PartyId& party, std::string_view url) const override;
  [[nodiscard]] std::optional<std::string> base_url(const PartyId& party) const override;
  [[nodiscard]] std::optional<PartyId> party_at(std::string_view base_url) const override;
  [[nodiscard]] std::optional<std::string> tally_url(const PartyId& party) const override;

  [[nodiscard]] std::string jurisdiction(const PartyId& party) const override;
  void replace(std::vector<PeerEntry> entries);  // any thread

 private:
  [[nodiscard]] std::optional<PeerEntry> find(const PartyId& party) const;

  const net::HttpsPeer& peer_;
  mutable std::mutex mutex_;
  std::vector<PeerEntry> entries_;
};

std::vector<net::PeerAddress> addresses_of(const std::vector<PeerEntry>& entries);

}  // namespace tally::daemon
