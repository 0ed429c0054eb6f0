#include "stream.hpp"

#include <cerrno>

#include <arpa/inet.h>
#include <openssl/bio.h>
#include <openssl/err.h>
#include <openssl/x509v3.h>
#include <sys/socket.h>

namespace tally::net {

namespace asio = boost::asio;

// What OpenSSL reads from and writes to: the socket on the way in, the stream's buffer on the way
// out. (Its own socket BIO would send each record by itself, and raise SIGPIPE.)
struct SocketBio {
  static Stream& stream(BIO* bio) { return *static_cast<Stream*>(BIO_get_data(bio)); }

  static int read(BIO* bio, char* out, int size) {
    BIO_clear_retry_flags(bio);
    for (;;) {
      const ssize_t got = ::recv(stream(bio).fd_, out, static_cast<std::size_t>(size), 0);
      if (got >= 0) return static_cast<int>(got);
      if (errno == EINTR) continue;
      if (errno == EAGAIN || errno == EWOULDBLOCK) BIO_set_retry_read(bio);
      return -1;
    }
  }
  static int write(BIO* bio, const char* bytes, int size) {
    stream(bio).out_.append(bytes, static_cast<std::size_t>(size));
    return size;
  }
  static long control(BIO*, int command, long, void*) { return command == BIO_CTRL_FLUSH ? 1 : 0; }

