#include "log_format.hpp"

#include <algorithm>
#include <array>
#include <cstring>

#include "tally/core/number.hpp"

namespace tally::audit {
namespace {

constexpr std::string_view magic = "TLF1";
constexpr std::size_t length_at = 4;
constexpr std::size_t crc_at = 24;
constexpr std::size_t seq_digits = 20;  // enough for every u64, so names sort as numbers do
constexpr std::string_view head_title = "tally/head/v1";

void put32(std::string& out, std::size_t at, std::uint32_t value) {
  for (std::size_t i = 0; i < 4; ++i) out[at + i] = static_cast<char>(value >> (24 - 8 * i));
}
void put64(std::string& out, std::size_t at, std::uint64_t value) {
  for (std::size_t i = 0; i < 8; ++i) out[at + i] = static_cast<char>(value >> (56 - 8 * i));
}
std::uint32_t get32(std::span<const std::uint8_t> in, std::size_t at) {
  std::uint32_t value = 0;
  for (std::size_t i = 0; i < 4; ++i) value = value << 8 | in[at + i];
  return value;
}
std::uint64_t get64(std::span<const std::uint8_t> in, std::size_t at) {
  return std::uint64_t{get32(in, at)} << 32 | get32(in, at + 4);
}
constexpr std::size_t aligned(std::size_t bytes) {
  return (bytes + frame_alignment - 1) / frame_alignment * frame_alignment;
}

std::uint32_t frame_crc(std::span<const std::uint8_t> frame) {
  static constexpr std::uint8_t zero[4] = {};
  std::uint32_t crc = crc32c(frame.first(crc_at));
  crc = crc32c(zero, crc);
  return crc32c(frame.subspan(crc_at + 4), crc);
}

}  // namespace

std::string segment_name(std::uint64_t first_seq) {
  const std::string digits = std::to_string(first_seq);
  return std::string(seq_digits - digits.size(), '0') + digits + std::string(segment_suffix);
}

std::optional<std::uint64_t> segment_first_seq(std::string_view name) {
  if (name.size() != seq_digits + segment_suffix.size() || !name.ends_with(segment_suffix)) {
    return std::nullopt;
  }
  const std::string_view digits = name.substr(0, seq_digits);
  if (!std::all_of(digits.begin(), digits.end(), [](char c) { return c >= '0' && c <= '9'; })) {
    return std::nullopt;
  }
  return whole_number(digits);
}

void FrameBuilder::start(std::uint64_t first_seq, std::string_view checkpoint) {
  buffer_.clear();
  buffer_.resize(frame_header_bytes);
  buffer_ += checkpoint;
  slot_bytes_ = static_cast<std::uint32_t>(checkpoint.size());
  first_seq_ = first_seq;
  count_ = 0;
}

std::size_t FrameBuilder::bytes_with(std::size_t record_bytes) const {
  return aligned(buffer_.size() + 4 + record_bytes);
}

std::string& FrameBuilder::begin_record() {
  buffer_.append(4, '\0');
  record_at_ = buffer_.size();
  return buffer_;
}

std::string_view FrameBuilder::end_record() {
  const std::size_t bytes = buffer_.size() - record_at_;
  put32(buffer_, record_at_ - 4, static_cast<std::uint32_t>(bytes));
  ++count_;
  return std::string_view(buffer_).substr(record_at_);
}

std::string_view FrameBuilder::finish() {
  buffer_.resize(aligned(buffer_.size()), '\0');
  std::copy(magic.begin(), magic.end(), buffer_.begin());
  put32(buffer_, length_at, static_cast<std::uint32_t>(buffer_.size()));
  put64(buffer_, 8, first_seq_);
  put32(buffer_, 16, count_);
  put32(buffer_, 20, slot_bytes_);
  put32(buffer_, crc_at, 0);
  put32(buffer_, 28, 0);
  put32(buffer_, crc_at, crc32c(as_bytes(buffer_)));
  return buffer_;
}

std::uint32_t frame_length(std::span<const std::uint8_t> bytes) {
  if (bytes.size() < frame_header_bytes) return 0;
  const std::uint32_t length = get32(bytes, length_at);
  const bool possible = length >= frame_header_bytes + 8 && length <= frame_most_bytes &&
                        length % frame_alignment == 0;
  return possible ? length : 0;
}

Frame parse_frame(std::span<const std::uint8_t> bytes, std::uint64_t offset) {
  Frame frame;
  frame.offset = offset;
  if (all_zero(bytes.first(std::min(bytes.size(), frame_header_bytes)))) {
    frame.state = FrameState::zeros;
    return frame;
  }
  if (bytes.size() < frame_header_bytes) return frame;
  const bool magic_good = std::equal(magic.begin(), magic.end(), bytes.begin());
  frame.first_seq = get64(bytes, 8);
  frame.count = get32(bytes, 16);
  const std::uint32_t slot = get32(bytes, 20);
  const std::uint32_t length = frame_length(bytes);
  if (length == 0 || length > bytes.size()) return frame;
  frame.length = length;
  const auto whole = bytes.first(length);
  frame.crc_good = magic_good && get32(whole, crc_at) == frame_crc(whole);

  // The records are taken out of a damaged frame too, so that a verifier can name the one at fault.
  const bool slot_fits = slot <= slot_most_bytes && slot <= length - frame_header_bytes;
  frame.layout_good = magic_good && get32(whole, 28) == 0 && frame.count > 0 && slot_fits;
  frame.records.reserve(std::min<std::size_t>(frame.count, length / 5));  // 4 bytes and one more
  std::size_t at = frame_header_bytes;
  if (slot_fits) {
    frame.checkpoint = {reinterpret_cast<const char*>(whole.data()) + at, slot};
    at += slot;
  }
  for (std::uint32_t i = 0; i < frame.count; ++i) {
    const std::size_t text = at + 4;
    const std::size_t size = text <= length ? get32(whole, at) : 0;
    if (size == 0 || size > length - text) {
      frame.layout_good = false;
      break;
    }
    frame.records.push_back(
        {{reinterpret_cast<const char*>(whole.data()) + text, size}, offset + text}
    );
    at = text + size;
  }
  if (frame.layout_good) {
    frame.layout_good = aligned(at) == length && all_zero(whole.subspan(at));
  }
  frame.state = frame.crc_good && frame.layout_good ? FrameState::valid : FrameState::damaged;
  return frame;
}

std::string to_text(const Head& head) {
  std::string text = std::string(head_title) + "\n" + head.origin + "\n" +
                     std::to_string(head.mark.size) + "\n" + head.mark.leaf + "\n";
  if (!head.checkpoint.empty()) text += "\n" + head.checkpoint;
  return text;
}

std::optional<Head> parse_head(std::string_view text) {
  std::string_view rest = text;
  std::array<std::string_view, 4> lines;
  for (std::string_view& line : lines) {
    const std::size_t end = rest.find('\n');
    if (end == std::string_view::npos) return std::nullopt;
    line = rest.substr(0, end);
    rest.remove_prefix(end + 1);
  }
  if (lines[0] != head_title || lines[1].empty()) return std::nullopt;
  const auto size = whole_number(lines[2]);
  const auto leaf = from_hex(lines[3]);
  if (!size || !leaf || leaf->size() != 32) return std::nullopt;
  Head head{std::string(lines[1]), {*size, std::string(lines[3])}, {}};
  if (!rest.empty()) {
    rest.remove_prefix(1);
    head.checkpoint = rest;
    const auto checkpoint = checkpoint_of(head);
    if (!checkpoint || checkpoint->origin != head.origin || checkpoint->size > head.mark.size) {
      return std::nullopt;
    }
  }
  if (to_text(head) != text || to_hex(*leaf) != lines[3]) return std::nullopt;
  return head;
}

std::optional<Checkpoint> checkpoint_of(const Head& head) {
  if (head.checkpoint.empty()) return std::nullopt;
  const auto note = parse_note(head.checkpoint);
  if (!note || note->print() != head.checkpoint) return std::nullopt;
  auto checkpoint = parse_checkpoint(note->text);
  if (!checkpoint) return std::nullopt;
  return *std::move(checkpoint);
}

std::string level_file(unsigned level) {
  return "L" + std::to_string(level);
}

bool all_zero(std::span<const std::uint8_t> bytes) {
  // All bytes are zero when the first is and each equals the one before it.
  return bytes.empty() ||
         (bytes[0] == 0 && std::memcmp(bytes.data(), bytes.data() + 1, bytes.size() - 1) == 0);
}

}  // namespace tally::audit
