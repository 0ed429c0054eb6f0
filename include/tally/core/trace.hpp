// Following one call through several programs: W3C Trace Context (traceparent), and the spans that
// tell what this connector did of it. A span says which route, how it ended and how long it took;
// it holds codes and ids, never a body, a token or a value of a query.
#pragma once

#include <array>
#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "tally/core/clock.hpp"

namespace tally {

inline constexpr const char* trace_header = "traceparent";

struct TraceContext {
  using SpanId = std::array<std::uint8_t, 8>;

  std::array<std::uint8_t, 16> trace{};
  SpanId span{};
  bool sampled = false;  // whoever began the trace wants its spans
  bool operator==(const TraceContext&) const = default;
};

// nullopt: not as the recommendation has it, and then it is as if there were none. Of a version
// after 00 what 00 has is read.
std::optional<TraceContext> parse_traceparent(std::string_view text);
std::string to_traceparent(const TraceContext& context);

// One request that was answered.
struct Span {
  TraceContext context;         // its own
  TraceContext::SpanId parent;  // of whoever asked
  std::string name;             // "GET /api/v1/data/:agreement"
  Instant began;
  Instant ended;
  bool failed = false;  // a fault of ours, as opposed to a refusal
  std::vector<std::pair<std::string, std::string>> attributes;
};

// Where spans go. Any thread; never waits.
class SpanSink {
 public:
  virtual ~SpanSink() = default;
  virtual void ended(Span span) = 0;
};

}  // namespace tally
