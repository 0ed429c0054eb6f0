#include "tally/audit/pruned.hpp"

#include <algorithm>
#include <utility>

#include "tally/audit/tiles.hpp"

#include "log_format.hpp"
#include "log_state.hpp"
#include "record_scan.hpp"
#include "segment_reader.hpp"
#include "text_form.hpp"

namespace tally::audit {
namespace {

constexpr std::string_view file_prefix = "snapshot-";
constexpr std::string_view first_line = "tally/pruned/v1";
constexpr std::size_t seq_digits = 20;

tl::unexpected<Error> unusable(std::string_view how, const std::string& file, std::uint64_t seq) {
  return fail(
      ErrorKind::conflict,
      {"audit.pruned-" + std::string(how), {{"file", file}, {"seq", std::to_string(seq)}}}
  );
}

// A snapshot of many agreements is larger than what read_small takes.
Result<std::optional<std::string>> read_whole(LogStorage& storage, const std::string& name) {
  const auto names = storage.list();
  if (!names) return tl::unexpected(names.error());
  if (!std::binary_search(names->begin(), names->end(), name)) return std::optional<std::string>();
  auto file = storage.open(name, false);
  if (!file) return fail(std::move(file));
  const auto size = (*file)->size();
  if (!size) return tl::unexpected(size.error());
  std::string text(static_cast<std::size_t>(*size), '\0');
  const auto got = (*file)->read_at(0, {reinterpret_cast<std::uint8_t*>(text.data()), text.size()});
  if (!got) return tl::unexpected(got.error());
  text.resize(*got);
  return std::optional(std::move(text));
}

// The first line, the snapshot's head, the records, an empty line, the pieces.
std::optional<PrunedSnapshot> parse_text(std::string_view text) {
  PrunedSnapshot out;
  out.digest = sha256(as_bytes(text));
  if (take_line(text) != first_line) return std::nullopt;
  const auto head = take_line(text);
  if (!head) return std::nullopt;
  for (;;) {
    const auto line = take_line(text);
    if (!line) return std::nullopt;
    if (line->empty()) break;
    out.records.emplace_back(*line);
  }
  while (const auto line = take_line(text)) {
    const std::size_t blank = line->find(' ');
    if (blank == std::string_view::npos) return std::nullopt;
    out.snapshot.pieces.push_back(
        {std::string(line->substr(0, blank)), std::string(line->substr(blank + 1))}
    );
  }
  if (!text.empty() || out.records.empty() || !take_head(*head, out.snapshot)) return std::nullopt;
  return out;
}

}  // namespace

std::optional<Pruned> parse_pruned(const RecordView& record) {
  const auto from = parse_number(record.raw("from"));
  const auto to = parse_number(record.raw("to"));
  const auto root = parse_digest_text(plain_content(record.raw("root")));
  const auto snapshot = parse_digest_text(plain_content(record.raw("snapshot")));
  if (!from || !to || !root || !snapshot) return std::nullopt;
  return Pruned{*from, *to, *root, *snapshot};
}

std::string pruned_file(std::uint64_t to) {
  const std::string digits = std::to_string(to);
  return std::string(file_prefix) + std::string(seq_digits - digits.size(), '0') + digits;
}

std::optional<std::uint64_t> pruned_to(std::string_view name) {
  if (!name.starts_with(file_prefix)) return std::nullopt;
  std::string_view digits = name.substr(file_prefix.size());
  if (digits.size() != seq_digits) return std::nullopt;
  digits.remove_prefix(std::min(digits.find_first_not_of('0'), digits.size() - 1));
  return parse_number(digits);
}

std::string to_text(const Snapshot& snapshot, const std::vector<std::string>& records) {
  std::string text(first_line);
  text += "\n" + head_text(snapshot) + "\n";
  for (const std::string& record : records) text += record + "\n";
  text += "\n";
  // Canonical JSON has no line feed of its own.
  for (const SnapshotPiece& piece : snapshot.pieces) text += piece.part + " " + piece.items + "\n";
  return text;
}

Result<std::uint64_t> first_kept(LogStorage& storage) {
  const auto segments = list_segments(storage);
  if (!segments) return tl::unexpected(segments.error());
  return segments->empty() ? 0 : segments->front().first_seq;
}

Result<PrunedSnapshot> read_pruned(LogStorage& storage, std::uint64_t to) {
  const std::string name = pruned_file(to);
  const auto text = read_whole(storage, name);
  if (!text) return tl::unexpected(text.error());
  if (!*text) return unusable("absent", name, to);
  auto parsed = parse_text(**text);
  if (!parsed || parsed->snapshot.at.size != to) return unusable("malformed", name, to);
  return *std::move(parsed);
}

Result<void> for_each_pruned_leaf(
    LogStorage& storage, std::uint64_t to, const std::function<void(const Digest&)>& each
) {
  if (to == 0) return {};
  const std::string name = level_file(0);
  auto file = storage.open(name, false);
  if (!file) return fail(std::move(file));
  Bytes bytes(tile_width * sizeof(Digest));
  for (std::uint64_t seq = 0; seq < to;) {
    const auto got = (*file)->read_at(seq * sizeof(Digest), bytes);
    if (!got) return tl::unexpected(got.error());
    const auto count = std::min<std::uint64_t>(*got / sizeof(Digest), to - seq);
    if (count == 0) {
      return fail(
          ErrorKind::unavailable,
          {"audit.file-failed", {{"file", name}, {"action", "read"}, {"reason", "EOF"}}}
      );
    }
    for (std::uint64_t i = 0; i < count; ++i, ++seq) {
      Digest leaf{};
      const auto begin = bytes.begin() + static_cast<std::ptrdiff_t>(i * sizeof(Digest));
      std::copy_n(begin, leaf.size(), leaf.begin());
      each(leaf);
    }
  }
  return {};
}

Result<std::optional<PrunedSnapshot>> read_missing(LogStorage& storage) {
  const auto segments = list_segments(storage);
  if (!segments) return tl::unexpected(segments.error());
  if (segments->empty() || segments->front().first_seq == 0) return std::optional<PrunedSnapshot>();
  const auto names = storage.list();
  if (!names) return tl::unexpected(names.error());
  // A crash may have left segments before the point of pruning, and the file of a pruning that was
  // not recorded: the first one that leads up to a segment stands for what is missing.
  for (const std::string& name : *names) {
    const auto to = pruned_to(name);
    const auto begins = [&to](const SegmentName& one) { return one.first_seq == *to; };
    if (!to || std::none_of(segments->begin(), segments->end(), begins)) continue;
    auto found = read_pruned(storage, *to);
    if (!found) return fail(std::move(found));
    return std::optional(*std::move(found));
  }
  const SegmentName& first = segments->front();
  return unusable("absent", pruned_file(first.first_seq), first.first_seq);
}

}  // namespace tally::audit
