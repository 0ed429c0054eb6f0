// A server on loopback with its threads, and clients that behave badly.
#pragma once

#include <atomic>
#include <functional>
#include <memory>
#include <mutex>
#include <optional>
#include <string>
#include <thread>
#include <vector>

#include <boost/asio/awaitable.hpp>
#include <boost/asio/executor_work_guard.hpp>
#include <boost/asio/io_context.hpp>

#include "tally/net/client.hpp"
#include "tally/net/local_client.hpp"
#include "tally/net/server.hpp"

#include "support/test_pki.hpp"

namespace tally::net {

inline const std::string hospital = "did:web:hospital.example";
inline const std::string institute = "did:web:institute.example";
inline const PartyId hospital_party{"health", hospital};
inline const PartyId institute_party{"health", institute};

class TestClock : public Clock {
 public:
  ClockReading read() override { return {{now.load(), 0}, true}; }
  std::atomic<std::int64_t> now{1'767'225'600};
};

class Refusals : public RefusalSink {
 public:
  void refused(const Message& reason, const std::string& source) override;
  [[nodiscard]] std::size_t count(const std::string& code = {}) const;
  [[nodiscard]] std::string all() const;
  // Waits up to five seconds for one with this code.
  [[nodiscard]] bool saw(const std::string& code) const;

 private:
  mutable std::mutex mutex_;
  std::vector<Message> seen_;
};

class NotedNotices : public Notices {
 public:
  void note(Severity severity, const Message& message) override;
  [[nodiscard]] std::string errors() const;

 private:
  mutable std::mutex mutex_;
  std::string errors_;
};

// Waits up to five seconds for something to become true.
bool eventually(const std::function<bool()>& condition);

class TestServer {
 public:
  struct Options {
    Transport transport = Transport::mutual_tls;
    Limits limits;
    std::size_t threads = 2;
    std::string unix_socket;
    std::string server_uri = hospital;
  };
  TestServer(testing::TestPki& made_pki, Handler handler, Options options);
  TestServer(testing::TestPki& made_pki, Handler handler)
      : TestServer(made_pki, std::move(handler), Options{}) {}
  ~TestServer();

  // Completes the two steps of the end; returns how long they took, in milliseconds.
  std::int64_t shut_down();
  [[nodiscard]] std::string url(const std::string& target) const;
  // A well-behaved client of ours with the certificate given.
  [[nodiscard]] LocalClient client(const testing::KeyAndChain& certificate) const;
  [[nodiscard]] LocalClient client() { return client(pki.health.tls(institute)); }

  testing::TestPki& pki;
  TestClock clock;
  Refusals refusals;
  NotedNotices notices;
  identity::TrustSource trust;
  std::uint16_t port = 0;
  std::unique_ptr<Server> server;

 private:
  Transport transport_;
  std::string unix_socket_;
  std::vector<std::unique_ptr<boost::asio::io_context>> contexts_;
  std::vector<boost::asio::executor_work_guard<boost::asio::io_context::executor_type>> guards_;
  std::vector<std::thread> threads_;
  bool down_ = false;
};

// The status and code of a problem answer: "413 net.body-too-large"; or the error's code.
std::string outcome(const Result<PeerAnswer>& answer);

// A blocking connection on which a test says what it likes.
class RawConnection {
 public:
  explicit RawConnection(std::uint16_t port);
  ~RawConnection();
  RawConnection(const RawConnection&) = delete;
  RawConnection& operator=(const RawConnection&) = delete;

  // TLS with this certificate (empty: none). False if the handshake fails on our side.
  bool start_tls(const testing::KeyAndChain* certificate, int max_version = 0);
  bool send(const std::string& bytes);
  // Reads until the other side ends, at most so long.
  std::string read_all(int most_milliseconds = 5000);
  std::string read_some(int most_milliseconds = 5000);
  [[nodiscard]] bool ended() const { return ended_; }

 private:
  struct State;
  std::unique_ptr<State> state_;
  bool ended_ = false;
};

}  // namespace tally::net
