#include "tally/audit/static_log.hpp"

#include <algorithm>
#include <array>
#include <map>
#include <utility>
#include <vector>

#include <nlohmann/json.hpp>

#include "tally/audit/pruned.hpp"
#include "tally/audit/record_source.hpp"
#include "tally/audit/tiles.hpp"

#include "chain.hpp"
#include "log_format.hpp"
#include "segment_reader.hpp"

namespace tally::audit {
namespace {

tl::unexpected<Error> refused(std::string_view file, std::string_view link) {
  return fail(
      ErrorKind::conflict,
      {"audit.log-refused",
       {{"file", std::string(file)}, {"offset", "0"}, {"seq", "0"}, {"link", std::string(link)}}}
  );
}

tl::unexpected<Error> unread(std::uint64_t records, std::uint64_t size) {
  return fail(
      ErrorKind::conflict,
      {"audit.log-unread", {{"records", std::to_string(records)}, {"size", std::to_string(size)}}}
  );
}

tl::unexpected<Error> other_root(std::uint64_t size) {
  return fail(
      ErrorKind::conflict,
      {"audit.log-other-root", {{"file", std::string(head_file)}, {"size", std::to_string(size)}}}
  );
}

// Cuts the growing tree into files as they become full.
class TileCutter {
 public:
  explicit TileCutter(const StaticFile& put) : put_(put) {}

  void add(const RecordView& record) {
    // A bundle with a record that is gone is not whole, and left out.
    const std::uint64_t begins = record.seq - record.seq % tile_width;
    if (begins >= first_) texts_.emplace_back(record.text);
    if (texts_.size() == tile_width) put_bundle(tree_.size() / tile_width);
    add_leaf(record.leaf);
  }
  // Of a record that was pruned: there are no more of them behind the first that was not.
  void add_pruned(const Digest& leaf) {
    ++first_;
    add_leaf(leaf);
  }
  void add_leaf(const Digest& leaf) {
    tree_.append(leaf, [this](const Subtree& subtree) {
      if (subtree.level % 8 != 0) return;
      Bytes& level = levels_[subtree.level / 8];
      level.insert(level.end(), subtree.hash.begin(), subtree.hash.end());
      if (level.size() == tile_width * sizeof(Digest)) {
        put_tile(subtree.level / 8, subtree.index / tile_width);
      }
    });
  }
  // The partial tiles.
  void finish() {
    if (!texts_.empty()) put_bundle(tree_.size() / tile_width);
    for (unsigned level = 0; level < tile_levels; ++level) {
      if (!levels_[level].empty()) put_tile(level, hashes_at(level, tree_.size()) / tile_width);
    }
  }
  [[nodiscard]] const Frontier& tree() const { return tree_; }
  [[nodiscard]] const Result<void>& done() const { return done_; }

 private:
  void put_bundle(std::uint64_t index) {
    const std::vector<std::string_view> entries(texts_.begin(), texts_.end());
    const Tile tile{true, 0, index, static_cast<unsigned>(entries.size())};
    const auto bytes = encode_bundle(entries);
    if (done_ && !bytes) done_ = tl::unexpected(bytes.error());
    if (done_) done_ = put_(tile_path(tile), *bytes);
    texts_.clear();
  }
  void put_tile(unsigned level, std::uint64_t index) {
    Bytes& bytes = levels_[level];
    const auto width = static_cast<unsigned>(bytes.size() / sizeof(Digest));
    if (done_) done_ = put_(tile_path({false, level, index, width}), bytes);
    bytes.clear();
  }

