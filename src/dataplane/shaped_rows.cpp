#include "tally/dataplane/shaped_rows.hpp"

#include <algorithm>
#include <string>
#include <utility>

#include "record.hpp"
#include "shape_parts.hpp"

namespace tally::dataplane {

namespace {

// The decoder takes pieces; its memory is a piece.
constexpr std::size_t piece_bytes = 64 << 10;

// Kinds and lengths before texts: two different rows never give the same bytes.
Digest content_of(const Record& record) {
  Sha256 hash;
  std::string text;
  for (const auto& cell : record) {
    text += static_cast<char>('0' + static_cast<int>(cell.kind));
    text += std::to_string(cell.text.size());
    text += ':';
    text += cell.text;
  }
  hash.update(text);
  return hash.finish();
}

}  // namespace

struct ShapedRows::State {
  std::span<const std::uint8_t> left;
  ShapePtr shape;
  std::unique_ptr<RecordReader> reader;
  Record in;
};

ShapedRows::ShapedRows(
    std::span<const std::uint8_t> bytes, ShapePtr shape, std::size_t record_bytes
)
    : state_(std::make_unique<State>()) {
  state_->left = bytes;
  state_->shape = std::move(shape);
  state_->reader = make_record_reader(state_->shape->input(), record_bytes);
}
ShapedRows::~ShapedRows() = default;

Result<bool> ShapedRows::next(ShapedRow& out) {
  auto& state = *state_;
  for (;;) {
    const auto step = state.reader->next(state.in);
    if (!step) return tl::unexpected(step.error());
    if (*step == RecordReader::Step::end) return false;
    if (*step == RecordReader::Step::more) {
      if (state.left.empty()) {
        state.reader->finish();
        continue;
      }
      const auto piece = state.left.first(std::min(piece_bytes, state.left.size()));
      state.reader->feed(piece);
      state.left = state.left.subspan(piece.size());
      continue;
    }
    out.content = content_of(state.in);
    out.values.clear();
    out.chosen = shape_record(state.shape->parts(), state.in, out.values);
    return true;
  }
}

}  // namespace tally::dataplane
