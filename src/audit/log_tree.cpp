#include "tally/audit/log_tree.hpp"

#include <algorithm>
#include <array>
#include <mutex>
#include <optional>
#include <utility>
#include <vector>

#include "tally/audit/pruned.hpp"

#include "log_format.hpp"
#include "record_places.hpp"
#include "segment_reader.hpp"
#include "tile_nodes.hpp"

namespace tally::audit {
namespace {

constexpr std::size_t hash_bytes = sizeof(Digest);
constexpr std::size_t tile_bytes = tile_width * hash_bytes;
// What may wait in memory for a disk that takes nothing, before the side files are given up.
constexpr std::size_t most_tail_bytes = 4 << 20;

void put_hash(Bytes& out, const Digest& hash) {
  out.insert(out.end(), hash.begin(), hash.end());
}

// One side file: what is on the disk, and behind it what is not there yet.
struct Level {
  std::uint64_t written = 0;  // hashes
  Bytes tail;
};

std::string fitting_slot(const std::string& note) {
  return note.size() <= slot_most_bytes ? note : std::string();
}

tl::unexpected<Error> out_of_range(std::uint64_t part, std::uint64_t whole) {
  return fail(
      ErrorKind::invalid,
      {"audit.proof-range", {{"part", std::to_string(part)}, {"whole", std::to_string(whole)}}}
  );
}

tl::unexpected<Error> unreadable(const std::string& file) {
  return fail(
      ErrorKind::unavailable,
      {"audit.file-failed", {{"file", file}, {"action", "read"}, {"reason", "EOF"}}}
  );
}

// Writes `bytes` of a level behind its first `at` hashes, creating the file where there is none.
Result<void> write_level(
    LogStorage& storage,
    std::unique_ptr<LogFile>& file,
    unsigned level,
    std::uint64_t at,
    std::span<const std::uint8_t> bytes
) {
  if (!file) {
    const auto names = storage.list();
    if (!names) return tl::unexpected(names.error());
    const std::string name = level_file(level);
    const bool there = std::binary_search(names->begin(), names->end(), name);
    auto opened = there ? storage.open(name, true) : storage.create(name);
    if (!opened) return fail(std::move(opened));
    file = std::move(*opened);
  }
  return file->write_at(at * hash_bytes, bytes);
}

}  // namespace

struct LogTree::State {
  // Constant after construction.
  LogStorage& storage;
  std::string origin;

  // Guarded by `mutex`, which is never held over a read, a write or a signature.
  mutable std::mutex mutex;
  std::uint64_t size = 0;
  std::string leaf;             // hex, of the last record
  std::vector<Digest> pending;  // durable, not hashed yet
  Frontier frontier;
  std::array<Level, tile_levels> levels;
  std::optional<Error> log_failure;
  std::optional<Error> side_failure;
  VerifierKey current;
  struct Signing {
    VerifierKey key;
    Signer signer;
  };
  std::vector<Signing> signing;  // the current key first
  std::optional<ReleasedCheckpoint> released;
  std::uint64_t in_slot = 0;  // the size of the last checkpoint that went into a slot
  std::optional<Note> cosigned;

  RecordPlaces places;
  TileNodes nodes;

  // One head file, one writer of it at a time. Taken before `mutex`.
  std::mutex head_mutex;
  // The writer's alone.
  std::array<std::unique_ptr<LogFile>, tile_levels> files;

  explicit State(LogStorage& in) : storage(in) {}

  static Result<std::string> sign(
      const Checkpoint& checkpoint, const std::vector<Signing>& signing
  ) {
    Note note{checkpoint.text(), {}};
    for (const auto& [key, signer] : signing) {
      auto signature = make_signature(note.text, key, signer);
      if (!signature) return fail(std::move(signature));
      note.signatures.push_back(*std::move(signature));
    }
    return note.print();
  }

