#include "tally/dataplane/shaped_source.hpp"

#include <algorithm>
#include <array>
#include <cstring>
#include <utility>
#include <vector>

#include "tally/core/digest.hpp"
#include "tally/dataplane/stream.hpp"

#include "record_writer.hpp"
#include "shape_parts.hpp"

namespace tally::dataplane {

namespace {

constexpr std::size_t piece_bytes = 16 << 10;

// The answer is no part of what was asked for: who gets some of it would take it for all.
Error too_many_rows(std::uint64_t most) {
  return {ErrorKind::forbidden, {"dataplane.too-many-rows", {{"most", std::to_string(most)}}}, ""};
}

class ShapedReader final : public BodyReader {
 public:
  ShapedReader(
      std::unique_ptr<BodyReader> inner,
      std::uint64_t length,
      ShapePtr shape,
      std::size_t record_bytes
  )
      : inner_(std::move(inner)),
        expected_(length),
        shape_(std::move(shape)),
        reader_(make_record_reader(shape_->input(), record_bytes)),
        writer_(shape_->output()),
        piece_(piece_bytes) {
    writer_.begin(pending_);
  }

  awaitable<Result<std::size_t>> read(std::span<std::uint8_t> out) override {
    while (!out.empty() && at_ == pending_.size() && !over_ && !failed_) {
      pending_.clear();
      at_ = 0;
      failed_ = fill(std::min(out.size(), piece_bytes));
      if (failed_ || !wants_) continue;
      auto fed = co_await feed();
      if (!fed) failed_ = std::move(fed).error();
    }
    // What was whole before the fault goes out first, whatever the pieces are.
    if (failed_ && at_ == pending_.size()) co_return tl::unexpected(*failed_);
    const std::size_t n = std::min(out.size(), pending_.size() - at_);
    std::memcpy(out.data(), pending_.data() + at_, n);
    at_ += n;
    co_return n;
  }

  [[nodiscard]] std::uint64_t rows() const { return rows_; }

 private:
  // Makes about so many bytes of what was fed; nullopt: there are some, or more is wanted, or it is
  // over.
  std::optional<Error> fill(std::size_t about) {
    wants_ = false;
    while (pending_.size() < about) {
      const auto step = reader_->next(in_);
      if (!step) return step.error();
      if (*step == RecordReader::Step::more) {
        wants_ = true;
        return std::nullopt;
      }
      if (*step == RecordReader::Step::end) {
        writer_.end(pending_);
        over_ = true;
        return std::nullopt;
      }
      if (!shape_record(shape_->parts(), in_, out_)) continue;
      if (rows_ == shape_->parts().most_rows) return too_many_rows(rows_);
      ++rows_;
      writer_.record(out_, pending_);
    }
    return std::nullopt;
  }

  awaitable<Result<void>> feed() {
    const auto n = co_await inner_->read(piece_);
    if (!n) co_return tl::unexpected(n.error());
    if (*n > 0) {
      taken_ += *n;
      reader_->feed(std::span(piece_).first(*n));
      co_return Result<void>();
    }
    if (taken_ != expected_) {
      Message message{
          "dataplane.short-source",
          {{"bytes", std::to_string(taken_)}, {"expected", std::to_string(expected_)}}};
      co_return fail(ErrorKind::unavailable, std::move(message));
    }
    reader_->finish();
    co_return Result<void>();
  }

  std::unique_ptr<BodyReader> inner_;
  const std::uint64_t expected_;
  std::uint64_t taken_ = 0;
  ShapePtr shape_;
  std::unique_ptr<RecordReader> reader_;
  RecordWriter writer_;
  std::vector<std::uint8_t> piece_;
  Record in_, out_;
  std::string pending_;  // made and not read yet, from at_ on
  std::size_t at_ = 0;
  std::uint64_t rows_ = 0;  // handed out
  bool wants_ = false;
  bool over_ = false;
  std::optional<Error> failed_;
};

// All of it at once. False: the data do not fit the schema.
bool shape_all(
    std::string_view in,
    const Shape& shape,
    std::size_t record_bytes,
    std::string& out,
    std::uint64_t& rows
) {
  auto reader = make_record_reader(shape.input(), record_bytes);
  RecordWriter writer(shape.output());
  writer.begin(out);
  reader->feed(as_bytes(in));
  Record row, shaped;
  rows = 0;
  for (bool ended = false;;) {
    const auto step = reader->next(row);
    if (!step || (*step == RecordReader::Step::more && std::exchange(ended, true))) return false;
    if (*step == RecordReader::Step::end) break;
    if (*step == RecordReader::Step::more) {
      reader->finish();
    } else if (shape_record(shape.parts(), row, shaped)) {
      if (rows++ == shape.parts().most_rows) return false;
      writer.record(shaped, out);
    }
  }
  writer.end(out);
  return true;
}

// So many bytes of a body, from an offset that is dropped.
class PartReader final : public BodyReader {
 public:
  PartReader(std::unique_ptr<BodyReader> inner, std::uint64_t skip, std::uint64_t length)
      : inner_(std::move(inner)), skip_(skip), left_(length) {}

