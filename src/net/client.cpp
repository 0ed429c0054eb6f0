#include "tally/net/client.hpp"

#include <algorithm>
#include <chrono>
#include <map>
#include <mutex>

#include <boost/asio/ip/address.hpp>

#include "addresses.hpp"
#include "client_connection.hpp"
#include "turns.hpp"

namespace tally::net {

namespace asio = boost::asio;

namespace {

// Exchanges under way with a host at once, bodies that are read piece by piece aside; so many
// connections are kept, and none is opened for a message that will soon find one free.
constexpr std::size_t exchanges_per_host = 32;
// Less than the idle time-out of a server of ours, so that a kept connection is seldom a dead one.
constexpr std::chrono::seconds kept_for{30};

// In the form in which Url writes it. What is no "host:port" matches nothing.
std::string authority_of(const std::string& host) {
  const auto url = parse_url("https://" + host);
  return url && url->target == "/" ? url->authority() : std::string();
}

using ConnectionPtr = std::unique_ptr<ClientConnection>;

// What the configuration says of one peer. Never changed once made.
struct KnownPeer {
  std::vector<std::string> hosts;  // authorities
  AllowedAddresses addresses;
  std::optional<Secret> credential;  // what it is sent, maybe empty; absent: certificates
  TlsContext web;                    // with a credential: how its server is judged
};
using KnownPeers = std::map<PartyId, std::shared_ptr<const KnownPeer>>;

Result<std::shared_ptr<const KnownPeer>> known_peer(const PeerAddress& peer) {
  auto known = std::make_shared<KnownPeer>();
  known->addresses.private_networks = peer.private_addresses;
  for (const std::string& host : peer.hosts) {
    known->hosts.push_back(authority_of(host));
    const auto url = parse_url("https://" + host);
    boost::system::error_code is_name;
    const auto stated = asio::ip::make_address(url ? url->host : std::string(), is_name);
    if (!is_name) known->addresses.stated.push_back(stated);
  }
  if (peer.credential) {
    known->credential = peer.credential->sends;
    if (peer.credential->anchors_pem.empty()) {
      known->web = make_web_client_context();
    } else {
      auto made = make_client_context({}, {}, peer.credential->anchors_pem);
      if (!made) {
        return fail(ErrorKind::invalid, {"net.peer-anchors", {{"peer", to_string(peer.party)}}});
      }
      known->web = std::move(*made);
    }
  }
  return std::shared_ptr<const KnownPeer>(std::move(known));
}

}  // namespace

struct HttpsPeer::State {
  struct Place {
    Url url;
    PartyId to;
    std::shared_ptr<const KnownPeer> known;
    [[nodiscard]] std::string key() const {
      return to_string(to) + " " + (url.secure ? "https " : "http ") + url.authority();
    }
  };
  struct Kept {
    ConnectionPtr connection;
    std::shared_ptr<const KnownPeer> known;  // as it was made
    std::chrono::steady_clock::time_point since;
  };

  State(
      asio::any_io_executor executor,
      bool loopback,
      ResolveName resolver,
      const Limits& bounds,
      identity::TrustSource& source,
      Clock& wall_clock
  )
      : home(std::move(executor)),
        insecure_loopback(loopback),
        resolve(std::move(resolver)),
        limits(bounds),
        trust(source),
        clock(wall_clock) {}

  Result<Place> check(const PartyId& to, const std::string& text);
  TlsContext context() {
    const std::lock_guard lock(mutex);
    return tls;
  }
  ConnectionPtr take(const Place& place);
  void keep(const Place& place, ConnectionPtr connection);
  awaitable<Result<ConnectionPtr>> connect(Place place);
  // A connection on which the answer's header has arrived.
  awaitable<Result<ConnectionPtr>> begin(Place place, PeerRequest request);

  const asio::any_io_executor home;
  const bool insecure_loopback;
  const ResolveName resolve;
  const Limits limits;
  identity::TrustSource& trust;
  Clock& clock;

