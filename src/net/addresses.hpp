// Which addresses a connection to a peer may end at. A name in the configuration is the operator's
// word for a host, not for every address that somebody's name server may answer with: a name that
// leads into our own network could reach what trusts whoever is inside. Pure.
#pragma once

#include <string>
#include <vector>

#include <boost/asio/ip/address.hpp>

#include "tally/core/result.hpp"

namespace tally::net {

enum class Reach {
  global,
  private_network,  // RFC 1918, RFC 4193, RFC 6598
  loopback,
  link_local,
  metadata,  // where clouds tell a machine its own secrets
  multicast,
  unusable,  // unspecified, broadcast, reserved
};
// An IPv6 address that stands for an IPv4 one (mapped, NAT64, 6to4) reaches what that one reaches.
Reach reach_of(const boost::asio::ip::address& address);

// "localhost", or an address that is one. For names nothing is looked up.
bool is_loopback(const std::string& host);

// What the configuration of one peer allows.
struct AllowedAddresses {
  bool private_networks = false;                 // and loopback
  std::vector<boost::asio::ip::address> stated;  // written out in the configuration

  // Of an address that the configured `host` turned out to have, or is. Errors: forbidden,
  // net.address-private, -loopback, -link-local, -metadata, -multicast, -unusable.
  [[nodiscard]] Result<void> check(const std::string& host, const boost::asio::ip::address& address)
      const;
};

}  // namespace tally::net
