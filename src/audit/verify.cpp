#include "tally/audit/verify.hpp"

#include <algorithm>
#include <set>

#include "tally/audit/pruned.hpp"
#include "tally/audit/record_source.hpp"

#include "chain.hpp"
#include "deep.hpp"
#include "event_ids.hpp"
#include "frames_ahead.hpp"
#include "log_format.hpp"
#include "log_state.hpp"
#include "record_scan.hpp"
#include "segment_reader.hpp"
#include "side_files.hpp"

namespace tally::audit {
namespace {

struct Place {
  std::uint64_t seq = 0;
  std::string_view file;  // lives as long as the verification
  std::uint64_t offset = 0;
};

class Verification {
 public:
  Verification(LogStorage& storage, Depth depth, Helper* helper)
      : storage_(storage), helper_(helper), side_files_(storage) {
    if (depth == Depth::deep) deep_.emplace();
  }

  VerifyReport run() {
    auto done = read_log();
    if (!done) unreadable(done.error());
    report_.genesis = chain_.genesis();
    report_.keys = chain_.keys();
    report_.last_time = chain_.time();
    if (!report_.finding) {
      report_.verdict = Verdict::whole;
      report_.leaf = to_hex(chain_.leaf());
      report_.root = to_hex(side_files_.tree().root());
    }
    if (report_.genesis && report_.genesis->test) {
      report_.notes.push_back({"audit.verify-test-log", {{"log", report_.genesis->origin}}});
    }
    if (report_.genesis && report_.genesis->follows) {
      const Follows& before = *report_.genesis->follows;
      report_.notes.push_back(
          {before.proofs.empty() ? "audit.verify-follows-unproven" : "audit.verify-follows",
           {{"origin", before.origin},
            {"size", std::to_string(before.size)},
            {"leaf", to_hex(before.leaf)},
            {"proofs", std::to_string(before.proofs.size())},
            {"longest", before.proofs.empty() ? "-" : std::to_string(before.proofs.front().size)}}}
      );
    }
    if (report_.pruned > 0) {
      report_.notes.push_back(
          {"audit.verify-pruned",
           {{"first", std::to_string(report_.pruned)},
            {"last", std::to_string(report_.pruned - 1)},
            {"file", pruned_file(report_.pruned)}}}
      );
    }
    report_.notes.push_back(
        {"audit.verify-no-foreign-head", {{"records", std::to_string(report_.records)}}}
    );
    report_.notes.push_back({"audit.verify-own-time", {}});
    return std::move(report_);
  }

 private:
  void found(
      Verdict verdict,
      const Place& place,
      std::string_view link,
      std::map<std::string, std::string> params
  ) {
    if (report_.finding) return;
    report_.verdict = verdict;
    params["seq"] = std::to_string(place.seq);
    params["file"] = std::string(place.file);
    params["offset"] = std::to_string(place.offset);
    Finding finding;
    finding.seq = place.seq;
    finding.file = place.file;
    finding.offset = place.offset;
    finding.link = link;
    finding.message = {"audit.link-" + std::string(link), std::move(params)};
    report_.finding = std::move(finding);
  }

  // An error of the file system: nothing is known of what could not be read.
  void unreadable(const Error& error) {
    if (report_.finding) return;
    Finding finding;
    finding.seq = chain_.size();
    const auto file = error.message.params.find("file");
    if (file != error.message.params.end()) finding.file = file->second;
    finding.link = "file";
    finding.message = error.message;
    report_.verdict = Verdict::incomplete;
    report_.finding = std::move(finding);
  }

  Result<void> read_log() {
    // The head first: a connector that runs meanwhile only gets further than it says.
    auto head = storage_.read_small(head_file);
    if (!head) return fail(std::move(head));
    auto cosigned = storage_.read_small(cosigned_file);
    if (!cosigned) return fail(std::move(cosigned));
    if (*cosigned) {
      cosigned_ = std::move(**cosigned);
      cosigned_tree_ = checkpoint_of({{}, {}, *cosigned_});
    }
    auto segments = list_segments(storage_);
    if (!segments) return fail(std::move(segments));
    segments_ = std::move(*segments);
    const bool head_there = head->has_value();
    if (head_there) head_ = parse_head(**head);
    if (head_) report_.checkpoint = checkpoint_of(*head_);
    if (segments_.empty() && !head_there) {
      report_.verdict = Verdict::incomplete;
      Finding finding;
      finding.link = "segment";
      finding.message = {"audit.log-missing", {}};
      report_.finding = std::move(finding);
      return {};
    }

    if (auto stood_for = begin_behind_pruned(); !stood_for) return stood_for;
    for (; segment_ < segments_.size() && !report_.finding; ++segment_) {
      if (auto read = read_segment(); !read) return read;
    }
    ahead_.reset();
    if (report_.finding) return blame_snapshot();
    check_pruned();
    if (report_.finding) return {};
    check_head(head_there);
    if (!report_.finding) check_events();
    if (!report_.finding) check_tree();
    return {};
  }

