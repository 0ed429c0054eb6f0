// One connection: the handshake, then requests and their answers, until either side has enough.
#include <array>
#include <cstdio>
#include <optional>
#include <utility>

#include <boost/asio/this_coro.hpp>

#include <nlohmann/json.hpp>
#include <openssl/sslerr.h>

#include "tally/core/json.hpp"

#include "server_state.hpp"

namespace tally::net {

namespace {

// After an answer that ends a connection the rest of the request is read and dropped for so long;
// closing at once would reset the connection under the answer.
constexpr std::chrono::milliseconds linger_time{1000};
constexpr std::size_t kept_bytes = 4096;
// Bodies up to this size leave together with their header.
constexpr std::size_t joined_bytes = 64 << 10;

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

}  // namespace tally::net
