// The form in which an asset's rows are handed out under an agreement: which rows, which columns,
// and what is masked (docs/shapes.md). Compiled once from the obligations of a permit and the
// asset's schema; immutable, share it between threads freely. Pure.
#pragma once

#include <cstdint>
#include <memory>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include <tl/expected.hpp>

#include "tally/catalog/schema.hpp"
#include "tally/core/digest.hpp"
#include "tally/odrl/evaluate.hpp"

namespace tally::dataplane {

// Where the keys of pseudonyms come from: one secret of the enforcer's, from which each agreement
// has keys of its own, and a name that policies share has one for all that name it.
class PseudonymKeys {
 public:
  // `secret`: at least 16 bytes. `agreement`: its id.
  PseudonymKeys(std::span<const std::uint8_t> secret, std::string agreement);
  ~PseudonymKeys();
  PseudonymKeys(const PseudonymKeys&) = delete;
  PseudonymKeys& operator=(const PseudonymKeys&) = delete;

  // Of this agreement's column alone: no pseudonym can be joined with another column's.
  [[nodiscard]] Digest of_column(std::string_view column) const;
  // Of the name: the same value has the same pseudonym wherever a policy says this keyName.
  [[nodiscard]] Digest of_name(std::string_view key_name) const;

 private:
  Bytes secret_;
  std::string agreement_;
};

class Shape {
 public:
  struct Parts;  // src/dataplane/shape_parts.hpp
  explicit Shape(std::unique_ptr<const Parts> parts);
  ~Shape();
  Shape(const Shape&) = delete;
  Shape& operator=(const Shape&) = delete;

  [[nodiscard]] const catalog::Schema& input() const;
  // Of what is handed out: its columns, and always UTF-8 without a byte order mark. A masked column
  // is private no more, and text where its mask leaves no value of its type.
  [[nodiscard]] const catalog::Schema& output() const;
  // Over everything that decides what is handed out of the same data, keys included. Two shapes
  // with one digest give the same bytes.
  [[nodiscard]] const Digest& digest() const;
  // No row, column or value is touched: nothing was asked for.
  [[nodiscard]] bool is_whole() const;

  [[nodiscard]] const Parts& parts() const { return *parts_; }

 private:
  std::unique_ptr<const Parts> parts_;
};

using ShapePtr = std::shared_ptr<const Shape>;

// A value that a call gives for a column.
struct ColumnValue {
  std::string column;
  std::string text;
};
// `shape` for those rows alone whose columns have these values as they are, before anything is
// masked. Null: a value is none of its column's type, or there is no such column.
ShapePtr for_rows(const Shape& shape, std::span<const ColumnValue> values);
// All rows and columns of the schema as they are.
ShapePtr whole_shape(const catalog::Schema& schema);

// The actions of the obligations that a shape carries out: what an enforcer that hands data out
// through one may add to EvaluateOptions::enforceable. Obligations of other actions are others'.
std::span<const std::string> shape_duties();

// Which columns with a privacy label may be handed out.
enum class PrivateColumns {
  masked_or_named,  // else a problem: dataplane.shape-privacy, with its place in the document
  decided,          // what is there was decided on before it came here
};

// All problems (dataplane.shape-*), each with the pointer of what asked for it and its rule; or the
// shape. `keys` null: there is no secret for pseudonyms, and a policy that asks for one has a
// problem.
tl::expected<ShapePtr, std::vector<odrl::Problem>> compile_shape(
    std::span<const odrl::Obligation> obligations,
    const catalog::Schema& schema,
    const PseudonymKeys* keys,
    PrivateColumns columns = PrivateColumns::masked_or_named
);

// For loading an offer: the same for whatever a permit under the policy could ask. A permission of
// `aggregate` or `derive` alone hands no rows out and is not looked at. Pointers into the policy.
// `schema` null: nobody can look into the data; `keeps_keys`: this side has a secret for
// pseudonyms.
std::vector<odrl::Problem> check_shape(
    const odrl::CompiledPolicy& policy, const catalog::Schema* schema, bool keeps_keys
);

}  // namespace tally::dataplane
