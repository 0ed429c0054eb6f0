#include "listen_socket.hpp"

#include <array>
#include <cerrno>
#include <cstring>

#include <boost/asio/ip/address.hpp>

#include <arpa/inet.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <unistd.h>

namespace tally::net {

namespace {

constexpr int backlog = 1024;

tl::unexpected<Error> cannot_listen(const std::string& where) {
  const std::string reason = std::generic_category().message(errno);
  return fail(
      ErrorKind::unavailable, {"net.cannot-listen", {{"where", where}, {"reason", reason}}}
  );
}

tl::unexpected<Error> give_up(int descriptor, const std::string& where) {
  auto error = cannot_listen(where);
  ::close(descriptor);
  return error;
}

// A socket file that nobody listens on is left over from a crash; one that answers is in use, and
// anything that is no socket is not ours to remove.
void remove_left_over(const sockaddr_un& address) {
  struct stat status {};
  if (::lstat(address.sun_path, &status) != 0 || !S_ISSOCK(status.st_mode)) return;
  const int probe = ::socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
  const auto* raw = reinterpret_cast<const sockaddr*>(&address);
  if (::connect(probe, raw, sizeof address) != 0 && errno == ECONNREFUSED) {
    ::unlink(address.sun_path);
  }
  ::close(probe);
}

Result<ListenSocket> open_unix_socket(const std::string& path) {
  sockaddr_un address{};
  address.sun_family = AF_UNIX;
  if (path.size() >= sizeof address.sun_path) {
    return fail(ErrorKind::invalid, {"net.bad-address", {{"address", path}}});
  }
  std::memcpy(address.sun_path, path.c_str(), path.size() + 1);
  remove_left_over(address);
  const int descriptor = ::socket(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
  if (descriptor < 0) return cannot_listen(path);
  // Nobody can connect between bind and listen, so the mode is right before the first one does.
  if (::bind(descriptor, reinterpret_cast<const sockaddr*>(&address), sizeof address) != 0 ||
      ::chmod(path.c_str(), 0600) != 0 || ::listen(descriptor, backlog) != 0) {
    return give_up(descriptor, path);
  }
  return ListenSocket{descriptor, 0};
}

}  // namespace

Result<ListenSocket> open_listen_socket(const ListenerConfig& config) {
  if (!config.unix_socket.empty()) {
    if (config.transport != Transport::plain) {
      return fail(ErrorKind::invalid, {"net.bad-address", {{"address", config.unix_socket}}});
    }
    return open_unix_socket(config.unix_socket);
  }

  boost::system::error_code bad;
  const auto address = boost::asio::ip::make_address(config.address, bad);
  if (bad) return fail(ErrorKind::invalid, {"net.bad-address", {{"address", config.address}}});
  if (config.transport == Transport::plain && !address.is_loopback()) {
    return fail(ErrorKind::invalid, {"net.plain-not-loopback", {{"address", config.address}}});
  }

  sockaddr_storage storage{};
  socklen_t size = 0;
  if (address.is_v4()) {
    auto* v4 = reinterpret_cast<sockaddr_in*>(&storage);
    v4->sin_family = AF_INET;
    v4->sin_port = htons(config.port);
    const auto bytes = address.to_v4().to_bytes();
    std::memcpy(&v4->sin_addr, bytes.data(), bytes.size());
    size = sizeof *v4;
  } else {
    auto* v6 = reinterpret_cast<sockaddr_in6*>(&storage);
    v6->sin6_family = AF_INET6;
    v6->sin6_port = htons(config.port);
    const auto bytes = address.to_v6().to_bytes();
    std::memcpy(&v6->sin6_addr, bytes.data(), bytes.size());
    v6->sin6_scope_id = static_cast<std::uint32_t>(address.to_v6().scope_id());
    size = sizeof *v6;
  }

  const std::string where = config.address + ":" + std::to_string(config.port);
  const int descriptor =
      ::socket(storage.ss_family, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, IPPROTO_TCP);
  if (descriptor < 0) return cannot_listen(where);
  const int on = 1;
  ::setsockopt(descriptor, SOL_SOCKET, SO_REUSEADDR, &on, sizeof on);
  if (::bind(descriptor, reinterpret_cast<const sockaddr*>(&storage), size) != 0 ||
      ::listen(descriptor, backlog) != 0 ||
      ::getsockname(descriptor, reinterpret_cast<sockaddr*>(&storage), &size) != 0) {
    return give_up(descriptor, where);
  }
  const std::uint16_t port = storage.ss_family == AF_INET
                                 ? reinterpret_cast<const sockaddr_in*>(&storage)->sin_port
                                 : reinterpret_cast<const sockaddr_in6*>(&storage)->sin6_port;
  return ListenSocket{descriptor, ntohs(port)};
}

Accepted accept_one(int listening) {
  Accepted accepted;
  sockaddr_storage storage{};
  socklen_t size = sizeof storage;
  accepted.descriptor = ::accept4(
      listening, reinterpret_cast<sockaddr*>(&storage), &size, SOCK_NONBLOCK | SOCK_CLOEXEC
  );
  if (accepted.descriptor < 0) {
    accepted.error = errno;
    return accepted;
  }
  std::array<char, INET6_ADDRSTRLEN> text{};
  if (storage.ss_family == AF_INET) {
    const auto* v4 = reinterpret_cast<const sockaddr_in*>(&storage);
    ::inet_ntop(AF_INET, &v4->sin_addr, text.data(), text.size());
    accepted.address = text.data();
    accepted.source = accepted.address + ":" + std::to_string(ntohs(v4->sin_port));
  } else if (storage.ss_family == AF_INET6) {
    const auto* v6 = reinterpret_cast<const sockaddr_in6*>(&storage);
    ::inet_ntop(AF_INET6, &v6->sin6_addr, text.data(), text.size());
    accepted.address = text.data();
    accepted.source = "[" + accepted.address + "]:" + std::to_string(ntohs(v6->sin6_port));
  } else {
    accepted.address = accepted.source = "unix";
    return accepted;
  }
  const int on = 1;
  ::setsockopt(accepted.descriptor, IPPROTO_TCP, TCP_NODELAY, &on, sizeof on);
  return accepted;
}

}  // namespace tally::net
