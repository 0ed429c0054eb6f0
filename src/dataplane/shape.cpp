#include "tally/dataplane/shape.hpp"

#include <algorithm>
#include <utility>

#include "tally/core/aead.hpp"

#include "shape_parts.hpp"

namespace tally::dataplane {

namespace {

// Parts are told apart by a NUL, which no id and no column's name has.
Digest derive(std::span<const std::uint8_t> secret, std::initializer_list<std::string_view> parts) {
  std::string text("tally-pseudonym/1");
  for (const auto part : parts) {
    text += '\0';
    text += part;
  }
  return hmac_sha256(secret, as_bytes(text));
}

}  // namespace

PseudonymKeys::PseudonymKeys(std::span<const std::uint8_t> secret, std::string agreement)
    : secret_(secret.begin(), secret.end()), agreement_(std::move(agreement)) {}
PseudonymKeys::~PseudonymKeys() {
  wipe(secret_);
}

Digest PseudonymKeys::of_column(std::string_view column) const {
  return derive(secret_, {"agreement", agreement_, column});
}
Digest PseudonymKeys::of_name(std::string_view key_name) const {
  return derive(secret_, {"name", key_name});
}

Shape::Shape(std::unique_ptr<const Parts> parts) : parts_(std::move(parts)) {}
Shape::~Shape() = default;

const catalog::Schema& Shape::input() const {
  return parts_->input;
}
const catalog::Schema& Shape::output() const {
  return parts_->output;
}
const Digest& Shape::digest() const {
  return parts_->digest;
}
bool Shape::is_whole() const {
  return parts_->filter.empty() && !parts_->most_rows &&
         parts_->columns.size() == parts_->input.columns.size() &&
         std::ranges::none_of(parts_->columns, [](const auto& one) {
           return one.mask.has_value();
         });
}

bool shape_record(const Shape::Parts& parts, Record& in, Record& out) {
  if (!holds(parts.filter, parts.input, in)) return false;
  out.resize(parts.columns.size());
  for (std::size_t i = 0; i < parts.columns.size(); ++i) {
    const auto& column = parts.columns[i];
    std::swap(out[i], in[column.from]);
    if (column.mask) {
      apply(*column.mask, parts.input.columns[column.from].type, parts.input.form, out[i]);
    }
  }
  return true;
}

}  // namespace tally::dataplane
