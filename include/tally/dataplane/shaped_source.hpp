// A source as it is handed out in a shape: rows left out, columns taken, values masked, in pieces
// and with the memory of one record and a piece or two.
//
// How long the result is shows only when it is made, so `identify` goes through the data once. That
// also finds what does not fit the schema before a use is counted or a byte leaves. `open` from an
// offset makes the beginning again and drops it. Both are deterministic: the same version of the
// source in the same shape gives the same bytes, so a cut download goes on where it ended.
#pragma once

#include <cstddef>
#include <cstdint>
#include <memory>
#include <optional>
#include <string>

#include "tally/dataplane/shape.hpp"
#include "tally/dataplane/source.hpp"

namespace tally::dataplane {

// The body in `shape`, of a body that has `length` bytes. Read errors: those of `inner`;
// unavailable (dataplane.short-source, or the data do not fit the schema: the code names the line,
// and never what stands in it). An error is final and stands for the missing rest: what was read
// before it is no whole. `record_bytes`: Limits::record_bytes.
std::unique_ptr<BodyReader> shaped_body(
    std::unique_ptr<BodyReader> inner,
    std::uint64_t length,
    ShapePtr shape,
    std::size_t record_bytes
);

class ShapedSource final : public Source {
 public:
  ShapedSource(std::unique_ptr<Source> source, ShapePtr shape, std::size_t record_bytes);
  ~ShapedSource() override;

  // Of what is handed out. Errors: those of the source, and of shaped_body.
  awaitable<Result<SourceIdentity>> identify() override;
  // Precondition as there, with the length of the last `identify`.
  awaitable<Result<std::unique_ptr<BodyReader>>> open(
      std::uint64_t offset, std::optional<std::uint64_t> length
  ) override;
  // Null as well where the data do not fit the schema: `identify` says why.
  std::shared_ptr<const SmallContent> small() override;

 private:
  [[nodiscard]] std::string shaped_identity(const SourceIdentity& inner) const;
  awaitable<Result<std::unique_ptr<BodyReader>>> whole(std::uint64_t inner_length);

  std::unique_ptr<Source> source_;
  ShapePtr shape_;
  const std::size_t record_bytes_;
  SourceIdentity inner_;  // as `identify` found it
  SourceIdentity shaped_;
};

}  // namespace tally::dataplane
