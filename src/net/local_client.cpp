#include "tally/net/local_client.hpp"

#include <boost/asio/co_spawn.hpp>
#include <boost/asio/io_context.hpp>

#include "addresses.hpp"
#include "client_connection.hpp"

namespace tally::net {

namespace asio = boost::asio;

namespace {
using ConnectionPtr = std::unique_ptr<ClientConnection>;
}

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
  auto connecting = ClientConnection::connect(context.get_executor(), {url.host, url.port}, times);
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