  // What is missing in front: the file that stands for it says how the log goes on, and the leaf
  // hashes in the side files lead there.
  Result<void> begin_behind_pruned() {
    const auto missing = read_missing(storage_);
    if (!missing) return pruned_fault(missing.error());
    if (!*missing) return {};
    base_ = **missing;
    const std::uint64_t size = base_->snapshot.at.size;
    const auto state = restore_log(base_->snapshot);
    if (!state || !keeps_its_records(*state)) {
      not_pruned("malformed", pruned_file(size));
      return {};
    }
    const auto begins = [size](const SegmentName& one) { return one.first_seq == size; };
    const auto at = std::find_if(segments_.begin(), segments_.end(), begins);
    segment_ = static_cast<std::size_t>(at - segments_.begin());
    report_.pruned = size;
    if (auto read = read_pruned_leaves(*state); !read || report_.finding) return read;
    chain_ = state->chain;
    if (deep_) {
      std::set<std::string> begun;
      for (const auto& [agreement, head] : chain_.agreements()) begun.insert(agreement);
      deep_->skip_rules_of(std::move(begun));
    }
    return {};
  }

  Result<void> read_pruned_leaves(const LogState& state) {
    const std::uint64_t size = state.chain.size();
    last_ = {size - 1, leaf_file_, 0};
    std::uint64_t seq = 0;
    bool kept_fit = true;
    const auto each = [&](const Digest& leaf) {
      const auto kept = kept_leaves_.find(seq);
      kept_fit &= kept == kept_leaves_.end() || kept->second == leaf;
      appended(leaf, {seq, leaf_file_, seq * sizeof(Digest)}, seq + 1);
      ++seq;
    };
    auto read = for_each_pruned_leaf(storage_, size, each);
    if (!read || !kept_fit) {
      not_pruned("hashes", leaf_file_);
      return {};
    }
    base_root_ = side_files_.tree().root();
    Frontier tree = state.tiles;
    for (const Digest& leaf : state.edge) tree.append(leaf);
    if (side_files_.tree().size() != size || tree.root() != base_root_) {
      not_pruned("hashes", leaf_file_);
    }
    return {};
  }

  // The first record and the rotations stand in the file as they were; what it says of the log is
  // what they say. Whether their hashes are in the tree is seen with the leaves.
  bool keeps_its_records(const LogState& state) {
    Chain chain;
    RecordView view;
    const auto& records = base_->records;
    if (chain.take(records.front(), leaf_file_, 0, view)) return false;
    kept_leaves_.emplace(0, view.leaf);
    LogKeys keys = chain.keys();
    for (auto record = records.begin() + 1; record != records.end(); ++record) {
      const auto rotation = view_record(*record);
      if (!rotation || rotation->type != "key.rotated") return false;
      if (!keys.rotate(rotation->seq, unquote(rotation->raw("note")))) return false;
      kept_leaves_.emplace(rotation->seq, rotation->leaf);
    }
    const Genesis& told = *state.chain.genesis();
    const Genesis& stood = *chain.genesis();
    return told.origin == stood.origin && told.actor == stood.actor && told.vkey == stood.vkey &&
           told.test == stood.test && told.follows == stood.follows &&
           keys.entries() == state.chain.keys().entries();
  }

