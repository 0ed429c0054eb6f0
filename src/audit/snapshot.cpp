#include "tally/audit/snapshot.hpp"

#include <algorithm>
#include <utility>

#include <nlohmann/json.hpp>

#include "tally/audit/pruned.hpp"

#include "below_snapshot.hpp"
#include "log_format.hpp"
#include "log_state.hpp"
#include "segment_reader.hpp"
#include "text_form.hpp"

namespace tally::audit {
namespace {

constexpr std::string_view kind = "snapshot";
constexpr std::uint64_t format = 1;

// Row 0 says what the others are.
std::string row_id(std::size_t number) {
  const std::string digits = std::to_string(number);
  return std::string(8 - std::min<std::size_t>(8, digits.size()), '0') + digits;
}

std::string digest_over(const std::vector<SnapshotPiece>& pieces) {
  Sha256 hash;
  for (const SnapshotPiece& piece : pieces) {
    for (const std::string* text : {&piece.part, &piece.items}) {
      hash.update(std::to_string(text->size()) + ":");
      hash.update(*text);
    }
  }
  return digest_text(hash.finish());
}

}  // namespace

std::string head_text(const Snapshot& snapshot) {
  return to_jcs(Json{
      {"format", format},
      {"size", snapshot.at.size},
      {"leaf", snapshot.at.leaf},
      {"digest", digest_over(snapshot.pieces)}});
}

bool take_head(std::string_view text, Snapshot& snapshot) {
  const Json head = Json::parse(text, nullptr, false);
  if (!head.is_object()) return false;
  snapshot.at.leaf = head.value("leaf", Json()).is_string() ? head["leaf"].get<std::string>() : "";
  if (head.value("size", Json()).is_number_unsigned()) {
    snapshot.at.size = head["size"].get<std::uint64_t>();
  }
  return text == head_text(snapshot);
}

Result<std::optional<Snapshot>> load_snapshot(Store& store) {
  auto rows = all_rows(store, kind);
  if (!rows) return fail(std::move(rows));
  if (rows->empty()) return std::optional<Snapshot>();
  const auto malformed = [] { return malformed_item("head"); };
  if (rows->front().id != row_id(0)) return malformed();
  Snapshot snapshot;
  for (std::size_t i = 1; i < rows->size(); ++i) {
    Row& row = (*rows)[i];
    if (row.id != row_id(i)) return malformed();
    snapshot.pieces.push_back({std::move(row.owner), std::move(row.body)});
  }
  if (!take_head(rows->front().body, snapshot)) return malformed();
  return std::optional(std::move(snapshot));
}

Result<Transaction> replace_snapshot(Store& store, const Snapshot& snapshot) {
  auto rows = all_rows(store, kind);
  if (!rows) return fail(std::move(rows));
  std::vector<Row> fresh;
  fresh.push_back({std::string(kind), row_id(0), 0, {}, {}, head_text(snapshot)});
  for (const SnapshotPiece& piece : snapshot.pieces) {
    fresh.push_back({std::string(kind), row_id(fresh.size()), 0, {}, piece.part, piece.items});
  }
  Transaction transaction;
  for (Row& row : *rows) {
    const auto same = std::find_if(fresh.begin(), fresh.end(), [&row](const Row& one) {
      return one.id == row.id;
    });
    if (same != fresh.end()) {
      same->version = row.version;
    } else {
      row.body.clear();
      transaction.erases.push_back(std::move(row));
    }
  }
  transaction.puts = std::move(fresh);
  return transaction;
}

Result<void> begin_snapshots_again(Store& store, Transaction& change) {
  auto rows = all_rows(store, kind);
  if (!rows) return fail(std::move(rows));
  for (Row& row : *rows) {
    row.body.clear();
    change.erases.push_back(std::move(row));
  }
  return {};
}

namespace {

tl::unexpected<Error> unfit(std::string_view why, std::uint64_t size) {
  return fail(
      ErrorKind::conflict,
      {"audit.snapshot-unfit", {{"why", std::string(why)}, {"size", std::to_string(size)}}}
  );
}

}  // namespace

Result<Snapshot> make_snapshot(
    LogStorage& storage, const Snapshot* base, std::uint64_t size, LogParts& parts
) {
  const auto all = parts.all();
  LogState state;
  std::optional<PrunedSnapshot> missing;
  if (base == nullptr) {
    auto found = read_missing(storage);
    if (!found) return fail(std::move(found));
    missing = *std::move(found);
    if (missing) base = &missing->snapshot;
  }
  if (base != nullptr) {
    auto restored = restore_pieces(*base, all);
    if (!restored) return fail(std::move(restored));
    state = *std::move(restored);
  }
  if (state.chain.size() > size) return unfit("size", state.chain.size());
  auto segments = list_segments(storage);
  if (!segments) return fail(std::move(segments));
  auto segment = segments->cbegin();
  if (!state.segments.empty()) segment = goes_on_in(*segments, state);
  Result<void> replayed;
  for (; segment != segments->cend() && state.chain.size() < size; ++segment) {
    const bool continued = !state.segments.empty() && state.segments.back() == segment->first_seq;
    if (!continued && segment->first_seq != state.chain.size()) break;
    auto reader = SegmentReader::open(storage, segment->name);
    if (!reader) return fail(std::move(reader));
    std::uint64_t offset = continued ? state.end : 0;
    while (state.chain.size() < size) {
      auto frame = reader->frame_at(offset);
      if (!frame) return fail(std::move(frame));
      if (frame->state != FrameState::valid || frame->first_seq != state.chain.size()) break;
      for (const FrameRecord& record : frame->records) {
        RecordView view;
        if (state.chain.take(record.text, segment->name, record.offset, view)) {
          return unfit("chain", view.seq);
        }
        state.append(view.leaf);
        for (LogPart* part : all) {
          if (replayed) replayed = part->replay(view);
        }
        if (!replayed) return fail(std::move(replayed));
      }
      if (state.segments.empty() || state.segments.back() != segment->first_seq) {
        state.segments.push_back(segment->first_seq);
      }
      state.frame = offset;
      offset += frame->length;
      state.end = offset;
    }
  }
  if (state.chain.size() != size) return unfit("size", state.chain.size());
  Snapshot snapshot;
  snapshot.at = {size, to_hex(state.chain.leaf())};
  snapshot.pieces = save_pieces(state, all);
  return snapshot;
}

}  // namespace tally::audit