  awaitable<Result<std::size_t>> read(std::span<std::uint8_t> out) override {
    while (skip_ > 0) {
      std::array<std::uint8_t, 4096> dropped{};
      const auto most = std::min<std::uint64_t>(skip_, dropped.size());
      const std::span<std::uint8_t> room(dropped.data(), static_cast<std::size_t>(most));
      const auto n = co_await inner_->read(room);
      if (!n || *n == 0) co_return n;
      skip_ -= *n;
    }
    if (left_ < out.size()) out = out.first(static_cast<std::size_t>(left_));
    if (out.empty()) co_return std::size_t{0};
    const auto n = co_await inner_->read(out);
    if (n) left_ -= *n;
    co_return n;
  }

 private:
  std::unique_ptr<BodyReader> inner_;
  std::uint64_t skip_;
  std::uint64_t left_;
};

}  // namespace

std::unique_ptr<BodyReader> shaped_body(
    std::unique_ptr<BodyReader> inner,
    std::uint64_t length,
    ShapePtr shape,
    std::size_t record_bytes
) {
  return std::make_unique<ShapedReader>(std::move(inner), length, std::move(shape), record_bytes);
}

ShapedSource::ShapedSource(std::unique_ptr<Source> source, ShapePtr shape, std::size_t record_bytes)
    : source_(std::move(source)), shape_(std::move(shape)), record_bytes_(record_bytes) {}
ShapedSource::~ShapedSource() = default;

std::shared_ptr<const SmallContent> ShapedSource::small() {
  const auto inner = source_->small();
  if (!inner) return nullptr;
  auto out = std::make_shared<SmallContent>();
  std::uint64_t rows = 0;
  if (!shape_all(inner->bytes, *shape_, record_bytes_, out->bytes, rows)) return nullptr;
  out->identity = {shaped_identity(inner->identity), out->bytes.size(), rows};
  out->etag = etag_of(out->identity);
  out->content = digest_text(sha256(out->bytes));
  return out;
}

std::string ShapedSource::shaped_identity(const SourceIdentity& inner) const {
  return inner.text + "|shape:" + to_hex(shape_->digest());
}

awaitable<Result<SourceIdentity>> ShapedSource::identify() {
  auto inner = co_await source_->identify();
  if (!inner) co_return fail(std::move(inner));
  const std::string text = shaped_identity(*inner);
  const bool known = *inner == inner_ && text == shaped_.text;
  inner_ = std::move(*inner);
  if (known) co_return shaped_;
  auto body = co_await source_->open(0, inner_.length);
  if (!body) co_return fail(std::move(body));
  ShapedReader shaped(std::move(*body), inner_.length, shape_, record_bytes_);
  std::vector<std::uint8_t> piece(piece_bytes);
  SourceIdentity out;
  out.text = text;
  for (;;) {
    const auto n = co_await shaped.read(piece);
    if (!n) co_return tl::unexpected(n.error());
    if (*n == 0) break;
    out.length += *n;
  }
  out.rows = shaped.rows();
  shaped_ = std::move(out);
  co_return shaped_;
}

awaitable<Result<std::unique_ptr<BodyReader>>> ShapedSource::open(
    std::uint64_t offset, std::optional<std::uint64_t> length
) {
  auto body = co_await whole(inner_.length);
  if (!body) co_return fail(std::move(body));
  const std::uint64_t wanted = length.value_or(shaped_.length - std::min(offset, shaped_.length));
  std::unique_ptr<BodyReader> part = std::make_unique<PartReader>(std::move(*body), offset, wanted);
  co_return part;
}

awaitable<Result<std::unique_ptr<BodyReader>>> ShapedSource::whole(std::uint64_t inner_length) {
  auto body = co_await source_->open(0, inner_length);
  if (!body) co_return fail(std::move(body));
  co_return shaped_body(std::move(*body), inner_length, shape_, record_bytes_);
}

}  // namespace tally::dataplane
