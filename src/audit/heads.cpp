#include "tally/audit/heads.hpp"

#include <algorithm>

#include "merkle.hpp"
#include "text_form.hpp"

namespace tally::audit {
namespace {

// Prefixes apart from those of the log's own tree: no hash of one is ever a hash of the other.
constexpr std::uint8_t leaf_prefix = 0x02;
constexpr std::uint8_t node_prefix = 0x03;
constexpr std::uint8_t root_prefix = 0x04;

constexpr std::string_view first_line = "tally/heads-proof/v1";
constexpr std::string_view count_word = "count ";
constexpr std::string_view entry_word = "entry ";

Digest heads_node(const Digest& left, const Digest& right) {
  return hash_pair(node_prefix, left, right);
}

void put(Bytes& bytes, const Digest& digest) {
  bytes.insert(bytes.end(), digest.begin(), digest.end());
}
void put(Bytes& bytes, std::uint64_t number) {
  for (int shift = 56; shift >= 0; shift -= 8) {
    bytes.push_back(static_cast<std::uint8_t>(number >> shift));
  }
}

// Key, aseq, leaf and size: 81 bytes with the prefix.
Digest heads_leaf(const Digest& key, const AgreementHead& head) {
  Bytes bytes;
  bytes.reserve(81);
  bytes.push_back(leaf_prefix);
  put(bytes, key);
  put(bytes, head.aseq);
  put(bytes, head.leaf);
  put(bytes, head.size);
  return sha256(bytes);
}

// The count is within the root: RFC 6962's shape alone does not tell which leaf is the last.
Digest heads_root(std::uint64_t count, const Digest& tree) {
  Bytes bytes{root_prefix};
  put(bytes, count);
  put(bytes, tree);
  return sha256(bytes);
}

tl::unexpected<Error> malformed() {
  return fail(ErrorKind::invalid, {"audit.heads-proof-malformed", {}});
}

std::optional<ProvenHead> parse_entry(std::string_view line) {
  std::string_view fields[4];
  for (std::string_view& field : fields) {
    const std::size_t end = line.find(' ');
    if (end == std::string_view::npos) return std::nullopt;
    field = line.substr(0, end);
    line.remove_prefix(end + 1);
  }
  const auto index = parse_number(fields[0]);
  const auto key = to_digest(from_base64(fields[1]));
  const auto aseq = parse_number(fields[2]);
  const auto leaf = to_digest(from_base64(fields[3]));
  const auto size = parse_number(line);
  if (!index || !key || !aseq || !leaf || !size) return std::nullopt;
  return ProvenHead{*key, {*aseq, *leaf, *size}, *index, {}};
}

}  // namespace

Digest heads_key(const AgreementId& agreement) {
  return sha256(agreement.value);
}

HeadsMap::HeadsMap() {
  hash_nodes({}, 0);
}

Result<HeadsMap> HeadsMap::make(const std::vector<std::pair<AgreementId, AgreementHead>>& heads) {
  HeadsMap map;
  for (const auto& [agreement, head] : heads) {
    if (head.aseq == 0 || head.size == 0) {
      return fail(ErrorKind::invalid, {"audit.heads-empty", {{"agreement", agreement.value}}});
    }
    map.entries_.emplace_back(heads_key(agreement), head);
  }
  auto& entries = map.entries_;
  const auto by_key = [](const Entry& a, const Entry& b) { return a.first < b.first; };
  std::sort(entries.begin(), entries.end(), by_key);
  const auto same = [](const Entry& a, const Entry& b) { return a.first == b.first; };
  if (std::adjacent_find(entries.begin(), entries.end(), same) != entries.end()) {
    return fail(ErrorKind::invalid, {"audit.heads-twice", {}});
  }
  for (const auto& [key, head] : entries) {
    map.levels_[0].push_back(heads_leaf(key, head));
    map.seen_ = std::max(map.seen_, head.size);
  }
  map.hash_nodes({}, 0);
  return map;
}

Result<HeadsMap> HeadsMap::of(const std::unordered_map<std::string, AgreementHead>& agreements) {
  HeadsMap map;
  if (auto followed = map.follow(agreements); !followed) return fail(std::move(followed));
  return map;
}

Result<void> HeadsMap::follow(const std::unordered_map<std::string, AgreementHead>& agreements) {
  std::vector<Entry> fresh;
  std::vector<std::size_t> changed;
  std::uint64_t seen = seen_;
  for (const auto& [agreement, head] : agreements) {
    if (head.aseq == 0 || head.size == 0) {
      return fail(ErrorKind::invalid, {"audit.heads-empty", {{"agreement", agreement}}});
    }
    if (head.size <= seen_) continue;
    seen = std::max(seen, head.size);
    const Digest key = sha256(agreement);
    const std::size_t place = place_of(key);
    if (place == entries_.size() || entries_[place].first != key) {
      fresh.emplace_back(key, head);
    } else {
      entries_[place].second = head;
      levels_[0][place] = heads_leaf(key, head);
      changed.push_back(place);
    }
  }
  seen_ = seen;
  std::sort(changed.begin(), changed.end());
  hash_nodes(std::move(changed), add(std::move(fresh)));
  return {};
}

std::size_t HeadsMap::add(std::vector<Entry> fresh) {
  if (fresh.empty()) return entries_.size();
  const auto by_key = [](const Entry& a, const Entry& b) { return a.first < b.first; };
  std::sort(fresh.begin(), fresh.end(), by_key);
  const std::size_t first = place_of(fresh.front().first);
  std::vector<Entry> entries;
  std::vector<Digest> leaves;
  entries.reserve(entries_.size() - first + fresh.size());
  leaves.reserve(entries.capacity());
  std::size_t old = first;
  const auto keep_before = [&](const Digest* key) {
    for (; old < entries_.size() && (key == nullptr || entries_[old].first < *key); ++old) {
      entries.push_back(entries_[old]);
      leaves.push_back(levels_[0][old]);
    }
  };
  for (const Entry& entry : fresh) {
    keep_before(&entry.first);
    entries.push_back(entry);
    leaves.push_back(heads_leaf(entry.first, entry.second));
  }
  keep_before(nullptr);
  entries_.resize(first);
  entries_.insert(entries_.end(), entries.begin(), entries.end());
  levels_[0].resize(first);
  levels_[0].insert(levels_[0].end(), leaves.begin(), leaves.end());
  return first;
}

void HeadsMap::hash_nodes(std::vector<std::size_t> changed, std::size_t from) {
  for (std::size_t above = 1; levels_[above - 1].size() > 1; ++above) {
    if (levels_.size() == above) levels_.emplace_back();
    const std::vector<Digest>& below = levels_[above - 1];
    std::vector<Digest>& level = levels_[above];
    level.resize(below.size() / 2);
    from /= 2;
    std::vector<std::size_t> parents;
    for (const std::size_t child : changed) {
      const std::size_t parent = child / 2;
      const bool done = !parents.empty() && parents.back() == parent;
      if (parent >= std::min(from, level.size()) || done) continue;
      level[parent] = heads_node(below[2 * parent], below[2 * parent + 1]);
      parents.push_back(parent);
    }
    for (std::size_t i = from; i < level.size(); ++i) {
      level[i] = heads_node(below[2 * i], below[2 * i + 1]);
    }
    changed = std::move(parents);
  }
  const SubtreeHash stored = [this](unsigned at, std::uint64_t index) -> Result<Digest> {
    return levels_.at(at).at(index);
  };
  const std::size_t count = entries_.size();
  const Digest tree = count == 0 ? empty_root() : range_root(&heads_node, 0, count, stored).value();
  root_ = heads_root(count, tree);
}

ProvenHead HeadsMap::proven(std::size_t index) const {
  const SubtreeHash stored = [this](unsigned level, std::uint64_t at) -> Result<Digest> {
    return levels_.at(level).at(at);
  };
  auto path = make_inclusion_proof(&heads_node, index, entries_.size(), stored).value();
  return {entries_[index].first, entries_[index].second, index, std::move(path)};
}

std::size_t HeadsMap::place_of(const Digest& key) const {
  const auto at = std::lower_bound(
      entries_.begin(),
      entries_.end(),
      key,
      [](const Entry& entry, const Digest& wanted) { return entry.first < wanted; }
  );
  return static_cast<std::size_t>(at - entries_.begin());
}

std::optional<AgreementHead> HeadsMap::find(const AgreementId& agreement) const {
  const Digest key = heads_key(agreement);
  const std::size_t place = place_of(key);
  if (place == entries_.size() || entries_[place].first != key) return std::nullopt;
  return entries_[place].second;
}

HeadsProof HeadsMap::prove(const AgreementId& agreement) const {
  const std::size_t place = place_of(heads_key(agreement));
  HeadsProof proof{entries_.size(), {}};
  if (!find(agreement) && place > 0) proof.entries.push_back(proven(place - 1));
  if (place < entries_.size()) proof.entries.push_back(proven(place));
  return proof;
}

Result<std::optional<AgreementHead>> verify_heads_proof(
    const Digest& root, const AgreementId& agreement, const HeadsProof& proof
) {
  const auto wrong = [&] {
    return fail(ErrorKind::invalid, {"audit.heads-proof-wrong", {{"agreement", agreement.value}}});
  };
  for (const ProvenHead& entry : proof.entries) {
    const Digest leaf = heads_leaf(entry.key, entry.head);
    const auto tree = inclusion_root(&heads_node, leaf, entry.index, proof.count, entry.path);
    if (!tree || heads_root(proof.count, *tree) != root) return wrong();
  }
  const Digest key = heads_key(agreement);
  const auto& entries = proof.entries;
  if (entries.empty()) {
    if (proof.count != 0 || heads_root(0, empty_root()) != root) return wrong();
    return std::nullopt;
  }
  if (entries.size() == 1) {
    const ProvenHead& only = entries[0];
    if (only.key == key) return only.head;
    const bool before_all = key < only.key && only.index == 0;
    const bool behind_all = only.key < key && only.index + 1 == proof.count;
    if (!before_all && !behind_all) return wrong();
    return std::nullopt;
  }
  const bool around = entries.size() == 2 && entries[0].index + 1 == entries[1].index &&
                      entries[0].key < key && key < entries[1].key;
  if (!around) return wrong();
  return std::nullopt;
}

std::string HeadsProof::print() const {
  std::string text(first_line);
  text += "\n" + std::string(count_word) + std::to_string(count) + "\n";
  for (const ProvenHead& entry : entries) {
    text += std::string(entry_word) + std::to_string(entry.index) + " " + to_base64(entry.key) +
            " " + std::to_string(entry.head.aseq) + " " + to_base64(entry.head.leaf) + " " +
            std::to_string(entry.head.size) + "\n";
    for (const Digest& hash : entry.path) text += to_base64(hash) + "\n";
  }
  return text;
}

Result<HeadsProof> parse_heads_proof(std::string_view text) {
  if (take_line(text) != first_line) return malformed();
  HeadsProof proof;
  const auto count_line = take_line(text);
  if (!count_line || !count_line->starts_with(count_word)) return malformed();
  const auto count = parse_number(count_line->substr(count_word.size()));
  if (!count) return malformed();
  proof.count = *count;
  while (const auto line = take_line(text)) {
    if (line->starts_with(entry_word)) {
      auto entry = parse_entry(line->substr(entry_word.size()));
      if (!entry || proof.entries.size() == 2) return malformed();
      proof.entries.push_back(*std::move(entry));
      continue;
    }
    const auto hash = to_digest(from_base64(*line));
    if (!hash || proof.entries.empty() || proof.entries.back().path.size() == most_proof_hashes) {
      return malformed();
    }
    proof.entries.back().path.push_back(*hash);
  }
  if (!text.empty()) return malformed();
  return proof;
}

}  // namespace tally::audit
