// A closed-loop load generator for mutual TLS 1.3: N connections that are kept, one request at a
// time on each, the next as soon as the answer is whole. One thread, epoll, OpenSSL on the
// descriptor. It measures every contender alike and costs 10 to 16 us a call itself.
//
// load --connect 127.0.0.1:8443 --ca ca.pem --cert tls.pem --key tls.key --path /data/x
//      [--header "Name: value"]… [--connections 33] [--seconds 3] [--warmup 0.3]
//      [--body-bytes 1024] [--key-each]
//
// Prints one JSON object. Exit code 1 when a connection failed or an answer was not 200 with
// --body-bytes bytes: a figure with errors in it is no figure.
#include <algorithm>
#include <array>
#include <charconv>
#include <chrono>
#include <cstdint>
#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <map>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include <arpa/inet.h>
#include <fcntl.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <openssl/err.h>
#include <openssl/ssl.h>
#include <sys/epoll.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <unistd.h>

namespace {

using Steady = std::chrono::steady_clock;

[[noreturn]] void give_up(const std::string& what) {
  std::fprintf(stderr, "load: %s\n", what.c_str());
  ERR_print_errors_fp(stderr);
  std::exit(3);
}

struct Options {
  std::string address;
  std::uint16_t port = 0;
  std::string ca, certificate, key;
  std::string path = "/";
  std::vector<std::string> headers;
  int connections = 33;
  double seconds = 3;
  double warmup = 0.3;
  std::optional<std::size_t> body_bytes;
  bool key_each = false;  // a fresh Idempotency-Key on every request
};

Options parse(int argc, char** argv) {
  Options out;
  for (int i = 1; i < argc; ++i) {
    const std::string name = argv[i];
    if (name == "--key-each") {
      out.key_each = true;
      continue;
    }
    if (i + 1 == argc) give_up("no value for " + name);
    const std::string value = argv[++i];
    if (name == "--connect") {
      const auto colon = value.rfind(':');
      if (colon == std::string::npos) give_up("not host:port: " + value);
      out.address = value.substr(0, colon);
      out.port = static_cast<std::uint16_t>(std::atoi(value.c_str() + colon + 1));
    } else if (name == "--ca") {
      out.ca = value;
    } else if (name == "--cert") {
      out.certificate = value;
    } else if (name == "--key") {
      out.key = value;
    } else if (name == "--path") {
      out.path = value;
    } else if (name == "--header") {
      out.headers.push_back(value);
    } else if (name == "--connections") {
      out.connections = std::max(1, std::atoi(value.c_str()));
    } else if (name == "--seconds") {
      out.seconds = std::atof(value.c_str());
    } else if (name == "--warmup") {
      out.warmup = std::atof(value.c_str());
    } else if (name == "--body-bytes") {
      out.body_bytes = static_cast<std::size_t>(std::atoll(value.c_str()));
    } else {
      give_up("unknown option " + name);
    }
  }
  if (out.address.empty() || out.ca.empty() || out.certificate.empty() || out.key.empty()) {
    give_up("--connect, --ca, --cert and --key are needed");
  }
  return out;
}

struct Answer {
  int status = 0;
  std::size_t header_bytes = 0;  // with the empty line
  std::size_t body_bytes = 0;
};

// The header of an answer, once it is there as a whole. Content-Length only: what is measured is
// small.
std::optional<Answer> parse_header(std::string_view text) {
  const auto end = text.find("\r\n\r\n");
  if (end == std::string_view::npos) return std::nullopt;
  Answer answer;
  answer.header_bytes = end + 4;
  if (text.size() > 12) std::from_chars(text.data() + 9, text.data() + 12, answer.status);
  static constexpr std::string_view name = "content-length:";
  for (std::size_t at = text.find("\r\n") + 2; at < end;) {
    const auto line_end = text.find("\r\n", at);
    const std::string_view line = text.substr(at, line_end - at);
    const bool length = line.size() > name.size() &&
                        std::equal(name.begin(), name.end(), line.begin(), [](char wanted, char c) {
                          return wanted == (c >= 'A' && c <= 'Z' ? static_cast<char>(c + 32) : c);
                        });
    if (length) {
      auto value = line.substr(name.size());
      while (value.starts_with(' ')) value.remove_prefix(1);
      std::from_chars(value.data(), value.data() + value.size(), answer.body_bytes);
    }
    at = line_end + 2;
  }
  return answer;
}

struct Connection {
  int descriptor = -1;
  SSL* ssl = nullptr;
  std::string request;
  std::size_t sent = 0;
  std::array<char, 16384> buffer{};
  std::size_t received = 0;
  std::optional<Answer> answer;
  Steady::time_point began;
};

class Load {
 public:
  explicit Load(Options options)
      : options_(std::move(options)), context_(SSL_CTX_new(TLS_client_method())) {
    SSL_CTX_set_min_proto_version(context_, TLS1_3_VERSION);
    // The same for every contender, whatever a server would prefer.
    SSL_CTX_set_ciphersuites(context_, "TLS_AES_128_GCM_SHA256");
    SSL_CTX_set_mode(context_, SSL_MODE_ENABLE_PARTIAL_WRITE | SSL_MODE_ACCEPT_MOVING_WRITE_BUFFER);
    SSL_CTX_set_verify(context_, SSL_VERIFY_PEER, nullptr);
    if (SSL_CTX_load_verify_file(context_, options_.ca.c_str()) != 1 ||
        SSL_CTX_use_certificate_chain_file(context_, options_.certificate.c_str()) != 1 ||
        SSL_CTX_use_PrivateKey_file(context_, options_.key.c_str(), SSL_FILETYPE_PEM) != 1) {
      give_up("the certificates cannot be used");
    }
    fixed_ = "GET " + options_.path + " HTTP/1.1\r\nHost: " + options_.address + ":" +
             std::to_string(options_.port) + "\r\n";
    for (const auto& header : options_.headers) fixed_ += header + "\r\n";
    epoll_ = ::epoll_create1(EPOLL_CLOEXEC);
  }

