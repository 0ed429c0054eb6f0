#include "tally/net/client.hpp"

#include <chrono>

#include <boost/asio/bind_cancellation_slot.hpp>
#include <boost/asio/cancellation_signal.hpp>
#include <boost/asio/co_spawn.hpp>
#include <boost/asio/io_context.hpp>
#include <boost/asio/steady_timer.hpp>
#include <boost/asio/this_coro.hpp>
#include <boost/asio/use_awaitable.hpp>

#include <arpa/inet.h>
#include <gtest/gtest.h>
#include <netinet/in.h>
#include <sys/socket.h>
#include <unistd.h>

#include "test_server.hpp"

namespace tally::net {
namespace {

namespace asio = boost::asio;
using testing::TestPki;

class Pieces : public BodyReader {
 public:
  explicit Pieces(std::size_t total, bool endless = false) : left_(total), endless_(endless) {}
  awaitable<Result<std::size_t>> read(std::span<std::uint8_t> out) override {
    if (endless_) {
      asio::steady_timer timer(co_await asio::this_coro::executor);
      timer.expires_after(std::chrono::milliseconds(50));
      co_await timer.async_wait(asio::use_awaitable);
    }
    const std::size_t size = endless_ ? 1 : std::min(left_, out.size());
    std::fill_n(out.begin(), size, std::uint8_t{7});
    left_ -= endless_ ? 0 : size;
    co_return size;
  }

 private:
  std::size_t left_;
  bool endless_;
};

awaitable<HttpResponse> answers(HttpRequest request, const identity::Caller& caller) {
  HttpResponse response;
  if (request.target == "/redirect") {
    response.status = 307;
    response.headers.set("Location", "https://evil.example/");
  } else if (request.target == "/big") {
    response.body.assign((1 << 20) + 1, 'x');
  } else if (request.target == "/big-chunked") {
    response.stream = std::make_unique<Pieces>((1 << 20) + 1);
  } else if (request.target == "/data") {
    response.stream = std::make_unique<Pieces>(5'000'000);
    response.stream_length = 5'000'000;
  } else if (request.target == "/short") {
    response.stream = std::make_unique<Pieces>(1000);
    response.stream_length = 5000;
  } else if (request.target == "/endless") {
    response.stream = std::make_unique<Pieces>(0, true);
  } else if (request.target == "/stuck") {
    asio::steady_timer timer(co_await asio::this_coro::executor);
    timer.expires_after(std::chrono::seconds(60));
    co_await timer.async_wait(asio::use_awaitable);
  } else {
    response.body = (caller.peer ? to_string(caller.peer->party) : "nobody") + " " + request.body;
  }
  co_return response;
}

// The client side: a home context that runs while a call does.
struct Home {
  explicit Home(TestServer& server, Limits limits = {}, const PeerAddress& rules = {})
      : trust(server.pki.trust()) {
    HttpsPeerConfig config;
    const auto own = server.pki.health.tls(institute);
    config.certificate_pem = own.chain_pem;
    config.key_pem = own.key_pem;
    config.insecure_loopback = rules.credential.has_value();
    PeerAddress known = rules;
    known.party = hospital_party;
    if (known.hosts.empty()) known.hosts = {"127.0.0.1:" + std::to_string(server.port)};
    config.peers = {known};
    config.resolve = [this](const std::string& name) {
      asked.push_back(name);
      return names[name];
    };
    auto made = HttpsPeer::create(context.get_executor(), config, limits, trust, clock);
    if (!made) throw std::runtime_error(made.error().message.code);
    peer = std::move(*made);
  }
  ~Home() {
    peer.reset();
    context.stop();
  }

  template <class T>
  T run(awaitable<T> work) {
    std::optional<T> result;
    std::exception_ptr failure;
    asio::co_spawn(context, std::move(work), [&](std::exception_ptr error, T value) {
      failure = error;
      result = std::move(value);
    });
    context.restart();
    while (!result && context.run_one() > 0) {
    }
    if (failure) std::rethrow_exception(failure);
    return std::move(*result);
  }

