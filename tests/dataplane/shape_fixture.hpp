// Shapes of policies and schemas that are written down, and sources that give their bytes in pieces
// of one size.
#pragma once

#include <algorithm>
#include <memory>
#include <string>
#include <utility>
#include <vector>

#include <gtest/gtest.h>
#include <nlohmann/json.hpp>

#include "tally/dataplane/shape.hpp"
#include "tally/dataplane/shaped_source.hpp"

#include "catalog/read.hpp"
#include "support/run.hpp"

namespace tally::dataplane {

inline const std::string agreement = "urn:example:agreement:one";
inline const std::string secret = "0123456789abcdef0123456789abcdef";

inline catalog::Schema schema_of(const Json& schema, const std::string& media_type = "text/csv") {
  const Json document{
      {"id", "urn:example:asset:data"},
      {"mediaType", media_type},
      {"delivery", "call"},
      {"source", Json::object()},
      {"schema", schema}};
  const auto asset = catalog::read_asset({"asset.json", document.dump()}, {});
  if (!asset) throw std::runtime_error(render(asset.error().front().message, Lang::en));
  return *asset->schema;
}

// An agreement with one permission.
inline odrl::PolicyPtr policy_of(const Json& constraints, const Json& duties) {
  Json rule{{"action", "use"}};
  if (!constraints.empty()) rule["constraint"] = constraints;
  if (!duties.empty()) rule["duty"] = duties;
  const Json document{
      {"@context", "http://www.w3.org/ns/odrl.jsonld"},
      {"@type", "Agreement"},
      {"uid", agreement},
      {"profile", "urn:tally:profile:1"},
      {"assigner", "urn:example:party:owner"},
      {"assignee", "urn:example:party:user"},
      {"target", "urn:example:asset:data"},
      {"permission", Json::array({rule})}};
  odrl::LoadOptions options;
  options.enforced_only = false;
  auto loaded = odrl::load_policy(document, options);
  if (!loaded) {
    throw std::runtime_error(
        loaded.error().front().pointer + " " + render(loaded.error().front().message, Lang::en)
    );
  }
  return *loaded;
}

inline tl::expected<ShapePtr, std::vector<odrl::Problem>> shape_of(
    const odrl::CompiledPolicy& policy,
    const catalog::Schema& schema,
    const std::string& of = agreement
) {
  const PseudonymKeys keys(as_bytes(secret), of);
  return compile_shape(
      odrl::possible_obligations(policy, policy.rules().front().id), schema, &keys
  );
}

class PiecesSource final : public Source {
 public:
  PiecesSource(std::string bytes, std::size_t piece, std::size_t really = std::string::npos)
      : bytes_(std::move(bytes)), piece_(piece), really_(really) {}

  awaitable<Result<SourceIdentity>> identify() override {
    co_return SourceIdentity{"v1", bytes_.size()};
  }
  awaitable<Result<std::unique_ptr<BodyReader>>>
  open(std::uint64_t offset, std::optional<std::uint64_t>) override {
    class Reader final : public BodyReader {
     public:
      Reader(std::string bytes, std::size_t piece) : bytes_(std::move(bytes)), piece_(piece) {}
      awaitable<Result<std::size_t>> read(std::span<std::uint8_t> out) override {
        const std::size_t n = std::min({out.size(), bytes_.size() - at_, piece_});
        std::copy_n(bytes_.begin() + static_cast<std::ptrdiff_t>(at_), n, out.begin());
        at_ += n;
        co_return n;
      }

     private:
      std::string bytes_;
      std::size_t piece_;
      std::size_t at_ = 0;
    };
    std::unique_ptr<BodyReader> reader =
        std::make_unique<Reader>(bytes_.substr(offset, really_), piece_);
    co_return reader;
  }

 private:
  std::string bytes_;
  std::size_t piece_;
  std::size_t really_;  // how many there are when they are read
};

inline Result<std::string> read_all(BodyReader& body, std::size_t piece) {
  std::string out;
  std::vector<std::uint8_t> room(piece);
  for (;;) {
    const auto n = testing::run(body.read(room));
    if (!n) return tl::unexpected(n.error());
    if (*n == 0) return out;
    out.append(room.begin(), room.begin() + static_cast<std::ptrdiff_t>(*n));
  }
}

constexpr std::size_t most_record_bytes = 1 << 20;

// What comes out of `input` in pieces of one size, in and out, beginning at an offset.
inline Result<std::string> shaped(
    const std::string& input, const ShapePtr& shape, std::size_t piece, std::uint64_t from = 0
) {
  ShapedSource source(std::make_unique<PiecesSource>(input, piece), shape, most_record_bytes);
  const auto identity = testing::run(source.identify());
  if (!identity) return tl::unexpected(identity.error());
  auto body = testing::run(source.open(from, std::nullopt));
  if (!body) return tl::unexpected(body.error());
  auto out = read_all(**body, piece);
  if (out) EXPECT_EQ(out->size() + from, identity->length);
  return out;
}

inline constexpr std::size_t piece_sizes[] = {1, 2, 7, 4096};

}  // namespace tally::dataplane
