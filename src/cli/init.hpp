// `tally init`: a connector's folder with configuration, keys, certificate requests and an empty
// log. `tally trust`, `tally peer`: who is believed and who is known. `tally token add`: one more
// token for the management API.
#pragma once

#include <cstdint>
#include <filesystem>
#include <string>
#include <vector>

#include "console.hpp"

namespace tally::cli {

struct InitOptions {
  std::filesystem::path folder;
  std::string domain;
  std::string uri;
  std::string public_url;  // as peers will reach this connector
  std::string listen;      // "address:port" for peers; empty: the port of the URL, on all addresses
  std::uint16_t apps_port = 8481;
  std::uint16_t management_port = 8480;
  std::filesystem::path wrapping_key;  // outside of the folder; made when absent
  bool test = false;
};

// Nothing that exists is overwritten.
int init(const Console& console, const InitOptions& options);

struct TrustOptions {
  std::filesystem::path folder;
  std::string domain;
  std::filesystem::path anchors;
  std::filesystem::path crl;  // empty: crl none
  std::vector<std::string> uri_prefixes;
};
int trust(const Console& console, const TrustOptions& options);

struct PeerOptions {
  std::filesystem::path folder;
  std::string domain;
  std::string uri;
  std::string url;                 // without a path: that of a Tally is added
  std::vector<std::string> hosts;  // empty: the URL's
  bool private_addresses = false;
  // Files with the Authorization values of its requests and of ours; copied into the folder.
  std::filesystem::path expects;      // empty: known by its certificate
  std::filesystem::path sends;        // empty: none is sent
  std::filesystem::path tls_anchors;  // of its server; empty: those of the system
};
int add_peer(const Console& console, const PeerOptions& options);

struct TokenOptions {
  std::filesystem::path folder;
  std::string name;
  std::string role;
};
int add_token(const Console& console, const TokenOptions& options);

}  // namespace tally::cli