  // Under `mutex`.
  void settle() {
    for (const Digest& hash : pending) {
      frontier.append(hash, [this](const Subtree& subtree) {
        if (subtree.level % 8 == 0) put_hash(levels[subtree.level / 8].tail, subtree.hash);
      });
    }
    pending.clear();
  }

  // Makes again what the side files lack, level by level, each from the one below it.
  Result<void> repair(const std::array<std::uint64_t, tile_levels>& good) {
    const auto names = storage.list();
    if (!names) return tl::unexpected(names.error());
    for (unsigned level = 0; level < tile_levels; ++level) {
      const std::uint64_t wanted = hashes_at(level, size);
      if (std::binary_search(names->begin(), names->end(), level_file(level))) {
        auto cut = cut_behind(level, wanted);
        if (!cut) return cut;
      }
      std::uint64_t have = std::min(good[level], wanted);
      Bytes fresh;
      const auto put = [&]() -> Result<void> {
        auto written = write_level(storage, files[level], level, have, fresh);
        if (!written) return written;
        have += fresh.size() / hash_bytes;
        fresh.clear();
        return {};
      };
      Result<void> done;
      if (level == 0 && have < wanted) {
        // Leaves of pruned records stand nowhere else.
        const auto first = first_kept(storage);
        if (!first) return tl::unexpected(first.error());
        if (have < *first) return unreadable(level_file(level));
        auto read = for_each_record(storage, have, [&](const RecordView& record) {
          if (!done || record.seq >= wanted) return;
          put_hash(fresh, record.leaf);
          if (fresh.size() >= tile_bytes) done = put();
        });
        if (!read) return read;
      }
      if (level > 0) {
        for (std::uint64_t next = have; next < wanted && done; ++next) {
          auto below = stored(level - 1, next * tile_width, tile_width);
          if (!below) return fail(std::move(below));
          Frontier subtree;
          const auto tile = parse_tile(*below, tile_width);
          if (!tile) return tl::unexpected(tile.error());
          for (const Digest& hash : *tile) subtree.append(hash);
          put_hash(fresh, subtree.root());
          if (fresh.size() >= tile_bytes) done = put();
        }
      }
      if (done && !fresh.empty()) done = put();
      if (!done) return done;
      if (have != wanted) return unreadable(level_file(level));
      levels[level].written = wanted;
    }
    return {};
  }

  // A crash may have cut the records that the end of a side file was made from.
  Result<void> cut_behind(unsigned level, std::uint64_t wanted) {
    auto file = storage.open(level_file(level), true);
    if (!file) return fail(std::move(file));
    files[level] = std::move(*file);
    const auto bytes = files[level]->size();
    if (!bytes) return tl::unexpected(bytes.error());
    if (*bytes <= wanted * hash_bytes) return {};
    return files[level]->truncate(wanted * hash_bytes);
  }

  // What stands on the disk.
  Result<Bytes> stored(unsigned level, std::uint64_t first, std::size_t count) const {
    auto file = storage.open(level_file(level), false);
    if (!file) return fail(std::move(file));
    Bytes bytes(count * hash_bytes);
    auto got = (*file)->read_at(first * hash_bytes, bytes);
    if (!got) return fail(std::move(got));
    if (*got != bytes.size()) return unreadable(level_file(level));
    return bytes;
  }

  // Neighbouring hashes, from the disk and from the tail.
  Result<Bytes> hashes(unsigned level, std::uint64_t first, std::size_t count) {
    Bytes tail;
    std::size_t on_disk = count;
    {
      const std::scoped_lock lock(mutex);
      if (side_failure) return tl::unexpected(*side_failure);
      settle();
      const Level& here = levels[level];
      const std::uint64_t end = first + count;
      if (end > here.written + here.tail.size() / hash_bytes) {
        return out_of_range(end, here.written + here.tail.size() / hash_bytes);
      }
      if (end > here.written) {
        const std::uint64_t from = std::max(first, here.written);
        on_disk = static_cast<std::size_t>(from - first);
        const auto begin =
            here.tail.begin() + static_cast<std::ptrdiff_t>((from - here.written) * hash_bytes);
        tail.assign(begin, begin + static_cast<std::ptrdiff_t>((end - from) * hash_bytes));
      }
    }
    if (on_disk == 0) return tail;
    // Nothing of what is written changes any more.
    auto bytes = stored(level, first, on_disk);
    if (bytes) bytes->insert(bytes->end(), tail.begin(), tail.end());
    return bytes;
  }

