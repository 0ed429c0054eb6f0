// The shape of RFC 6962's tree with a prefix of one's own choice: the log's (0x00, 0x01) and the
// map of heads (0x02, 0x03) differ in nothing else. Pure.
#pragma once

#include <bit>
#include <cstdint>
#include <optional>
#include <span>

#include "tally/audit/tree.hpp"

namespace tally::audit {

// How two hashes become their parent's.
using NodeHash = Digest (*)(const Digest& left, const Digest& right);

// SHA-256(prefix || left || right).
Digest hash_pair(std::uint8_t prefix, const Digest& left, const Digest& right);

// Where a tree of `size` > 1 leaves splits: the largest power of two below `size`.
constexpr std::uint64_t split_of(std::uint64_t size) {
  return std::bit_floor(size - 1);
}

// The root that a leaf at `index` of `size` leaves and an inclusion proof lead to; nullopt when the
// proof has another number of hashes than that place wants.
std::optional<Digest> inclusion_root(
    NodeHash node,
    const Digest& leaf,
    std::uint64_t index,
    std::uint64_t size,
    std::span<const Digest> proof
);

// As in tree.hpp; the ranges are checked there.
Result<Proof> make_inclusion_proof(
    NodeHash node, std::uint64_t index, std::uint64_t size, const SubtreeHash& stored
);
// The root of the leaves from `begin` to `end` (not empty), which stand as a subtree in some tree.
Result<Digest> range_root(
    NodeHash node, std::uint64_t begin, std::uint64_t end, const SubtreeHash& stored
);

}  // namespace tally::audit
