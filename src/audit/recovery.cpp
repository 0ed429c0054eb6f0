#include "tally/audit/recovery.hpp"

#include <algorithm>

#include <nlohmann/json.hpp>

#include "below_snapshot.hpp"
#include "chain.hpp"
#include "log_format.hpp"
#include "log_state.hpp"
#include "record_scan.hpp"
#include "segment_reader.hpp"
#include "side_files.hpp"
#include "stamp.hpp"

namespace tally::audit {
namespace {

Error refused(
    const std::string& file, std::uint64_t offset, std::uint64_t seq, std::string_view link
) {
  return {
      ErrorKind::conflict,
      {"audit.log-refused",
       {{"file", file},
        {"offset", std::to_string(offset)},
        {"seq", std::to_string(seq)},
        {"link", std::string(link)}}},
      {}};
}

Instant parse_record_time(std::string_view text) {
  const auto parsed = parse_date_time(text);
  return parsed ? parsed->instant : Instant{};
}

// An error ends the opening, before anything is cut.
using TakeRecord = std::function<Result<void>(const RecordView&)>;

// A log that is being opened: the chain as far as it was read, and where its end is.
class Opening {
 public:
  // With `from`, what it says of the log up to there is taken as it is, if it fits. `missing` is
  // the file that it comes from, if it stands for records that are gone.
  Opening(
      LogStorage& storage,
      TakeRecord take,
      const LogState* from = nullptr,
      const PrunedSnapshot* missing = nullptr
  )
      : storage_(storage),
        take_(std::move(take)),
        from_(from),
        missing_(missing),
        side_files_(storage, from != nullptr ? from->tiles : Frontier()) {}

  Result<Recovered> run(const LogMark& store_mark) {
    auto segments = list_segments(storage_);
    if (!segments) return fail(std::move(segments));
    if (segments->empty()) return fail(ErrorKind::not_found, {"audit.log-missing", {}});
    auto marks = read_marks(store_mark);
    if (!marks) return fail(std::move(marks));

    // A kill leaves frames that only the page cache holds: make them durable before they count, and
    // read what the disk holds.
    auto last = storage_.open(segments->back().name, true);
    if (!last) return fail(std::move(last));
    if (auto synced = (*last)->sync(); !synced) return fail(std::move(synced));
    if (auto synced = storage_.sync_names(); !synced) return fail(std::move(synced));
    (*last)->drop_cache();

    auto first = segments->cbegin();
    if (from_ != nullptr) {
      if (auto fits = continue_from(*segments); !fits) return fail(std::move(fits));
      first = goes_on_in(*segments, *from_);
    }
    std::uint64_t end = 0;
    for (auto segment = first; segment != segments->cend(); ++segment) {
      const bool last_one = segment + 1 == segments->cend();
      const bool continued = from_ != nullptr && segment->first_seq == from_->segments.back();
      auto read = read_segment(*segment, last_one, continued ? from_->end : 0);
      if (!read) return fail(std::move(read));
      end = *read;
    }
    if (auto held = check_marks(segments->back().name, end); !held) return fail(std::move(held));
    if (auto held = check_released(); !held) return fail(std::move(held));
    if (auto held = check_cosigned(); !held) return fail(std::move(held));
    if (chain_.size() == 0) {
      return tl::unexpected(refused(segments->front().name, 0, 0, "genesis"));
    }
    if (auto pruned = check_pruned(segments->front()); !pruned) return fail(std::move(pruned));
    if (torn_) {
      if (auto cut = (*last)->truncate(torn_->offset); !cut) return fail(std::move(cut));
      if (auto synced = (*last)->sync(); !synced) return fail(std::move(synced));
    }

    Recovered recovered;
    recovered.genesis = *chain_.genesis();
    recovered.keys = chain_.keys();
    recovered.size = chain_.size();
    recovered.leaf = chain_.leaf();
    recovered.time = parse_record_time(chain_.time());
    recovered.agreements = std::move(chain_.agreements());
    recovered.heads_due = chain_.heads_due();
    recovered.segment = segments->back().name;
    recovered.offset = end;
    recovered.torn = torn_;
    side_files_.finish();
    recovered.tree = side_files_.tree();
    recovered.side_files = side_files_.good();
    recovered.checkpoint = std::move(head_.checkpoint);
    recovered.cosigned = std::move(cosigned_.checkpoint);
    recovered.pruned = chain_.state().pruned;
    return recovered;
  }

