// One outgoing connection: connect, handshake, one exchange after the other. Both clients are made
// of it. Each wait is bounded by a deadline that cuts the stream.
#pragma once

#include <chrono>
#include <memory>
#include <optional>
#include <set>
#include <string>
#include <vector>

#include <boost/asio/ip/address.hpp>
#include <boost/asio/steady_timer.hpp>

#include "tally/core/limits.hpp"
#include "tally/net/client.hpp"

#include "addresses.hpp"
#include "http_parser.hpp"
#include "stream.hpp"

namespace tally::net {

// Where a connection goes to.
struct Destination {
  std::string host;
  std::string port;
  const AllowedAddresses* allowed = nullptr;  // null: any address
  ResolveName resolve{};                      // null: the system's
};

class ClientConnection {
 public:
  // Those that are open, as their owner lists them. One executor, like the connections.
  using Open = std::set<ClientConnection*>;

  ~ClientConnection();
  ClientConnection(const ClientConnection&) = delete;
  ClientConnection& operator=(const ClientConnection&) = delete;
  struct Times {
    Nanos connect, write, answer, read;
  };

  // Connects to one of the addresses that were allowed, all of which have to be. Errors:
  // unavailable (net.peer-unreachable, net.peer-timeout), forbidden (net.address-*).
  static awaitable<Result<std::unique_ptr<ClientConnection>>> connect(
      boost::asio::any_io_executor executor, Destination to, Times times
  );
  static Result<std::unique_ptr<ClientConnection>> connect_unix(
      const boost::asio::any_io_executor& executor, const std::string& path, Times times
  );

  // Errors: what the verifier refused (net.peer-other-identity, or net.peer-certificate-refused
  // with the reason's code); net.peer-tls-failed, net.peer-timeout.
  awaitable<Result<void>> start_tls(TlsContext context, std::string host, bool by_verifier);
  ChainVerifier& verifier() { return verifier_; }
  // In `open` from now on for as long as it lives.
  void list_in(std::shared_ptr<Open> open);
  // Cut, what is being read included, when the server's certificate does not stand any more.
  void recheck(std::uint64_t generation, Instant now);
  // From the next exchange on.
  void expect_answer_within(Nanos span) { times_.answer = span; }

  // Sends the request and reads up to the end of the answer's header. Errors: invalid
  // (net.bad-request-header), unavailable (net.peer-cut, net.peer-timeout, net.peer-refused-us,
  // net.peer-answer-malformed).
  awaitable<Result<void>> exchange(
      const HttpRequest& request, const std::string& target, const std::string& authority
  );
  [[nodiscard]] int status() const { return parser_->status(); }
  [[nodiscard]] Headers& headers() { return parser_->headers(); }
  [[nodiscard]] std::optional<std::uint64_t> length() const { return parser_->length(); }
  // 0: the body has ended as it should.
  awaitable<Result<std::size_t>> read_body(std::span<std::uint8_t> out);
  awaitable<Result<std::string>> read_whole_body(std::size_t most);

  // Whether no byte of an answer came: then the connection was a stale one from the pool.
  [[nodiscard]] bool nothing_came() const { return !anything_came_; }
  // The exchange is over and the connection may carry another; looks at the socket.
  bool reusable();
  void close() { stream_->say_goodbye(); }

 private:
  ClientConnection(const boost::asio::any_io_executor& executor, int descriptor, Times times);

  void arm(Nanos span);
  void disarm();
  // Where in the buffer the next bytes go, behind those that are not read yet.
  std::span<std::uint8_t> room_to_read();
  Error broken() const;
  // Why the certificate of whoever answered there will not do, for our own operator.
  tl::unexpected<Error> refused(const std::string& host, Message why) const;

  Times times_;
  std::shared_ptr<Open> open_;
  ChainVerifier verifier_;
  std::shared_ptr<Stream> stream_;  // shared with the deadline's handler
  std::shared_ptr<bool> timed_out_ = std::make_shared<bool>(false);
  boost::asio::steady_timer timer_;
  std::optional<std::chrono::steady_clock::time_point> whole_deadline_;
  std::unique_ptr<ResponseParser> parser_;
  std::vector<std::uint8_t> buffer_;
  std::size_t begin_ = 0;  // of what is unread in buffer_
  std::size_t end_ = 0;
  bool anything_came_ = false;
  bool whole_ = false;  // the answer has been read to its end
};

}  // namespace tally::net
