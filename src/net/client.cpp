#include "tally/net/client.hpp"

#include <algorithm>
#include <chrono>
#include <map>
#include <mutex>

#include <boost/asio/co_spawn.hpp>
#include <boost/asio/io_context.hpp>
#include <boost/asio/ip/address.hpp>

#include "client_connection.hpp"

namespace tally::net {

namespace asio = boost::asio;

namespace {

constexpr std::size_t kept_per_host = 8;
// Less than the idle time-out of a server of ours, so that a kept connection is seldom a dead one.
constexpr std::chrono::seconds kept_for{30};

// In the form in which Url writes it. What is no "host:port" matches nothing.
std::string authority_of(const std::string& host) {
  const auto url = parse_url("https://" + host);
  return url && url->target == "/" ? url->authority() : std::string();
}

bool is_loopback(const std::string& host) {
  if (host == "localhost") return true;
  boost::system::error_code bad;
  const auto address = asio::ip::make_address(host, bad);
  return !bad && address.is_loopback();
}

using ConnectionPtr = std::unique_ptr<ClientConnection>;

}  // namespace

// ---- other connectors

struct HttpsPeer::State {
  struct Kept {
    ConnectionPtr connection;
    std::chrono::steady_clock::time_point since;
  };
  struct Place {
    Url url;
    PartyId to;
    [[nodiscard]] std::string key() const {
      return to_string(to) + " " + (url.secure ? "https " : "http ") + url.authority();
    }
  };

  State(
      asio::any_io_executor executor,
      bool loopback,
      const Limits& bounds,
      identity::TrustSource& source,
      Clock& wall_clock
  )
      : home(std::move(executor)),
        insecure_loopback(loopback),
        limits(bounds),
        trust(source),
        clock(wall_clock) {}

  Result<Place> check(const PartyId& to, const std::string& text);
  TlsContext context() {
    const std::lock_guard lock(mutex);
    return tls;
  }
  ConnectionPtr take(const std::string& key);
  void keep(const std::string& key, ConnectionPtr connection);
  awaitable<Result<ConnectionPtr>> connect(Place place);
  // A connection on which the answer's header has arrived.
  awaitable<Result<ConnectionPtr>> begin(Place place, HttpRequest request);

  const asio::any_io_executor home;
  const bool insecure_loopback;
  const Limits limits;
  identity::TrustSource& trust;
  Clock& clock;

  std::mutex mutex;  // of the next two
  std::map<PartyId, std::vector<std::string>> hosts;
  TlsContext tls;

  std::map<std::string, std::vector<Kept>> kept;  // home only
};

namespace {

// The body of a streamed answer. Keeps the connection; a body read to its end gives it back.
class AnswerBody : public BodyReader {
 public:
  AnswerBody(ConnectionPtr connection, std::function<void(ConnectionPtr)> give_back)
      : connection_(std::move(connection)), give_back_(std::move(give_back)) {}

  awaitable<Result<std::size_t>> read(std::span<std::uint8_t> out) override {
    if (!connection_) co_return std::size_t{0};
    auto reading = connection_->read_body(out);
    Result<std::size_t> size = co_await std::move(reading);
    if (size && *size == 0 && !out.empty()) give_back_(std::move(connection_));
    co_return size;
  }

