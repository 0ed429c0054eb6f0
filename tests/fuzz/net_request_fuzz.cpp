// Any bytes as a request, as they come in from the network: the parser reads the same whatever the
// pieces, and what it let through is within its bounds; then its target, its fields, its range and
// what it shows of itself. The first byte says where the pieces end. Seeds: written here
// (seeds.py).
#include <algorithm>
#include <cstdint>
#include <cstdlib>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "tally/core/http.hpp"
#include "tally/dataplane/stream.hpp"
#include "tally/net/url.hpp"

#include "net/http_parser.hpp"

namespace {

using namespace tally;

constexpr std::size_t header_bytes = 16 << 10;
constexpr std::size_t body_bytes = 64 << 10;

void expect(bool good) {
  if (!good) std::abort();
}

// As the server does it: what is not consumed is given again, with more behind it.
std::optional<HttpRequest> read(std::string_view bytes, std::size_t piece) {
  net::RequestParser parser(header_bytes, body_bytes);
  parser.eager(false);
  std::string pending;
  std::size_t given = 0;
  for (;;) {
    if (given < bytes.size()) {
      const auto next = bytes.substr(given, piece);
      given += next.size();
      pending += next;
    } else if (pending.empty()) {
      return std::nullopt;
    }
    for (;;) {
      std::size_t consumed = 0;
      const std::span<const std::uint8_t> unread(
          reinterpret_cast<const std::uint8_t*>(pending.data()), pending.size()
      );
      const auto parsed = parser.feed(unread, consumed);
      expect(consumed <= pending.size());
      pending.erase(0, consumed);
      if (parsed == net::ParseState::complete) return parser.take();
      if (parsed == net::ParseState::failed) {
        expect(parser.failed_status() >= 400 && parser.failed_code() != nullptr);
        return std::nullopt;
      }
      if (parsed == net::ParseState::need_more || pending.empty()) break;
    }
    if (given == bytes.size()) return std::nullopt;
  }
}

void check_fields(const HttpRequest& request) {
  for (const auto& [name, value] : request.headers.all()) {
    expect(!name.empty() && request.headers.count(name) >= 1);
    const auto breaks = [](char c) { return c == '\r' || c == '\n' || c == '\0'; };
    expect(std::none_of(value.begin(), value.end(), breaks));
    // What an Authorization value is compared as: nothing around it.
    expect(value.empty() || (value.front() != ' ' && value.back() != ' '));
  }
  expect(
      request.headers.get("Authorization").has_value() ==
      (request.headers.count("authorization") > 0)
  );
}

void check_range(const HttpRequest& request) {
  for (const std::uint64_t length : {0ULL, 1ULL, 1000ULL, ~0ULL}) {
    const dataplane::SourceIdentity identity{"source", length};
    const auto selection = dataplane::select(request.headers, identity);
    if (selection.status != 200 && selection.status != 206) continue;
    expect(selection.range.offset <= length);
    expect(selection.range.length <= length - selection.range.offset);
    Headers answer;
    dataplane::describe(selection, identity, answer);
  }
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  if (size == 0) return 0;
  const std::string_view bytes(reinterpret_cast<const char*>(data) + 1, size - 1);
  const auto whole = read(bytes, std::max<std::size_t>(bytes.size(), 1));
  const auto pieces = read(bytes, data[0] + std::size_t{1});
  (void)net::parse_url(bytes);
  (void)dataplane::parse_range(bytes, data[0]);
  // A header over the limit may be seen sooner in pieces; what both let through is the same.
  if (!whole || !pieces) return 0;
  expect(whole->method == pieces->method && whole->target == pieces->target);
  expect(whole->body == pieces->body && whole->headers.all() == pieces->headers.all());
  expect(whole->body.size() <= body_bytes);
  if (const auto target = parse_target(whole->target)) {
    for (const auto& segment : target->path) {
      const auto again = parse_target("/" + percent_encode_segment(segment));
      // "/" alone has no segment, and no target holds a NUL.
      if (!segment.empty() && segment.find('\0') == std::string::npos) {
        expect(again && again->path == std::vector{segment});
      }
    }
  }
  check_fields(*whole);
  check_range(*whole);
  return 0;
}
