// A segment of a log from strangers, with its head file: nothing crashes or reads beyond its end,
// and whatever verify calls whole is a log that the reader, recovery and verify see alike.
#include <cstddef>
#include <cstdint>
#include <cstdlib>
#include <cstring>
#include <map>

#include <nlohmann/json.hpp>

#include "tally/audit/recovery.hpp"
#include "tally/audit/verify.hpp"

#include "audit/log_format.hpp"

namespace {

using namespace tally;

void require(bool condition) {
  if (!condition) std::abort();
}

class MemoryFile final : public audit::LogFile {
 public:
  explicit MemoryFile(Bytes& bytes) : bytes_(bytes) {}
  Result<std::uint64_t> size() override { return bytes_.size(); }
  Result<std::size_t> read_at(std::uint64_t offset, std::span<std::uint8_t> out) override {
    if (offset >= bytes_.size()) return std::size_t{0};
    const auto count = std::min<std::size_t>(out.size(), bytes_.size() - offset);
    std::memcpy(out.data(), bytes_.data() + offset, count);
    return count;
  }
  Result<void> write_at(std::uint64_t offset, std::span<const std::uint8_t> bytes) override {
    if (bytes_.size() < offset + bytes.size()) bytes_.resize(offset + bytes.size());
    std::memcpy(bytes_.data() + offset, bytes.data(), bytes.size());
    return {};
  }
  Result<void> sync() override { return {}; }
  Result<void> truncate(std::uint64_t size) override {
    bytes_.resize(size);
    return {};
  }
  void drop_cache() override {}

 private:
  Bytes& bytes_;
};

class MemoryStorage final : public audit::LogStorage {
 public:
  std::map<std::string, Bytes, std::less<>> files;

  Result<void> lock() override { return {}; }
  Result<std::vector<std::string>> list() override {
    std::vector<std::string> names;
    for (const auto& [name, bytes] : files) names.push_back(name);
    return names;
  }
  Result<std::unique_ptr<audit::LogFile>> open(std::string_view name, bool) override {
    const auto found = files.find(name);
    if (found == files.end()) return fail(ErrorKind::unavailable, {"audit.file-failed", {}});
    return std::make_unique<MemoryFile>(found->second);
  }
  Result<std::unique_ptr<audit::LogFile>> create(std::string_view name) override {
    return std::make_unique<MemoryFile>(files[std::string(name)]);
  }
  Result<void> sync_names() override { return {}; }
  Result<std::optional<std::string>> read_small(std::string_view name) override {
    const auto found = files.find(name);
    if (found == files.end()) return std::optional<std::string>();
    return std::optional(std::string(found->second.begin(), found->second.end()));
  }
  Result<void> replace_small(std::string_view name, std::string_view text) override {
    files[std::string(name)] = Bytes(text.begin(), text.end());
    return {};
  }
  Result<void> remove(std::string_view name) override {
    files.erase(std::string(name));
    return {};
  }
  Result<std::uint64_t> free_bytes() override { return std::uint64_t{1} << 40; }
};

// Gives every frame that could be one a good checksum, so that the input reaches what is behind it.
void mend_checksums(Bytes& segment) {
  constexpr std::size_t length_at = 4;
  constexpr std::size_t crc_at = 24;
  const auto number = [&](std::size_t at) {
    return std::uint32_t{segment[at]} << 24 | std::uint32_t{segment[at + 1]} << 16 |
           std::uint32_t{segment[at + 2]} << 8 | std::uint32_t{segment[at + 3]};
  };
  for (std::size_t at = 0; at + audit::frame_header_bytes <= segment.size();) {
    const std::size_t length = number(at + length_at);
    if (length < audit::frame_header_bytes || length % audit::frame_alignment != 0) return;
    if (length > segment.size() - at) return;
    std::fill_n(&segment[at + crc_at], 4, std::uint8_t{0});
    const auto crc = crc32c(std::span(segment).subspan(at, length));
    for (int i = 0; i < 4; ++i) {
      segment[at + crc_at + i] = static_cast<std::uint8_t>(crc >> (24 - 8 * i));
    }
    at += length;
  }
}

void look_at(Bytes segment, const Bytes& head) {
  MemoryStorage storage;
  storage.files[audit::segment_name(0)] = std::move(segment);
  storage.files[std::string(audit::head_file)] = head;
  const auto report = audit::verify_log(storage);
  std::uint64_t read = 0;
  const auto end = audit::for_each_record(storage, 0, [&](const audit::RecordView& record) {
    require(record.seq == read++);
    require(record.leaf == audit::leaf_hash(record.text));
    require(record.json().is_object());
  });
  require(report.verdict == audit::Verdict::whole || report.finding);
  if (report.finding) render(report.finding->message, Lang::zh);
  const bool whole = report.verdict == audit::Verdict::whole;
  require(!whole || (end && read == report.records));
  const auto recovered = audit::recover(storage, {});
  require(!whole || (recovered && recovered->size == report.records && !recovered->torn));
  if (!recovered) {
    render(recovered.error().message, Lang::en);
    return;
  }
  // What recovery accepts or has mended is whole.
  require(audit::verify_log(storage).records == recovered->size);
}

}  // namespace

// The first two bytes say how much of the input is the head file; the rest is the segment.
extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  if (size < 2) return 0;
  const std::size_t head_size =
      std::min<std::size_t>(std::size_t{data[0]} << 8 | data[1], size - 2);
  const Bytes head(data + 2, data + 2 + head_size);
  Bytes segment(data + 2 + head_size, data + size);
  look_at(segment, head);
  mend_checksums(segment);
  look_at(segment, head);
  return 0;
}
