#include "tally/audit/tree.hpp"

#include <algorithm>
#include <bit>

#include "merkle.hpp"

namespace tally::audit {
namespace {

constexpr std::uint8_t node_prefix = 0x01;
constexpr std::size_t size_bytes = 8;

tl::unexpected<Error> out_of_range(std::uint64_t part, std::uint64_t whole) {
  return fail(
      ErrorKind::invalid,
      {"audit.proof-range", {{"part", std::to_string(part)}, {"whole", std::to_string(whole)}}}
  );
}

}  // namespace

Digest hash_pair(std::uint8_t prefix, const Digest& left, const Digest& right) {
  // One update of a context that is kept: of this size, looking SHA-256 up costs more than hashing.
  std::array<std::uint8_t, 65> bytes{};
  bytes[0] = prefix;
  std::copy(left.begin(), left.end(), bytes.begin() + 1);
  std::copy(right.begin(), right.end(), bytes.begin() + 33);
  return sha256(bytes);
}

Digest node_hash(const Digest& left, const Digest& right) {
  return hash_pair(node_prefix, left, right);
}

const Digest& empty_root() {
  static const Digest root = sha256(std::string_view());
  return root;
}

void Frontier::append(const Digest& leaf) {
  Digest hash = leaf;
  for (std::uint64_t rest = size_; (rest & 1) != 0; rest >>= 1) {
    hash = node_hash(hashes_.back(), hash);
    hashes_.pop_back();
  }
  hashes_.push_back(hash);
  ++size_;
}

void Frontier::append(const Digest& leaf, const std::function<void(const Subtree&)>& completed) {
  Subtree subtree{0, size_, leaf};
  completed(subtree);
  for (; (subtree.index & 1) != 0; completed(subtree)) {
    subtree = {subtree.level + 1, subtree.index >> 1, node_hash(hashes_.back(), subtree.hash)};
    hashes_.pop_back();
  }
  hashes_.push_back(subtree.hash);
  ++size_;
}

Digest Frontier::root() const {
  if (hashes_.empty()) return empty_root();
  Digest root = hashes_.back();
  for (std::size_t i = hashes_.size() - 1; i > 0; --i) root = node_hash(hashes_[i - 1], root);
  return root;
}

Bytes Frontier::to_bytes() const {
  Bytes bytes;
  bytes.reserve(size_bytes + hashes_.size() * sizeof(Digest));
  for (int shift = 56; shift >= 0; shift -= 8) {
    bytes.push_back(static_cast<std::uint8_t>(size_ >> shift));
  }
  for (const Digest& hash : hashes_) bytes.insert(bytes.end(), hash.begin(), hash.end());
  return bytes;
}

Result<Frontier> Frontier::from_bytes(std::span<const std::uint8_t> bytes) {
  const auto malformed = [] { return fail(ErrorKind::invalid, {"audit.frontier-malformed", {}}); };
  if (bytes.size() < size_bytes) return malformed();
  Frontier frontier;
  for (std::size_t i = 0; i < size_bytes; ++i) frontier.size_ = frontier.size_ << 8 | bytes[i];
  bytes = bytes.subspan(size_bytes);
  const auto count = static_cast<std::size_t>(std::popcount(frontier.size_));
  if (frontier.size_ > most_tree_size || bytes.size() != count * sizeof(Digest)) {
    return malformed();
  }
  frontier.hashes_.resize(count);
  for (Digest& hash : frontier.hashes_) {
    std::copy_n(bytes.begin(), hash.size(), hash.begin());
    bytes = bytes.subspan(hash.size());
  }
  return frontier;
}

// RFC 6962 says what a proof is; the loop is RFC 9162's, 2.1.3.2: `at` and `last` are the places of
// the leaf and of the last leaf, level by level.
std::optional<Digest> inclusion_root(
    NodeHash node,
    const Digest& leaf,
    std::uint64_t index,
    std::uint64_t size,
    std::span<const Digest> proof
) {
  if (index >= size) return std::nullopt;
  std::uint64_t at = index;
  std::uint64_t last = size - 1;
  Digest hash = leaf;
  for (const Digest& sibling : proof) {
    if (last == 0) return std::nullopt;
    if ((at & 1) != 0 || at == last) {
      hash = node(sibling, hash);
      // At the right edge without a sibling: the node moves up as it is.
      while ((at & 1) == 0 && at != 0) {
        at >>= 1;
        last >>= 1;
      }
    } else {
      hash = node(hash, sibling);
    }
    at >>= 1;
    last >>= 1;
  }
  if (last != 0) return std::nullopt;
  return hash;
}

bool verify_inclusion(
    const Digest& leaf,
    std::uint64_t index,
    std::uint64_t size,
    std::span<const Digest> proof,
    const Digest& root
) {
  return inclusion_root(&node_hash, leaf, index, size, proof) == root;
}

// RFC 9162, 2.1.4.2.
bool verify_consistency(
    std::uint64_t first,
    std::uint64_t second,
    const Digest& first_root,
    const Digest& second_root,
    std::span<const Digest> proof
) {
  if (first > second) return false;
  if (first == second) return proof.empty() && first_root == second_root;
  if (first == 0) return proof.empty() && first_root == empty_root();
  if (proof.empty()) return false;
  std::uint64_t at = first - 1;
  std::uint64_t last = second - 1;
  while ((at & 1) != 0) {
    at >>= 1;
    last >>= 1;
  }
  // A first tree that is perfect is itself the node to begin with; its proof does not repeat it.
  Digest from = first_root;
  if (!std::has_single_bit(first)) {
    from = proof.front();
    proof = proof.subspan(1);
  }
  Digest old_hash = from;
  Digest new_hash = from;
  for (const Digest& sibling : proof) {
    if (last == 0) return false;
    if ((at & 1) != 0 || at == last) {
      old_hash = node_hash(sibling, old_hash);
      new_hash = node_hash(sibling, new_hash);
      while ((at & 1) == 0 && at != 0) {
        at >>= 1;
        last >>= 1;
      }
    } else {
      new_hash = node_hash(new_hash, sibling);
    }
    at >>= 1;
    last >>= 1;
  }
  return last == 0 && old_hash == first_root && new_hash == second_root;
}

// Splits off the perfect subtrees from the left, then folds them from the right.
Result<Digest> range_root(
    NodeHash node, std::uint64_t begin, std::uint64_t end, const SubtreeHash& stored
) {
  std::vector<Digest> parts;
  while (begin < end) {
    const std::uint64_t width = std::bit_floor(end - begin);
    const auto level = static_cast<unsigned>(std::countr_zero(width));
    auto hash = stored(level, begin >> level);
    if (!hash) return fail(std::move(hash));
    parts.push_back(*hash);
    begin += width;
  }
  Digest root = parts.back();
  for (std::size_t i = parts.size() - 1; i > 0; --i) root = node(parts[i - 1], root);
  return root;
}

// From the root down, the sibling of each step.
Result<Proof> make_inclusion_proof(
    NodeHash node, std::uint64_t index, std::uint64_t size, const SubtreeHash& stored
) {
  Proof proof;
  std::uint64_t begin = 0;
  std::uint64_t end = size;
  while (end - begin > 1) {
    const std::uint64_t middle = begin + split_of(end - begin);
    const bool left = index < middle;
    auto sibling =
        left ? range_root(node, middle, end, stored) : range_root(node, begin, middle, stored);
    if (!sibling) return fail(std::move(sibling));
    proof.push_back(*sibling);
    (left ? end : begin) = middle;
  }
  std::reverse(proof.begin(), proof.end());
  return proof;
}

Result<Proof> make_inclusion_proof(
    std::uint64_t index, std::uint64_t size, const SubtreeHash& stored
) {
  if (index >= size || size > most_tree_size) return out_of_range(index, size);
  return make_inclusion_proof(&node_hash, index, size, stored);
}

// SUBPROOF of RFC 6962, 2.1.2, from the root down. The first tree ends within [begin, end).
Result<Proof> make_consistency_proof(
    std::uint64_t first, std::uint64_t second, const SubtreeHash& stored
) {
  if (first > second || second > most_tree_size) return out_of_range(first, second);
  Proof proof;
  if (first == 0 || first == second) return proof;
  std::uint64_t begin = 0;
  std::uint64_t end = second;
  while (first != end) {
    const std::uint64_t middle = begin + split_of(end - begin);
    const bool left = first <= middle;
    auto sibling = left ? range_root(&node_hash, middle, end, stored)
                        : range_root(&node_hash, begin, middle, stored);
    if (!sibling) return fail(std::move(sibling));
    proof.push_back(*sibling);
    (left ? end : begin) = middle;
  }
  // What is left is a subtree of both trees: the whole first one, which the verifier has, or a
  // part.
  if (begin != 0) {
    auto common = range_root(&node_hash, begin, end, stored);
    if (!common) return fail(std::move(common));
    proof.push_back(*common);
  }
  std::reverse(proof.begin(), proof.end());
  return proof;
}

Result<Digest> tree_root(std::uint64_t size, const SubtreeHash& stored) {
  if (size > most_tree_size) return out_of_range(size, most_tree_size);
  if (size == 0) return empty_root();
  return range_root(&node_hash, 0, size, stored);
}

}  // namespace tally::audit
