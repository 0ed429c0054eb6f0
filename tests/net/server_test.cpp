#include "tally/net/server.hpp"

#include <chrono>
#include <future>

#include <boost/asio/steady_timer.hpp>
#include <boost/asio/this_coro.hpp>
#include <boost/asio/use_awaitable.hpp>

#include <gtest/gtest.h>
#include <openssl/ssl.h>

#include "support/temp_dir.hpp"
#include "test_server.hpp"

namespace tally::net {
namespace {

namespace asio = boost::asio;
using testing::KeyAndChain;
using testing::LeafOptions;
using testing::TestPki;

awaitable<void> sleep_ms(int span) {
  asio::steady_timer timer(co_await asio::this_coro::executor);
  timer.expires_after(std::chrono::milliseconds(span));
  co_await timer.async_wait(asio::use_awaitable);
}

// Produces `total` bytes, slowly if asked.
class Numbers : public BodyReader {
 public:
  Numbers(std::uint64_t total, int pause_ms, bool fails)
      : left_(total), pause_ms_(pause_ms), fails_(fails) {}
  awaitable<Result<std::size_t>> read(std::span<std::uint8_t> out) override {
    if (pause_ms_ > 0) co_await sleep_ms(pause_ms_);
    if (left_ == 0 && fails_) co_return fail(ErrorKind::unavailable, {"net.internal", {}});
    const std::size_t size = static_cast<std::size_t>(std::min<std::uint64_t>(left_, out.size()));
    for (std::size_t i = 0; i < size; ++i) out[i] = static_cast<std::uint8_t>(at_++);
    left_ -= size;
    co_return size;
  }

