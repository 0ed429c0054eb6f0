// Servers that keep to the letter of HTTP at most: what the client makes of them.
#include <atomic>
#include <thread>

#include <boost/asio/co_spawn.hpp>
#include <boost/asio/io_context.hpp>

#include <arpa/inet.h>
#include <gtest/gtest.h>
#include <netinet/in.h>
#include <sys/socket.h>
#include <unistd.h>

#include "test_server.hpp"

namespace tally::net {
namespace {

namespace asio = boost::asio;

enum class Then { close, hold };  // after the bytes

// Reads a request, says `bytes` whatever it was, and closes or falls silent.
class RudeServer {
 public:
  RudeServer(std::string bytes, Then then) : bytes_(std::move(bytes)), then_(then) {
    listening_ = ::socket(AF_INET, SOCK_STREAM, 0);
    sockaddr_in address{};
    address.sin_family = AF_INET;
    address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    socklen_t size = sizeof address;
    auto* raw = reinterpret_cast<sockaddr*>(&address);
    const bool open = ::bind(listening_, raw, size) == 0 && ::listen(listening_, 8) == 0 &&
                      ::getsockname(listening_, raw, &size) == 0;
    if (!open) throw std::runtime_error("no port");
    port = ntohs(address.sin_port);
    thread_ = std::thread([this] { serve(); });
  }
  ~RudeServer() {
    ::shutdown(listening_, SHUT_RDWR);
    thread_.join();
    for (const int held : held_) ::close(held);
    ::close(listening_);
  }
  RudeServer(const RudeServer&) = delete;
  RudeServer& operator=(const RudeServer&) = delete;

  std::uint16_t port = 0;
  std::atomic<int> requests = 0;

 private:
  void serve() {
    for (;;) {
      const int connection = ::accept(listening_, nullptr, nullptr);
      if (connection < 0) return;
      std::string got;
      char piece[4096];
      while (got.find("\r\n\r\nhello") == std::string::npos) {
        const ssize_t size = ::recv(connection, piece, sizeof piece, 0);
        if (size <= 0) break;
        got.append(piece, static_cast<std::size_t>(size));
      }
      ++requests;
      (void)::send(connection, bytes_.data(), bytes_.size(), MSG_NOSIGNAL);
      if (then_ == Then::hold) {
        held_.push_back(connection);
      } else {
        ::close(connection);
      }
    }
  }

  const std::string bytes_;
  const Then then_;
  int listening_ = -1;
  std::vector<int> held_;
  std::thread thread_;
};

struct Asked {
  std::string outcome;
  std::string body;
  Nanos took = 0;
};

Asked ask(std::uint16_t port, Nanos answer_within) {
  testing::TestPki pki;
  TestClock clock;
  identity::TrustSource trust(pki.trust());
  asio::io_context home{1};
  const std::string host = "127.0.0.1:" + std::to_string(port);
  HttpsPeerConfig config;
  config.insecure_loopback = true;
  config.peers = {{hospital_party, {host}, false, PeerCredential{Secret("word"), {}}}};
  auto peer = HttpsPeer::create(home.get_executor(), config, Limits{}, trust, clock);
  if (!peer) throw std::runtime_error(peer.error().message.code);
  PeerRequest request;
  request.to = hospital_party;
  request.url = "http://" + host + "/";
  request.http.method = "POST";
  request.http.body = "hello";
  request.answer_within = answer_within;
  std::optional<Result<PeerAnswer>> answer;
  const auto begin = std::chrono::steady_clock::now();
  asio::co_spawn(home, (*peer)->send(request), [&](std::exception_ptr, Result<PeerAnswer> got) {
    answer = std::move(got);
  });
  while (!answer && home.run_one() > 0) {
  }
  Asked out;
  out.took = (std::chrono::steady_clock::now() - begin).count();
  out.outcome = outcome(*answer);
  if (*answer) out.body = (*answer)->body;
  peer->reset();
  home.stop();
  return out;
}

TEST(RudeServers, AreUnderstoodOrSaidToBeWhatTheyAre) {
  const struct {
    const char* name;
    std::string bytes;
    Then then;
    std::string outcome;
    std::string body;
  } cases[] = {
      {"200 without a type",
       "HTTP/1.1 200 OK\r\nContent-length: 2\r\n\r\n{}",
       Then::hold,
       "200",
       "{}"},
      {"202", "HTTP/1.1 202 \r\nContent-Length: 0\r\n\r\n", Then::hold, "202", ""},
      {"204", "HTTP/1.1 204 No Content\r\n\r\n", Then::hold, "204", ""},
      {"empty and chunked",
       "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n",
       Then::hold,
       "200",
       ""},
      {"until the end", "HTTP/1.1 200 OK\r\n\r\n{}", Then::close, "200", "{}"},
      {"404, empty and chunked",
       "HTTP/1.1 404 Not Found\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n",
       Then::hold,
       "404",
       ""},
      {"a redirect",
       "HTTP/1.1 302 Found\r\nLocation: http://127.0.0.1:1/\r\nContent-Length: 0\r\n\r\n",
       Then::hold,
       "302",
       ""},
      {"no answer", "", Then::close, "net.peer-cut", ""},
      {"half an answer",
       "HTTP/1.1 200 OK\r\nContent-Length: 9\r\n\r\n{}",
       Then::close,
       "net.peer-cut",
       ""},
      {"no HTTP", "220 mail.example ESMTP\r\n\r\n", Then::close, "net.peer-answer-malformed", ""},
      {"silence", "", Then::hold, "net.peer-timeout", ""},
      {"silence in the header", "HTTP/1.1 200 OK\r\nContent-", Then::hold, "net.peer-timeout", ""},
      {"silence in the body",
       "HTTP/1.1 200 OK\r\nContent-Length: 9\r\n\r\n{}",
       Then::hold,
       "net.peer-timeout",
       ""},
  };
  for (const auto& one : cases) {
    SCOPED_TRACE(one.name);
    RudeServer server(one.bytes, one.then);
    const auto asked = ask(server.port, milliseconds(500));
    EXPECT_EQ(asked.outcome, one.outcome);
    EXPECT_EQ(asked.body, one.body);
    EXPECT_EQ(server.requests, 1);
    EXPECT_LT(asked.took, seconds(3));
  }
}

}  // namespace
}  // namespace tally::net