 private:
  // The marks that this log must reach, each with the leaf that must stand there.
  Result<void> read_marks(const LogMark& store_mark) {
    if (store_mark.size != 0) marks_.push_back(store_mark);
    auto text = storage_.read_small(head_file);
    if (!text) return fail(std::move(text));
    if (*text) {
      auto head = parse_head(**text);
      // Replaced as a whole, so a torn head file is not a crash.
      if (!head) return tl::unexpected(refused(std::string(head_file), 0, 0, "head"));
      if (head->mark.size != 0) marks_.push_back(head->mark);
      released_ = checkpoint_of(*head);
      head_ = *std::move(head);
    }
    auto cosigned = storage_.read_small(cosigned_file);
    if (!cosigned) return fail(std::move(cosigned));
    if (*cosigned) cosigned_.checkpoint = std::move(**cosigned);
    cosigned_tree_ = checkpoint_of(cosigned_);
    for (const LogMark& mark : marks_) largest_ = std::max(largest_, mark.size);
    return {};
  }

  // Takes the snapshot's word for the log up to there, if nothing that is known speaks against it.
  Result<void> continue_from(const std::vector<SegmentName>& segments) {
    const LogState& from = *from_;
    const BelowSnapshot below(storage_, from);
    if (auto stands = below.check_place(segments); !stands) return stands;
    if (auto held = below.check_tiles(); !held) return held;
    for (const LogMark& mark : marks_) {
      if (mark.size > from.chain.size()) continue;
      const auto leaf = below.leaf(mark.size - 1);
      if (!leaf || to_hex(*leaf) != mark.leaf) return below.unfit("mark");
    }
    for (const auto* told : {&released_, &cosigned_tree_}) {
      if (!*told || (*told)->size > from.chain.size()) continue;
      const auto root = below.root((*told)->size);
      if (!root || *root != (*told)->root) return below.unfit("root");
      if (told == &cosigned_tree_) cosigned_fits_ = true;
    }
    chain_ = from.chain;
    for (const Digest& leaf : from.edge) side_files_.append(leaf);
    return {};
  }

