// The bytes of segments, frames and the head file (docs/audit-log-format.md). Pure.
#pragma once

#include <cstdint>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "tally/audit/checkpoint.hpp"
#include "tally/core/digest.hpp"
#include "tally/core/store.hpp"

namespace tally::audit {

constexpr std::size_t frame_header_bytes = 32;
constexpr std::size_t frame_most_bytes = 256 << 10;
constexpr std::size_t frame_alignment = 8;
constexpr std::size_t record_most_bytes = 16 << 10;
constexpr std::size_t slot_most_bytes = 4 << 10;
constexpr std::string_view segment_suffix = ".tlog";
constexpr std::string_view head_file = "head";
// Locked by the writer; empty.
constexpr std::string_view lock_file = "lock";
// What a small file is written as before it takes its name.
constexpr std::string_view unnamed_suffix = ".new";
// The best checkpoint that witnesses cosigned, as a note.
constexpr std::string_view cosigned_file = "cosigned";

std::string segment_name(std::uint64_t first_seq);
// nullopt for names that are no segment's.
std::optional<std::uint64_t> segment_first_seq(std::string_view name);

// Builds one frame in a buffer that is kept from batch to batch.
class FrameBuilder {
 public:
  // `checkpoint`: a note of at most slot_most_bytes, over exactly the records before this frame.
  void start(std::uint64_t first_seq, std::string_view checkpoint = {});
  // Room for a record is there while this is at most frame_most_bytes.
  [[nodiscard]] std::size_t bytes_with(std::size_t record_bytes) const;
  // The record is appended to `out()` between these two.
  std::string& begin_record();
  std::string_view end_record();
  std::string_view finish();
  [[nodiscard]] std::uint32_t count() const { return count_; }

 private:
  std::string buffer_;
  std::uint64_t first_seq_ = 0;
  std::uint32_t count_ = 0;
  std::uint32_t slot_bytes_ = 0;
  std::size_t record_at_ = 0;
};

struct FrameRecord {
  std::string_view text;
  std::uint64_t offset = 0;  // of the text, in the file
};

// What can be said of the bytes at an offset.
enum class FrameState {
  valid,
  zeros,    // nothing was ever written here: the first 32 bytes are zero or there are none
  damaged,  // anything else
};

struct Frame {
  FrameState state = FrameState::damaged;
  std::uint64_t offset = 0;
  std::uint32_t length = 0;  // with header and padding; 0 unless the header says something possible
  std::uint64_t first_seq = 0;
  std::uint32_t count = 0;
  bool crc_good = false;
  bool layout_good = false;          // slot, lengths, padding
  std::string_view checkpoint;       // what the slot holds; empty: nothing
  std::vector<FrameRecord> records;  // those whose lengths fit, also of a damaged frame
};

// The length that the header at the start of `bytes` gives its frame; 0 when there is none, or one
// that no frame has.
std::uint32_t frame_length(std::span<const std::uint8_t> bytes);
// `bytes` starts at `offset` of the file and holds a whole frame if there is one.
Frame parse_frame(std::span<const std::uint8_t> bytes, std::uint64_t offset);

struct Head {
  std::string origin;
  LogMark mark;
  // The last checkpoint that left the process, as the signed note it was; empty: none did. It is of
  // this origin and of at most `mark.size` records; its signature is not looked at here.
  std::string checkpoint = {};
  bool operator==(const Head&) const = default;
};
std::string to_text(const Head& head);
std::optional<Head> parse_head(std::string_view text);
// What the checkpoint of a head says; nullopt when it carries none.
std::optional<Checkpoint> checkpoint_of(const Head& head);

// The side file with the hashes of a tile level: "L0", "L1", …
std::string level_file(unsigned level);

bool all_zero(std::span<const std::uint8_t> bytes);

}  // namespace tally::audit
