#include "tally/net/server.hpp"

#include <algorithm>
#include <array>
#include <atomic>
#include <cerrno>
#include <chrono>
#include <cstdio>
#include <list>
#include <map>
#include <mutex>
#include <optional>
#include <set>

#include <boost/asio/bind_cancellation_slot.hpp>
#include <boost/asio/cancellation_signal.hpp>
#include <boost/asio/co_spawn.hpp>
#include <boost/asio/post.hpp>
#include <boost/asio/steady_timer.hpp>
#include <boost/asio/this_coro.hpp>
#include <boost/system/system_error.hpp>

#include <nlohmann/json.hpp>
#include <openssl/sslerr.h>
#include <unistd.h>

#include "tally/core/json.hpp"

#include "http_parser.hpp"
#include "listen_socket.hpp"
#include "stream.hpp"

namespace tally::net {

namespace asio = boost::asio;
using SteadyTime = std::chrono::steady_clock::time_point;

namespace {

// How often deadlines and revocation are looked at: a connection may outlive either by this much.
constexpr std::chrono::milliseconds sweep_interval{200};
// A connection that has been idle for so long is resting: it may go on idling.
constexpr std::chrono::milliseconds rest_after{500};
// After an answer that ends a connection the rest of the request is read and dropped for so long;
// closing at once would reset the connection under the answer.
constexpr std::chrono::milliseconds linger_time{1000};
constexpr int accepts_at_once = 32;
constexpr std::size_t scratch_bytes = 16 << 10;
constexpr std::size_t kept_bytes = 4096;
// Bodies up to this size leave together with their header.
constexpr std::size_t joined_bytes = 64 << 10;

SteadyTime in(Nanos span) {
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

Lang language_of(const Headers& headers) {
  return parse_lang(headers.get("Accept-Language").value_or(""));
}

// An error of the transport itself. Same form as the API's problem details (RFC 9457).
HttpResponse problem(int status, const Message& message, Lang lang = Lang::en) {
  const Json document{
      {"type", "urn:tally:problem:" + message.code},
      {"status", status},
      {"code", message.code},
      {"title", message.code},
      {"detail", render(message, lang)},
      {"params", message.params},
  };
  HttpResponse response;
  response.status = status;
  response.headers.set("Content-Type", "application/problem+json");
  response.headers.set("Content-Language", lang == Lang::zh ? "zh" : "en");
  response.headers.set("Cache-Control", "no-store");
  response.body = document.dump();
  return response;
}

}  // namespace

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
  Shard(asio::io_context& on, ServerState& owner)
      : context(on), state(owner), scratch(scratch_bytes) {}