  PeerRequest request(const std::string& url, const PartyId& to = hospital_party) {
    PeerRequest made;
    made.to = to;
    made.url = url;
    made.http.method = "POST";
    made.http.body = "hello";
    return made;
  }
  Result<PeerAnswer> send(const std::string& url, const PartyId& to = hospital_party) {
    return run(peer->send(request(url, to)));
  }
  Result<std::string> pull(const std::string& url) { return run(pull_all(request(url))); }
  awaitable<Result<std::string>> pull_all(PeerRequest made) {
    auto opening = peer->open(std::move(made));
    Result<PeerStream> stream = co_await std::move(opening);
    if (!stream) co_return tl::unexpected(stream.error());
    std::string all;
    std::vector<std::uint8_t> piece(100'000);
    for (;;) {
      auto reading = stream->body->read(piece);
      const Result<std::size_t> size = co_await std::move(reading);
      if (!size) co_return tl::unexpected(size.error());
      if (*size == 0) co_return all;
      all.append(reinterpret_cast<const char*>(piece.data()), *size);
    }
  }

  asio::io_context context{1};
  TestClock clock;
  identity::TrustSource trust;
  std::map<std::string, std::vector<std::string>> names;  // what the name server says
  std::vector<std::string> asked;
  std::unique_ptr<HttpsPeer> peer;
};

PeerAddress with_credential(std::string sends, std::string anchors = {}) {
  PeerAddress rules;
  rules.credential = PeerCredential{Secret(sends), std::move(anchors)};
  return rules;
}

std::string code(const Result<std::string>& result) {
  return result ? "good" : result.error().message.code;
}

TEST(HttpsPeer, SendsToThePartyItWasToldAndKeepsTheConnection) {
  TestPki pki;
  TestServer server(pki, answers);
  Home home(server);
  for (int i = 0; i < 3; ++i) {
    const auto answer = home.send(server.url("/"));
    ASSERT_TRUE(answer) << answer.error().message.code;
    EXPECT_EQ(answer->body, "health|" + institute + " hello");
  }
  EXPECT_EQ(server.server->connections(), 1u);
}

// A burst of messages must not become a burst of handshakes, of which the other side cuts off those
// that are too many.
TEST(HttpsPeer, ManyMessagesAtOnceShareConnections) {
  TestPki pki;
  TestServer server(pki, answers);
  Home home(server);
  constexpr int messages = 200;
  int answered = 0;
  int done = 0;
  for (int i = 0; i < messages; ++i) {
    asio::co_spawn(
        home.context,
        home.peer->send(home.request(server.url("/"))),
        [&](const std::exception_ptr& failure, const Result<PeerAnswer>& answer) {
          ++done;
          answered += !failure && answer ? 1 : 0;
        }
    );
  }
  while (done < messages && home.context.run_one() > 0) {
  }
  EXPECT_EQ(answered, messages);
  EXPECT_LE(server.server->connections(), 32u);
}

TEST(HttpsPeer, ConnectsToNoHostButThePeersOwn) {
  TestPki pki;
  TestServer server(pki, answers);
  Home home(server);
  const std::string port = std::to_string(server.port);
  EXPECT_EQ(outcome(home.send("https://localhost:" + port + "/")), "net.peer-host-not-configured");
  EXPECT_EQ(outcome(home.send("https://127.0.0.1:1/")), "net.peer-host-not-configured");
  EXPECT_EQ(
      outcome(home.send("https://127.0.0.1:" + port + "@evil.example/")), "net.url-malformed"
  );
  EXPECT_EQ(outcome(home.send(server.url("/"), institute_party)), "net.peer-unknown");
  EXPECT_EQ(outcome(home.send(server.url("/"), {"city", hospital})), "net.peer-unknown");
  EXPECT_EQ(outcome(home.send("http://127.0.0.1:" + port + "/")), "net.peer-insecure");
  EXPECT_EQ(server.server->connections(), 0u);
  EXPECT_TRUE(home.peer->reachable(hospital_party, server.url("/")));
  EXPECT_FALSE(home.peer->reachable(hospital_party, "https://evil.example/"));

  ASSERT_TRUE(home.peer->set_addresses({{hospital_party, {"Hospital.Example", "nonsense host", ""}}}
  ));
  EXPECT_TRUE(home.peer->reachable(hospital_party, "https://hospital.example/x"));
  EXPECT_TRUE(home.peer->reachable(hospital_party, "https://hospital.example:443"));
  EXPECT_FALSE(home.peer->reachable(hospital_party, "https://hospital.example:444"));
  ASSERT_TRUE(home.peer->set_addresses({}));
  EXPECT_EQ(outcome(home.send(server.url("/"))), "net.peer-unknown");
}

TEST(HttpsPeer, BelievesOnlyTheCertificateOfTheParty) {
  TestPki pki;
  TestServer::Options options;
  options.server_uri = "did:web:impostor.example";
  TestServer server(pki, answers, options);
  Home home(server);
  EXPECT_EQ(outcome(home.send(server.url("/"))), "net.peer-other-identity");

  TestPki strangers(42);
  TestServer stranger(strangers, answers);
  Home other(server);
  ASSERT_TRUE(
      other.peer->set_addresses({{hospital_party, {"127.0.0.1:" + std::to_string(stranger.port)}}})
  );
  const auto refused = other.send(stranger.url("/"));
  ASSERT_FALSE(refused);
  EXPECT_EQ(refused.error().message.code, "net.peer-certificate-refused");
  const auto& said = refused.error().message.params;
  EXPECT_EQ(said.at("reason"), "identity.unknown-anchor");
  EXPECT_EQ(said.at("host"), "127.0.0.1");
  EXPECT_EQ(said.at("peer"), to_string(hospital_party));
  EXPECT_TRUE(said.at("issuer").starts_with("CN=")) << said.at("issuer");
  EXPECT_NE(said.at("anchors").find("health: CN="), std::string::npos) << said.at("anchors");
  EXPECT_EQ(refused.error().kind, ErrorKind::forbidden);
}

TEST(HttpsPeer, ARevokedServerIsNotSpokenToOverAKeptConnection) {
  TestPki pki;
  TestServer server(pki, answers);
  Home home(server);
  EXPECT_EQ(outcome(home.send(server.url("/"))), "200");
  auto domains = pki.domains();
  // Serial 2 is the first certificate of this anchor: the server's.
  domains[0].crl_pem = {pki.health.crl({"2"}, {1'767'139'200, 0}, {1'767'312'000, 0})};
  home.trust.replace(*identity::TrustStore::build(domains));
  EXPECT_EQ(outcome(home.send(server.url("/"))), "net.peer-certificate-refused");
}

TEST(HttpsPeer, IsToldWhenItsOwnCertificateIsRefused) {
  TestPki pki;
  TestServer server(pki, answers);
  auto domains = pki.domains();
  domains[0].uri_prefixes = {hospital};
  Home home(server);
  server.trust.replace(*identity::TrustStore::build(domains));
  EXPECT_EQ(outcome(home.send(server.url("/"))), "net.peer-refused-us");
}

TEST(HttpsPeer, DoesNotFollowRedirects) {
  TestPki pki;
  TestServer server(pki, answers);
  Home home(server);
  EXPECT_EQ(outcome(home.send(server.url("/redirect"))), "307");
}

TEST(HttpsPeer, AnswersAreBoundedInSizeAndTime) {
  TestPki pki;
  TestServer::Options options;
  options.limits.drain = milliseconds(300);
  TestServer server(pki, answers, options);
  Limits limits;
  limits.request_timeout = milliseconds(600);
  limits.body_timeout = milliseconds(600);
  Home home(server, limits);
  EXPECT_EQ(outcome(home.send(server.url("/big"))), "net.peer-answer-too-large");
  EXPECT_EQ(outcome(home.send(server.url("/big-chunked"))), "net.peer-answer-too-large");
  const auto begin = std::chrono::steady_clock::now();
  EXPECT_EQ(outcome(home.send(server.url("/stuck"))), "net.peer-timeout");
  EXPECT_EQ(outcome(home.send(server.url("/endless"))), "net.peer-timeout");
  EXPECT_LT(std::chrono::steady_clock::now() - begin, std::chrono::seconds(3));
}

TEST(HttpsPeer, StreamsWholeBodiesAndSeesBrokenOnes) {
  TestPki pki;
  TestServer server(pki, answers);
  Home home(server);
  for (int i = 0; i < 2; ++i) {
    const auto data = home.pull(server.url("/data"));
    ASSERT_TRUE(data) << data.error().message.code;
    EXPECT_EQ(*data, std::string(5'000'000, '\7'));
  }
  EXPECT_EQ(server.server->connections(), 1u);
  EXPECT_EQ(code(home.pull(server.url("/short"))), "net.peer-cut");
}

TEST(HttpsPeer, AServerThatClosedItsIdleConnectionIsReachedAgain) {
  TestPki pki;
  TestServer::Options options;
  options.limits.idle_timeout = milliseconds(300);
  TestServer server(pki, answers, options);
  Home home(server);
  EXPECT_EQ(outcome(home.send(server.url("/"))), "200");
  EXPECT_TRUE(eventually([&] { return server.server->connections() == 0; }));
  EXPECT_EQ(outcome(home.send(server.url("/"))), "200");
}

TEST(HttpsPeer, NobodyThereIsSaid) {
  TestPki pki;
  TestServer server(pki, answers);
  Home home(server);
  server.shut_down();
  EXPECT_EQ(outcome(home.send(server.url("/"))), "net.peer-unreachable");
}

TEST(HttpsPeer, SilentServersTimeOut) {
  // A listening socket that nobody accepts from.
  TestPki pki;
  TestServer server(pki, answers);
  const int silent = ::socket(AF_INET, SOCK_STREAM, 0);
  sockaddr_in address{};
  address.sin_family = AF_INET;
  address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
  socklen_t size = sizeof address;
  ASSERT_EQ(::bind(silent, reinterpret_cast<sockaddr*>(&address), size), 0);
  ASSERT_EQ(::listen(silent, 4), 0);
  ASSERT_EQ(::getsockname(silent, reinterpret_cast<sockaddr*>(&address), &size), 0);
  const std::string host = "127.0.0.1:" + std::to_string(ntohs(address.sin_port));
  Limits limits;
  limits.handshake_timeout = milliseconds(300);
  Home home(server, limits);
  ASSERT_TRUE(home.peer->set_addresses({{hospital_party, {host}}}));
  EXPECT_EQ(outcome(home.send("https://" + host + "/")), "net.peer-timeout");
  ::close(silent);
}

TEST(HttpsPeer, PlainHttpIsForLoopbackAndOnlyWhenAllowed) {
  TestPki pki;
  TestServer::Options options;
  options.transport = Transport::plain;
  TestServer server(pki, answers, options);
  Home allowed(server, {}, with_credential("word"));
  EXPECT_EQ(outcome(allowed.send(server.url("/"))), "200");
  Home refused(server);
  EXPECT_EQ(outcome(refused.send(server.url("/"))), "net.peer-insecure");
  auto elsewhere = with_credential("word");
  elsewhere.party = hospital_party;
  elsewhere.hosts = {"192.0.2.1:80"};
  ASSERT_TRUE(allowed.peer->set_addresses({elsewhere}));
  EXPECT_EQ(outcome(allowed.send("http://192.0.2.1/")), "net.peer-insecure");
  // Where nothing but a certificate could prove the peer, nothing is sent in the clear.
  ASSERT_TRUE(
      allowed.peer->set_addresses({{hospital_party, {"127.0.0.1:" + std::to_string(server.port)}}})
  );
  EXPECT_EQ(outcome(allowed.send(server.url("/"))), "net.peer-insecure");
}

TEST(HttpsPeer, ACredentialStandsForTheCertificate) {
  TestPki pki;
  TestServer::Options options;
  options.transport = Transport::tls;
  std::vector<std::string> seen;
  Handler notes =
      [&seen](HttpRequest request, const identity::Caller& caller) -> awaitable<HttpResponse> {
    seen.push_back(std::string(request.headers.get("Authorization").value_or("none")));
    EXPECT_EQ(caller.peer, nullptr);
    co_return HttpResponse{};
  };
  TestServer server(pki, notes, options);
  const std::string named = "https://localhost:" + std::to_string(server.port) + "/";
  const std::string word = R"({"clientId":"institute"})";
  auto rules = with_credential(word, pki.health.pem());
  rules.hosts = {"localhost:" + std::to_string(server.port)};
  Home home(server, {}, rules);
  home.names["localhost"] = {"127.0.0.1"};
  EXPECT_EQ(outcome(home.send(named)), "200");
  auto with_token = home.request(named);
  with_token.http.headers.set("Authorization", "Bearer token");
  EXPECT_EQ(outcome(home.run(home.peer->send(with_token))), "200");
  EXPECT_EQ(seen, (std::vector<std::string>{word, "Bearer token"}));

  // Other anchors, and the system's, do not vouch for that server: the credential stays here.
  for (const auto& anchors : {pki.city.pem(), std::string()}) {
    auto other = with_credential(word, anchors);
    other.party = hospital_party;
    other.hosts = rules.hosts;
    ASSERT_TRUE(home.peer->set_addresses({other}));
    EXPECT_EQ(outcome(home.send(named)), "net.peer-tls-failed");
  }
  // A certificate for another name neither.
  auto other = with_credential(word, pki.health.pem());
  other.party = hospital_party;
  other.hosts = {"elsewhere.example:" + std::to_string(server.port)};
  other.private_addresses = true;
  ASSERT_TRUE(home.peer->set_addresses({other}));
  home.names["elsewhere.example"] = {"127.0.0.1"};
  EXPECT_EQ(
      outcome(home.send("https://elsewhere.example:" + std::to_string(server.port) + "/")),
      "net.peer-tls-failed"
  );
  EXPECT_EQ(seen.size(), 2U);
  other.credential->anchors_pem = "no certificate";
  const auto unread = home.peer->set_addresses({other});
  ASSERT_FALSE(unread);
  EXPECT_EQ(unread.error().message.code, "net.peer-anchors");
}

// A name leads only where the configuration lets it, and what was judged is what is connected to.
TEST(HttpsPeer, ANameLeadsOnlyWhereItMay) {
  TestPki pki;
  TestServer server(pki, answers);
  const std::string port = ":" + std::to_string(server.port);
  const struct {
    std::string name;
    std::vector<std::string> answer;
    std::vector<std::string> stated;
    bool private_addresses;
    std::string outcome;
  } cases[] = {
      {"peer.example", {"127.0.0.1"}, {}, false, "net.address-loopback"},
      {"peer.example", {"::ffff:127.0.0.1"}, {}, false, "net.address-loopback"},
      {"peer.example", {"10.1.2.3"}, {}, false, "net.address-private"},
      {"peer.example", {"fd12::1"}, {}, false, "net.address-private"},
      {"peer.example", {"169.254.1.1"}, {}, false, "net.address-link-local"},
      {"peer.example", {"169.254.1.1"}, {}, true, "net.address-link-local"},
      {"peer.example", {"169.254.169.254"}, {}, true, "net.address-metadata"},
      {"peer.example", {"224.0.0.1"}, {}, true, "net.address-multicast"},
      {"peer.example", {"0.0.0.0"}, {}, true, "net.address-unusable"},
      // One good address does not make up for one that is none.
      {"peer.example", {"127.0.0.1", "169.254.169.254"}, {}, true, "net.address-metadata"},
      {"peer.example", {}, {}, true, "net.peer-unreachable"},
      {"peer.example", {"127.0.0.1"}, {}, true, "200"},
      {"peer.example", {"127.0.0.1"}, {"127.0.0.1:1"}, false, "200"},
      {"peer.example", {"127.0.0.1"}, {"127.0.0.2:1"}, false, "net.address-loopback"},
      {"localhost", {"127.0.0.1"}, {}, false, "200"},
      {"localhost", {"10.1.2.3"}, {}, true, "net.address-private"},
  };
  for (const auto& one : cases) {
    PeerAddress rules;
    rules.hosts = one.stated;
    rules.hosts.push_back(one.name + port);
    rules.private_addresses = one.private_addresses;
    Home home(server, {}, rules);
    home.names[one.name] = one.answer;
    const auto answer = home.send("https://" + one.name + port + "/");
    EXPECT_EQ(outcome(answer), one.outcome)
        << one.name << " " << ::testing::PrintToString(one.answer);
    // Asked once: an answer that changes between looking and connecting changes nothing.
    EXPECT_EQ(home.asked.size(), 1U);
    if (one.outcome.starts_with("net.address")) {
      ASSERT_FALSE(answer);
      EXPECT_EQ(answer.error().kind, ErrorKind::forbidden);
    }
  }
}

TEST(HttpsPeer, KeptConnectionsEndWithTheConfigurationTheyWereMadeUnder) {
  TestPki pki;
  TestServer server(pki, answers);
  const std::string port = ":" + std::to_string(server.port);
  PeerAddress rules{hospital_party, {"peer.example" + port}, true, std::nullopt};
  Home home(server, {}, rules);
  home.names["peer.example"] = {"127.0.0.1"};
  EXPECT_EQ(outcome(home.send("https://peer.example" + port + "/")), "200");
  rules.private_addresses = false;
  ASSERT_TRUE(home.peer->set_addresses({rules}));
  EXPECT_EQ(outcome(home.send("https://peer.example" + port + "/")), "net.address-loopback");
}

TEST(HttpsPeer, WorkThatIsCancelledStops) {
  TestPki pki;
  TestServer::Options options;
  options.limits.drain = milliseconds(300);
  TestServer server(pki, answers, options);
  Home home(server);
  asio::cancellation_signal stop;
  bool ended = false;
  asio::co_spawn(
      home.context,
      home.peer->send(home.request(server.url("/stuck"))),
      asio::bind_cancellation_slot(
          stop.slot(), [&](std::exception_ptr, Result<PeerAnswer>) { ended = true; }
      )
  );
  asio::steady_timer timer(home.context);
  timer.expires_after(std::chrono::milliseconds(200));
  timer.async_wait([&](boost::system::error_code) { stop.emit(asio::cancellation_type::terminal); }
  );
  const auto begin = std::chrono::steady_clock::now();
  while (!ended && home.context.run_one() > 0) {
  }
  EXPECT_TRUE(ended);
  EXPECT_LT(std::chrono::steady_clock::now() - begin, std::chrono::seconds(3));
}

}  // namespace
}  // namespace tally::net