  const StaticFile& put_;
  std::uint64_t first_ = 0;  // that was not pruned
  Frontier tree_;
  std::array<Bytes, tile_levels> levels_;
  std::vector<std::string> texts_;
  Result<void> done_;
};

}  // namespace

Result<Genesis> read_genesis(LogStorage& storage) {
  const auto segments = list_segments(storage);
  if (!segments) return tl::unexpected(segments.error());
  if (!segments->empty() && segments->front().first_seq != 0) {
    const auto missing = read_missing(storage);
    if (!missing) return tl::unexpected(missing.error());
    const std::string file = pruned_file((*missing)->snapshot.at.size);
    Chain chain;
    RecordView view;
    if (const auto fault = chain.take((*missing)->records.front(), file, 0, view)) {
      return refused(file, fault->link);
    }
    return *chain.genesis();
  }
  if (segments->empty()) return fail(ErrorKind::not_found, {"audit.log-missing", {}});
  const std::string& name = segments->front().name;
  auto reader = SegmentReader::open(storage, name);
  if (!reader) return fail(std::move(reader));
  const auto frame = reader->frame_at(0);
  if (!frame) return tl::unexpected(frame.error());
  if (frame->state != FrameState::valid) return refused(name, "frame");
  Chain chain;
  RecordView view;
  const FrameRecord& first = frame->records.front();
  if (const auto fault = chain.take(first.text, name, first.offset, view)) {
    return refused(name, fault->link);
  }
  return *chain.genesis();
}

Result<LogKeys> read_keys(LogStorage& storage) {
  auto genesis = read_genesis(storage);
  if (!genesis) return fail(std::move(genesis));
  LogKeys keys(*parse_verifier_key(genesis->vkey));
  Result<void> good;
  const auto take = [&](const RecordView& record) {
    if (record.type != "key.rotated" || !good) return;
    const Json body = record.json();
    const auto note = body.find("note");
    good = note != body.end() && note->is_string()
               ? keys.rotate(record.seq, note->get<std::string>())
               : Result<void>(refused(record.file, "key"));
    if (!good) good = refused(record.file, "key");
  };
  const auto missing = read_missing(storage);
  if (!missing) return tl::unexpected(missing.error());
  const std::uint64_t first = *missing ? (*missing)->snapshot.at.size : 0;
  if (*missing) {
    for (const std::string& text : (*missing)->records) {
      const auto record = view_record(text);
      if (!record) return tl::unexpected(record.error());
      take(*record);
    }
  }
  auto read = for_each_record(storage, first, take);
  if (!read) return fail(std::move(read));
  if (!good) return fail(std::move(good));
  return keys;
}

Result<KeptCheckpoint> read_checkpoint(LogStorage& storage) {
  auto genesis = read_genesis(storage);
  if (!genesis) return fail(std::move(genesis));
  const auto text = storage.read_small(head_file);
  if (!text) return tl::unexpected(text.error());
  if (!*text) return fail(ErrorKind::not_found, {"audit.no-checkpoint", {}});
  const auto head = parse_head(**text);
  if (!head || head->origin != genesis->origin) return refused(head_file, "head");
  if (head->checkpoint.empty()) return fail(ErrorKind::not_found, {"audit.no-checkpoint", {}});
  const auto keys = read_keys(storage);
  if (!keys) return tl::unexpected(keys.error());
  auto verified = keys->verify(head->checkpoint);
  if (!verified) return refused(head_file, "checkpoint");
  KeptCheckpoint kept{*std::move(genesis), std::move(verified->checkpoint), head->checkpoint};
  // Of the same checkpoint: with what its witnesses signed.
  const auto cosigned = read_cosigned(storage);
  if (!cosigned) return tl::unexpected(cosigned.error());
  if (*cosigned && (*cosigned)->checkpoint == kept.checkpoint) kept.note = (*cosigned)->note;
  return kept;
}

Result<std::optional<KeptCheckpoint>> read_cosigned(LogStorage& storage) {
  auto genesis = read_genesis(storage);
  if (!genesis) return fail(std::move(genesis));
  auto text = storage.read_small(cosigned_file);
  if (!text) return fail(std::move(text));
  if (!*text) return std::nullopt;
  const auto keys = read_keys(storage);
  if (!keys) return tl::unexpected(keys.error());
  auto verified = keys->verify(**text);
  if (!verified || verified->checkpoint.origin != genesis->origin) {
    return refused(cosigned_file, "checkpoint");
  }
  return KeptCheckpoint{*std::move(genesis), std::move(verified->checkpoint), std::move(**text)};
}

namespace {

// A cosigned checkpoint shows a record to more readers than one with the log's signature alone.
Result<KeptCheckpoint> checkpoint_over(LogStorage& storage, std::uint64_t seq) {
  auto cosigned = read_cosigned(storage);
  if (!cosigned) return fail(std::move(cosigned));
  if (*cosigned && seq < (*cosigned)->checkpoint.size) return std::move(**cosigned);
  return read_checkpoint(storage);
}

}  // namespace

Result<KeptCheckpoint> write_static_log(LogStorage& storage, const StaticFile& put) {
  auto kept = read_checkpoint(storage);
  if (!kept) return kept;
  const Checkpoint& checkpoint = kept->checkpoint;
  TileCutter cutter(put);
  const auto each = [&](const RecordView& record) {
    if (record.seq < checkpoint.size && cutter.done()) cutter.add(record);
  };
  const auto first = first_kept(storage);
  if (!first) return tl::unexpected(first.error());
  const std::uint64_t pruned = std::min(*first, checkpoint.size);
  auto leaves = for_each_pruned_leaf(storage, pruned, [&cutter](const Digest& leaf) {
    if (cutter.done()) cutter.add_pruned(leaf);
  });
  if (!leaves) return fail(std::move(leaves));
  if (auto read = for_each_record(storage, *first, each); !read) return fail(std::move(read));
  if (cutter.done()) cutter.finish();
  if (!cutter.done()) return tl::unexpected(cutter.done().error());
  if (cutter.tree().size() != checkpoint.size) return unread(cutter.tree().size(), checkpoint.size);
  if (cutter.tree().root() != checkpoint.root) return other_root(checkpoint.size);
  if (auto written = put("checkpoint", as_bytes(kept->note)); !written) {
    return fail(std::move(written));
  }
  return kept;
}

Result<ProvenRecord> prove_record(LogStorage& storage, std::uint64_t seq) {
  auto kept = checkpoint_over(storage, seq);
  if (!kept) return fail(std::move(kept));
  const Checkpoint& checkpoint = kept->checkpoint;
  if (seq >= checkpoint.size) {
    return fail(
        ErrorKind::not_found,
        {"audit.record-unsigned",
         {{"seq", std::to_string(seq)}, {"size", std::to_string(checkpoint.size)}}}
    );
  }
  // First which subtrees the proof is made of, then one reading that keeps these and no others.
  std::map<std::pair<unsigned, std::uint64_t>, Digest> wanted;
  const auto ask = make_inclusion_proof(
      seq,
      checkpoint.size,
      [&wanted](unsigned level, std::uint64_t index) -> Result<Digest> {
        return wanted[{level, index}];
      }
  );
  if (!ask) return tl::unexpected(ask.error());
  const auto first = first_kept(storage);
  if (!first) return tl::unexpected(first.error());
  Frontier tree;
  ProvenRecord proven;
  const auto append = [&](const Digest& leaf) {
    tree.append(leaf, [&wanted](const Subtree& subtree) {
      const auto found = wanted.find({subtree.level, subtree.index});
      if (found != wanted.end()) found->second = subtree.hash;
    });
  };
  if (seq < *first) {
    return fail(
        ErrorKind::not_found,
        {"audit.entries-pruned", {{"seq", std::to_string(seq)}, {"first", std::to_string(*first)}}}
    );
  }
  auto leaves = for_each_pruned_leaf(storage, std::min(*first, checkpoint.size), append);
  if (!leaves) return fail(std::move(leaves));
  const auto each = [&](const RecordView& record) {
    if (record.seq >= checkpoint.size) return;
    if (record.seq == seq) proven.record = record.text;
    append(record.leaf);
  };
  if (auto read = for_each_record(storage, *first, each); !read) return fail(std::move(read));
  if (tree.size() != checkpoint.size) return unread(tree.size(), checkpoint.size);
  if (tree.root() != checkpoint.root) return other_root(checkpoint.size);
  auto hashes = make_inclusion_proof(
      seq,
      checkpoint.size,
      [&wanted](unsigned level, std::uint64_t index) -> Result<Digest> {
        return wanted.at({level, index});
      }
  );
  if (!hashes) return fail(std::move(hashes));
  proven.proof.index = seq;
  proven.proof.hashes = *std::move(hashes);
  proven.proof.checkpoint = std::move(kept->note);
  return proven;
}

}  // namespace tally::audit
