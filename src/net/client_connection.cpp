#include "client_connection.hpp"

#include <cerrno>
#include <chrono>
#include <cstring>

#include <boost/asio/connect.hpp>
#include <boost/asio/ip/tcp.hpp>
#include <boost/asio/this_coro.hpp>

#include <netinet/in.h>
#include <netinet/tcp.h>
#include <openssl/ssl.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

namespace tally::net {

namespace asio = boost::asio;

namespace {

constexpr std::size_t header_bytes = 16 << 10;
constexpr std::size_t buffer_bytes = 32 << 10;
// Alerts received are errors from here on (SSL_AD_REASON_OFFSET); those about certificates:
constexpr int alerts = SSL_AD_REASON_OFFSET;

bool is_about_our_certificate(int reason) {
  switch (reason - alerts) {
    case SSL_AD_BAD_CERTIFICATE:
    case SSL_AD_UNSUPPORTED_CERTIFICATE:
    case SSL_AD_CERTIFICATE_REVOKED:
    case SSL_AD_CERTIFICATE_EXPIRED:
    case SSL_AD_CERTIFICATE_UNKNOWN:
    case SSL_AD_UNKNOWN_CA:
    case SSL_AD_ACCESS_DENIED:
    case SSL_AD_CERTIFICATE_REQUIRED:
      return true;
    default:
      return false;
  }
}

struct Attempt {
  explicit Attempt(const asio::any_io_executor& executor) : socket(executor), resolver(executor) {}
  asio::ip::tcp::socket socket;
  asio::ip::tcp::resolver resolver;
  bool timed_out = false;
};

using Endpoints = std::vector<asio::ip::tcp::endpoint>;

awaitable<Endpoints> look_up(std::shared_ptr<Attempt> attempt, const Destination& to) {
  Endpoints endpoints;
  boost::system::error_code no_address;
  const auto literal = asio::ip::make_address(to.host, no_address);
  if (!to.resolve && no_address) {
    const auto [not_found, found] =
        co_await attempt->resolver.async_resolve(to.host, to.port, no_throw);
    if (!not_found) endpoints.assign(found.begin(), found.end());
    co_return endpoints;
  }
  const auto port = static_cast<asio::ip::port_type>(std::stoul(to.port));  // as parse_url checked
  if (!no_address) {
    endpoints.emplace_back(literal, port);
    co_return endpoints;
  }
  for (const auto& text : to.resolve(to.host)) {
    boost::system::error_code bad;
    const auto address = asio::ip::make_address(text, bad);
    if (!bad) endpoints.emplace_back(address, port);
  }
  co_return endpoints;
}

Error unavailable(std::string code, std::map<std::string, std::string> params = {}) {
  return Error{ErrorKind::unavailable, {std::move(code), std::move(params)}, {}};
}

}  // namespace

ClientConnection::ClientConnection(
    const asio::any_io_executor& executor, int descriptor, Times times
)
    : times_(times), stream_(std::make_shared<Stream>(executor, descriptor)), timer_(executor) {}

ClientConnection::~ClientConnection() {
  if (open_) open_->erase(this);
}

void ClientConnection::list_in(std::shared_ptr<Open> open) {
  open_ = std::move(open);
  open_->insert(this);
}

void ClientConnection::recheck(std::uint64_t generation, Instant now) {
  if (needs_verification(verifier_, generation, now) && !verify_again(verifier_)) stream_->cut();
}

awaitable<Result<std::unique_ptr<ClientConnection>>> ClientConnection::connect(
    asio::any_io_executor executor, Destination to, Times times
) {
  const auto attempt = std::make_shared<Attempt>(executor);
  asio::steady_timer timer(executor);
  timer.expires_after(std::chrono::nanoseconds(times.connect));
  timer.async_wait([weak = std::weak_ptr(attempt)](const boost::system::error_code& error) {
    const auto still = weak.lock();
    if (error || !still) return;
    boost::system::error_code ignored;
    still->timed_out = true;
    still->resolver.cancel();
    still->socket.close(ignored);
  });
  const auto failed = [&attempt, &to] {
    if (attempt->timed_out) return tl::unexpected(unavailable("net.peer-timeout"));
    return tl::unexpected(unavailable("net.peer-unreachable", {{"host", to.host + ":" + to.port}}));
  };
  auto looking_up = look_up(attempt, to);
  const auto endpoints = co_await std::move(looking_up);
  if (endpoints.empty()) co_return failed();
  // Those that were judged are those that are connected to: nobody asks the name server again.
  for (const auto& endpoint : endpoints) {
    if (!to.allowed) break;
    const auto judged = to.allowed->check(to.host, endpoint.address());
    if (!judged) co_return tl::unexpected(judged.error());
  }
  const auto [not_connected, endpoint] =
      co_await asio::async_connect(attempt->socket, endpoints, no_throw);
  if (not_connected || !attempt->socket.is_open()) co_return failed();
  boost::system::error_code ignored;
  attempt->socket.set_option(asio::ip::tcp::no_delay(true), ignored);
  attempt->socket.native_non_blocking(true, ignored);
  const int descriptor = attempt->socket.release(ignored);
  co_return std::unique_ptr<ClientConnection>(new ClientConnection(executor, descriptor, times));
}

Result<std::unique_ptr<ClientConnection>> ClientConnection::connect_unix(
    const asio::any_io_executor& executor, const std::string& path, Times times
) {
  sockaddr_un address{};
  address.sun_family = AF_UNIX;
  if (path.size() >= sizeof address.sun_path) {
    return fail(ErrorKind::invalid, {"net.bad-address", {{"address", path}}});
  }
  std::memcpy(address.sun_path, path.c_str(), path.size() + 1);
  const int descriptor = ::socket(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
  if (descriptor < 0 ||
      ::connect(descriptor, reinterpret_cast<const sockaddr*>(&address), sizeof address) != 0) {
    if (descriptor >= 0) ::close(descriptor);
    return fail(ErrorKind::unavailable, {"net.peer-unreachable", {{"host", path}}});
  }
  return std::unique_ptr<ClientConnection>(new ClientConnection(executor, descriptor, times));
}

void ClientConnection::arm(Nanos span) {
  auto end = std::chrono::steady_clock::now() + std::chrono::nanoseconds(span);
  if (whole_deadline_ && *whole_deadline_ < end) end = *whole_deadline_;
  timer_.expires_at(end);
  const std::weak_ptr<Stream> weak = stream_;
  timer_.async_wait([weak, timed_out = timed_out_](const boost::system::error_code& error) {
    const auto stream = weak.lock();
    if (error || !stream) return;
    *timed_out = true;
    stream->cut();
  });
}

void ClientConnection::disarm() {
  timer_.cancel();
}

Error ClientConnection::broken() const {
  if (*timed_out_) return unavailable("net.peer-timeout");
  if (is_about_our_certificate(stream_->tls_reason())) {
    return unavailable("net.peer-refused-us", {{"reason", stream_->tls_reason_text()}});
  }
  return unavailable("net.peer-cut");
}

tl::unexpected<Error> ClientConnection::refused(const std::string& host, Message why) const {
  why.params["reason"] = std::move(why.code);
  why.params["host"] = host;
  why.params["peer"] = verifier_.expected ? to_string(*verifier_.expected) : "-";
  return fail(ErrorKind::forbidden, {"net.peer-certificate-refused", std::move(why.params)});
}

awaitable<Result<void>> ClientConnection::start_tls(
    TlsContext context, std::string host, bool by_verifier
) {
  stream_->start_tls(context, false, by_verifier ? &verifier_ : nullptr, host);
  arm(times_.connect);
  const Io done = co_await stream_->handshake();
  disarm();
  if (done == Io::done) {
    // OpenSSL has asked the verifier, or nothing was proved.
    if (!by_verifier || verifier_.identity) co_return Result<void>{};
    stream_->cut();
    co_return refused(host, {"identity.no-certificate", {{"issuer", "-"}, {"anchors", "-"}}});
  }
  if (verifier_.refusal) {
    const Error& refusal = *verifier_.refusal;
    if (refusal.message.code == "net.peer-other-identity") co_return tl::unexpected(refusal);
    co_return refused(host, refusal.message);
  }
  if (*timed_out_ || is_about_our_certificate(stream_->tls_reason())) {
    co_return tl::unexpected(broken());
  }
  co_return fail(
      ErrorKind::unavailable, {"net.peer-tls-failed", {{"reason", stream_->tls_reason_text()}}}
  );
}

awaitable<Result<void>> ClientConnection::exchange(
    const HttpRequest& request, const std::string& target, const std::string& authority
) {
  auto head = request_head(request, target, authority);
  if (!head) co_return fail(ErrorKind::invalid, {"net.bad-request-header", {}});
  anything_came_ = false;
  whole_ = false;
  parser_ = std::make_unique<ResponseParser>(header_bytes, request.method == "HEAD");
  if (buffer_.empty()) buffer_.resize(buffer_bytes);

  head->append(request.body);
  arm(times_.write);
  bool sent = stream_->put(*head);
  if (sent) sent = co_await stream_->flush();
  disarm();
  wipe(*head);
  // A server that refuses may have answered and closed before it had read everything.
  if (!sent && *timed_out_) co_return tl::unexpected(broken());

  arm(times_.answer);
  for (;;) {
    std::size_t filled = 0;
    std::size_t consumed = 0;
    const std::span<const std::uint8_t> unread(buffer_.data() + begin_, end_ - begin_);
    const ParseState parsed =
        unread.empty() ? ParseState::need_more : parser_->feed(unread, consumed, {}, filled);
    begin_ += consumed;
    if (begin_ == end_) begin_ = end_ = 0;
    const bool headed = parsed == ParseState::header_done || parsed == ParseState::complete;
    if (headed && parser_->status() / 100 == 1) {
      parser_ = std::make_unique<ResponseParser>(
          header_bytes, request.method == "HEAD"
      );  // "100 Continue" and the like
      continue;
    }
    if (headed) {
      whole_ = parsed == ParseState::complete;
      disarm();
      co_return Result<void>{};
    }
    if (parsed == ParseState::failed || (end_ == buffer_.size() && begin_ == 0)) {
      disarm();
      stream_->cut();
      co_return tl::unexpected(unavailable("net.peer-answer-malformed"));
    }
    std::size_t received = 0;
    const auto room = room_to_read();
    const Io read = co_await stream_->read_some(room, received);
    if (read != Io::done) {
      disarm();
      co_return tl::unexpected(broken());
    }
    anything_came_ = true;
    end_ += received;
  }
}

std::span<std::uint8_t> ClientConnection::room_to_read() {
  if (end_ == buffer_.size()) {
    std::memmove(buffer_.data(), buffer_.data() + begin_, end_ - begin_);
    end_ -= begin_;
    begin_ = 0;
  }
  return std::span(buffer_).subspan(end_);
}

awaitable<Result<std::size_t>> ClientConnection::read_body(std::span<std::uint8_t> out) {
  whole_ = whole_ || parser_->is_done();
  if (out.empty() || whole_) co_return std::size_t{0};
  for (;;) {
    std::size_t filled = 0;
    std::size_t consumed = 0;
    const std::span<const std::uint8_t> unread(buffer_.data() + begin_, end_ - begin_);
    ParseState parsed = ParseState::need_more;
    if (!unread.empty()) parsed = parser_->feed(unread, consumed, out, filled);
    begin_ += consumed;
    if (begin_ == end_) begin_ = end_ = 0;
    whole_ = parsed == ParseState::complete;
    if (filled > 0 || whole_) co_return filled;
    if (parsed == ParseState::failed || end_ - begin_ == buffer_.size()) {
      stream_->cut();
      co_return tl::unexpected(unavailable("net.peer-answer-malformed"));
    }
    std::size_t received = 0;
    const auto room = room_to_read();
    Io read = stream_->try_read(room, received);
    if (read == Io::again) {
      arm(times_.read);
      read = co_await stream_->read_some(room, received);
      disarm();
    }
    if (read == Io::closed && parser_->end()) {
      whole_ = true;
      co_return std::size_t{0};
    }
    if (read != Io::done) co_return tl::unexpected(broken());
    end_ += received;
  }
}

awaitable<Result<std::string>> ClientConnection::read_whole_body(std::size_t most) {
  std::string body;
  if (length().value_or(0) > most) {
    stream_->cut();
    co_return tl::unexpected(unavailable("net.peer-answer-too-large"));
  }
  // As a whole, too: an answer that trickles would otherwise be waited for piece by piece.
  whole_deadline_ = std::chrono::steady_clock::now() + std::chrono::nanoseconds(times_.answer);
  std::vector<std::uint8_t> piece(16 << 10);
  for (;;) {
    auto reading = read_body(piece);
    const Result<std::size_t> size = co_await std::move(reading);
    if (!size) co_return tl::unexpected(size.error());
    if (*size == 0) break;
    if (body.size() + *size > most) {
      stream_->cut();
      co_return tl::unexpected(unavailable("net.peer-answer-too-large"));
    }
    body.append(reinterpret_cast<const char*>(piece.data()), *size);
  }
  whole_deadline_.reset();
  co_return body;
}

bool ClientConnection::reusable() {
  if (!whole_ || begin_ != end_ || !parser_ || !parser_->can_be_kept() || stream_->is_cut()) {
    return false;
  }
  // An idle connection on which something has come has ended, or is out of step.
  std::uint8_t byte = 0;
  std::size_t size = 0;
  return stream_->try_read({&byte, 1}, size) == Io::again;
}

}  // namespace tally::net