  // What the log had and has no more must be what its records say was pruned.
  void check_pruned() {
    const auto& pruned = chain_.state().pruned;
    const std::uint64_t first = segments_.empty() ? 0 : segments_.front().first_seq;
    if (base_ && !base_record_) return not_pruned("unrecorded", segments_[0].name);
    if (base_ && base_record_->snapshot != base_->digest) {
      return not_pruned("changed", pruned_file(base_record_->to));
    }
    if (base_ && base_record_->root != base_root_) return not_pruned("hashes", leaf_file_);
    if (!pruned) return;
    if (first > pruned->to) return not_pruned("unrecorded", segments_[0].name);
    const auto file = read_pruned(storage_, pruned->to);
    if (!file) {
      if (auto named = pruned_fault(file.error()); !named) unreadable(named.error());
      return;
    }
    if (file->digest != pruned->snapshot) not_pruned("changed", pruned_file(pruned->to));
  }

  // A record that does not go on from the file, because the file was changed: a record further on
  // says so.
  Result<void> blame_snapshot() {
    if (!base_ || base_record_) return {};
    std::optional<Pruned> record;
    const auto find = [&](const RecordView& view) {
      if (view.type != "retention.pruned") return;
      const auto pruned = parse_pruned(view);
      if (pruned && pruned->to == base_->snapshot.at.size) record = pruned;
    };
    auto read = for_each_record(storage_, base_->snapshot.at.size, find);
    if (!read || !record || record->snapshot == base_->digest) return read;
    report_.finding.reset();
    not_pruned("changed", pruned_file(record->to));
    return {};
  }

  void not_pruned(std::string_view how, std::string_view file) {
    const std::uint64_t first = segments_.empty() ? 0 : segments_.front().first_seq;
    found(Verdict::changed, {first, file, 0}, "pruned", {});
    report_.finding->message.code = "audit.pruned-" + std::string(how);
  }
  // A file that cannot be read is the file system's, a file that is not there is not.
  Result<void> pruned_fault(const Error& error) {
    if (error.kind == ErrorKind::unavailable) return tl::unexpected(error);
    const auto& params = error.message.params;
    not_pruned("absent", params.at("file"));
    report_.finding->file = params.at("file");
    report_.finding->message.code = error.message.code;
    return {};
  }

  // The tree has grown by the record at `here`, to `size` records.
  void appended(const Digest& leaf, const Place& here, std::uint64_t size) {
    last_ = here;
    if (head_ && head_->mark.size == size && head_->mark.leaf != to_hex(leaf)) not_the_head_ = here;
    side_files_.append(leaf);
    if (report_.checkpoint && report_.checkpoint->size == size &&
        report_.checkpoint->root != side_files_.tree().root()) {
      other_root_ = here;
    }
    if (cosigned_tree_ && cosigned_tree_->size == size) {
      cosigned_fits_ = cosigned_tree_->root == side_files_.tree().root();
      cosigned_end_ = here;
    }
  }

  Result<void> read_segment() {
    const SegmentName& segment = segments_[segment_];
    if (segment.first_seq != chain_.size()) {
      found(
          Verdict::changed,
          {chain_.size(), segment.name, 0},
          "segment",
          {{"first", std::to_string(segment.first_seq)}}
      );
      return {};
    }
    auto reader = SegmentReader::open(storage_, segment.name);
    if (!reader) return fail(std::move(reader));
    end_ = 0;
    ahead_.reset();
    if (helper_ != nullptr) {
      auto file = storage_.open(segment.name, false);
      if (!file) return fail(std::move(file));
      ahead_.emplace(*helper_, *std::move(file));
    }
    for (std::uint64_t offset = 0;;) {
      HashedFrame read;
      const HashedFrame* hashed = ahead_ ? ahead_->next(offset) : nullptr;
      if (hashed == nullptr) {
        auto frame = reader->frame_at(offset);
        if (!frame) return fail(std::move(frame));
        if (frame->state != FrameState::valid) return end_or_damage(*reader, *frame);
        read.frame = *std::move(frame);
        hashed = &read;
      }
      const Frame* const frame = &hashed->frame;
      if (frame->first_seq != chain_.size()) {
        found(
            Verdict::changed,
            {chain_.size(), segment.name, offset},
            "seq",
            {{"found", std::to_string(frame->first_seq)}}
        );
        return {};
      }
      if (!frame->checkpoint.empty() && !right_slot(*frame)) return {};
      auto taken = take_records(*reader, *hashed);
      if (!taken || report_.finding) return taken;
      offset += frame->length;
      end_ = offset;
    }
  }