 private:
  ConnectionPtr connection_;
  std::function<void(ConnectionPtr)> give_back_;
};

}  // namespace

Result<HttpsPeer::State::Place> HttpsPeer::State::check(
    const PartyId& to, const std::string& text
) {
  auto url = parse_url(text);
  if (!url) return fail(ErrorKind::invalid, {"net.url-malformed", {{"url", text.substr(0, 200)}}});
  const std::string authority = url->authority();
  {
    const std::lock_guard lock(mutex);
    const auto found = hosts.find(to);
    if (found == hosts.end()) {
      return fail(ErrorKind::forbidden, {"net.peer-unknown", {{"peer", to_string(to)}}});
    }
    const auto& allowed = found->second;
    if (std::find(allowed.begin(), allowed.end(), authority) == allowed.end()) {
      return fail(
          ErrorKind::forbidden,
          {"net.peer-host-not-configured", {{"peer", to_string(to)}, {"host", authority}}}
      );
    }
  }
  if (!url->secure && !(insecure_loopback && is_loopback(url->host))) {
    return fail(ErrorKind::forbidden, {"net.peer-insecure", {{"host", authority}}});
  }
  return Place{std::move(*url), to};
}

ConnectionPtr HttpsPeer::State::take(const std::string& key) {
  auto& connections = kept[key];
  const auto now = std::chrono::steady_clock::now();
  while (!connections.empty()) {
    Kept last = std::move(connections.back());
    connections.pop_back();
    if (now - last.since > kept_for || !last.connection->reusable()) continue;
    ChainVerifier& verifier = last.connection->verifier();
    if (needs_verification(verifier, trust.generation(), clock.read().at) &&
        !verify_again(verifier)) {
      continue;
    }
    return std::move(last.connection);
  }
  return nullptr;
}

void HttpsPeer::State::keep(const std::string& key, ConnectionPtr connection) {
  if (!connection->reusable()) return;
  const auto now = std::chrono::steady_clock::now();
  auto& connections = kept[key];
  std::erase_if(connections, [&](const Kept& one) { return now - one.since > kept_for; });
  if (connections.size() >= kept_per_host) return;
  connections.push_back({std::move(connection), now});
}

awaitable<Result<ConnectionPtr>> HttpsPeer::State::connect(Place place) {
  const ClientConnection::Times times{
      limits.handshake_timeout, limits.write_timeout, limits.request_timeout, limits.body_timeout};
  auto connecting = ClientConnection::connect(home, place.url.host, place.url.port, times);
  Result<ConnectionPtr> connection = co_await std::move(connecting);
  if (!connection || !place.url.secure) co_return connection;
  ChainVerifier& verifier = (*connection)->verifier();
  verifier.trust = &trust;
  verifier.clock = &clock;
  verifier.purpose = identity::Purpose::server;
  verifier.expected = place.to;
  auto securing = (*connection)->start_tls(context(), place.url.host, true);
  const Result<void> secured = co_await std::move(securing);
  if (!secured) co_return tl::unexpected(secured.error());
  co_return connection;
}

awaitable<Result<ConnectionPtr>> HttpsPeer::State::begin(Place place, HttpRequest request) {
  const std::string key = place.key();
  const std::string authority = place.url.authority();
  ConnectionPtr connection = take(key);
  if (connection) {
    auto exchanging = connection->exchange(request, place.url.target, authority);
    const Result<void> exchanged = co_await std::move(exchanging);
    if (exchanged) co_return connection;
    // The other side had just closed it: once more on a new one. Messages of ours are idempotent.
    const bool stale =
        exchanged.error().message.code == "net.peer-cut" && connection->nothing_came();
    if (!stale) co_return tl::unexpected(exchanged.error());
  }
  auto connecting = connect(place);
  Result<ConnectionPtr> fresh = co_await std::move(connecting);
  if (!fresh) co_return tl::unexpected(fresh.error());
  auto exchanging = (*fresh)->exchange(request, place.url.target, authority);
  const Result<void> exchanged = co_await std::move(exchanging);
  if (!exchanged) co_return tl::unexpected(exchanged.error());
  co_return std::move(*fresh);
}

HttpsPeer::HttpsPeer(std::shared_ptr<State> state) : state_(std::move(state)) {}
HttpsPeer::~HttpsPeer() = default;

Result<std::unique_ptr<HttpsPeer>> HttpsPeer::create(
    asio::any_io_executor home,
    const HttpsPeerConfig& config,
    const Limits& limits,
    identity::TrustSource& trust,
    Clock& clock
) {
  auto state =
      std::make_shared<State>(std::move(home), config.insecure_loopback, limits, trust, clock);
  std::unique_ptr<HttpsPeer> peer(new HttpsPeer(std::move(state)));
  const bool plain_only = config.insecure_loopback && config.certificate_pem.empty();
  if (!plain_only) {
    auto loaded = peer->reload_tls(config.certificate_pem, config.key_pem);
    if (!loaded) return fail(std::move(loaded));
  }
  peer->set_addresses(config.peers);
  return peer;
}

void HttpsPeer::set_addresses(const std::vector<PeerAddress>& peers) {
  std::map<PartyId, std::vector<std::string>> hosts;
  for (const PeerAddress& peer : peers) {
    auto& list = hosts[peer.party];
    for (const std::string& host : peer.hosts) list.push_back(authority_of(host));
  }
  const std::lock_guard lock(state_->mutex);
  state_->hosts = std::move(hosts);
}

Result<void> HttpsPeer::reload_tls(const std::string& certificate_pem, const std::string& key_pem) {
  if (certificate_pem.empty()) {
    return fail(ErrorKind::invalid, {"net.tls-certificate", {{"reason", "none given"}}});
  }
  auto made = make_client_context(certificate_pem, key_pem, {});
  if (!made) return fail(std::move(made));
  const std::lock_guard lock(state_->mutex);
  state_->tls = std::move(*made);
  return {};
}

Result<void> HttpsPeer::reachable(const PartyId& to, const std::string& url) const {
  auto place = state_->check(to, url);
  if (!place) return fail(std::move(place));
  if (place->url.secure && !state_->context()) {
    return fail(ErrorKind::forbidden, {"net.peer-no-certificate", {}});
  }
  return {};
}

awaitable<Result<PeerAnswer>> HttpsPeer::send(PeerRequest request) {
  const std::shared_ptr<State> state = state_;
  const auto allowed = reachable(request.to, request.url);
  if (!allowed) co_return tl::unexpected(allowed.error());
  auto place = state->check(request.to, request.url);
  if (!place) co_return tl::unexpected(place.error());
  const std::string key = place->key();
  auto beginning = state->begin(std::move(*place), std::move(request.http));
  Result<ConnectionPtr> connection = co_await std::move(beginning);
  if (!connection) co_return tl::unexpected(connection.error());
  PeerAnswer answer;
  answer.status = (*connection)->status();
  answer.headers = std::move((*connection)->headers());
  auto reading = (*connection)->read_whole_body(state->limits.control_body_bytes);
  Result<std::string> body = co_await std::move(reading);
  if (!body) co_return tl::unexpected(body.error());
  answer.body = std::move(*body);
  state->keep(key, std::move(*connection));
  co_return answer;
}

awaitable<Result<PeerStream>> HttpsPeer::open(PeerRequest request) {
  const std::shared_ptr<State> state = state_;
  const auto allowed = reachable(request.to, request.url);
  if (!allowed) co_return tl::unexpected(allowed.error());
  auto place = state->check(request.to, request.url);
  if (!place) co_return tl::unexpected(place.error());
  const std::string key = place->key();
  auto beginning = state->begin(std::move(*place), std::move(request.http));
  Result<ConnectionPtr> connection = co_await std::move(beginning);
  if (!connection) co_return tl::unexpected(connection.error());
  PeerStream stream;
  stream.status = (*connection)->status();
  stream.headers = std::move((*connection)->headers());
  stream.length = (*connection)->length();
  auto give_back = [state, key](ConnectionPtr used) { state->keep(key, std::move(used)); };
  stream.body = std::make_unique<AnswerBody>(std::move(*connection), std::move(give_back));
  co_return stream;
}

// ---- our own listeners

struct LocalClient::State {
  explicit State(LocalClientConfig given) : config(std::move(given)) {}

