// The Merkle tree over the records of a log (RFC 6962, section 2.1; here with SHA-256): hashes, the
// frontier of a growing tree, and proofs. The leaf of a record is `leaf_hash` in record.hpp.
//
// Pure: stored hashes come in through a function. Values and free functions, safe from any thread;
// a Frontier is one caller's. Sizes and indexes count records; a tree has at most `most_tree_size`.
#pragma once

#include <cstddef>
#include <cstdint>
#include <functional>
#include <span>
#include <vector>

#include "tally/core/digest.hpp"
#include "tally/core/result.hpp"

namespace tally::audit {

constexpr std::uint64_t most_tree_size = (std::uint64_t{1} << 63) - 1;
// Neither kind of proof has more hashes than this, whatever the sizes (one for each level, and
// one).
constexpr std::size_t most_proof_hashes = 64;

// The hashes of a proof, from the side of the leaf to the side of the root.
using Proof = std::vector<Digest>;

// SHA-256(0x01 || left || right).
Digest node_hash(const Digest& left, const Digest& right);
// The root of a tree without leaves: SHA-256 of nothing.
const Digest& empty_root();

// A perfect subtree: 2^level leaves from index·2^level on.
struct Subtree {
  unsigned level = 0;
  std::uint64_t index = 0;
  Digest hash{};
  bool operator==(const Subtree&) const = default;
};

// The right edge of a growing tree: the roots of the perfect subtrees that it is made of, at most
// 63 of them. An append costs one node hash on average; nothing of the past is read.
class Frontier {
 public:
  Frontier() = default;

  // Precondition: size() < most_tree_size.
  void append(const Digest& leaf);
  // The same, and hands out each perfect subtree that the leaf completes, the leaf itself first:
  // what is stored to generate proofs and tiles from.
  void append(const Digest& leaf, const std::function<void(const Subtree&)>& completed);

  [[nodiscard]] std::uint64_t size() const { return size_; }
  [[nodiscard]] Digest root() const;
  // Largest subtree, the leftmost, first; as many as `size()` has bits set.
  [[nodiscard]] const std::vector<Digest>& hashes() const { return hashes_; }

  // 8 bytes of size, big-endian, then the hashes; nothing else.
  [[nodiscard]] Bytes to_bytes() const;
  // Errors: invalid audit.frontier-malformed (length, size over most_tree_size).
  static Result<Frontier> from_bytes(std::span<const std::uint8_t> bytes);

  bool operator==(const Frontier&) const = default;

 private:
  std::uint64_t size_ = 0;
  std::vector<Digest> hashes_;
};

// RFC 6962, 2.1.1: whether `leaf` is at `index` of the tree of `size` leaves with this root.
bool verify_inclusion(
    const Digest& leaf,
    std::uint64_t index,
    std::uint64_t size,
    std::span<const Digest> proof,
    const Digest& root
);

// RFC 6962, 2.1.2: whether the tree of `second` leaves begins with the one of `first` leaves. From
// size 0, the proof is empty and the first root that of the empty tree; to the same size, the proof
// is empty and the roots are equal.
bool verify_consistency(
    std::uint64_t first,
    std::uint64_t second,
    const Digest& first_root,
    const Digest& second_root,
    std::span<const Digest> proof
);

// The hash of a perfect subtree of the stored tree. It is asked for O(log n) of them per proof, all
// within the tree that the proof is for; its error ends the generation.
using SubtreeHash = std::function<Result<Digest>(unsigned level, std::uint64_t index)>;

// Errors: invalid audit.proof-range (index not below size, first above second, size over
// most_tree_size), and those of `stored`.
Result<Proof> make_inclusion_proof(
    std::uint64_t index, std::uint64_t size, const SubtreeHash& stored
);
Result<Proof> make_consistency_proof(
    std::uint64_t first, std::uint64_t second, const SubtreeHash& stored
);
Result<Digest> tree_root(std::uint64_t size, const SubtreeHash& stored);

}  // namespace tally::audit