 private:
  std::uint64_t left_;
  std::uint64_t at_ = 0;
  int pause_ms_;
  bool fails_;
};

std::atomic<std::uint64_t> sent_bytes{0};
std::atomic<int> sent_complete{-1};

awaitable<HttpResponse> example(HttpRequest request, const identity::Caller& caller) {
  HttpResponse response;
  response.headers.set("Content-Type", "text/plain");
  const auto target = parse_target(request.target);
  const std::string what = target && !target->path.empty() ? target->path[0] : "";
  if (what == "slow") {
    co_await sleep_ms(300);
  } else if (what == "stuck") {
    co_await sleep_ms(60'000);
  } else if (what == "throw") {
    throw std::runtime_error("broken");
  } else if (what == "header") {
    response.headers.set("X", "a\r\nSet-Cookie: b");
  } else if (what == "stream" || what == "chunked" || what == "broken" || what == "drip") {
    const std::uint64_t size = std::stoull(target->path.at(1));
    response.stream = std::make_unique<Numbers>(size, what == "drip" ? 50 : 0, what == "broken");
    if (what == "stream") response.stream_length = size;
    response.on_sent = [](std::uint64_t bytes, bool complete) {
      sent_bytes = bytes;
      sent_complete = complete ? 1 : 0;
    };
    co_return response;
  }
  response.body = request.method + " " + request.target + " " +
                  (caller.peer ? to_string(caller.peer->party) : "nobody") + " " +
                  std::string(caller.authorization) + " " + std::to_string(request.body.size());
  co_return response;
}

HttpRequest request_of(const std::string& method, std::string body = {}) {
  HttpRequest request;
  request.method = method;
  request.body = std::move(body);
  return request;
}

std::string get_text(const std::string& target, const std::string& more = {}) {
  return "GET " + target + " HTTP/1.1\r\nHost: localhost\r\n" + more + "\r\n";
}

Limits quick() {
  Limits limits;
  limits.handshake_timeout = milliseconds(700);
  limits.header_timeout = milliseconds(700);
  limits.body_timeout = milliseconds(700);
  limits.idle_timeout = milliseconds(700);
  limits.write_timeout = milliseconds(700);
  limits.request_timeout = milliseconds(700);
  limits.drain = milliseconds(500);
  return limits;
}

TEST(Server, AnswersAVerifiedPeerAndKeepsTheConnection) {
  TestPki pki;
  TestServer s(pki, example);
  LocalClient client = s.client();
  for (int i = 0; i < 3; ++i) {
    HttpRequest request = request_of("POST", "12345");
    request.headers.set("Authorization", "Bearer x");
    const auto answer = client.call(s.url("/a%20b?c=d"), request);
    ASSERT_TRUE(answer) << answer.error().message.code;
    EXPECT_EQ(answer->status, 200);
    EXPECT_EQ(answer->body, "POST /a%20b?c=d health|" + institute + " Bearer x 5");
    EXPECT_EQ(answer->headers.get("Date"), "Thu, 01 Jan 2026 00:00:00 GMT");
    EXPECT_EQ(s.server->connections(), 1u);
  }
  EXPECT_EQ(s.refusals.count(), 0u) << s.refusals.all();
}

TEST(Server, TlsIsOnePointThreeWithoutTicketsOnly) {
  TestPki pki;
  TestServer s(pki, example);
  const KeyAndChain good = pki.health.tls(institute);
  RawConnection old(s.port);
  EXPECT_FALSE(old.start_tls(&good, TLS1_2_VERSION));
  EXPECT_TRUE(s.refusals.saw("net.tls-version"));
}

struct BadPeer {
  std::string name;
  std::function<std::optional<KeyAndChain>(TestPki&)> certificate;
  std::string code;
};

TEST(Server, NoBadPeerGetsAByteOfAnAnswer) {
  const std::vector<BadPeer> cases{
      {"none", [](TestPki&) { return std::optional<KeyAndChain>(); }, "identity.no-certificate"},
      {"expired",
       [](TestPki& pki) {
         LeafOptions options;
         options.uris = {institute};
         options.not_after = {1'767'139'200, 0};
         return std::optional(pki.health.issue(options));
       },
       "identity.expired"},
      {"another anchor",
       [](TestPki&) {
         testing::TestAnchor other("other", 9, {1'577'836'800, 0}, {2'840'140'800, 0});
         return std::optional(other.tls(institute));
       },
       "identity.unknown-anchor"},
      {"two URIs",
       [](TestPki& pki) {
         LeafOptions options;
         options.uris = {institute, hospital};
         return std::optional(pki.health.issue(options));
       },
       "identity.several-uris"},
      {"a URI its domain may not name",
       [](TestPki& pki) { return std::optional(pki.city.tls("https://hospital.example")); },
       "identity.uri-not-allowed"},
      {"server certificate",
       [](TestPki& pki) {
         LeafOptions options;
         options.uris = {institute};
         options.client_auth = false;
         return std::optional(pki.health.issue(options));
       },
       "identity.wrong-purpose"},
      {"contract certificate",
       [](TestPki& pki) { return std::optional(pki.health.contract(institute)); },
       "identity.wrong-purpose"},
  };
  TestPki pki;
  std::atomic<int> served{0};
  Handler counting = [&served](HttpRequest request, const identity::Caller& caller) {
    ++served;
    return example(std::move(request), caller);
  };
  TestServer s(pki, counting);
  for (const BadPeer& one : cases) {
    const auto certificate = one.certificate(pki);
    RawConnection raw(s.port);
    raw.start_tls(certificate ? &*certificate : nullptr);
    raw.send(get_text("/catalog"));
    EXPECT_EQ(raw.read_all(), "") << one.name;
    EXPECT_TRUE(raw.ended()) << one.name;
    EXPECT_TRUE(s.refusals.saw(one.code)) << one.name;
  }
  EXPECT_TRUE(eventually([&] { return s.refusals.count() >= cases.size(); }));
  EXPECT_EQ(served, 0);
  EXPECT_EQ(s.refusals.count(), cases.size()) << s.refusals.all();
}

TEST(Server, ARevokedPeerIsRefusedAndToldSo) {
  TestPki pki;
  TestServer s(pki, example);
  const KeyAndChain leaf = pki.health.tls(institute);
  auto domains = pki.domains();
  domains[0].crl_pem = {pki.health.crl({leaf.serial}, {1'767'139'200, 0}, {1'767'312'000, 0})};
  s.trust.replace(*identity::TrustStore::build(domains));
  LocalClient client = s.client(leaf);
  EXPECT_EQ(outcome(client.call(s.url("/"), request_of("GET"))), "net.peer-refused-us");
  EXPECT_TRUE(s.refusals.saw("identity.revoked"));
  LocalClient other = s.client();
  EXPECT_EQ(outcome(other.call(s.url("/"), request_of("GET"))), "200");
}

TEST(Server, RevocationCutsIdleBusyAndStreamingConnectionsWithinASecond) {
  TestPki pki;
  TestServer s(pki, example);
  const KeyAndChain leaf = pki.health.tls(institute);
  RawConnection streaming(s.port);
  RawConnection waiting(s.port);
  RawConnection idle(s.port);
  RawConnection unaffected(s.port);
  const KeyAndChain other = pki.health.tls("did:web:other.example");
  for (RawConnection* one : {&streaming, &waiting, &idle}) ASSERT_TRUE(one->start_tls(&leaf));
  ASSERT_TRUE(unaffected.start_tls(&other));
  ASSERT_TRUE(streaming.send(get_text("/drip/1000000000")));
  EXPECT_NE(streaming.read_some(), "");
  ASSERT_TRUE(waiting.send(get_text("/stuck")));
  ASSERT_TRUE(idle.send(get_text("/")));
  EXPECT_NE(idle.read_some(), "");
  EXPECT_TRUE(eventually([&] { return s.server->requests_in_flight() == 1; }));

  auto domains = pki.domains();
  domains[0].crl_pem = {pki.health.crl({leaf.serial}, {1'767'139'200, 0}, {1'767'312'000, 0})};
  s.trust.replace(*identity::TrustStore::build(domains));
  const auto begin = std::chrono::steady_clock::now();
  waiting.read_all();
  idle.read_all();
  streaming.read_all();
  EXPECT_TRUE(waiting.ended() && idle.ended() && streaming.ended());
  EXPECT_LT(std::chrono::steady_clock::now() - begin, std::chrono::milliseconds(1000));
  EXPECT_EQ(s.refusals.count("identity.revoked"), 3u) << s.refusals.all();
  EXPECT_TRUE(eventually([&] { return sent_complete == 0; }));

  ASSERT_TRUE(unaffected.send(get_text("/")));
  EXPECT_NE(unaffected.read_some(), "");
}

TEST(Server, ACertificateThatExpiresMeanwhileEndsItsConnection) {
  TestPki pki;
  TestServer s(pki, example);
  LeafOptions options;
  options.uris = {institute};
  options.not_after = s.clock.read().at + seconds(60);
  const KeyAndChain leaf = pki.health.issue(options);
  RawConnection raw(s.port);
  ASSERT_TRUE(raw.start_tls(&leaf));
  ASSERT_TRUE(raw.send(get_text("/")));
  EXPECT_NE(raw.read_some(), "");
  s.clock.now += 61;
  raw.read_all();
  EXPECT_TRUE(raw.ended());
  EXPECT_TRUE(s.refusals.saw("identity.expired"));
}

TEST(Server, BadRequestsGetProblemDetails) {
  struct Case {
    std::string bytes, status, code;
  };
  const std::vector<Case> cases{
      {"nonsense\r\n\r\n", "400", "net.malformed-request"},
      {"GET / HTTP/1.1\r\n\r\n", "400", "net.malformed-request"},
      {"GET / HTTP/1.1\r\nHost: a\r\nHost: b\r\n\r\n", "400", "net.malformed-request"},
      {"GET http://localhost/ HTTP/1.1\r\nHost: a\r\n\r\n", "400", "net.malformed-request"},
      {"GET / HTTP/1.1\r\nHost: a\r\nBad Name: x\r\n\r\n", "400", "net.malformed-request"},
      {"POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 1\r\nContent-Length: 2\r\n\r\nxx",
       "400",
       "net.malformed-request"},
      {"POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 3\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n"
       "\r\n",
       "400",
       "net.malformed-request"},
      {"POST / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\nzz\r\n",
       "400",
       "net.malformed-request"},
      {"POST / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n1;" +
           std::string(20'000, 'x'),
       "400",
       "net.malformed-request"},
      {"GET / HTTP/1.1\r\nHost: a\r\nX: " + std::string(20'000, 'x') + "\r\n\r\n",
       "431",
       "net.header-too-large"},
      {"GET /" + std::string(20'000, 'x') + " HTTP/1.1\r\nHost: a\r\n\r\n",
       "431",
       "net.header-too-large"},
      {"POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 1048577\r\n\r\n",
       "413",
       "net.body-too-large"},
      {"POST / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n200000\r\n",
       "413",
       "net.body-too-large"},
  };
  TestPki pki;
  TestServer s(pki, example);
  const KeyAndChain leaf = pki.health.tls(institute);
  for (const Case& one : cases) {
    RawConnection raw(s.port);
    ASSERT_TRUE(raw.start_tls(&leaf));
    ASSERT_TRUE(raw.send(one.bytes));
    const std::string answer = raw.read_all();
    EXPECT_TRUE(answer.starts_with("HTTP/1.1 " + one.status)) << one.bytes << "\n" << answer;
    EXPECT_NE(answer.find("application/problem+json"), std::string::npos);
    EXPECT_NE(answer.find(one.code), std::string::npos) << answer;
    EXPECT_NE(answer.find("Connection: close"), std::string::npos);
    EXPECT_TRUE(raw.ended());
  }
  std::string many = "GET / HTTP/1.1\r\nHost: a\r\n";
  for (int i = 0; i < 500; ++i) many += "X" + std::to_string(i) + ": 1\r\n";
  RawConnection raw(s.port);
  ASSERT_TRUE(raw.start_tls(&leaf));
  ASSERT_TRUE(raw.send(many + "\r\n"));
  EXPECT_TRUE(raw.read_all().starts_with("HTTP/1.1 431"));
}

TEST(Server, AHeaderOfTenMebibytesIsAnsweredAndNotKept) {
  TestPki pki;
  TestServer s(pki, example);
  const KeyAndChain leaf = pki.health.tls(institute);
  RawConnection raw(s.port);
  ASSERT_TRUE(raw.start_tls(&leaf));
  ASSERT_TRUE(raw.send("GET / HTTP/1.1\r\nHost: a\r\nX: "));
  std::string piece(64 << 10, 'x');
  for (int i = 0; i < 160; ++i) {
    if (!raw.send(piece)) break;
  }
  EXPECT_TRUE(raw.read_all().starts_with("HTTP/1.1 431"));
}

TEST(Server, ABodyAtTheLimitPassesWholeOrInChunks) {
  TestPki pki;
  TestServer s(pki, example);
  LocalClient client = s.client();
  const auto answer = client.call(s.url("/"), request_of("POST", std::string(1 << 20, 'x')));
  ASSERT_TRUE(answer);
  EXPECT_NE(answer->body.find(" 1048576"), std::string::npos);
  EXPECT_EQ(
      outcome(client.call(s.url("/"), request_of("POST", std::string((1 << 20) + 1, 'x')))),
      "413 net.body-too-large"
  );

  const KeyAndChain leaf = pki.health.tls(institute);
  RawConnection raw(s.port);
  ASSERT_TRUE(raw.start_tls(&leaf));
  ASSERT_TRUE(raw.send("POST / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n"));
  for (const char* piece : {"3\r", "\nab", "c\r\n5;x=y\r\ndefgh\r\n0", "\r\n\r\n"}) {
    ASSERT_TRUE(raw.send(piece));
    std::this_thread::sleep_for(std::chrono::milliseconds(20));
  }
  EXPECT_NE(raw.read_some().find(" 8"), std::string::npos);
}

TEST(Server, PipelinedRequestsAreAnsweredInOrder) {
  TestPki pki;
  TestServer s(pki, example);
  const KeyAndChain leaf = pki.health.tls(institute);
  RawConnection raw(s.port);
  ASSERT_TRUE(raw.start_tls(&leaf));
  ASSERT_TRUE(
      raw.send(get_text("/slow") + get_text("/two") + get_text("/three", "Connection: close\r\n"))
  );
  const std::string all = raw.read_all();
  const auto one = all.find("GET /slow");
  const auto two = all.find("GET /two");
  const auto three = all.find("GET /three");
  EXPECT_TRUE(one < two && two < three && three != std::string::npos) << all;
  EXPECT_TRUE(raw.ended());
}

TEST(Server, ExpectContinueAndHeadAreHonoured) {
  TestPki pki;
  TestServer s(pki, example);
  const KeyAndChain leaf = pki.health.tls(institute);
  RawConnection raw(s.port);
  ASSERT_TRUE(raw.start_tls(&leaf));
  ASSERT_TRUE(
      raw.send("POST / HTTP/1.1\r\nHost: a\r\nExpect: 100-continue\r\nContent-Length: 2\r\n\r\n")
  );
  EXPECT_EQ(raw.read_some(), "HTTP/1.1 100 Continue\r\n\r\n");
  ASSERT_TRUE(raw.send("ab"));
  EXPECT_TRUE(raw.read_some().starts_with("HTTP/1.1 200"));
  ASSERT_TRUE(raw.send("HEAD /stream/5000 HTTP/1.1\r\nHost: a\r\n\r\n"));
  const std::string head = raw.read_some();
  EXPECT_NE(head.find("Content-Length: 5000"), std::string::npos) << head;
  EXPECT_TRUE(head.ends_with("\r\n\r\n")) << head;
}

TEST(Server, WhoTricklesOrIsSilentIsCut) {
  TestPki pki;
  TestServer::Options options;
  options.limits = quick();
  TestServer s(pki, example, options);
  const KeyAndChain leaf = pki.health.tls(institute);

  RawConnection silent(s.port);  // never begins TLS
  RawConnection idle(s.port);
  RawConnection slow_header(s.port);
  RawConnection slow_body(s.port);
  for (RawConnection* one : {&idle, &slow_header, &slow_body}) ASSERT_TRUE(one->start_tls(&leaf));
  ASSERT_TRUE(slow_body.send("POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 100\r\n\r\n"));
  const auto begin = std::chrono::steady_clock::now();
  for (int i = 0; i < 12; ++i) {
    slow_header.send(std::string(1, "GET / HTTP/1.1\r\nHost"[i]));
    slow_body.send("x");
    std::this_thread::sleep_for(std::chrono::milliseconds(100));
  }
  const std::string dbg = slow_header.read_all();
  EXPECT_TRUE(dbg.starts_with("HTTP/1.1 408")) << dbg;
  EXPECT_TRUE(slow_body.read_all().starts_with("HTTP/1.1 408"));
  EXPECT_EQ(idle.read_all(), "");
  silent.read_all();
  EXPECT_TRUE(silent.ended() && idle.ended());
  EXPECT_LT(std::chrono::steady_clock::now() - begin, std::chrono::seconds(4));
  EXPECT_TRUE(s.refusals.saw("net.handshake-timeout"));
  EXPECT_TRUE(eventually([&] { return s.server->connections() == 0; }));
}

TEST(Server, AReaderThatStopsReadingIsCut) {
  TestPki pki;
  TestServer::Options options;
  options.limits = quick();
  TestServer s(pki, example, options);
  const KeyAndChain leaf = pki.health.tls(institute);
  RawConnection raw(s.port);
  ASSERT_TRUE(raw.start_tls(&leaf));
  sent_complete = -1;
  ASSERT_TRUE(raw.send(get_text("/stream/1000000000")));
  EXPECT_TRUE(eventually([&] { return sent_complete == 0; }));
  EXPECT_TRUE(eventually([&] { return s.server->connections() == 0; }));
}

TEST(Server, AHandlerThatTakesTooLongIsCancelledAndAnswered) {
  TestPki pki;
  TestServer::Options options;
  options.limits = quick();
  TestServer s(pki, example, options);
  LocalClient client = s.client();
  EXPECT_EQ(outcome(client.call(s.url("/stuck"), request_of("GET"))), "503 net.request-timeout");
  EXPECT_EQ(s.server->requests_in_flight(), 0u);
  EXPECT_EQ(outcome(client.call(s.url("/"), request_of("GET"))), "200");
}

TEST(Server, AHandlerThatThrowsOrBreaksAHeaderIsAnInternalError) {
  TestPki pki;
  TestServer s(pki, example);
  LocalClient client = s.client();
  EXPECT_EQ(outcome(client.call(s.url("/throw"), request_of("GET"))), "500 net.internal");
  EXPECT_EQ(outcome(client.call(s.url("/header"), request_of("GET"))), "500 net.internal");
  EXPECT_EQ(outcome(client.call(s.url("/"), request_of("GET"))), "200");
  EXPECT_NE(s.notices.errors().find("broken"), std::string::npos);
}

TEST(Server, StreamsWithAndWithoutLength) {
  TestPki pki;
  TestServer s(pki, example);
  LocalClient client = s.client();
  for (const std::string kind : {"stream", "chunked"}) {
    for (const std::size_t size :
         {std::size_t{0},
          std::size_t{1},
          std::size_t{70'000},
          std::size_t{131'072},
          std::size_t{3'000'001}}) {
      sent_complete = -1;
      const auto answer =
          client.call(s.url("/" + kind + "/" + std::to_string(size)), request_of("GET"));
      ASSERT_TRUE(answer) << kind << size << answer.error().message.code;
      ASSERT_EQ(answer->body.size(), size) << kind;
      bool right = true;
      for (std::size_t i = 0; i < size; ++i) {
        right = right && static_cast<std::uint8_t>(answer->body[i]) == static_cast<std::uint8_t>(i);
      }
      EXPECT_TRUE(right);
      EXPECT_TRUE(eventually([&] { return sent_complete == 1; }));
      EXPECT_EQ(sent_bytes, size);
    }
  }
  EXPECT_EQ(s.server->connections(), 1u);
}

TEST(Server, AStreamThatBreaksLooksBroken) {
  TestPki pki;
  TestServer s(pki, example);
  LocalClient client = s.client();
  sent_complete = -1;
  EXPECT_EQ(outcome(client.call(s.url("/broken/1000"), request_of("GET"))), "net.peer-cut");
  EXPECT_TRUE(eventually([&] { return sent_complete == 0; }));
}

TEST(Server, AStreamThatBreaksBeforeItsFirstByteIsAnsweredAndTheConnectionGoesOn) {
  TestPki pki;
  TestServer s(pki, example);
  LocalClient client = s.client();
  for (int i = 0; i < 2; ++i) {
    sent_complete = -1;
    EXPECT_EQ(outcome(client.call(s.url("/broken/0"), request_of("GET"))), "503 net.nothing-begun");
    EXPECT_EQ(sent_complete, 0);
    EXPECT_EQ(sent_bytes, 0U);
    EXPECT_EQ(s.server->connections(), 1U);
  }
}

TEST(Server, RequestsInFlightAreBounded) {
  TestPki pki;
  TestServer::Options options;
  options.limits.requests_in_flight = 2;
  TestServer s(pki, example, options);
  const KeyAndChain leaf = pki.health.tls(institute);
  RawConnection a(s.port);
  RawConnection b(s.port);
  for (RawConnection* one : {&a, &b}) {
    ASSERT_TRUE(one->start_tls(&leaf));
    ASSERT_TRUE(one->send(get_text("/slow")));
  }
  EXPECT_TRUE(eventually([&] { return s.server->requests_in_flight() == 2; }));
  LocalClient client = s.client();
  EXPECT_EQ(outcome(client.call(s.url("/"), request_of("GET"))), "503 net.too-many-requests");
  a.read_some();
  b.read_some();
  EXPECT_TRUE(eventually([&] { return s.server->requests_in_flight() == 0; }));
  EXPECT_EQ(outcome(client.call(s.url("/"), request_of("GET"))), "200");
}

TEST(Server, ConnectionsPerPeerAreBoundedAndOthersUnaffected) {
  TestPki pki;
  TestServer::Options options;
  options.limits.connections_per_peer = 3;
  TestServer s(pki, example, options);
  const KeyAndChain leaf = pki.health.tls(institute);
  std::vector<std::unique_ptr<RawConnection>> kept;
  for (int i = 0; i < 3; ++i) {
    kept.push_back(std::make_unique<RawConnection>(s.port));
    ASSERT_TRUE(kept.back()->start_tls(&leaf));
    ASSERT_TRUE(kept.back()->send(get_text("/")));
    EXPECT_NE(kept.back()->read_some(), "");
  }
  RawConnection fourth(s.port);
  fourth.start_tls(&leaf);
  fourth.send(get_text("/"));
  EXPECT_EQ(fourth.read_all(), "");
  EXPECT_TRUE(s.refusals.saw("net.too-many-connections-of-peer"));
  LocalClient other = s.client(pki.health.tls("did:web:other.example"));
  EXPECT_EQ(outcome(other.call(s.url("/"), request_of("GET"))), "200");
  kept.clear();
  EXPECT_TRUE(eventually([&] { return s.server->connections() == 1; }));
  LocalClient again = s.client(leaf);
  EXPECT_EQ(outcome(again.call(s.url("/"), request_of("GET"))), "200");
}

TEST(Server, ConnectionsAreBounded) {
  TestPki pki;
  TestServer::Options options;
  options.limits.connections = 4;
  TestServer s(pki, example, options);
  std::vector<std::unique_ptr<RawConnection>> kept;
  for (int i = 0; i < 6; ++i) kept.push_back(std::make_unique<RawConnection>(s.port));
  EXPECT_TRUE(s.refusals.saw("net.too-many-connections"));
  EXPECT_LE(s.server->connections(), 4u);
}

TEST(Server, ServingGoesOnUnderAFloodOfBadHandshakes) {
  TestPki pki;
  TestServer s(pki, example);
  testing::TestAnchor stranger("stranger", 9, {1'577'836'800, 0}, {2'840'140'800, 0});
  const KeyAndChain bad = stranger.tls(institute);
  std::atomic<bool> flooding{true};
  auto flood = std::async(std::launch::async, [&] {
    std::vector<std::unique_ptr<RawConnection>> silent;
    for (int i = 0; i < 500; ++i) {
      auto raw = std::make_unique<RawConnection>(s.port);
      if (i % 3 == 0) {
        raw->start_tls(&bad);
      } else if (i % 3 == 1) {
        raw->send("GET / HTTP/1.1\r\n\r\n");
      } else {
        silent.push_back(std::move(raw));
      }
    }
    flooding = false;
    return silent.size();
  });
  LocalClient kept = s.client();
  int served = 0;
  int fresh = 0;
  do {
    EXPECT_EQ(outcome(kept.call(s.url("/"), request_of("GET"))), "200");
    ++served;
    LocalClient newcomer = s.client();
    if (outcome(newcomer.call(s.url("/"), request_of("GET"))) == "200") ++fresh;
  } while (flooding);
  flood.get();
  EXPECT_GT(served, 3);
  EXPECT_EQ(fresh, served);
  EXPECT_TRUE(eventually([&] { return s.refusals.count() == 500; })) << s.refusals.count();
  EXPECT_GT(s.refusals.count("identity.unknown-anchor"), 150u);
  EXPECT_GT(s.refusals.count("net.not-tls"), 150u);
  EXPECT_LE(s.server->connections(), 66u + 2u);  // handshakes in flight, kept, newcomer
}

TEST(Server, HandshakesInFlightAreBoundedAndTheOldestMakesRoom) {
  TestPki pki;
  TestServer::Options options;
  options.limits.handshakes_in_flight = 4;
  TestServer s(pki, example, options);
  std::vector<std::unique_ptr<RawConnection>> silent;
  for (int i = 0; i < 20; ++i) silent.push_back(std::make_unique<RawConnection>(s.port));
  EXPECT_TRUE(eventually([&] { return s.refusals.count("net.handshake-crowded-out") == 16; }));
  LocalClient client = s.client();
  EXPECT_EQ(outcome(client.call(s.url("/"), request_of("GET"))), "200");
}

TEST(Server, ShutdownClosesIdleFinishesBusyAndCutsStragglers) {
  TestPki pki;
  TestServer::Options options;
  options.limits.drain = milliseconds(800);
  TestServer s(pki, example, options);
  const KeyAndChain leaf = pki.health.tls(institute);
  RawConnection idle(s.port);
  RawConnection busy(s.port);
  RawConnection straggler(s.port);
  for (RawConnection* one : {&idle, &busy, &straggler}) ASSERT_TRUE(one->start_tls(&leaf));
  ASSERT_TRUE(idle.send(get_text("/")));
  EXPECT_NE(idle.read_some(), "");
  ASSERT_TRUE(busy.send(get_text("/slow")));
  ASSERT_TRUE(straggler.send(get_text("/stuck")));
  EXPECT_TRUE(eventually([&] { return s.server->requests_in_flight() == 2; }));

  auto down = std::async(std::launch::async, [&] { return s.shut_down(); });
  const auto begin = std::chrono::steady_clock::now();
  idle.read_all();
  EXPECT_TRUE(idle.ended());
  EXPECT_LT(std::chrono::steady_clock::now() - begin, std::chrono::milliseconds(250));
  const std::string answer = busy.read_all();
  EXPECT_TRUE(answer.starts_with("HTTP/1.1 200")) << answer;
  EXPECT_NE(answer.find("Connection: close"), std::string::npos);
  EXPECT_EQ(straggler.read_all(), "");
  const std::int64_t took = down.get();
  EXPECT_GE(took, 750);
  EXPECT_LT(took, 1500);
  EXPECT_EQ(s.server->connections(), 0u);
  EXPECT_THROW(RawConnection late(s.port), std::runtime_error);
}

TEST(Server, PlainIsForLoopbackOnly) {
  TestPki pki;
  TestServer::Options options;
  options.transport = Transport::plain;
  TestServer s(
      pki,
      [](HttpRequest request, const identity::Caller& caller) {
        EXPECT_FALSE(caller.peer);
        return example(std::move(request), caller);
      },
      options
  );
  LocalClient client = s.client();
  EXPECT_EQ(outcome(client.call(s.url("/"), request_of("GET"))), "200");

  asio::io_context context;
  for (const char* address : {"0.0.0.0", "::", "192.0.2.1"}) {
    ListenerConfig config;
    config.transport = Transport::plain;
    config.address = address;
    Server open({&context}, config, Limits{}, s.trust, s.clock, example, s.refusals, s.notices);
    const auto bound = open.listen();
    ASSERT_FALSE(bound);
    EXPECT_EQ(bound.error().message.code, "net.plain-not-loopback");
  }
}

TEST(Server, UnixSocketsAreOursAlone) {
  TestPki pki;
  const testing::TempDir dir;
  TestServer::Options options;
  options.transport = Transport::plain;
  options.unix_socket = dir / "apps.sock";
  {
    TestServer s(
        pki,
        [](HttpRequest request, const identity::Caller& caller) {
          EXPECT_EQ(caller.source, "unix");
          return example(std::move(request), caller);
        },
        options
    );
    const auto mode = std::filesystem::status(options.unix_socket).permissions();
    EXPECT_EQ(mode, std::filesystem::perms::owner_read | std::filesystem::perms::owner_write);
    LocalClient client = s.client();
    EXPECT_EQ(outcome(client.call("http://localhost/x", request_of("GET"))), "200");
    // A second daemon does not take the socket away from the first.
    EXPECT_THROW(TestServer(pki, example, options), std::runtime_error);
    EXPECT_EQ(outcome(client.call("http://localhost/x", request_of("GET"))), "200");
  }
  EXPECT_FALSE(std::filesystem::exists(options.unix_socket));
}

TEST(Server, TlsWithoutClientCertificatesServesApps) {
  TestPki pki;
  TestServer::Options options;
  options.transport = Transport::tls;
  TestServer s(pki, example, options);
  LocalClientConfig config;
  config.ca_pem = pki.health.pem();
  config.bearer_token = "secret";
  LocalClient client(config);
  const auto answer = client.call(s.url("/"), request_of("GET"));
  ASSERT_TRUE(answer) << answer.error().message.code;
  EXPECT_EQ(answer->body, "GET / nobody Bearer secret 0");

  config.ca_pem = pki.city.pem();
  LocalClient wrong(config);
  EXPECT_EQ(outcome(wrong.call(s.url("/"), request_of("GET"))), "net.peer-tls-failed");
}

TEST(Server, ReloadedKeysServeNewConnections) {
  TestPki pki;
  TestServer s(pki, example);
  LocalClient before = s.client();
  EXPECT_EQ(outcome(before.call(s.url("/"), request_of("GET"))), "200");
  const KeyAndChain fresh = pki.health.tls(hospital);
  EXPECT_FALSE(s.server->reload_tls(fresh.chain_pem, pki.health.tls(hospital).key_pem));
  EXPECT_TRUE(s.server->reload_tls(fresh.chain_pem, fresh.key_pem));
  EXPECT_EQ(outcome(before.call(s.url("/"), request_of("GET"))), "200");
  LocalClient after = s.client();
  EXPECT_EQ(outcome(after.call(s.url("/"), request_of("GET"))), "200");
}

TEST(Server, ABadKeyOrAddressIsSaid) {
  TestPki pki;
  asio::io_context context;
  identity::TrustSource trust(pki.trust());
  TestClock clock;
  Refusals refusals;
  NotedNotices notices;
  const KeyAndChain good = pki.health.tls(hospital);
  const auto code = [&](ListenerConfig config) {
    Server server(
        {&context}, std::move(config), Limits{}, trust, clock, example, refusals, notices
    );
    const auto bound = server.listen();
    return bound ? std::string("good") : bound.error().message.code;
  };
  ListenerConfig config;
  config.certificate_pem = good.chain_pem;
  config.key_pem = good.key_pem;
  EXPECT_EQ(code(config), "good");
  config.key_pem = pki.health.tls(hospital).key_pem;
  EXPECT_EQ(code(config), "net.tls-key");
  config.certificate_pem = "x";
  EXPECT_EQ(code(config), "net.tls-certificate");
  config = {};
  config.certificate_pem = good.chain_pem;
  config.key_pem = good.key_pem;
  config.address = "nonsense";
  EXPECT_EQ(code(config), "net.bad-address");
  config.address = "192.0.2.1";
  EXPECT_EQ(code(config), "net.cannot-listen");
}

}  // namespace
}  // namespace tally::net
