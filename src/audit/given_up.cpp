#include "tally/audit/given_up.hpp"

#include <algorithm>
#include <map>
#include <utility>

#include "tally/audit/checkpoint.hpp"
#include "tally/audit/tree.hpp"
#include "tally/audit/verify.hpp"

namespace tally::audit {

namespace {

constexpr std::string_view prefix = "proof-";
constexpr std::string_view note_end = ".note";
constexpr std::string_view rotations_end = ".rotations";

std::string file_of(const Checkpoint& checkpoint) {
  const std::string digits = std::to_string(checkpoint.size);
  const std::string padded = std::string(20 - std::min<std::size_t>(20, digits.size()), '0');
  return std::string(prefix) + padded + digits + "-" + to_hex(checkpoint.root).substr(0, 16);
}

// A checkpoint of this log by its own signature, also one by a key that its records lack.
std::optional<Checkpoint> signed_by(
    const LogKeys& keys, const std::string& note, const std::optional<std::string>& rotations
) {
  auto verified = keys.verify(note);
  if (!verified && rotations) {
    const auto shown = parse_rotations(*rotations);
    if (shown) verified = keys.extended(*shown).verify(note);
  }
  if (!verified || verified->checkpoint.origin != keys.current().name) return std::nullopt;
  return std::move(verified->checkpoint);
}

struct Shown {
  Digest note{};
  Checkpoint checkpoint;
};

Result<std::vector<Shown>> shown_in(LogStorage& storage, const LogKeys& keys) {
  std::vector<Shown> all;
  const auto names = storage.list();
  if (!names) return tl::unexpected(names.error());
  for (const std::string& name : *names) {
    if (!name.starts_with(prefix) || !name.ends_with(note_end)) continue;
    const auto base = name.substr(0, name.size() - note_end.size());
    const auto note = storage.read_small(name);
    if (!note) return tl::unexpected(note.error());
    const auto rotations = storage.read_small(base + std::string(rotations_end));
    if (!rotations) return tl::unexpected(rotations.error());
    if (!*note) continue;
    auto checkpoint = signed_by(keys, **note, *rotations);
    if (checkpoint) all.push_back({sha256(**note), *std::move(checkpoint)});
  }
  return all;
}

}  // namespace

Result<void> keep_proof(LogStorage& storage, const ProofOfLoss& proof) {
  const auto note = parse_note(proof.note);
  if (!note) return tl::unexpected(note.error());
  const auto checkpoint = parse_checkpoint(note->text);
  if (!checkpoint) return tl::unexpected(checkpoint.error());
  const std::string base = file_of(*checkpoint);
  const auto there = storage.read_small(base + std::string(note_end));
  if (!there) return tl::unexpected(there.error());
  if (*there) return {};
  if (!proof.rotations.empty()) {
    auto written =
        storage.replace_small(base + std::string(rotations_end), print_rotations(proof.rotations));
    if (!written) return written;
  }
  // Last: where it is, all that it needs is there.
  return storage.replace_small(base + std::string(note_end), proof.note);
}

Result<GivenUp> give_up(LogStorage& storage) {
  const auto report = verify_log(storage);
  if (!report.genesis || report.size() == 0) {
    return fail(ErrorKind::not_found, {"audit.log-missing", {}});
  }
  GivenUp out;
  out.genesis = *report.genesis;
  if (!log_number(out.genesis.origin)) {
    return fail(ErrorKind::invalid, {"audit.log-unnumbered", {{"origin", out.genesis.origin}}});
  }
  auto shown = shown_in(storage, report.keys);
  if (!shown) return fail(std::move(shown));

  // The roots at the sizes that were shown, and at the end of what is good.
  std::map<std::uint64_t, Digest> roots;
  Frontier tree;
  for (const Shown& one : *shown) roots.emplace(one.checkpoint.size, tree.root());
  Follows& follows = out.follows;
  const auto append = [&](const Digest& leaf) {
    tree.append(leaf);
    follows.leaf = leaf;
    if (const auto at = roots.find(tree.size()); at != roots.end()) at->second = tree.root();
  };
  const auto each = [&](const RecordView& record) {
    if (record.seq < report.size()) append(record.leaf);
  };
  auto leaves = for_each_pruned_leaf(storage, report.pruned, append);
  if (!leaves) return fail(std::move(leaves));
  if (auto read = for_each_record(storage, report.pruned, each); !read)
    return fail(std::move(read));
  follows.origin = out.genesis.origin;
  follows.size = tree.size();
  follows.root = tree.root();
  static constexpr const char* verdicts[] = {"whole", "changed", "incomplete"};
  follows.verdict = verdicts[static_cast<int>(report.verdict)];

  // The longest first: of more than there is room for, those that show most.
  std::sort(shown->begin(), shown->end(), [](const Shown& one, const Shown& other) {
    return one.checkpoint.size > other.checkpoint.size;
  });
  for (const Shown& one : *shown) {
    const bool fits =
        one.checkpoint.size <= follows.size && roots.at(one.checkpoint.size) == one.checkpoint.root;
    if (fits || follows.proofs.size() == most_proofs_of_loss) continue;
    follows.proofs.push_back({one.note, one.checkpoint.size, one.checkpoint.root});
  }
  return out;
}

}  // namespace tally::audit
