// What the source files of Server share: its connections, and the shards that they live on.
#pragma once

#include <atomic>
#include <chrono>
#include <cstdint>
#include <functional>
#include <list>
#include <map>
#include <memory>
#include <mutex>
#include <string>
#include <vector>

#include <boost/asio/cancellation_signal.hpp>
#include <boost/asio/posix/stream_descriptor.hpp>
#include <boost/asio/steady_timer.hpp>

#include "tally/net/server.hpp"

#include "http_parser.hpp"
#include "listen_socket.hpp"
#include "stream.hpp"

namespace tally::net {

namespace asio = boost::asio;
using SteadyTime = std::chrono::steady_clock::time_point;

inline SteadyTime in(Nanos span) {
  return std::chrono::steady_clock::now() + std::chrono::nanoseconds(span);
}

enum class Phase {
  handshake,
  idle,    // between requests
  header,  // from its first byte on
  body,
  handling,  // in the handler, or in the reader of the body of its answer
  writing,
  lingering,
};

struct Connection {
  Connection(const asio::any_io_executor& executor, Accepted accepted)
      : stream(executor, accepted.descriptor), address(std::move(accepted.address)) {
    caller.source = std::move(accepted.source);
  }

  ~Connection() { wipe(pending); }
  Connection(const Connection&) = delete;
  Connection& operator=(const Connection&) = delete;

  Stream stream;
  ChainVerifier verifier;
  identity::Caller caller;
  std::string address;
  std::string pending;  // received, not parsed yet
  Phase phase = Phase::handshake;
  SteadyTime deadline;
  SteadyTime idle_since;  // in that phase
  bool timed_out = false;
  bool crowded_out = false;
  bool refused = false;             // cut since its certificate no longer stands
  std::function<bool()> may_go_on;  // of the body that is being sent; null: it may
  PartyId admitted;                 // counted in per_peer; empty: not
  asio::cancellation_signal cancel;
  std::list<Connection*>::iterator handshaking;
};

struct Shard;

struct ServerState : std::enable_shared_from_this<ServerState> {
  ServerState(
      ListenerConfig listener,
      const Limits& bounds,
      identity::TrustSource& source,
      Clock& wall_clock,
      Handler answer,
      RefusalSink& sink,
      Notices& log
  )
      : config(std::move(listener)),
        limits(bounds),
        trust(source),
        clock(wall_clock),
        handler(std::move(answer)),
        refusals(sink),
        notices(log) {}

  awaitable<void> accept_connections();
  void deal(Accepted accepted);
  bool admit_peer(const PartyId& party);
  void release_peer(const PartyId& party);
  TlsContext tls_context() {
    const std::lock_guard lock(mutex);
    return tls;
  }

  ListenerConfig config;  // its key goes once it is loaded
  const Limits limits;
  identity::TrustSource& trust;
  Clock& clock;
  const Handler handler;
  RefusalSink& refusals;
  Notices& notices;

  std::vector<std::unique_ptr<Shard>> shards;
  int listening = -1;
  std::unique_ptr<asio::posix::stream_descriptor> acceptor;  // on the first shard
  std::size_t next_shard = 0;

  std::atomic<bool> stopping{false};
  std::atomic<std::size_t> connections{0};
  std::atomic<std::size_t> in_flight{0};

  std::mutex mutex;
  TlsContext tls;
  std::map<PartyId, std::size_t> per_peer;
};

// The connections of one context; everything in it runs on that context's thread.
struct Shard {
  static constexpr std::size_t scratch_bytes = 16 << 10;

  Shard(asio::io_context& on, ServerState& owner)
      : context(on), state(owner), scratch(scratch_bytes) {}

  void adopt(Accepted accepted);
  void leave(const std::shared_ptr<Connection>& connection);

  // One connection, from its handshake to its end (server_session.cpp).
  awaitable<void> session(std::shared_ptr<Connection> connection);
  awaitable<bool> handshake(Connection& c);
  void refuse_handshake(Connection& c);
  awaitable<void> serve(Connection& c);
  enum class Got { request, nothing, bad };
  awaitable<Got> read_request(Connection& c, RequestParser& parser);
  ParseState feed(Connection& c, RequestParser& parser, std::size_t received);
  awaitable<HttpResponse> handle(Connection& c, HttpRequest request);
  // False: the connection cannot go on.
  awaitable<bool> answer(Connection& c, HttpResponse response, bool head_request, bool close);
  awaitable<bool> stream_body(Connection& c, HttpResponse& response, std::string head);
  awaitable<bool> write(Connection& c, std::string_view bytes);
  awaitable<void> linger(Connection& c);

  // Deadlines, revocation, the end (server_deadlines.cpp).
  awaitable<void> sweep();
  void expire(Connection& c);
  void recheck(Instant now);
  void cut(Connection& c);
  void begin_drain();
  void cut_all();
  void start_sweeping();
  void abandon();

  asio::io_context& context;
  ServerState& state;
  std::vector<std::uint8_t> scratch;  // never in use across an await
  std::list<std::shared_ptr<Connection>> connections;
  std::list<Connection*> handshaking;
  std::unique_ptr<asio::steady_timer> sweeper;
  bool sweeping = false;
  std::string date;
};

}  // namespace tally::net
