// How the command line and tests reach our own listeners.
#pragma once

#include <memory>
#include <string>

#include "tally/core/peer.hpp"
#include "tally/core/secret.hpp"
#include "tally/net/url.hpp"

namespace tally::net {

struct LocalClientConfig {
  std::string unix_socket;      // connect there; the URL's host is then only a name
  std::string bearer_token;     // Authorization: Bearer …, when not empty
  std::string ca_pem;           // what https:// servers are verified against, with their host name
  std::string certificate_pem;  // a client certificate, when not empty
  Secret key_pem;
  Nanos timeout = seconds(60);  // of each connect, read and write
  std::size_t answer_bytes = 64 << 20;
};

// Blocking, one connection that is kept between calls. One thread. No redirects, no proxies.
class LocalClient {
 public:
  explicit LocalClient(LocalClientConfig config);
  ~LocalClient();
  LocalClient(LocalClient&&) noexcept;
  LocalClient& operator=(LocalClient&&) noexcept;

  // `request.target` is ignored: it comes from `url`. Errors as HttpsPeer, with net.peer-refused-us
  // (unavailable) where a server's TLS alert says that it did not accept our certificate.
  Result<PeerAnswer> call(const std::string& url, HttpRequest request);

 private:
  struct State;
  std::unique_ptr<State> state_;
};

}  // namespace tally::net
