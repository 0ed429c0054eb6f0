#include "tally/net/server.hpp"

#include <algorithm>
#include <cerrno>
#include <system_error>
#include <utility>

#include <boost/asio/bind_cancellation_slot.hpp>
#include <boost/asio/co_spawn.hpp>
#include <boost/asio/post.hpp>
#include <boost/asio/this_coro.hpp>

#include <unistd.h>

#include "server_state.hpp"

namespace tally::net {

namespace {

constexpr int accepts_at_once = 32;

}  // namespace

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
