// What ends a connection from without: a deadline, a certificate that no longer stands, a use that
// may not go on, the end of the server.
#include <set>
#include <string>
#include <utility>

#include <boost/asio/co_spawn.hpp>
#include <boost/asio/this_coro.hpp>

#include "server_state.hpp"

namespace tally::net {

namespace {

// How often deadlines and revocation are looked at: a connection may outlive either by this much.
constexpr std::chrono::milliseconds sweep_interval{200};
// A connection that has been idle for so long is resting: it may go on idling.
constexpr std::chrono::milliseconds rest_after{500};

}  // namespace

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

}  // namespace tally::net
