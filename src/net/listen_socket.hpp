// Opens listening sockets and names who connected to them: the only code that knows addresses.
#pragma once

#include <string>

#include "tally/core/result.hpp"
#include "tally/net/server.hpp"

namespace tally::net {

struct ListenSocket {
  int descriptor = -1;  // non-blocking; the caller closes it
  std::uint16_t port = 0;
};
Result<ListenSocket> open_listen_socket(const ListenerConfig& config);

struct Accepted {
  int descriptor = -1;  // non-blocking; -1: see error
  int error = 0;        // errno
  std::string address;  // "192.0.2.1" or "unix"
  std::string source;   // with the port
};
Accepted accept_one(int listening);

}  // namespace tally::net