  void adopt(Accepted accepted);
  void leave(const std::shared_ptr<Connection>& connection);
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

// ---- accepting

awaitable<void> ServerState::accept_connections() {
  co_await asio::this_coro::throw_if_cancelled(false);
  asio::steady_timer pause(shards.front()->context);
  while (!stopping) {
    const auto [error] =
        co_await acceptor->async_wait(asio::posix::descriptor_base::wait_read, no_throw);
    if (error || stopping) break;
    for (int i = 0; i < accepts_at_once; ++i) {
      Accepted accepted = accept_one(listening);
      if (accepted.descriptor >= 0) {
        deal(std::move(accepted));
        continue;
      }
      if (accepted.error == ECONNABORTED || accepted.error == EINTR) continue;
      if (accepted.error != EAGAIN && accepted.error != EWOULDBLOCK) {
        // Out of descriptors or memory: waiting for readability would return at once.
        notices.note(
            Severity::error,
            {"net.accept-failed", {{"reason", std::generic_category().message(accepted.error)}}}
        );
        pause.expires_after(std::chrono::milliseconds(100));
        co_await pause.async_wait(no_throw);
      }
      break;
    }
  }
}

void ServerState::deal(Accepted accepted) {
  if (connections.load() >= limits.connections) {
    ::close(accepted.descriptor);
    refusals.refused({"net.too-many-connections", {}}, accepted.address);
    return;
  }
  ++connections;
  Shard* shard = shards[next_shard].get();
  next_shard = (next_shard + 1) % shards.size();
  auto adopt = [self = shared_from_this(), shard, accepted = std::move(accepted)]() mutable {
    shard->adopt(std::move(accepted));
  };
  if (shard == shards.front().get()) {
    adopt();
  } else {
    asio::post(shard->context, std::move(adopt));
  }
}

bool ServerState::admit_peer(const PartyId& party) {
  const std::lock_guard lock(mutex);
  std::size_t& count = per_peer[party];
  if (count >= limits.connections_per_peer) return false;
  ++count;
  return true;
}

void ServerState::release_peer(const PartyId& party) {
  const std::lock_guard lock(mutex);
  const auto found = per_peer.find(party);
  if (found != per_peer.end() && --found->second == 0) per_peer.erase(found);
}

void Shard::adopt(Accepted accepted) {
  if (state.stopping) {
    ::close(accepted.descriptor);
    --state.connections;
    return;
  }
  const auto connection = std::make_shared<Connection>(context.get_executor(), std::move(accepted));
  connections.push_back(connection);
  Connection& c = *connection;
  if (state.config.transport == Transport::plain) {
    c.phase = Phase::idle;
    c.idle_since = std::chrono::steady_clock::now();
    c.deadline = c.idle_since + std::chrono::nanoseconds(state.limits.idle_timeout);
  } else {
    c.deadline = in(state.limits.handshake_timeout);
    c.verifier.trust = &state.trust;
    c.verifier.clock = &state.clock;
    c.verifier.purpose = identity::Purpose::client;
    const bool verified = state.config.transport == Transport::mutual_tls;
    c.stream.start_tls(state.tls_context(), true, verified ? &c.verifier : nullptr);
    // Who is not done makes room for who comes: silent connections cannot keep others out.
    const std::size_t most =
        std::max<std::size_t>(1, state.limits.handshakes_in_flight / state.shards.size());
    if (handshaking.size() >= most) {
      Connection* oldest = handshaking.front();
      handshaking.pop_front();
      oldest->handshaking = handshaking.end();
      oldest->crowded_out = true;
      oldest->stream.cut();
    }
    c.handshaking = handshaking.insert(handshaking.end(), &c);
  }
  start_sweeping();
  auto done = [this, self = state.shared_from_this(), connection](const std::exception_ptr& failure
              ) {
    if (failure) {
      state.notices.note(
          Severity::error, {"net.session-failed", {{"source", connection->address}}}
      );
    }
    leave(connection);
  };
  asio::co_spawn(
      context,
      session(connection),
      asio::bind_cancellation_slot(connection->cancel.slot(), std::move(done))
  );
}

void Shard::leave(const std::shared_ptr<Connection>& connection) {
  if (!connection->admitted.empty()) state.release_peer(connection->admitted);
  connections.remove(connection);
  --state.connections;
}

// ---- one connection

awaitable<void> Shard::session(std::shared_ptr<Connection> connection) {
  // Without this the first wait after a cancellation throws, and nothing could be said any more.
  co_await asio::this_coro::throw_if_cancelled(false);
  Connection& c = *connection;
  if (c.phase == Phase::handshake) {
    const bool good = co_await handshake(c);
    if (!good) {
      co_await linger(c);
      co_return;
    }
  }
  co_await serve(c);
}

awaitable<bool> Shard::handshake(Connection& c) {
  const Io result = co_await c.stream.handshake();
  if (c.handshaking != handshaking.end()) handshaking.erase(c.handshaking);
  c.handshaking = handshaking.end();
  if (result != Io::done) {
    refuse_handshake(c);
    co_return false;
  }
  if (c.verifier.identity) {
    c.caller.peer = c.verifier.identity;
    if (!state.admit_peer(c.caller.peer->party)) {
      state.refusals.refused(
          {"net.too-many-connections-of-peer", {{"peer", to_string(c.caller.peer->party)}}},
          c.address
      );
      c.stream.say_goodbye();
      co_return false;
    }
    c.admitted = c.caller.peer->party;
  } else if (state.config.transport == Transport::mutual_tls) {
    // OpenSSL does not let this happen; if it ever did, nothing may be served.
    c.stream.cut();
    state.refusals.refused({"identity.no-certificate", {}}, c.address);
    co_return false;
  }
  co_return true;
}

void Shard::refuse_handshake(Connection& c) {
  Message reason{"net.handshake-failed", {{"reason", c.stream.tls_reason_text()}}};
  if (c.verifier.refusal) {
    reason = c.verifier.refusal->message;
  } else if (c.timed_out) {
    reason = {"net.handshake-timeout", {}};
  } else if (c.crowded_out) {
    reason = {"net.handshake-crowded-out", {}};
  } else if (state.stopping) {
    return;
  } else {
    switch (c.stream.tls_reason()) {
      case SSL_R_PEER_DID_NOT_RETURN_A_CERTIFICATE:
        reason = {"identity.no-certificate", {}};
        break;
      case SSL_R_HTTP_REQUEST:
      case SSL_R_HTTPS_PROXY_REQUEST:
      case SSL_R_WRONG_VERSION_NUMBER:
        reason = {"net.not-tls", {}};
        break;
      case SSL_R_UNSUPPORTED_PROTOCOL:
        reason = {"net.tls-version", {}};
        break;
      case 0:
      case SSL_R_UNEXPECTED_EOF_WHILE_READING:
        reason = {"net.handshake-cut", {}};
        break;
      default:
        break;
    }
  }
  state.refusals.refused(reason, c.address);
}

awaitable<void> Shard::serve(Connection& c) {
  const Limits& limits = state.limits;
  for (;;) {
    if (state.stopping || c.stream.is_cut()) break;
    std::optional<RequestParser> parser;
    parser.emplace(limits.header_bytes, limits.control_body_bytes);
    parser->eager(false);
    const Got got = co_await read_request(c, *parser);
    if (got == Got::nothing) break;
    if (got == Got::bad) {
      const int status = c.timed_out ? 408 : parser->failed_status();
      const char* code = c.timed_out ? "net.request-slow" : parser->failed_code();
      HttpResponse refusal = problem(status, {code, {}}, language_of(parser->headers()));
      const bool sent = co_await answer(c, std::move(refusal), false, true);
      if (sent) co_await linger(c);
      co_return;
    }

    bool close = parser->wants_close();
    HttpRequest request = parser->take();
    parser.reset();
    const bool head_request = request.method == "HEAD";
    // The store may have been replaced since the last request of this connection.
    if (c.verifier.identity && c.verifier.generation != state.trust.generation() &&
        !verify_again(c.verifier)) {
      c.refused = true;
      state.refusals.refused(c.verifier.refusal->message, c.address);
      c.stream.cut();
      break;
    }
    c.caller.peer = c.verifier.identity;
    const auto authorization = request.headers.get("Authorization");
    c.caller.authorization = Secret(authorization.value_or(""));

    c.phase = Phase::handling;
    c.deadline = in(limits.request_timeout);
    HttpResponse response = co_await handle(c, std::move(request));
    if (c.refused || c.stream.is_cut()) {
      if (response.on_sent) response.on_sent(0, false);
      break;
    }
    close = close || c.timed_out || state.stopping;
    const bool alive = co_await answer(c, std::move(response), head_request, close);
    if (!alive) break;
    if (close) {
      c.stream.say_goodbye();
      break;
    }
  }
  c.stream.say_goodbye();
}

// What was received may have a token in it: once it is parsed, no copy stays behind.
ParseState Shard::feed(Connection& c, RequestParser& parser, std::size_t received) {
  const std::span<std::uint8_t> read = std::span(scratch).first(received);
  const std::string_view text(reinterpret_cast<const char*>(read.data()), read.size());
  std::size_t consumed = 0;
  ParseState parsed = ParseState::need_more;
  if (c.pending.empty()) {
    parsed = parser.feed(read, consumed);
    c.pending.assign(text.substr(consumed));
  } else {
    std::string whole;
    whole.reserve(c.pending.size() + received);
    whole.append(c.pending).append(text);
    wipe(c.pending);
    parsed = parser.feed(as_bytes(whole), consumed);
    c.pending.assign(std::string_view(whole).substr(consumed));
    wipe(whole);
  }
  wipe(read);
  return parsed;
}

awaitable<Shard::Got> Shard::read_request(Connection& c, RequestParser& parser) {
  const Limits& limits = state.limits;
  ParseState parsed = ParseState::need_more;
  bool begun = !c.pending.empty();
  if (begun) {
    c.phase = Phase::header;
    c.deadline = in(limits.header_timeout);
    parsed = feed(c, parser, 0);
  } else {
    c.phase = Phase::idle;
    c.idle_since = std::chrono::steady_clock::now();
    c.deadline = c.idle_since + std::chrono::nanoseconds(limits.idle_timeout);
    if (c.pending.capacity() > kept_bytes) c.pending.shrink_to_fit();
    c.stream.trim();
    // The next request is hardly ever there yet: asking the socket first would be a call for
    // nothing.
    if (!c.stream.has_pending()) co_await c.stream.wait_readable();
  }
  for (;;) {
    if (parsed == ParseState::complete) co_return Got::request;
    if (parsed == ParseState::failed) co_return Got::bad;
    if (parsed == ParseState::header_done) {
      c.phase = Phase::body;
      c.deadline = in(limits.body_timeout);
      if (parser.expects_continue() && c.pending.empty()) {
        const bool sent = co_await write(c, "HTTP/1.1 100 Continue\r\n\r\n");
        if (!sent) co_return Got::nothing;
        c.phase = Phase::body;
        c.deadline = in(limits.body_timeout);
      }
      parsed = ParseState::need_more;
      if (!c.pending.empty()) {
        parsed = feed(c, parser, 0);
        continue;
      }
    }
    std::size_t received = 0;
    const Io read = c.stream.try_read(scratch, received);
    if (read == Io::again) {
      const bool ready = co_await c.stream.wait_readable();
      const bool say_so = begun && c.timed_out;
      if (!ready) co_return say_so ? Got::bad : Got::nothing;
      continue;
    }
    if (read != Io::done) co_return Got::nothing;
    if (!begun) {
      begun = true;
      c.phase = Phase::header;
      c.deadline = in(limits.header_timeout);
    }
    parsed = feed(c, parser, received);
  }
}

awaitable<HttpResponse> Shard::handle(Connection& c, HttpRequest request) {
  const Lang lang = language_of(request.headers);
  if (state.in_flight.load() >= state.limits.requests_in_flight) {
    HttpResponse busy = problem(503, {"net.too-many-requests", {}}, lang);
    busy.headers.set("Retry-After", "1");
    co_return busy;
  }
  ++state.in_flight;
  HttpResponse response;
  bool failed = false;
  std::string detail;
  try {
    auto work = state.handler(std::move(request), c.caller);
    response = co_await std::move(work);
  } catch (const std::exception& error) {
    failed = true;
    detail = error.what();
  } catch (...) {
    failed = true;
  }
  --state.in_flight;
  if (!failed) co_return response;
  if (c.timed_out) co_return problem(503, {"net.request-timeout", {}}, lang);
  if (!c.stream.is_cut()) {
    state.notices.note(Severity::error, {"net.handler-failed", {{"detail", detail}}});
  }
  co_return problem(500, {"net.internal", {}}, lang);
}

awaitable<bool> Shard::write(Connection& c, std::string_view bytes) {
  c.phase = Phase::writing;
  c.deadline = in(state.limits.write_timeout);
  if (!c.stream.put(bytes)) co_return false;
  if (c.stream.try_flush()) co_return true;
  const bool sent = co_await c.stream.flush();
  co_return sent;
}

awaitable<bool> Shard::answer(Connection& c, HttpResponse response, bool head_request, bool close) {
  const bool bodiless = head_request || has_no_body(response.status);
  std::optional<std::uint64_t> length = response.body.size();
  if (response.stream) length = response.stream_length;
  auto head = response_head(response, date, length, close);
  if (!head) {
    state.notices.note(Severity::error, {"net.bad-answer-header", {}});
    if (response.on_sent) response.on_sent(0, false);
    response = problem(500, {"net.internal", {}});
    head = response_head(response, date, response.body.size(), close);
  }
  if (response.stream && !bodiless) {
    const bool complete = co_await stream_body(c, response, head.value_or(std::string()));
    co_return complete;
  }
  std::string out = head.value_or(std::string());
  std::string_view rest;
  if (!bodiless) {
    if (response.body.size() <= joined_bytes) {
      out.append(response.body);
    } else {
      rest = response.body;
    }
  }
  bool sent = co_await write(c, out);
  if (sent && !rest.empty()) {
    c.may_go_on = response.may_go_on;
    sent = co_await write(c, rest);
    c.may_go_on = nullptr;
  }
  if (response.on_sent) response.on_sent(sent && !bodiless ? response.body.size() : 0, sent);
  co_return sent;
}

awaitable<bool> Shard::stream_body(Connection& c, HttpResponse& response, std::string head) {
  const bool chunked = !response.stream_length;
  const std::uint64_t length = response.stream_length.value_or(0);
  std::uint64_t total = 0;
  bool begun = false;
  bool complete = false;
  std::vector<std::uint8_t> piece(state.limits.stream_piece);
  std::string out = std::move(head);  // leaves with the first piece
  c.may_go_on = response.may_go_on;
  for (;;) {
    if (c.may_go_on && !c.may_go_on()) break;
    c.phase = Phase::handling;
    c.deadline = in(state.limits.request_timeout);
    std::size_t size = 0;
    bool broken = false;
    try {
      auto reading = response.stream->read(piece);
      const Result<std::size_t> read = co_await std::move(reading);
      broken = !read || *read > piece.size();
      if (!broken) size = *read;
    } catch (const std::exception&) {
      broken = true;
    }
    if (broken || c.stream.is_cut() || c.timed_out) break;
    const bool end = size == 0;
    if (!chunked && (total + size > length || (end && total != length))) {
      state.notices.note(Severity::error, {"net.stream-length", {}});
      break;
    }
    if (chunked) {
      std::array<char, 24> line{};
      const int used = std::snprintf(line.data(), line.size(), "%zx\r\n", size);
      out.append(line.data(), static_cast<std::size_t>(used));
    }
    bool sent = true;
    begun = true;
    const std::string_view bytes(reinterpret_cast<const char*>(piece.data()), size);
    if (!out.empty()) {
      if (size <= joined_bytes || chunked) {
        out.append(bytes);
        if (chunked) out.append("\r\n");
        sent = co_await write(c, out);
      } else {
        sent = c.stream.put(out);
        if (sent) sent = co_await write(c, bytes);
      }
      out.clear();
    } else if (!bytes.empty()) {
      sent = co_await write(c, bytes);
    }
    if (!sent) break;
    total += size;
    complete = end || (!chunked && total == length);
    if (complete) break;
  }
  c.may_go_on = nullptr;
  if (!begun && !c.stream.is_cut() && !c.timed_out) {
    if (response.on_sent) response.on_sent(0, false);
    co_return co_await answer(c, problem(503, {"net.nothing-begun", {}}), false, false);
  }
  // A body that ends early must look like one: no last chunk, no close_notify.
  if (!complete) c.stream.cut();
  response.stream.reset();
  if (response.on_sent) response.on_sent(total, complete);
  co_return complete;
}

awaitable<void> Shard::linger(Connection& c) {
  c.phase = Phase::lingering;
  c.deadline = std::chrono::steady_clock::now() + linger_time;
  c.stream.say_goodbye();
  c.stream.resume_reading();
  for (;;) {
    const Io read = c.stream.discard(scratch);
    if (read != Io::done && read != Io::again) co_return;
    // Also when there is more to read: others have their turn in between.
    const bool ready = co_await c.stream.wait_readable();
    if (!ready) co_return;
  }
}

// ---- deadlines, revocation, the end

void Shard::start_sweeping() {
  if (sweeping) return;
  sweeping = true;
  date = http_date(state.clock.read().at);
  if (!sweeper) sweeper = std::make_unique<asio::steady_timer>(context);
  auto done = [this, self = state.shared_from_this()](const std::exception_ptr& failure) {
    if (failure) state.notices.note(Severity::error, {"net.session-failed", {{"source", "sweep"}}});
  };
  asio::co_spawn(context, sweep(), std::move(done));
}

awaitable<void> Shard::sweep() {
  co_await asio::this_coro::throw_if_cancelled(false);
  while (!connections.empty()) {
    sweeper->expires_after(sweep_interval);
    const auto [error] = co_await sweeper->async_wait(no_throw);
    if (error) co_return;  // the server is being destroyed
    const Instant wall = state.clock.read().at;
    date = http_date(wall);
    const SteadyTime now = std::chrono::steady_clock::now();
    // A copy: whoever is woken may leave the list.
    const std::vector<std::shared_ptr<Connection>> all(connections.begin(), connections.end());
    for (const auto& connection : all) {
      if (connection->deadline <= now) expire(*connection);
      if (connection->may_go_on && !connection->may_go_on()) cut(*connection);
      if (connection->phase == Phase::idle && connection->idle_since + rest_after <= now) {
        connection->stream.rest();
      }
    }
    recheck(wall);
  }
  sweeping = false;  // here, not on completion: a connection may come in between
}

void Shard::expire(Connection& c) {
  c.timed_out = true;
  switch (c.phase) {
    case Phase::idle:
    case Phase::header:
    case Phase::body:
      c.deadline = in(state.limits.write_timeout);
      c.stream.end_reading();  // the reader says so, if a request has begun
      break;
    case Phase::handling:
      c.deadline = in(state.limits.write_timeout);
      c.cancel.emit(asio::cancellation_type::terminal);
      break;
    case Phase::handshake:
    case Phase::writing:
    case Phase::lingering:
      cut(c);
      break;
  }
}

void Shard::recheck(Instant now) {
  const std::uint64_t generation = state.trust.generation();
  std::set<std::string> good;  // certificates found to stand, in this round
  const std::vector<std::shared_ptr<Connection>> all(connections.begin(), connections.end());
  for (const auto& connection : all) {
    Connection& c = *connection;
    if (c.refused || !needs_verification(c.verifier, generation, now)) continue;
    const std::string certificate = c.verifier.identity->certificate_sha256;
    if (c.verifier.identity->good_until >= now && good.contains(certificate)) {
      c.verifier.generation = generation;
      continue;
    }
    if (verify_again(c.verifier)) {
      good.insert(certificate);
      continue;
    }
    c.refused = true;
    state.refusals.refused(c.verifier.refusal->message, c.address);
    cut(c);
  }
}

void Shard::cut(Connection& c) {
  c.stream.cut();
  c.cancel.emit(asio::cancellation_type::terminal);
}

void Shard::begin_drain() {
  const std::vector<std::shared_ptr<Connection>> all(connections.begin(), connections.end());
  for (const auto& connection : all) {
    if (connection->phase == Phase::idle) connection->stream.end_reading();
    if (connection->phase == Phase::handshake) cut(*connection);
  }
}

void Shard::cut_all() {
  const std::vector<std::shared_ptr<Connection>> all(connections.begin(), connections.end());
  for (const auto& connection : all) cut(*connection);
}

void Shard::abandon() {
  sweeper.reset();
  connections.clear();
}

// ---- the server

Server::Server(
    const std::vector<asio::io_context*>& contexts,
    ListenerConfig config,
    const Limits& limits,
    identity::TrustSource& trust,
    Clock& clock,
    Handler handler,
    RefusalSink& refusals,
    Notices& notices
)
    : state_(std::make_shared<ServerState>(
          std::move(config), limits, trust, clock, std::move(handler), refusals, notices
      )) {
  for (asio::io_context* context : contexts) {
    state_->shards.push_back(std::make_unique<Shard>(*context, *state_));
  }
}

Server::~Server() {
  // What still waits in a stopped context goes with that context; the state must not outlive it
  // with a timer or a descriptor of it in hand.
  state_->stopping = true;
  state_->acceptor.reset();
  for (const auto& shard : state_->shards) shard->abandon();
}

Result<std::uint16_t> Server::listen() {
  ServerState& state = *state_;
  if (state.config.transport != Transport::plain) {
    auto loaded = reload_tls(state.config.certificate_pem, state.config.key_pem);
    if (!loaded) return fail(std::move(loaded));
    state.config.key_pem = {};
  }
  const auto opened = open_listen_socket(state.config);
  if (!opened) return fail(ErrorKind{opened.error().kind}, opened.error().message);
  state.listening = opened->descriptor;
  asio::io_context& context = state.shards.front()->context;
  state.acceptor = std::make_unique<asio::posix::stream_descriptor>(context, opened->descriptor);
  auto done = [self = state_](const std::exception_ptr& failure) {
    if (failure)
      self->notices.note(Severity::error, {"net.session-failed", {{"source", "accept"}}});
  };
  asio::co_spawn(context, state.accept_connections(), std::move(done));
  return opened->port;
}

Result<void> Server::reload_tls(const std::string& certificate_pem, const Secret& key_pem) {
  const bool mutual = state_->config.transport == Transport::mutual_tls;
  auto made = make_server_context(
      certificate_pem, key_pem, mutual ? ServerTrust::chain_verifier : ServerTrust::nobody
  );
  if (!made) return fail(std::move(made));
  const std::lock_guard lock(state_->mutex);
  state_->tls = std::move(*made);
  return {};
}

void Server::stop_accepting() {
  if (state_->stopping.exchange(true)) return;
  asio::post(state_->shards.front()->context, [state = state_] {
    if (!state->acceptor) return;
    state->acceptor->close();
    if (!state->config.unix_socket.empty()) ::unlink(state->config.unix_socket.c_str());
  });
  for (const auto& shard : state_->shards) {
    asio::post(shard->context, [state = state_, at = shard.get()] { at->begin_drain(); });
  }
}

awaitable<void> Server::shutdown() {
  const std::shared_ptr<ServerState> state = state_;
  stop_accepting();
  asio::steady_timer timer(co_await asio::this_coro::executor);
  const SteadyTime hard = in(state->limits.drain);
  bool cutting = false;
  while (state->connections.load() > 0) {
    if (!cutting && std::chrono::steady_clock::now() >= hard) {
      cutting = true;
      for (const auto& shard : state->shards) {
        asio::post(shard->context, [state, at = shard.get()] { at->cut_all(); });
      }
    }
    timer.expires_after(std::chrono::milliseconds(5));
    co_await timer.async_wait(no_throw);
  }
}

std::size_t Server::connections() const {
  return state_->connections.load();
}
std::map<PartyId, std::size_t> Server::connections_by_peer() const {
  const std::lock_guard lock(state_->mutex);
  return state_->per_peer;
}

std::size_t Server::requests_in_flight() const {
  return state_->in_flight.load();
}

}  // namespace tally::net
