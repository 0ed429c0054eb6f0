// What a request asks for of a source (RFC 9110, Range and If-Range), and the digest of exactly
// what was read. Pure but for the reader it wraps. Any thread, one request at a time.
#pragma once

#include <cstdint>
#include <functional>
#include <memory>
#include <optional>
#include <string>
#include <string_view>

#include "tally/core/digest.hpp"
#include "tally/core/http.hpp"
#include "tally/dataplane/source.hpp"

namespace tally::dataplane {

struct ByteRange {
  std::uint64_t offset = 0;
  std::uint64_t length = 0;
  bool operator==(const ByteRange&) const = default;
};

enum class RangeKind {
  whole,  // no range, or a form that RFC 9110 lets a server ignore (several, another unit)
  part,
  unsatisfiable,  // well formed, and outside the data: 416
};

struct ParsedRange {
  RangeKind kind = RangeKind::whole;
  ByteRange range;  // of a part; clipped to the data
  bool operator==(const ParsedRange&) const = default;
};

// The value of a Range field against data of `length` bytes.
ParsedRange parse_range(std::string_view header, std::uint64_t length);

// A strong validator: quoted, made from the identity's text and hiding it.
std::string etag_of(const SourceIdentity& identity);

// What to answer. 412 where plain HTTP would start over with 200: a changed source must not pass
// for the rest of what the peer holds, nor count as the same use.
struct Selection {
  int status = 200;  // 200, 206, 412, 416
  ByteRange range;   // what is sent; all of it at 200
};
Selection select(const Headers& request, const SourceIdentity& identity);
// ETag, Accept-Ranges and, where they belong, Content-Range.
void describe(
    const Selection& selection,
    const SourceIdentity& identity,
    Headers& response,
    std::string etag = {}  // etag_of(identity), where it is known already
);

// How a stream ended, seen from the reader's side.
struct StreamEnd {
  Digest sha256{};
  std::uint64_t bytes = 0;
  bool complete = false;  // all of it was read
};

// Passes a body on and digests exactly what it passed. `at_end` is called once: when the last byte
// was read, at the first error, or when the reader is dropped before its end (a cut). A body that
// ends short of `expected` is an error (unavailable, dataplane.short-source), never a short
// success.
class DigestingReader final : public BodyReader {
 public:
  using AtEnd = std::function<void(const StreamEnd&)>;
  DigestingReader(
      std::unique_ptr<BodyReader> inner, std::optional<std::uint64_t> expected, AtEnd at_end
  );
  ~DigestingReader() override;
  DigestingReader(const DigestingReader&) = delete;
  DigestingReader& operator=(const DigestingReader&) = delete;

  awaitable<Result<std::size_t>> read(std::span<std::uint8_t> out) override;

 private:
  void end(bool complete);

  std::unique_ptr<BodyReader> inner_;
  const std::optional<std::uint64_t> expected_;
  AtEnd at_end_;  // null once it was called
  Sha256 sha_;
  std::uint64_t bytes_ = 0;
};

}  // namespace tally::dataplane