  // From `begin`, where a frame starts. Gives the offset behind the last one.
  Result<std::uint64_t> read_segment(const SegmentName& segment, bool last, std::uint64_t begin) {
    if (begin == 0 && segment.first_seq != chain_.size()) {
      return tl::unexpected(refused(segment.name, 0, chain_.size(), "segment"));
    }
    auto reader = SegmentReader::open(storage_, segment.name);
    if (!reader) return fail(std::move(reader));
    std::uint64_t offset = begin;
    RecordView view;  // one for all, since it has a text of its own
    for (;;) {
      auto frame = reader->frame_at(offset);
      if (!frame) return fail(std::move(frame));
      if (frame->state != FrameState::valid) break;
      if (frame->first_seq != chain_.size()) {
        return tl::unexpected(refused(segment.name, offset, chain_.size(), "frame"));
      }
      for (const FrameRecord& record : frame->records) {
        const auto fault = chain_.take(record.text, segment.name, record.offset, view);
        if (fault) {
          return tl::unexpected(refused(segment.name, record.offset, view.seq, fault->link));
        }
        for (const LogMark& mark : marks_) {
          if (mark.size == chain_.size() && mark.leaf != to_hex(view.leaf)) {
            return fail(
                ErrorKind::conflict,
                {"audit.log-other", {{"file", segment.name}, {"seq", std::to_string(view.seq)}}}
            );
          }
        }
        side_files_.append(view.leaf);
        if (released_ && released_->size == chain_.size() &&
            released_->root != side_files_.tree().root()) {
          other_root_ = true;
        }
        if (cosigned_tree_ && cosigned_tree_->size == chain_.size()) {
          cosigned_fits_ = cosigned_tree_->root == side_files_.tree().root();
        }
        if (missing_ != nullptr && view.type == "retention.pruned") {
          const Pruned& pruned = *chain_.state().pruned;
          const bool names_it = pruned.to == from_->chain.size();
          if (names_it && pruned.snapshot != missing_->digest) return changed(pruned);
          vouched_ |= names_it;
        }
        if (auto taken = take_(view); !taken) return fail(std::move(taken));
      }
      offset += frame->length;
    }
    auto written = reader->next_written(offset);
    if (!written) return fail(std::move(written));
    if (!*written) return offset;

    // Something stands behind the last valid frame. It may be cut only if it was never
    // acknowledged: in the last segment, beyond every mark, no more than one frame, nothing valid
    // behind it.
    auto valid = reader->next_valid_frame(offset + frame_alignment);
    if (!valid) return fail(std::move(valid));
    auto beyond = reader->next_written(offset + frame_most_bytes);
    if (!beyond) return fail(std::move(beyond));
    if (!last || chain_.size() < largest_ || *valid || *beyond) {
      return tl::unexpected(refused(segment.name, offset, chain_.size(), "frame"));
    }
    auto bytes = reader->read(offset, frame_most_bytes);
    if (!bytes) return fail(std::move(bytes));
    while (!bytes->empty() && bytes->back() == 0) bytes->pop_back();
    torn_ = TornTail{segment.name, offset, bytes->size(), sha256(*bytes)};
    return offset;
  }

  Result<void> check_marks(const std::string& file, std::uint64_t offset) {
    if (chain_.size() < largest_) {
      return fail(
          ErrorKind::conflict,
          {"audit.log-short",
           {{"file", file},
            {"offset", std::to_string(offset)},
            {"seq", std::to_string(chain_.size())},
            {"size", std::to_string(largest_)}}}
      );
    }
    if (!head_.origin.empty() && chain_.genesis() && head_.origin != chain_.genesis()->origin) {
      return tl::unexpected(refused(std::string(head_file), 0, 0, "head"));
    }
    return {};
  }

  // What the log once told others must still be true. The head file carries what it told last.
  Result<void> check_released() {
    if (!released_ || !chain_.genesis()) return {};
    if (!chain_.keys().verify(head_.checkpoint)) {
      return tl::unexpected(refused(std::string(head_file), 0, 0, "head"));
    }
    if (other_root_) {
      return fail(
          ErrorKind::conflict,
          {"audit.log-other-root",
           {{"file", std::string(head_file)}, {"size", std::to_string(released_->size)}}}
      );
    }
    return {};
  }

  // What witnesses cosigned once, too. A file that this log did not sign says nothing of it: the
  // witnesses are asked again.
  Result<void> check_cosigned() {
    if (!chain_.genesis() || !chain_.keys().verify(cosigned_.checkpoint)) {
      cosigned_.checkpoint.clear();
      return {};
    }
    if (cosigned_fits_) return {};
    return fail(
        ErrorKind::conflict,
        {"audit.log-other-root",
         {{"file", std::string(cosigned_file)}, {"size", std::to_string(cosigned_tree_->size)}}}
    );
  }

  // What is missing in front must be what a record prunes, with the file that stands for it.
  Result<void> check_pruned(const SegmentName& front) {
    const auto& pruned = chain_.state().pruned;
    const bool all_there = front.first_seq == 0;
    if (!pruned && all_there) return {};
    const bool covered = pruned && front.first_seq <= pruned->to;
    if (!covered || (missing_ != nullptr && !vouched_)) {
      return fail(
          ErrorKind::conflict,
          {"audit.pruned-unrecorded",
           {{"file", front.name}, {"seq", std::to_string(front.first_seq)}}}
      );
    }
    const auto file = read_pruned(storage_, pruned->to);
    if (!file) return tl::unexpected(file.error());
    if (file->digest != pruned->snapshot) return changed(*pruned);
    return {};
  }