  // The perfect subtrees of the tree of so many records.
  SubtreeHash subtrees(std::uint64_t records) {
    return [this, records](unsigned level, std::uint64_t index) {
      return nodes.hash(
          level,
          index,
          records,
          [this](unsigned of, std::uint64_t from, std::size_t n) { return hashes(of, from, n); }
      );
    };
  }

  // Under `head_mutex`.
  Result<void> write_head(const LogMark& mark, const std::string& note) {
    return storage.replace_small(head_file, to_text(Head{origin, mark, note}));
  }

  Result<Bytes> bundle(const Tile& tile);
};

LogTree::LogTree(LogStorage& storage, const Recovered& recovered)
    : state_(std::make_unique<State>(storage)) {
  State& s = *state_;
  s.origin = recovered.genesis.origin;
  s.current = recovered.keys.current();
  s.size = recovered.size;
  s.leaf = to_hex(recovered.leaf);
  s.frontier = recovered.tree;
  if (!recovered.checkpoint.empty()) {
    // Recovery has verified it.
    const auto checkpoint = checkpoint_of({s.origin, {}, recovered.checkpoint});
    if (checkpoint) s.released = ReleasedCheckpoint{*checkpoint, recovered.checkpoint};
  }
  if (!recovered.cosigned.empty()) {
    if (auto note = parse_note(recovered.cosigned)) s.cosigned = *std::move(note);
  }
  if (auto repaired = s.repair(recovered.side_files); !repaired) {
    s.side_failure = repaired.error();
  }
}

LogTree::~LogTree() = default;

std::uint64_t LogTree::size() const {
  const std::scoped_lock lock(state_->mutex);
  return state_->size;
}

void LogTree::sign_with(VerifierKey key, Signer signer) {
  const std::scoped_lock lock(state_->mutex);
  state_->signing = {{std::move(key), std::move(signer)}};
}

void LogTree::sign_also_with(VerifierKey key, Signer signer) {
  const std::scoped_lock lock(state_->mutex);
  state_->signing.push_back({std::move(key), std::move(signer)});
}

void LogTree::hold_signing() {
  // Not while a checkpoint is being signed: it is of before.
  const std::scoped_lock one_at_a_time(state_->head_mutex);
  const std::scoped_lock lock(state_->mutex);
  state_->signing.clear();
}

void LogTree::rotated(VerifierKey current) {
  const std::scoped_lock lock(state_->mutex);
  state_->current = std::move(current);
}

Result<ReleasedCheckpoint> LogTree::checkpoint() {
  State& s = *state_;
  const std::scoped_lock one_at_a_time(s.head_mutex);
  Checkpoint checkpoint;
  LogMark mark;
  std::vector<State::Signing> signing;
  {
    const std::scoped_lock lock(s.mutex);
    if (s.log_failure) return tl::unexpected(*s.log_failure);
    if (s.released && s.released->checkpoint.size == s.size) return *s.released;
    if (s.signing.empty() || s.signing.front().key != s.current) {
      return fail(
          ErrorKind::unavailable, {"audit.log-key-other", {{"expected", s.current.text()}}}
      );
    }
    s.settle();
    checkpoint = {s.origin, s.size, s.frontier.root(), {}};
    mark = {s.size, s.leaf};
    signing = s.signing;
  }
  auto signed_note = State::sign(checkpoint, signing);
  if (!signed_note) return fail(std::move(signed_note));
  std::string note = *std::move(signed_note);
  // Before anybody sees it: whoever holds it will ask for at least this much.
  if (auto written = s.write_head(mark, note); !written) return fail(std::move(written));
  const std::scoped_lock lock(s.mutex);
  s.released = ReleasedCheckpoint{std::move(checkpoint), std::move(note)};
  if (s.log_failure) return tl::unexpected(*s.log_failure);
  return *s.released;
}

std::string LogTree::slot_checkpoint() {
  State& s = *state_;
  Checkpoint checkpoint;
  std::vector<State::Signing> signing;
  {
    const std::scoped_lock lock(s.mutex);
    if (!s.released || s.released->checkpoint.size <= s.in_slot || s.log_failure) return {};
    if (s.signing.empty() || s.signing.front().key != s.current) return {};
    s.in_slot = s.size;
    if (s.released->checkpoint.size == s.size) return fitting_slot(s.released->note);
    s.settle();
    checkpoint = {s.origin, s.size, s.frontier.root(), {}};
    signing = s.signing;
  }
  // Not a word to anybody before the head file says as much: this one stays in the log. While keys
  // change nobody signs, so it is signed by the key of its size.
  const auto note = State::sign(checkpoint, signing);
  return note ? fitting_slot(*note) : std::string();
}

Result<std::string> LogTree::shown_checkpoint() {
  auto released = checkpoint();
  if (!released) return fail(std::move(released));
  auto note = parse_note(released->note);
  if (!note) return fail(std::move(note));
  const std::scoped_lock lock(state_->mutex);
  const auto& kept = state_->cosigned;
  return kept && kept->text == note->text ? kept->print() : note->print();
}

std::string LogTree::cosigned() const {
  const std::scoped_lock lock(state_->mutex);
  return state_->cosigned ? state_->cosigned->print() : std::string();
}

Result<void> LogTree::keep_cosigned(
    const Note& note, const std::function<bool(const Note& kept)>& is_better
) {
  State& s = *state_;
  const std::scoped_lock one_at_a_time(s.head_mutex);
  {
    const std::scoped_lock lock(s.mutex);
    if (s.cosigned && is_better(*s.cosigned)) return {};
  }
  auto written = s.storage.replace_small(cosigned_file, note.print());
  if (!written) return written;
  const std::scoped_lock lock(s.mutex);
  s.cosigned = note;
  return {};
}

Result<Proof> LogTree::inclusion_proof(std::uint64_t index, std::uint64_t size) const {
  if (size > this->size()) return out_of_range(size, this->size());
  return make_inclusion_proof(index, size, state_->subtrees(size));
}

Result<Proof> LogTree::consistency_proof(std::uint64_t first, std::uint64_t second) const {
  if (second > size()) return out_of_range(second, size());
  return make_consistency_proof(first, second, state_->subtrees(second));
}

Result<Digest> LogTree::root(std::uint64_t size) const {
  if (size > this->size()) return out_of_range(size, this->size());
  return tree_root(size, state_->subtrees(size));
}

Result<Bytes> LogTree::tile(const Tile& tile) const {
  if (tile.size_needed() > size()) {
    return fail(ErrorKind::not_found, {"audit.tile-absent", {{"path", tile_path(tile)}}});
  }
  if (tile.entries) return state_->bundle(tile);
  return tile_content(tile, [this](unsigned level, std::uint64_t first, std::size_t count) {
    return state_->hashes(level, first, count);
  });
}

// Entries are read where they were written: the segments hold them, and nothing else does.
Result<Bytes> LogTree::State::bundle(const Tile& tile) {
  std::vector<std::string> texts;
  std::uint64_t next = tile.begin();
  while (next < tile.end()) {
    const auto place = places.of(storage, next);
    if (!place) return tl::unexpected(place.error());
    const std::string name = segment_name(place->segment);
    auto reader = SegmentReader::open(storage, name);
    if (!reader) return fail(std::move(reader));
    const std::uint64_t before = next;
    for (std::uint64_t offset = place->offset; next < tile.end();) {
      auto frame = reader->frame_at(offset);
      if (!frame) return fail(std::move(frame));
      if (frame->state != FrameState::valid || frame->first_seq > next) break;
      for (std::uint64_t i = next - frame->first_seq; i < frame->records.size(); ++i) {
        if (next == tile.end()) break;
        texts.emplace_back(frame->records[i].text);
        ++next;
      }
      offset += frame->length;
    }
    // Durable records do not go away: what is not there now was damaged meanwhile.
    if (next == before) return unreadable(name);
  }
  const std::vector<std::string_view> entries(texts.begin(), texts.end());
  return encode_bundle(entries);
}

void LogTree::feed(std::span<const Digest> leaves) {
  if (leaves.empty()) return;
  State& s = *state_;
  std::string leaf = to_hex(leaves.back());
  const std::scoped_lock lock(s.mutex);
  s.pending.insert(s.pending.end(), leaves.begin(), leaves.end());
  const std::uint64_t end = s.size + leaves.size();
  s.size = end;
  s.leaf = std::move(leaf);
}

void LogTree::flush(bool everything) {
  State& s = *state_;
  std::array<Bytes, tile_levels> fresh;
  std::array<std::uint64_t, tile_levels> at{};
  {
    const std::scoped_lock lock(s.mutex);
    s.settle();
    // An upper level gets a hash exactly when the one below has filled a tile.
    const Level& leaves = s.levels[0];
    const std::uint64_t end = leaves.written + leaves.tail.size() / hash_bytes;
    const bool full_tile = end / tile_width > leaves.written / tile_width;
    if (s.side_failure || (!everything && !full_tile)) return;
    for (unsigned level = 0; level < tile_levels; ++level) {
      fresh[level] = s.levels[level].tail;
      at[level] = s.levels[level].written;
    }
  }
  for (unsigned level = 0; level < tile_levels; ++level) {
    if (fresh[level].empty()) continue;
    auto written = write_level(s.storage, s.files[level], level, at[level], fresh[level]);
    const std::scoped_lock lock(s.mutex);
    Level& here = s.levels[level];
    if (written) {
      here.written += fresh[level].size() / hash_bytes;
      here.tail.erase(
          here.tail.begin(), here.tail.begin() + static_cast<std::ptrdiff_t>(fresh[level].size())
      );
    } else if (here.tail.size() > most_tail_bytes) {
      s.side_failure = written.error();
      for (Level& each : s.levels) each.tail.clear();
      return;
    }
  }
}

Result<void> LogTree::sync_tiles(std::uint64_t size) {
  State& s = *state_;
  const std::uint64_t full = size - size % tile_width;
  {
    const std::scoped_lock lock(s.mutex);
    if (s.side_failure) return tl::unexpected(*s.side_failure);
    for (unsigned level = 0; level < tile_levels; ++level) {
      if (s.levels[level].written < hashes_at(level, full)) {
        return fail(ErrorKind::unavailable, {"audit.tiles-behind", {{"file", level_file(level)}}});
      }
    }
  }
  for (unsigned level = 0; hashes_at(level, full) > 0; ++level) {
    auto file = s.storage.open(level_file(level), true);
    if (!file) return fail(std::move(file));
    if (auto synced = (*file)->sync(); !synced) return synced;
  }
  return {};
}

Result<void> LogTree::write_head() {
  State& s = *state_;
  const std::scoped_lock one_at_a_time(s.head_mutex);
  LogMark mark;
  std::string note;
  {
    const std::scoped_lock lock(s.mutex);
    mark = {s.size, s.leaf};
    if (s.released) note = s.released->note;
  }
  return s.write_head(mark, note);
}

void LogTree::stop(const Error& cause) {
  const std::scoped_lock lock(state_->mutex);
  if (!state_->log_failure) state_->log_failure = cause;
}

}  // namespace tally::audit
