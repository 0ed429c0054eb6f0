// The peers of the configuration, as services ask for them.
#pragma once

#include <mutex>
#include <vector>

#include "tally/negotiation/peers.hpp"
#include "tally/net/client.hpp"

#include "config.hpp"

namespace tally::daemon {

class ConfiguredPeers final : public negotiation::PeerDirectory {
 public:
  // `config` has to outlive it; of it only the listeners are used.
  ConfiguredPeers(const net::HttpsPeer& peer, const Config& config);

  [[nodiscard]] bool host_allowed(const PartyId& party, std::string_view url) const override;
  [[nodiscard]] std::optional<std::string> base_url(const PartyId& party) const override;
  [[nodiscard]] std::optional<PartyId> party_at(std::string_view base_url) const override;
  [[nodiscard]] std::optional<std::string> tally_url(const PartyId& party) const override;
  [[nodiscard]] negotiation::DataDialect data_dialect(const PartyId& party) const override;
  [[nodiscard]] dsp::PolicyDialect policy_dialect(const PartyId& party) const override;
  [[nodiscard]] bool accepts_unsigned(const PartyId& party) const override;
  [[nodiscard]] bool by_credential(const PartyId& party) const override;
  [[nodiscard]] std::string jurisdiction(const PartyId& party) const override;
  void replace(std::vector<PeerEntry> entries);  // any thread

  // Our DSP base and the root of our data, at the listener where this party is known. Any thread.
  [[nodiscard]] std::string our_base_url(const PartyId& party) const;
  [[nodiscard]] std::string our_data_url(const PartyId& party) const;

 private:
  [[nodiscard]] std::optional<PeerEntry> find(const PartyId& party) const;

  [[nodiscard]] const PeersListener& listener_of(const PartyId& party) const;

  const net::HttpsPeer& peer_;
  const Config& config_;
  mutable std::mutex mutex_;
  std::vector<PeerEntry> entries_;
};

}  // namespace tally::daemon