  awaitable<Result<PeerAnswer>> exchange(Url url, HttpRequest request);
  awaitable<Result<ConnectionPtr>> connect(Url url);

  LocalClientConfig config;
  asio::io_context context{1};
  TlsContext tls;
  ConnectionPtr connection;  // after the context it lives on
  std::string connected_to;
};

awaitable<Result<ConnectionPtr>> LocalClient::State::connect(Url url) {
  const Nanos time = config.timeout;
  const ClientConnection::Times times{time, time, time, time};
  if (!config.unix_socket.empty()) {
    co_return ClientConnection::connect_unix(context.get_executor(), config.unix_socket, times);
  }
  if (!url.secure && !is_loopback(url.host)) {
    co_return fail(ErrorKind::forbidden, {"net.peer-insecure", {{"host", url.authority()}}});
  }
  if (url.secure && !tls) {
    if (config.ca_pem.empty()) {
      co_return fail(ErrorKind::invalid, {"net.no-ca", {{"host", url.authority()}}});
    }
    auto made = make_client_context(config.certificate_pem, config.key_pem, config.ca_pem);
    if (!made) co_return tl::unexpected(made.error());
    tls = std::move(*made);
  }
  auto connecting = ClientConnection::connect(context.get_executor(), url.host, url.port, times);
  Result<ConnectionPtr> connected = co_await std::move(connecting);
  if (!connected || !url.secure) co_return connected;
  auto securing = (*connected)->start_tls(tls, url.host, false);
  const Result<void> secured = co_await std::move(securing);
  if (!secured) co_return tl::unexpected(secured.error());
  co_return connected;
}

awaitable<Result<PeerAnswer>> LocalClient::State::exchange(Url url, HttpRequest request) {
  const std::string authority = url.authority();
  const std::string place = (url.secure ? "https " : "http ") + authority;
  ConnectionPtr used = std::move(connection);
  if (used && (connected_to != place || !used->reusable())) used.reset();
  bool fresh = !used;
  for (;;) {
    if (!used) {
      auto connecting = connect(url);
      Result<ConnectionPtr> connected = co_await std::move(connecting);
      if (!connected) co_return tl::unexpected(connected.error());
      used = std::move(*connected);
      fresh = true;
    }
    auto exchanging = used->exchange(request, url.target, authority);
    const Result<void> exchanged = co_await std::move(exchanging);
    if (exchanged) break;
    const bool stale =
        !fresh && used->nothing_came() && exchanged.error().message.code == "net.peer-cut";
    if (!stale) co_return tl::unexpected(exchanged.error());
    used.reset();
  }
  PeerAnswer answer;
  answer.status = used->status();
  answer.headers = std::move(used->headers());
  auto reading = used->read_whole_body(config.answer_bytes);
  Result<std::string> body = co_await std::move(reading);
  if (!body) co_return tl::unexpected(body.error());
  answer.body = std::move(*body);
  if (used->reusable()) {
    connection = std::move(used);
    connected_to = place;
  }
  co_return answer;
}

LocalClient::LocalClient(LocalClientConfig config)
    : state_(std::make_unique<State>(std::move(config))) {}
LocalClient::~LocalClient() = default;
LocalClient::LocalClient(LocalClient&&) noexcept = default;
LocalClient& LocalClient::operator=(LocalClient&&) noexcept = default;

Result<PeerAnswer> LocalClient::call(const std::string& url, HttpRequest request) {
  State& state = *state_;
  auto parsed = parse_url(url);
  if (!parsed)
    return fail(ErrorKind::invalid, {"net.url-malformed", {{"url", url.substr(0, 200)}}});
  if (!state.config.bearer_token.empty() && !request.headers.get("Authorization")) {
    request.headers.set("Authorization", "Bearer " + state.config.bearer_token);
  }
  std::optional<Result<PeerAnswer>> outcome;
  std::exception_ptr failure;
  auto done = [&](const std::exception_ptr& error, Result<PeerAnswer> answer) {
    failure = error;
    outcome = std::move(answer);
  };
  auto work = state.exchange(std::move(*parsed), std::move(request));
  asio::co_spawn(state.context, std::move(work), std::move(done));
  state.context.restart();
  while (!outcome) {
    if (state.context.run_one() == 0) break;
  }
  if (failure) std::rethrow_exception(failure);
  if (!outcome) return fail(ErrorKind::unavailable, {"net.peer-cut", {}});
  return std::move(*outcome);
}

}  // namespace tally::net
