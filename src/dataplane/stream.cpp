#include "tally/dataplane/stream.hpp"

#include <algorithm>
#include <charconv>
#include <utility>

namespace tally::dataplane {

namespace {

std::string_view trimmed(std::string_view text) {
  const auto first = text.find_first_not_of(" \t");
  if (first == std::string_view::npos) return {};
  return text.substr(first, text.find_last_not_of(" \t") - first + 1);
}

// Digits only. One that does not fit is as good as the largest number.
std::optional<std::uint64_t> parse_position(std::string_view text) {
  if (text.empty() || text.find_first_not_of("0123456789") != std::string_view::npos) {
    return std::nullopt;
  }
  std::uint64_t value = 0;
  const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), value);
  return error == std::errc() ? value : UINT64_MAX;
}

bool is_bytes_unit(std::string_view text) {
  constexpr std::string_view unit = "bytes";
  return std::equal(text.begin(), text.end(), unit.begin(), unit.end(), [](char a, char b) {
    return (a >= 'A' && a <= 'Z' ? static_cast<char>(a - 'A' + 'a') : a) == b;
  });
}

}  // namespace

ParsedRange parse_range(std::string_view header, std::uint64_t length) {
  const ParsedRange whole{RangeKind::whole, {0, length}};
  const ParsedRange unsatisfiable{RangeKind::unsatisfiable, {}};
  const auto equals = header.find('=');
  if (equals == std::string_view::npos || !is_bytes_unit(trimmed(header.substr(0, equals)))) {
    return whole;
  }
  const std::string_view spec = trimmed(header.substr(equals + 1));
  const auto dash = spec.find('-');
  if (dash == std::string_view::npos || spec.find(',') != std::string_view::npos) return whole;
  const std::string_view first_text = trimmed(spec.substr(0, dash));
  const std::string_view last_text = trimmed(spec.substr(dash + 1));

  if (first_text.empty()) {  // the last n bytes
    const auto suffix = parse_position(last_text);
    if (!suffix) return whole;
    const std::uint64_t taken = std::min(*suffix, length);
    if (taken == 0) return unsatisfiable;
    return {RangeKind::part, {length - taken, taken}};
  }
  const auto first = parse_position(first_text);
  if (!first) return whole;
  std::uint64_t last = UINT64_MAX;
  if (!last_text.empty()) {
    const auto parsed = parse_position(last_text);
    if (!parsed || *parsed < *first) return whole;
    last = *parsed;
  }
  if (*first >= length) return unsatisfiable;
  return {RangeKind::part, {*first, std::min(last, length - 1) - *first + 1}};
}

std::string etag_of(const SourceIdentity& identity) {
  const std::string hex = to_hex(sha256(identity.text));
  return '"' + hex.substr(0, 32) + '"';
}

Selection select(const Headers& request, const SourceIdentity& identity) {
  const ByteRange all{0, identity.length};
  const auto range = request.get("Range");
  const auto if_range = request.get("If-Range");
  if (if_range && trimmed(*if_range) != etag_of(identity)) return {412, {}};
  if (!range) return {200, all};
  const ParsedRange parsed = parse_range(*range, identity.length);
  switch (parsed.kind) {
    case RangeKind::whole:
      return {200, all};
    case RangeKind::part:
      return {206, parsed.range};
    case RangeKind::unsatisfiable:
      break;
  }
  return {416, {}};
}

void describe(
    const Selection& selection, const SourceIdentity& identity, Headers& response, std::string etag
) {
  const std::string length = std::to_string(identity.length);
  if (selection.status == 416) response.set("Content-Range", "bytes */" + length);
  if (selection.status == 206) {
    const std::uint64_t last = selection.range.offset + selection.range.length - 1;
    response.set(
        "Content-Range",
        "bytes " + std::to_string(selection.range.offset) + "-" + std::to_string(last) + "/" +
            length
    );
  }
  response.set("ETag", etag.empty() ? etag_of(identity) : std::move(etag));
  response.set("Accept-Ranges", "bytes");
}

DigestingReader::DigestingReader(
    std::unique_ptr<BodyReader> inner, std::optional<std::uint64_t> expected, AtEnd at_end
)
    : inner_(std::move(inner)), expected_(expected), at_end_(std::move(at_end)) {
  if (expected_ == 0U) end(true);
}

DigestingReader::~DigestingReader() {
  end(false);
}

void DigestingReader::end(bool complete) {
  const AtEnd at_end = std::exchange(at_end_, nullptr);
  if (!at_end) return;
  StreamEnd seen;
  seen.sha256 = sha_.finish();
  seen.bytes = bytes_;
  seen.complete = complete;
  at_end(seen);
}

awaitable<Result<std::size_t>> DigestingReader::read(std::span<std::uint8_t> out) {
  if (expected_) {
    const std::uint64_t left = *expected_ - bytes_;
    if (left == 0) co_return std::size_t{0};
    if (out.size() > left) out = out.first(static_cast<std::size_t>(left));
  }
  Result<std::size_t> read = co_await inner_->read(out);
  if (!read) {
    end(false);
    co_return read;
  }
  if (*read == 0) {
    const bool complete = !expected_;
    end(complete);
    if (complete) co_return read;
    Message message{
        "dataplane.short-source",
        {{"bytes", std::to_string(bytes_)}, {"expected", std::to_string(*expected_)}}};
    co_return fail(ErrorKind::unavailable, std::move(message));
  }
  sha_.update(std::span<const std::uint8_t>(out.first(*read)));
  bytes_ += *read;
  if (expected_ && bytes_ == *expected_) end(true);
  co_return read;
}

}  // namespace tally::dataplane