  static BIO_METHOD* method() {
    static BIO_METHOD* const made = [] {
      BIO_METHOD* method = BIO_meth_new(BIO_get_new_index() | BIO_TYPE_SOURCE_SINK, "tally");
      BIO_meth_set_read(method, read);
      BIO_meth_set_write(method, write);
      BIO_meth_set_ctrl(method, control);
      return method;
    }();
    return made;
  }
};

namespace {

// An idle stream keeps no buffer larger than this.
constexpr std::size_t kept_bytes = 4096;

bool is_address(const std::string& host) {
  in6_addr address{};
  return ::inet_pton(AF_INET, host.c_str(), &address) == 1 ||
         ::inet_pton(AF_INET6, host.c_str(), &address) == 1;
}

}  // namespace

Stream::Stream(const asio::any_io_executor& executor, int descriptor)
    : descriptor_(executor, descriptor), fd_(descriptor) {}

Stream::~Stream() {
  SSL_free(ssl_);
}

void Stream::start_tls(
    const TlsContext& context, bool server, ChainVerifier* verifier, const std::string& host
) {
  ssl_ = SSL_new(context.get());
  BIO* bio = BIO_new(SocketBio::method());
  BIO_set_data(bio, this);
  BIO_set_init(bio, 1);
  SSL_set_bio(ssl_, bio, bio);
  tie_verifier(ssl_, verifier);
  if (server) {
    SSL_set_accept_state(ssl_);
    return;
  }
  SSL_set_connect_state(ssl_);
  if (host.empty()) return;
  X509_VERIFY_PARAM* param = SSL_get0_param(ssl_);
  if (is_address(host)) {
    if (verifier == nullptr) X509_VERIFY_PARAM_set1_ip_asc(param, host.c_str());
  } else {
    SSL_set_tlsext_host_name(ssl_, host.c_str());
    if (verifier == nullptr) X509_VERIFY_PARAM_set1_host(param, host.data(), host.size());
  }
}

Io Stream::outcome(int result) {
  switch (SSL_get_error(ssl_, result)) {
    case SSL_ERROR_NONE:
      return Io::done;
    case SSL_ERROR_WANT_READ:
      return Io::again;
    case SSL_ERROR_ZERO_RETURN:
      return Io::closed;
    default:
      tls_reason_ = peek_tls_reason();
      tls_reason_text_ = take_tls_reason();
      return Io::failed;
  }
}

awaitable<Io> Stream::handshake() {
  for (;;) {
    ERR_clear_error();
    const Io state = cut_ ? Io::failed : outcome(SSL_do_handshake(ssl_));
    // Also on failure: the alert says why.
    if (state == Io::failed) {
      try_flush();
      co_return Io::failed;
    }
    const bool sent = co_await flush();
    if (!sent) co_return Io::failed;
    if (state == Io::done) co_return Io::done;
    const bool ready = co_await wait_readable();
    if (!ready) co_return Io::failed;
  }
}

Io Stream::try_read(std::span<std::uint8_t> out, std::size_t& size) {
  size = 0;
  if (cut_) return Io::failed;
  if (ssl_ != nullptr) {
    ERR_clear_error();
    const Io state = outcome(SSL_read_ex(ssl_, out.data(), out.size(), &size));
    if (!out_.empty()) try_flush();  // an answer to a key update
    return state;
  }
  for (;;) {
    const ssize_t got = ::recv(fd_, out.data(), out.size(), 0);
    if (got > 0) {
      size = static_cast<std::size_t>(got);
      return Io::done;
    }
    if (got == 0) return Io::closed;
    if (errno == EINTR) continue;
    return errno == EAGAIN || errno == EWOULDBLOCK ? Io::again : Io::failed;
  }
}

bool Stream::has_pending() const {
  return ssl_ != nullptr && SSL_has_pending(ssl_) == 1;
}

awaitable<bool> Stream::wait_readable() {
  if (cut_ || reading_ended_) co_return false;
  const auto [error] =
      co_await descriptor_.async_wait(asio::posix::descriptor_base::wait_read, no_throw);
  co_return !error && !cut_ && !reading_ended_;
}

awaitable<Io> Stream::read_some(std::span<std::uint8_t> out, std::size_t& size) {
  for (;;) {
    const Io state = try_read(out, size);
    if (state != Io::again) co_return state;
    const bool ready = co_await wait_readable();
    if (!ready) co_return Io::failed;
  }
}

bool Stream::put(std::string_view bytes) {
  if (cut_) return false;
  if (bytes.empty()) return true;
  if (ssl_ == nullptr) {
    out_.append(bytes);
    return true;
  }
  ERR_clear_error();
  std::size_t written = 0;
  return outcome(SSL_write_ex(ssl_, bytes.data(), bytes.size(), &written)) == Io::done &&
         written == bytes.size();
}

bool Stream::send_some(bool& would_wait) {
  would_wait = false;
  while (sent_ < out_.size()) {
    const ssize_t sent = ::send(fd_, out_.data() + sent_, out_.size() - sent_, MSG_NOSIGNAL);
    if (sent < 0) {
      if (errno == EINTR) continue;
      if (errno != EAGAIN && errno != EWOULDBLOCK) return false;
      would_wait = true;
      return true;
    }
    sent_ += static_cast<std::size_t>(sent);
  }
  sent_ = 0;
  out_.clear();
  return true;
}

bool Stream::try_flush() {
  bool would_wait = false;
  return send_some(would_wait) && !would_wait;
}

awaitable<bool> Stream::flush() {
  for (;;) {
    bool would_wait = false;
    if (cut_ || !send_some(would_wait)) co_return false;
    if (!would_wait) co_return true;
    const auto [error] =
        co_await descriptor_.async_wait(asio::posix::descriptor_base::wait_write, no_throw);
    if (error) co_return false;
  }
}

void Stream::trim() {
  if (out_.empty() && out_.capacity() > kept_bytes) out_.shrink_to_fit();
}

void Stream::rest() {
  // Does nothing while they hold something.
  if (ssl_ != nullptr) SSL_free_buffers(ssl_);
}

Io Stream::discard(std::span<std::uint8_t> scratch) {
  if (cut_) return Io::failed;
  for (;;) {
    const ssize_t got = ::recv(fd_, scratch.data(), scratch.size(), 0);
    if (got > 0) return Io::done;
    if (got == 0) return Io::closed;
    if (errno == EINTR) continue;
    return errno == EAGAIN || errno == EWOULDBLOCK ? Io::again : Io::failed;
  }
}

void Stream::end_reading() {
  reading_ended_ = true;
  descriptor_.cancel();
}

void Stream::cut() {
  if (cut_) return;
  cut_ = true;
  ::shutdown(fd_, SHUT_RDWR);
}

void Stream::say_goodbye() {
  if (cut_) return;
  if (ssl_ != nullptr && SSL_is_init_finished(ssl_) == 1) {
    ERR_clear_error();
    SSL_shutdown(ssl_);
    ERR_clear_error();
  }
  try_flush();
  ::shutdown(fd_, SHUT_WR);
}

}  // namespace tally::net