  std::mutex mutex;  // of the next two
  KnownPeers peers;
  TlsContext tls;

  // Home only.
  std::map<std::string, std::vector<Kept>> kept;
  std::shared_ptr<ClientConnection::Open> open = std::make_shared<ClientConnection::Open>();
  Turns turns{exchanges_per_host};
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
  std::shared_ptr<const KnownPeer> known;
  {
    const std::lock_guard lock(mutex);
    const auto found = peers.find(to);
    if (found == peers.end()) {
      return fail(ErrorKind::forbidden, {"net.peer-unknown", {{"peer", to_string(to)}}});
    }
    known = found->second;
  }
  if (std::find(known->hosts.begin(), known->hosts.end(), authority) == known->hosts.end()) {
    return fail(
        ErrorKind::forbidden,
        {"net.peer-host-not-configured", {{"peer", to_string(to)}, {"host", authority}}}
    );
  }
  if (!url->secure && !(insecure_loopback && known->credential && is_loopback(url->host))) {
    return fail(ErrorKind::forbidden, {"net.peer-insecure", {{"host", authority}}});
  }
  return Place{std::move(*url), to, std::move(known)};
}

ConnectionPtr HttpsPeer::State::take(const Place& place) {
  auto& connections = kept[place.key()];
  const auto now = std::chrono::steady_clock::now();
  while (!connections.empty()) {
    Kept last = std::move(connections.back());
    connections.pop_back();
    if (last.known != place.known) continue;
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

void HttpsPeer::State::keep(const Place& place, ConnectionPtr connection) {
  if (!connection->reusable()) return;
  const auto now = std::chrono::steady_clock::now();
  auto& connections = kept[place.key()];
  std::erase_if(connections, [&](const Kept& one) { return now - one.since > kept_for; });
  if (connections.size() >= exchanges_per_host) return;
  connections.push_back({std::move(connection), place.known, now});
}

awaitable<Result<ConnectionPtr>> HttpsPeer::State::connect(Place place) {
  const ClientConnection::Times times{
      limits.handshake_timeout, limits.write_timeout, limits.request_timeout, limits.body_timeout};
  Destination to{place.url.host, place.url.port, &place.known->addresses, resolve};
  auto connecting = ClientConnection::connect(home, std::move(to), times);
  Result<ConnectionPtr> connection = co_await std::move(connecting);
  if (!connection || !place.url.secure) co_return connection;
  if (place.known->credential) {
    auto securing = (*connection)->start_tls(place.known->web, place.url.host, false);
    const Result<void> secured = co_await std::move(securing);
    if (!secured) co_return tl::unexpected(secured.error());
    co_return connection;
  }
  ChainVerifier& verifier = (*connection)->verifier();
  verifier.trust = &trust;
  verifier.clock = &clock;
  verifier.purpose = identity::Purpose::server;
  verifier.expected = place.to;
  auto securing = (*connection)->start_tls(context(), place.url.host, true);
  const Result<void> secured = co_await std::move(securing);
  if (!secured) co_return tl::unexpected(secured.error());
  (*connection)->list_in(open);
  co_return connection;
}

awaitable<Result<ConnectionPtr>> HttpsPeer::State::begin(Place place, PeerRequest request) {
  const std::string authority = place.url.authority();
  const Nanos answer_within =
      request.answer_within > 0 ? request.answer_within : limits.request_timeout;
  HttpRequest& http = request.http;
  // Where data is fetched, the token that was given out for it speaks for us.
  const auto& credential = place.known->credential;
  if (credential && !credential->empty() && !http.headers.get("Authorization")) {
    http.headers.set("Authorization", std::string(credential->text()));
  }
  ConnectionPtr connection = take(place);
  if (connection) {
    connection->expect_answer_within(answer_within);
    auto exchanging = connection->exchange(http, place.url.target, authority);
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
  (*fresh)->expect_answer_within(answer_within);
  auto exchanging = (*fresh)->exchange(http, place.url.target, authority);
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
  auto state = std::make_shared<State>(
      std::move(home), config.insecure_loopback, config.resolve, limits, trust, clock
  );
  std::unique_ptr<HttpsPeer> peer(new HttpsPeer(std::move(state)));
  const bool plain_only = config.insecure_loopback && config.certificate_pem.empty();
  if (!plain_only) {
    auto loaded = peer->reload_tls(config.certificate_pem, config.key_pem);
    if (!loaded) return fail(std::move(loaded));
  }
  auto known = peer->set_addresses(config.peers);
  if (!known) return fail(std::move(known));
  return peer;
}

Result<void> HttpsPeer::set_addresses(const std::vector<PeerAddress>& peers) {
  KnownPeers made;
  for (const PeerAddress& peer : peers) {
    auto known = known_peer(peer);
    if (!known) return fail(std::move(known));
    made.insert_or_assign(peer.party, std::move(*known));
  }
  const std::lock_guard lock(state_->mutex);
  state_->peers = std::move(made);
  return {};
}

Result<void> HttpsPeer::reload_tls(const std::string& certificate_pem, const Secret& key_pem) {
  if (certificate_pem.empty()) {
    return fail(ErrorKind::invalid, {"net.tls-certificate", {{"reason", "none given"}}});
  }
  auto made = make_client_context(certificate_pem, key_pem, {});
  if (!made) return fail(std::move(made));
  const std::lock_guard lock(state_->mutex);
  state_->tls = std::move(*made);
  return {};
}

void HttpsPeer::recheck() {
  const auto generation = state_->trust.generation();
  const Instant now = state_->clock.read().at;
  for (ClientConnection* connection : *state_->open) connection->recheck(generation, now);
}

Result<void> HttpsPeer::reachable(const PartyId& to, const std::string& url) const {
  auto place = state_->check(to, url);
  if (!place) return fail(std::move(place));
  if (!place->known->credential && !state_->context()) {
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
  auto taking = state->turns.take(place->key());
  const auto turn = co_await std::move(taking);
  if (!turn) co_return fail(ErrorKind::unavailable, {"net.peer-timeout", {}});
  const auto most =
      request.answer_bytes > 0 ? request.answer_bytes : state->limits.control_body_bytes;
  auto beginning = state->begin(*place, std::move(request));
  Result<ConnectionPtr> connection = co_await std::move(beginning);
  if (!connection) co_return tl::unexpected(connection.error());
  PeerAnswer answer;
  answer.status = (*connection)->status();
  answer.headers = std::move((*connection)->headers());
  auto reading = (*connection)->read_whole_body(most);
  Result<std::string> body = co_await std::move(reading);
  if (!body) co_return tl::unexpected(body.error());
  answer.body = std::move(*body);
  state->keep(*place, std::move(*connection));
  co_return answer;
}

awaitable<Result<PeerStream>> HttpsPeer::open(PeerRequest request) {
  const std::shared_ptr<State> state = state_;
  const auto allowed = reachable(request.to, request.url);
  if (!allowed) co_return tl::unexpected(allowed.error());
  auto place = state->check(request.to, request.url);
  if (!place) co_return tl::unexpected(place.error());
  auto beginning = state->begin(*place, std::move(request));
  Result<ConnectionPtr> connection = co_await std::move(beginning);
  if (!connection) co_return tl::unexpected(connection.error());
  PeerStream stream;
  stream.status = (*connection)->status();
  stream.headers = std::move((*connection)->headers());
  stream.length = (*connection)->length();
  auto give_back = [state, place = *place](ConnectionPtr used) {
    state->keep(place, std::move(used));
  };
  stream.body = std::make_unique<AnswerBody>(std::move(*connection), std::move(give_back));
  co_return stream;
}

}  // namespace tally::net
