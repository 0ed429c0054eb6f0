// Where the bytes of an asset come from, as the data path sees it. `sources` implements it for
// files; tests have their own. A source knows nothing of policies: who may read was decided before.
#pragma once

#include <cstdint>
#include <memory>
#include <optional>
#include <string>

#include <nlohmann/json_fwd.hpp>

#include "tally/core/http.hpp"
#include "tally/core/json.hpp"
#include "tally/core/result.hpp"

namespace tally::dataplane {

// Which version of the data this is. Two identities with the same text have the same bytes; a
// resume under another text is refused.
struct SourceIdentity {
  std::string text;
  std::uint64_t length = 0;
  // How many rows that is, where it was made row by row.
  std::optional<std::uint64_t> rows = std::nullopt;
  bool operator==(const SourceIdentity&) const = default;
};

// All of a small source, held in memory and known to be fresh.
struct SmallContent {
  SourceIdentity identity;
  std::string etag;  // etag_of(identity)
  std::string bytes;
  std::string content;  // "sha256:…" of bytes
};

// One asset's data. Cheap to make, used by one request at a time.
class Source {
 public:
  virtual ~Source() = default;

  // Errors: not_found (it is gone), unavailable (cannot be read now), forbidden (outside its root).
  virtual awaitable<Result<SourceIdentity>> identify() = 0;
  // Reads `length` bytes from `offset`, or to the end, of exactly the version that the last
  // `identify` named; should the source change meanwhile, the reader ends with an error
  // (unavailable). Precondition: offset + length ≤ the identity's length.
  virtual awaitable<Result<std::unique_ptr<BodyReader>>> open(
      std::uint64_t offset, std::optional<std::uint64_t> length
  ) = 0;

  // The fast path of small calls: the whole content without any wait, when the source is small and
  // was looked at a moment ago. Null: go the way of identify and open.
  virtual std::shared_ptr<const SmallContent> small() { return nullptr; }
};

// Makes sources from the `source` member of an asset. Any thread; outlives its sources.
class SourceReader {
 public:
  virtual ~SourceReader() = default;
  // Checks the form only, so that an asset file can be refused when it is loaded; whether the data
  // is there shows in `identify`. Errors: invalid, with a pointer relative to `spec`.
  virtual Result<std::unique_ptr<Source>> source(const Json& spec) = 0;
};

}  // namespace tally::dataplane
