#include "test_server.hpp"

#include <array>
#include <chrono>
#include <csignal>
#include <future>

#include <boost/asio/co_spawn.hpp>
#include <boost/asio/use_future.hpp>

#include <arpa/inet.h>
#include <gtest/gtest.h>
#include <netinet/in.h>
#include <nlohmann/json.hpp>
#include <openssl/pem.h>
#include <openssl/ssl.h>
#include <poll.h>
#include <sys/socket.h>
#include <unistd.h>

namespace tally::net {

namespace asio = boost::asio;

void Refusals::refused(const Message& reason, const std::string&) {
  const std::lock_guard lock(mutex_);
  seen_.push_back(reason);
}

std::size_t Refusals::count(const std::string& code) const {
  const std::lock_guard lock(mutex_);
  std::size_t count = 0;
  for (const Message& one : seen_) {
    if (code.empty() || one.code == code) ++count;
  }
  return count;
}

std::string Refusals::all() const {
  const std::lock_guard lock(mutex_);
  std::string text;
  for (const Message& one : seen_) text += render(one, Lang::en) + "\n";
  return text;
}

bool Refusals::saw(const std::string& code) const {
  const bool seen = eventually([&] { return count(code) > 0; });
  EXPECT_TRUE(seen) << code << " not among:\n" << all();
  return seen;
}

void NotedNotices::note(Severity severity, const Message& message) {
  if (severity != Severity::error) return;
  const std::lock_guard lock(mutex_);
  errors_ += render(message, Lang::en) + "\n";
}

std::string NotedNotices::errors() const {
  const std::lock_guard lock(mutex_);
  return errors_;
}

bool eventually(const std::function<bool()>& condition) {
  for (int i = 0; i < 1000; ++i) {
    if (condition()) return true;
    std::this_thread::sleep_for(std::chrono::milliseconds(5));
  }
  return condition();
}

TestServer::TestServer(testing::TestPki& made_pki, Handler handler, Options options)
    : pki(made_pki),
      trust(pki.trust()),
      transport_(options.transport),
      unix_socket_(options.unix_socket) {
  std::vector<asio::io_context*> contexts;
  for (std::size_t i = 0; i < options.threads; ++i) {
    contexts_.push_back(std::make_unique<asio::io_context>(1));
    contexts.push_back(contexts_.back().get());
    guards_.emplace_back(contexts_.back()->get_executor());
  }
  ListenerConfig config;
  config.transport = options.transport;
  config.unix_socket = options.unix_socket;
  if (options.transport != Transport::plain) {
    const auto own = pki.health.tls(options.server_uri);
    config.certificate_pem = own.chain_pem;
    config.key_pem = own.key_pem;
  }
  server = std::make_unique<Server>(
      contexts, config, options.limits, trust, clock, std::move(handler), refusals, notices
  );
  const auto bound = server->listen();
  if (!bound) throw std::runtime_error(render(bound.error().message, Lang::en));
  port = *bound;
  for (const auto& context : contexts_) {
    threads_.emplace_back([at = context.get()] { at->run(); });
  }
}

std::int64_t TestServer::shut_down() {
  const auto begin = std::chrono::steady_clock::now();
  if (!down_) {
    asio::co_spawn(*contexts_.front(), server->shutdown(), asio::use_future).get();
    down_ = true;
  }
  const auto took = std::chrono::steady_clock::now() - begin;
  return std::chrono::duration_cast<std::chrono::milliseconds>(took).count();
}

TestServer::~TestServer() {
  shut_down();
  guards_.clear();
  for (const auto& context : contexts_) context->stop();
  for (std::thread& thread : threads_) thread.join();
  EXPECT_EQ(server->connections(), 0u);
  server.reset();
}

std::string TestServer::url(const std::string& target) const {
  const char* scheme = transport_ == Transport::plain ? "http" : "https";
  return std::string(scheme) + "://127.0.0.1:" + std::to_string(port == 0 ? 80 : port) + target;
}

LocalClient TestServer::client(const testing::KeyAndChain& certificate) const {
  LocalClientConfig config;
  config.unix_socket = unix_socket_;
  config.ca_pem = pki.health.pem();
  if (transport_ == Transport::mutual_tls) {
    config.certificate_pem = certificate.chain_pem;
    config.key_pem = certificate.key_pem;
  }
  config.timeout = seconds(20);
  return LocalClient(std::move(config));
}

std::string outcome(const Result<PeerAnswer>& answer) {
  if (!answer) return answer.error().message.code;
  std::string text = std::to_string(answer->status);
  const auto problem = nlohmann::json::parse(answer->body, nullptr, false);
  if (problem.is_object() && problem.contains("code")) {
    text += " " + problem["code"].get<std::string>();
  }
  return text;
}

struct RawConnection::State {
  int fd = -1;
  SSL_CTX* context = nullptr;
  SSL* ssl = nullptr;
  ~State() {
    SSL_free(ssl);
    SSL_CTX_free(context);
    if (fd >= 0) ::close(fd);
  }
};

RawConnection::RawConnection(std::uint16_t port) : state_(std::make_unique<State>()) {
  // OpenSSL's own socket BIO raises it; what is tested does not.
  static const auto ignored = std::signal(SIGPIPE, SIG_IGN);
  (void)ignored;
  state_->fd = ::socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
  sockaddr_in address{};
  address.sin_family = AF_INET;
  address.sin_port = htons(port);
  address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
  const auto* raw = reinterpret_cast<const sockaddr*>(&address);
  if (::connect(state_->fd, raw, sizeof address) != 0) throw std::runtime_error("cannot connect");
  const timeval limit{.tv_sec = 10, .tv_usec = 0};
  ::setsockopt(state_->fd, SOL_SOCKET, SO_SNDTIMEO, &limit, sizeof limit);
}

RawConnection::~RawConnection() = default;

bool RawConnection::start_tls(const testing::KeyAndChain* certificate, int max_version) {
  State& s = *state_;
  s.context = SSL_CTX_new(TLS_client_method());
  if (max_version != 0) SSL_CTX_set_max_proto_version(s.context, max_version);
  s.ssl = SSL_new(s.context);
  if (certificate != nullptr) {
    BIO* bio = BIO_new_mem_buf(certificate->chain_pem.data(), -1);
    X509* leaf = PEM_read_bio_X509(bio, nullptr, nullptr, nullptr);
    SSL_use_certificate(s.ssl, leaf);
    X509_free(leaf);
    BIO_free(bio);
    bio =
        BIO_new_mem_buf(certificate->key_pem.data(), static_cast<int>(certificate->key_pem.size()));
    EVP_PKEY* key = PEM_read_bio_PrivateKey(bio, nullptr, nullptr, nullptr);
    SSL_use_PrivateKey(s.ssl, key);
    EVP_PKEY_free(key);
    BIO_free(bio);
  }
  SSL_set_fd(s.ssl, s.fd);
  return SSL_connect(s.ssl) == 1;
}

bool RawConnection::send(const std::string& bytes) {
  State& s = *state_;
  if (s.ssl != nullptr) {
    std::size_t written = 0;
    return SSL_write_ex(s.ssl, bytes.data(), bytes.size(), &written) == 1;
  }
  return ::send(s.fd, bytes.data(), bytes.size(), MSG_NOSIGNAL) ==
         static_cast<ssize_t>(bytes.size());
}

std::string RawConnection::read_some(int most_milliseconds) {
  State& s = *state_;
  if (s.ssl == nullptr || SSL_has_pending(s.ssl) == 0) {
    pollfd ready{s.fd, POLLIN, 0};
    if (::poll(&ready, 1, most_milliseconds) <= 0) return {};
  }
  std::array<char, 16384> buffer{};
  if (s.ssl != nullptr) {
    std::size_t got = 0;
    if (SSL_read_ex(s.ssl, buffer.data(), buffer.size(), &got) != 1) {
      ended_ = true;
      return {};
    }
    return {buffer.data(), got};
  }
  const ssize_t got = ::recv(s.fd, buffer.data(), buffer.size(), 0);
  if (got <= 0) {
    ended_ = true;
    return {};
  }
  return {buffer.data(), static_cast<std::size_t>(got)};
}

std::string RawConnection::read_all(int most_milliseconds) {
  const auto end = std::chrono::steady_clock::now() + std::chrono::milliseconds(most_milliseconds);
  std::string all;
  while (!ended_ && std::chrono::steady_clock::now() < end) all += read_some(100);
  return all;
}

}  // namespace tally::net