  static tl::unexpected<Error> changed(const Pruned& pruned) {
    return fail(
        ErrorKind::conflict,
        {"audit.pruned-changed",
         {{"file", pruned_file(pruned.to)}, {"seq", std::to_string(pruned.to)}}}
    );
  }

  LogStorage& storage_;
  const TakeRecord take_;
  const LogState* from_;
  const PrunedSnapshot* missing_;
  bool vouched_ = false;  // a record names `missing_`
  Chain chain_;
  std::vector<LogMark> marks_;
  std::uint64_t largest_ = 0;
  Head head_;
  Head cosigned_;
  std::optional<Checkpoint> cosigned_tree_;
  bool cosigned_fits_ = false;
  std::optional<Checkpoint> released_;  // what the head says was told to others
  bool other_root_ = false;             // and the records say otherwise
  SideFileCheck side_files_;
  std::optional<TornTail> torn_;
};

}  // namespace

LogMark Recovered::mark() const {
  return {size, size == 0 ? std::string() : to_hex(leaf)};
}

Result<void> create_log(LogStorage& storage, const Genesis& genesis, Clock& clock, Random& random) {
  if (auto locked = storage.lock(); !locked) return fail(std::move(locked));
  auto segments = list_segments(storage);
  if (!segments) return fail(std::move(segments));
  if (!segments->empty()) {
    return fail(ErrorKind::conflict, {"audit.log-exists", {{"file", segments->front().name}}});
  }
  const Instant now = clock.read().at;
  RecordDraft draft("log.genesis", new_event(random, now));
  draft.set("actor", genesis.actor)
      .set("suite", "sha256-ed25519")
      .set("test", genesis.test)
      .set("vkey", genesis.vkey);
  if (genesis.follows) draft.set_json("follows", to_json(*genesis.follows));
  const std::string log = quote(genesis.origin);
  const std::string time = format_micros(now);
  Stamp stamp;
  stamp.log = log;
  stamp.time = time;
  const std::string no_leaf(64, '0');
  stamp.prev = no_leaf;
  if (genesis.test) stamp.clock = "test";
  FrameBuilder frame;
  frame.start(0);
  append_record(frame.begin_record(), draft, stamp);
  const Digest leaf = leaf_hash(frame.end_record());

  auto file = storage.create(segment_name(0));
  if (!file) return fail(std::move(file));
  if (auto written = (*file)->write_at(0, as_bytes(frame.finish())); !written) return written;
  if (auto synced = (*file)->sync(); !synced) return synced;
  return storage.replace_small(head_file, to_text(Head{genesis.origin, {1, to_hex(leaf)}, {}}));
}

Result<Recovered> recover(LogStorage& storage, const LogMark& mark, const EachRecord& each) {
  if (auto locked = storage.lock(); !locked) return fail(std::move(locked));
  const auto take = [&each](const RecordView& record) -> Result<void> {
    if (each) each(record);
    return {};
  };
  const auto missing = read_missing(storage);
  if (!missing) return tl::unexpected(missing.error());
  if (!*missing) return Opening(storage, take).run(mark);
  const auto state = restore_log((*missing)->snapshot);
  if (!state) return tl::unexpected(state.error());
  return Opening(storage, take, &*state, &**missing).run(mark);
}

namespace {

struct Attempt {
  std::unique_ptr<LogParts> parts;
  Recovered recovered;
  std::uint64_t from = 0;
};

Result<Attempt> try_to_open(
    LogStorage& storage,
    const LogMark& mark,
    const Snapshot* snapshot,
    const PrunedSnapshot* missing,
    const MakeLogParts& make_parts,
    const EachRecord& each
) {
  Attempt attempt;
  attempt.parts = make_parts();
  const auto all = attempt.parts->all();
  LogState state;
  if (snapshot != nullptr) {
    auto restored = restore_pieces(*snapshot, all);
    if (!restored) return fail(std::move(restored));
    state = *std::move(restored);
    attempt.from = state.chain.size();
  }
  const auto take = [&](const RecordView& record) -> Result<void> {
    for (LogPart* part : all) {
      if (auto replayed = part->replay(record); !replayed) return replayed;
    }
    if (each) each(record);
    return {};
  };
  const LogState* const from = snapshot != nullptr ? &state : nullptr;
  auto recovered = Opening(storage, take, from, missing).run(mark);
  if (!recovered) return fail(std::move(recovered));
  attempt.recovered = *std::move(recovered);
  return attempt;
}

}  // namespace

Result<Reopened> reopen_log(
    LogStorage& storage,
    const LogMark& mark,
    const Result<std::optional<Snapshot>>& snapshot,
    const MakeLogParts& make_parts,
    const EachRecord& each
) {
  if (auto locked = storage.lock(); !locked) return fail(std::move(locked));
  const auto missing = read_missing(storage);
  if (!missing) return tl::unexpected(missing.error());
  std::optional<Error> why;
  if (!snapshot) why = snapshot.error();
  if (snapshot && *snapshot) {
    auto attempt = try_to_open(storage, mark, &**snapshot, nullptr, make_parts, each);
    if (attempt) {
      return Reopened{
          std::move(attempt->recovered), std::move(attempt->parts), attempt->from, std::nullopt};
    }
    why = attempt.error();
  }
  // A snapshot never has the last word against a log: all of it is read, and decides.
  const PrunedSnapshot* const file = *missing ? &**missing : nullptr;
  const Snapshot* const stands_for = file != nullptr ? &file->snapshot : nullptr;
  auto attempt = try_to_open(storage, mark, stands_for, file, make_parts, each);
  if (!attempt) return fail(std::move(attempt));
  Reopened reopened{
      std::move(attempt->recovered), std::move(attempt->parts), attempt->from, std::nullopt};
  if (why) reopened.refused = why->message;
  return reopened;
}

Result<void> for_each_record(LogStorage& storage, std::uint64_t from_seq, const EachRecord& each) {
  auto segments = list_segments(storage);
  if (!segments) return fail(std::move(segments));
  // The last segment that starts at or before the record asked for.
  auto first = std::find_if(segments->begin(), segments->end(), [from_seq](const SegmentName& s) {
    return s.first_seq > from_seq;
  });
  if (first != segments->begin()) --first;
  for (auto segment = first; segment != segments->end(); ++segment) {
    auto reader = SegmentReader::open(storage, segment->name);
    if (!reader) return fail(std::move(reader));
    std::uint64_t seq = segment->first_seq;
    for (std::uint64_t offset = 0;;) {
      auto frame = reader->frame_at(offset);
      if (!frame) return fail(std::move(frame));
      if (frame->state != FrameState::valid || frame->first_seq != seq) break;
      for (const FrameRecord& record : frame->records) {
        if (seq >= from_seq) {
          const RecordScan scan = scan_record(record.text);
          if (!scan.canonical) return {};
          RecordView view;
          view.seq = seq;
          view.leaf = leaf_hash(record.text);
          view.text = record.text;
          view.type = scan.plain("type");
          view.event = scan.plain("event");
          view.time = scan.plain("time");
          view.commitment = scan.plain("private");
          view.agreement = unquote(scan.value("agreement"));
          view.file = segment->name;
          view.offset = record.offset;
          each(view);
        }
        ++seq;
      }
      offset += frame->length;
    }
    const auto next = segment + 1;
    if (next != segments->end() && next->first_seq != seq) return {};
  }
  return {};
}

}  // namespace tally::audit