  int run() {
    connections_.resize(static_cast<std::size_t>(options_.connections));
    for (auto& connection : connections_) {
      connection = std::make_unique<Connection>();
      connect(*connection);
    }
    const auto start = Steady::now();
    measuring_from_ = start + span(options_.warmup);
    const auto end = measuring_from_ + span(options_.seconds);
    for (auto& connection : connections_) drive(*connection);
    std::array<epoll_event, 256> events;
    while (Steady::now() < end) {
      const int ready = ::epoll_wait(epoll_, events.data(), static_cast<int>(events.size()), 100);
      for (int i = 0; i < ready; ++i) {
        drive(*static_cast<Connection*>(events[static_cast<std::size_t>(i)].data.ptr));
      }
    }
    return report(std::chrono::duration<double>(Steady::now() - measuring_from_).count());
  }

 private:
  static Steady::duration span(double seconds) {
    return std::chrono::duration_cast<Steady::duration>(std::chrono::duration<double>(seconds));
  }

  void connect(Connection& c) {
    c.descriptor = ::socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
    sockaddr_in to{};
    to.sin_family = AF_INET;
    to.sin_port = htons(options_.port);
    if (::inet_pton(AF_INET, options_.address.c_str(), &to.sin_addr) != 1) {
      give_up("not an IPv4 address: " + options_.address);
    }
    if (::connect(c.descriptor, reinterpret_cast<const sockaddr*>(&to), sizeof to) != 0) {
      give_up("cannot connect: " + std::string(std::strerror(errno)));
    }
    const int on = 1;
    ::setsockopt(c.descriptor, IPPROTO_TCP, TCP_NODELAY, &on, sizeof on);
    // The handshakes are not what is measured: one after the other, blocking.
    c.ssl = SSL_new(context_);
    SSL_set_fd(c.ssl, c.descriptor);
    if (SSL_connect(c.ssl) != 1) give_up("handshake failed");
    cipher_ = SSL_get_cipher_name(c.ssl);
    protocol_ = SSL_get_version(c.ssl);
    const int flags = ::fcntl(c.descriptor, F_GETFL);
    ::fcntl(c.descriptor, F_SETFL, flags | O_NONBLOCK);
    epoll_event event{};
    event.events = EPOLLIN | EPOLLOUT | EPOLLRDHUP | EPOLLET;
    event.data.ptr = &c;
    ::epoll_ctl(epoll_, EPOLL_CTL_ADD, c.descriptor, &event);
  }

  void next_request(Connection& c) {
    c.request = fixed_;
    if (options_.key_each) {
      c.request += "Idempotency-Key: " + std::to_string(::getpid()) + "-" +
                   std::to_string(next_key_++) + "\r\n";
    }
    c.request += "\r\n";
    c.sent = 0;
    c.received = 0;
    c.answer.reset();
    c.began = Steady::now();
  }