  // The checkpoint in a frame's slot is over exactly the records before the frame.
  bool right_slot(const Frame& frame) {
    const Place here{chain_.size(), segments_[segment_].name, frame.offset};
    const std::map<std::string, std::string> size = {{"size", std::to_string(chain_.size())}};
    const auto wrong = [&](std::string_view link) {
      found(Verdict::changed, here, link, size);
      const bool tree = link == "tree";
      report_.finding->message.code = tree ? "audit.slot-tree" : "audit.slot-checkpoint";
      return false;
    };
    if (!chain_.genesis()) return wrong("checkpoint");
    const auto note = chain_.keys().verify(frame.checkpoint);
    if (!note || note->checkpoint.size != chain_.size()) return wrong("checkpoint");
    if (note->checkpoint.root != side_files_.tree().root()) return wrong("tree");
    return true;
  }

  // Stops at the first record with a broken link and names the one at fault. Hashes what is not
  // hashed yet.
  Result<void> take_records(SegmentReader& reader, const HashedFrame& hashed) {
    const Frame& frame = hashed.frame;
    const std::string_view name = segments_[segment_].name;
    RecordView& view = view_;
    for (std::size_t i = 0; i < frame.records.size(); ++i) {
      const FrameRecord& record = frame.records[i];
      const Digest leaf = hashed.leaves.empty() ? leaf_hash(record.text) : hashed.leaves[i];
      auto fault = chain_.take(record.text, leaf, name, record.offset, view);
      const Place here{view.seq, name, record.offset};
      if (!fault) {
        if (view.type == "log.heads" && !right_heads(view)) {
          found(Verdict::changed, here, "heads", {});
          return {};
        }
        if (deep_) {
          if (auto deeper = deep_->take(view)) {
            found(Verdict::changed, here, deeper->link, {});
            report_.finding->message.code = std::move(deeper->message.code);
            report_.finding->message.params.merge(deeper->message.params);
            return {};
          }
        }
        ++report_.records;
        report_.bytes += record.text.size();
        if (report_.first_time.empty()) report_.first_time = view.time;
        events_.take(view.event);
        if (base_ && view.type == "retention.pruned" &&
            chain_.state().pruned->to == base_->snapshot.at.size) {
          base_record_ = chain_.state().pruned;
        }
        appended(view.leaf, here, chain_.size());
        continue;
      }
      // A `prev` that does not fit: either this record was changed or the one before it. The next
      // one tells, since it names this one's hash.
      if (fault->link == "prev" && view.seq > 0) {
        const std::uint64_t next_seq = view.seq + 1;
        std::optional<std::string> next;
        if (i + 1 < frame.records.size()) {
          next = std::string(frame.records[i + 1].text);
        } else {
          auto following = record_behind(reader, frame.offset);
          if (!following) return fail(std::move(following));
          next = std::move(*following);
        }
        const std::optional<bool> confirmed = confirms(next, next_seq, leaf);
        if (confirmed.value_or(false)) {
          --report_.records;
          found(Verdict::changed, last_, "prev", {});
          return {};
        }
      }
      found(Verdict::changed, here, fault->link, fault->message.params);
      return {};
    }
    return {};
  }

  // The record belongs to no agreement, so the map after it is the map before it.
  bool right_heads(const RecordView& view) {
    if (!heads_.follow(chain_.agreements())) return false;
    if (view.raw("root") != quote(digest_text(heads_.root()))) return false;
    const std::string_view count = view.raw("count");
    return count.empty() || count == std::to_string(heads_.count());
  }

  // The first record of the next valid frame, in this segment or the next ones.
  Result<std::optional<std::string>> record_behind(SegmentReader& reader, std::uint64_t offset) {
    if (ahead_) ahead_->stop();  // one at a time reads a file
    auto next = reader.next_valid_frame(offset + frame_alignment);
    if (!next) return fail(std::move(next));
    if (*next) {
      auto frame = reader.frame_at(**next);
      if (!frame) return fail(std::move(frame));
      return std::optional<std::string>(std::string(frame->records.front().text));
    }
    if (segment_ + 1 >= segments_.size()) return std::optional<std::string>();
    auto behind = SegmentReader::open(storage_, segments_[segment_ + 1].name);
    if (!behind) return fail(std::move(behind));
    auto frame = behind->frame_at(0);
    if (!frame) return fail(std::move(frame));
    if (frame->state != FrameState::valid) return std::optional<std::string>();
    return std::optional<std::string>(std::string(frame->records.front().text));
  }

