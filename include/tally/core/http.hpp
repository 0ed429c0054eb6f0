// HTTP messages as values, without a transport. `net` moves them over TLS; the simulator hands them
// from one connector to the other in memory.
#pragma once

#include <cstddef>
#include <cstdint>
#include <functional>
#include <memory>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "tally/core/clock.hpp"
#include "tally/core/result.hpp"

namespace tally {

// Header fields in order; names compare without case. Few per message, so a vector.
// An Authorization is overwritten when they go.
class Headers {
 public:
  Headers() = default;
  ~Headers();
  Headers(const Headers&) = default;
  Headers(Headers&&) noexcept = default;
  Headers& operator=(const Headers&) = default;
  Headers& operator=(Headers&&) noexcept = default;
  void set(std::string name, std::string value);  // replaces
  void add(std::string name, std::string value);
  // The first value, or nullopt.
  [[nodiscard]] std::optional<std::string_view> get(std::string_view name) const;
  [[nodiscard]] std::size_t count(std::string_view name) const;
  [[nodiscard]] const std::vector<std::pair<std::string, std::string>>& all() const {
    return fields_;
  }

 private:
  std::vector<std::pair<std::string, std::string>> fields_;
};

// A body that is read piece by piece. One reader at a time.
class BodyReader {
 public:
  virtual ~BodyReader() = default;
  // Fills at most `out`; 0 means the end. An error ends the body: it is incomplete.
  virtual awaitable<Result<std::size_t>> read(std::span<std::uint8_t> out) = 0;
};

struct HttpRequest {
  std::string method;  // "GET"
  std::string target;  // origin form: path and query, still percent-encoded
  Headers headers;
  std::string body;
};

struct HttpResponse {
  int status = 200;
  Headers headers;
  std::string body;                            // when `stream` is null
  std::unique_ptr<BodyReader> stream;          // otherwise; closed early = the peer sees a cut body
  std::optional<std::uint64_t> stream_length;  // → Content-Length; absent → chunked
  // Whether the stream may go on; may be null. Asked before each piece and, in between, several
  // times a second, so that a reader that stalls is cut too. Any thread.
  std::function<bool()> may_go_on;
  // Called once with the number of body bytes handed to the transport and whether all went out.
  // For a response without stream, after the write. May be null.
  std::function<void(std::uint64_t bytes, bool complete)> on_sent;
};

// Path segments and query of a target, percent-decoded. nullopt on malformed encoding.
struct Target {
  std::vector<std::string> path;
  std::vector<std::pair<std::string, std::string>> query;
};
std::optional<Target> parse_target(std::string_view target);
std::string percent_encode_segment(std::string_view segment);

}  // namespace tally
