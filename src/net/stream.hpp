// A connected socket, in the clear or under TLS, that never blocks: OpenSSL works on it directly
// and Asio says when it is ready. Encrypted records are gathered and leave in one send.
//
// No timeouts here: the owner cuts the stream, which wakes whoever waits. One executor, one reader
// and one writer at a time.
#pragma once

#include <cstdint>
#include <span>
#include <string>
#include <string_view>

#include <boost/asio/as_tuple.hpp>
#include <boost/asio/posix/stream_descriptor.hpp>
#include <boost/asio/use_awaitable.hpp>

#include <openssl/ssl.h>

#include "tls_context.hpp"

namespace tally::net {

// The token of every network operation: a closed connection is daily life, not an exception.
constexpr auto no_throw = boost::asio::as_tuple(boost::asio::use_awaitable);

enum class Io {
  done,
  again,   // wait for readability
  closed,  // the other side has ended the stream, properly
  failed,  // reset, cut, or a TLS error: see tls_reason
};

class Stream {
 public:
  // Takes the descriptor over; it must be non-blocking.
  Stream(const boost::asio::any_io_executor& executor, int descriptor);
  ~Stream();
  Stream(const Stream&) = delete;
  Stream& operator=(const Stream&) = delete;

  // Before the first byte. `verifier` may be null and must outlive the stream. `host` is checked
  // and named to the server if the context judges by host names (make_client_context with CAs).
  void start_tls(
      const TlsContext& context, bool server, ChainVerifier* verifier, const std::string& host = {}
  );
  // done or failed.
  awaitable<Io> handshake();

  // At most `out`; `size` is 0 unless done.
  Io try_read(std::span<std::uint8_t> out, std::size_t& size);
  // Whether bytes have been received that try_read would give without looking at the socket.
  [[nodiscard]] bool has_pending() const;
  awaitable<bool> wait_readable();
  // Waits until there is something: done, closed or failed.
  awaitable<Io> read_some(std::span<std::uint8_t> out, std::size_t& size);

  // Encrypts and keeps; leaves with the next flush. False: failed.
  bool put(std::string_view bytes);
  // Sends what was put. False: the connection is gone.
  awaitable<bool> flush();
  // As far as it goes without waiting; true if nothing is left.
  bool try_flush();

  // Gives back what an idle stream has no use for.
  void trim();
  // Gives back what a stream that has been idle for a while can make again: TLS's own buffers.
  void rest();
  // Reads past TLS and drops: until the other side has closed, a reset would take our last words.
  Io discard(std::span<std::uint8_t> scratch);
  // Makes wait_readable return false, now and until resume_reading. For who waits idly.
  void end_reading();
  void resume_reading() { reading_ended_ = false; }
  // Wakes everyone with failure and tells the other side nothing.
  void cut();
  [[nodiscard]] bool is_cut() const { return cut_; }
  // TLS close_notify and FIN, as far as they go without waiting.
  void say_goodbye();

  // After a failure: OpenSSL's reason code, 0 if there was none, and its text.
  [[nodiscard]] int tls_reason() const { return tls_reason_; }
  [[nodiscard]] const std::string& tls_reason_text() const { return tls_reason_text_; }

 private:
  friend struct SocketBio;

  Io outcome(int result);
  bool send_some(bool& would_wait);

  boost::asio::posix::stream_descriptor descriptor_;
  int fd_;
  SSL* ssl_ = nullptr;
  std::string out_;
  std::size_t sent_ = 0;  // of out_
  bool cut_ = false;
  bool reading_ended_ = false;
  int tls_reason_ = 0;
  std::string tls_reason_text_;
};

}  // namespace tally::net