  // Whether what follows record `seq - 1` names `leaf` as its hash: the next record or, at the end,
  // the head file. Nothing when nobody can tell.
  std::optional<bool> confirms(
      const std::optional<std::string>& next, std::uint64_t seq, const Digest& leaf
  ) {
    if (next) {
      const RecordScan scan = scan_record(*next);
      if (scan.canonical && scan.value("seq") == std::to_string(seq)) {
        return scan.plain("prev") == to_hex(leaf);
      }
      return std::nullopt;
    }
    if (head_ && head_->mark.size == seq) return head_->mark.leaf == to_hex(leaf);
    return std::nullopt;
  }

  // Behind the last valid frame: zeros to the end, or something that must not be there.
  Result<void> end_or_damage(SegmentReader& reader, const Frame& frame) {
    const std::uint64_t offset = frame.offset;
    const std::string_view name = segments_[segment_].name;
    const bool last_segment = segment_ + 1 == segments_.size();
    if (frame.state == FrameState::zeros) {
      auto written = reader.next_written(offset);
      if (!written) return fail(std::move(written));
      if (!*written) return {};
    }
    const Place here{chain_.size(), name, offset};
    auto valid = reader.next_valid_frame(offset + frame_alignment);
    if (!valid) return fail(std::move(valid));
    auto beyond = reader.next_written(offset + frame_most_bytes);
    if (!beyond) return fail(std::move(beyond));
    const std::uint64_t mark = head_ ? head_->mark.size : 0;
    if (last_segment && !*valid && !*beyond && chain_.size() >= mark) {
      // What a crash may leave: recovery would cut it, since it was never acknowledged.
      found(Verdict::incomplete, here, "tail", {});
      return {};
    }
    // The frame's checksum fails; its records tell which one was changed.
    auto again = reader.frame_at(offset);
    if (!again) return fail(std::move(again));
    if (again->state == FrameState::damaged && again->first_seq == chain_.size()) {
      const std::uint64_t size_before = chain_.size();
      const Frame damaged = *again;
      auto taken = take_damaged(reader, damaged);
      if (!taken || report_.finding) return taken;
      report_.records = size_before - report_.pruned;
    }
    found(Verdict::changed, here, "frame", {});
    return {};
  }

  // The records of a frame whose checksum fails. No finding: the frame itself is at fault.
  Result<void> take_damaged(SegmentReader& reader, const Frame& damaged) {
    // The texts live in the reader's window, which looking behind moves: keep them.
    std::vector<std::string> texts;
    texts.reserve(damaged.records.size());
    for (const FrameRecord& record : damaged.records) texts.emplace_back(record.text);
    HashedFrame kept{damaged, {}};
    Frame& frame = kept.frame;
    for (std::size_t i = 0; i < texts.size(); ++i) frame.records[i].text = texts[i];
    auto taken = take_records(reader, kept);
    if (!taken || report_.finding) return taken;

    auto next = record_behind(reader, frame.offset);
    if (!next) return fail(std::move(next));
    const bool next_fits = *next && find_member(**next, "seq") == std::to_string(chain_.size());
    const bool all_there = next_fits || (!*next && head_ && head_->mark.size == chain_.size());
    if (frame.records.size() < frame.count && !all_there) {
      // The length in front of a record leads nowhere.
      const std::uint64_t at = frame.records.empty()
                                   ? frame.offset
                                   : frame.records.back().offset + frame.records.back().text.size();
      found(Verdict::changed, {chain_.size(), segments_[segment_].name, at}, "frame", {});
      return {};
    }
    const std::optional<bool> confirmed = confirms(*next, chain_.size(), chain_.leaf());
    if (!frame.records.empty() && confirmed && !*confirmed) {
      --report_.records;
      found(Verdict::changed, last_, "prev", {});
    }
    return {};
  }