  // Goes on as far as the connection lets it.
  void drive(Connection& c) {
    if (c.ssl == nullptr) return;
    if (c.request.empty()) next_request(c);
    for (;;) {
      while (c.sent < c.request.size()) {
        std::size_t written = 0;
        ERR_clear_error();
        const int result =
            SSL_write_ex(c.ssl, c.request.data() + c.sent, c.request.size() - c.sent, &written);
        if (result != 1) return waiting_or_lost(c, result);
        c.sent += written;
      }
      std::size_t got = 0;
      ERR_clear_error();
      const int result =
          SSL_read_ex(c.ssl, c.buffer.data() + c.received, c.buffer.size() - c.received, &got);
      if (result != 1) return waiting_or_lost(c, result);
      c.received += got;
      if (!c.answer) c.answer = parse_header({c.buffer.data(), c.received});
      if (!c.answer) continue;
      const std::size_t whole = c.answer->header_bytes + c.answer->body_bytes;
      if (whole > c.buffer.size()) give_up("the answer is too large");
      if (c.received < whole) continue;
      count(c);
      next_request(c);
    }
  }

  void waiting_or_lost(Connection& c, int result) {
    const int why = SSL_get_error(c.ssl, result);
    if (why == SSL_ERROR_WANT_READ || why == SSL_ERROR_WANT_WRITE) return;
    ++lost_;
    SSL_free(c.ssl);
    c.ssl = nullptr;
    ::close(c.descriptor);
  }

  void count(const Connection& c) {
    ++statuses_[c.answer->status];
    if (c.answer->status != 200 ||
        (options_.body_bytes && c.answer->body_bytes != *options_.body_bytes)) {
      ++unexpected_;
      if (sample_.empty()) sample_.assign(c.buffer.data(), std::min<std::size_t>(c.received, 600));
    }
    const auto now = Steady::now();
    if (now < measuring_from_) return;
    ++answers_;
    const auto us = std::chrono::duration_cast<std::chrono::microseconds>(now - c.began).count();
    ++latencies_[std::min<std::size_t>(static_cast<std::size_t>(us) / 10, latencies_.size() - 1)];
  }

  [[nodiscard]] double quantile(double q) const {
    const auto wanted = static_cast<std::uint64_t>(static_cast<double>(answers_) * q);
    std::uint64_t seen = 0;
    for (std::size_t i = 0; i < latencies_.size(); ++i) {
      seen += latencies_[i];
      if (seen > wanted) return static_cast<double>(i) * 10;
    }
    return 0;
  }

  int report(double seconds) {
    rusage usage{};
    ::getrusage(RUSAGE_SELF, &usage);
    const double cpu = static_cast<double>(usage.ru_utime.tv_sec + usage.ru_stime.tv_sec) +
                       static_cast<double>(usage.ru_utime.tv_usec + usage.ru_stime.tv_usec) / 1e6;
    std::string statuses;
    for (const auto& [status, seen] : statuses_) {
      statuses += (statuses.empty() ? "\"" : ", \"") + std::to_string(status) +
                  "\": " + std::to_string(seen);
    }
    std::printf(
        "{\"answers\": %llu, \"seconds\": %.3f, \"per_second\": %.0f, \"p50_us\": %.0f, "
        "\"p99_us\": %.0f, \"own_cpu_seconds\": %.3f, \"statuses\": {%s}, \"unexpected\": %llu, "
        "\"lost\": %llu, \"tls\": \"%s\", \"cipher\": \"%s\"}\n",
        static_cast<unsigned long long>(answers_),
        seconds,
        static_cast<double>(answers_) / seconds,
        quantile(0.5),
        quantile(0.99),
        cpu,
        statuses.c_str(),
        static_cast<unsigned long long>(unexpected_),
        static_cast<unsigned long long>(lost_),
        protocol_.c_str(),
        cipher_.c_str()
    );
    if (!sample_.empty()) std::fprintf(stderr, "load: an answer was\n%s\n", sample_.c_str());
    return unexpected_ == 0 && lost_ == 0 && answers_ > 0 ? 0 : 1;
  }

  Options options_;
  SSL_CTX* context_;
  int epoll_ = -1;
  std::string fixed_;
  std::vector<std::unique_ptr<Connection>> connections_;
  Steady::time_point measuring_from_;
  std::uint64_t next_key_ = 0;
  std::uint64_t answers_ = 0;
  std::uint64_t unexpected_ = 0;
  std::uint64_t lost_ = 0;
  std::map<int, std::uint64_t> statuses_;
  std::vector<std::uint64_t> latencies_ = std::vector<std::uint64_t>(100'000);  // of 10 us
  std::string sample_;
  std::string cipher_, protocol_;
};

}  // namespace

int main(int argc, char** argv) {
  return Load(parse(argc, argv)).run();
}