  void check_head(bool there) {
    const Place at_head{chain_.size() == 0 ? 0 : chain_.size() - 1, head_file, 0};
    if (!there) {
      // The writer leaves one with the first record; a crash before that is possible.
      found(
          chain_.size() <= 1 ? Verdict::incomplete : Verdict::changed,
          at_head,
          "head",
          {{"size", "0"}}
      );
      return;
    }
    if (!head_) {
      found(Verdict::changed, at_head, "head", {{"size", "?"}});
      return;
    }
    const std::string size = std::to_string(head_->mark.size);
    if (chain_.size() < head_->mark.size) {
      const std::string_view file = segments_.empty() ? head_file : segments_.back().name;
      found(Verdict::changed, {chain_.size(), file, end_}, "short", {{"size", size}});
      return;
    }
    if (!chain_.genesis() || head_->origin != chain_.genesis()->origin) {
      found(Verdict::changed, at_head, "head", {{"size", size}});
      return;
    }
    if (not_the_head_) found(Verdict::changed, *not_the_head_, "head", {{"size", size}});
  }

  // What the log told others last, and the files that it makes proofs from.
  void check_tree() {
    if (report_.checkpoint) {
      const std::map<std::string, std::string> size = {
          {"size", std::to_string(report_.checkpoint->size)}};
      const Place at_head{report_.checkpoint->size - 1, head_file, 0};
      if (other_root_) return found(Verdict::changed, *other_root_, "tree", size);
      if (!chain_.keys().verify(head_->checkpoint)) {
        return found(Verdict::changed, at_head, "checkpoint", size);
      }
    }
    check_cosigned();
    if (report_.finding) return;
    side_files_.finish();
    if (const auto wrong = side_files_.wrong()) {
      // Never synced, so a power cut may leave one; no evidence of anything.
      const std::uint64_t seq = wrong->index << (8 * wrong->level);
      const std::string file = level_file(wrong->level);
      found(Verdict::incomplete, {seq, file, wrong->index * sizeof(Digest)}, "tile", {});
    }
  }

  void check_cosigned() {
    if (!cosigned_) return;
    if (!cosigned_tree_ || !chain_.genesis() || !chain_.keys().verify(*cosigned_)) {
      const Place there{chain_.size() - 1, cosigned_file, 0};
      return found(Verdict::changed, there, "checkpoint", {{"size", "?"}});
    }
    const std::string size = std::to_string(cosigned_tree_->size);
    if (!cosigned_end_) {
      const Place end{chain_.size(), cosigned_file, 0};
      return found(Verdict::changed, end, "short", {{"size", size}});
    }
    if (!cosigned_fits_) found(Verdict::changed, *cosigned_end_, "tree", {{"size", size}});
  }

  void check_events() {
    const auto twice = events_.first_twice(storage_, report_.pruned);
    if (!twice) return unreadable(twice.error());
    if (!*twice) return;
    const Place place{(*twice)->seq, (*twice)->file, (*twice)->offset};
    found(Verdict::changed, place, "event", {{"first", std::to_string((*twice)->first)}});
  }

  LogStorage& storage_;
  Helper* const helper_;
  VerifyReport report_;
  Chain chain_;
  std::optional<DeepCheck> deep_;
  std::vector<SegmentName> segments_;
  std::size_t segment_ = 0;
  std::optional<Head> head_;
  std::optional<std::string> cosigned_;  // the file, if there is one
  std::optional<Checkpoint> cosigned_tree_;
  bool cosigned_fits_ = false;
  std::optional<Place> cosigned_end_;  // the last record under it
  // What stands for the records that were pruned, and the record that says so.
  std::optional<PrunedSnapshot> base_;
  std::optional<Pruned> base_record_;
  Digest base_root_{};                           // of the leaves in the side files
  std::map<std::uint64_t, Digest> kept_leaves_;  // of the records that stand in the file
  const std::string leaf_file_ = level_file(0);
  std::optional<FramesAhead> ahead_;  // of the segment, while there is a helper
  EventIds events_;
  HeadsMap heads_;  // as of the last `log.heads`
  RecordView view_;
  Place last_;             // of the last record that was taken
  std::uint64_t end_ = 0;  // behind the last valid frame of the segment
  SideFileCheck side_files_;
  std::optional<Place> other_root_;  // the last record under the head's checkpoint, if that is off
  std::optional<Place> not_the_head_;  // the record at the head's size, when it has another hash
};

}  // namespace

VerifyReport verify_log(LogStorage& storage, Depth depth, Helper* helper) {
  return Verification(storage, depth, helper).run();
}

}  // namespace tally::audit
