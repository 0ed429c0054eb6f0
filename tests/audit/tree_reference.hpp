// RFC 6962, section 2.1, as it is written there: recursive, over all leaves. What the program does
// is compared with it.
#pragma once

#include <algorithm>
#include <bit>
#include <string>
#include <vector>

#include "tally/audit/record.hpp"
#include "tally/audit/tree.hpp"

namespace tally::audit::reference {

using Leaves = std::vector<Digest>;

inline Digest pair(std::uint8_t prefix, const Digest& left, const Digest& right) {
  std::string bytes(1, static_cast<char>(prefix));
  bytes.append(left.begin(), left.end());
  bytes.append(right.begin(), right.end());
  return sha256(bytes);
}

inline std::size_t split(std::size_t size) {
  std::size_t k = 1;
  while (k * 2 < size) k *= 2;
  return k;
}

// MTH(D[begin:end]).
inline Digest root(
    const Leaves& leaves, std::size_t begin, std::size_t end, std::uint8_t prefix = 1
) {
  if (begin == end) return sha256("");
  if (end - begin == 1) return leaves[begin];
  const std::size_t k = begin + split(end - begin);
  return pair(prefix, root(leaves, begin, k, prefix), root(leaves, k, end, prefix));
}

// PATH(m, D[begin:end]).
inline Proof path(
    const Leaves& leaves, std::size_t m, std::size_t begin, std::size_t end, std::uint8_t prefix = 1
) {
  if (end - begin == 1) return {};
  const std::size_t k = split(end - begin);
  Proof proof = m < k ? path(leaves, m, begin, begin + k, prefix)
                      : path(leaves, m - k, begin + k, end, prefix);
  proof.push_back(
      m < k ? root(leaves, begin + k, end, prefix) : root(leaves, begin, begin + k, prefix)
  );
  return proof;
}

// SUBPROOF(m, D[begin:end], whole).
inline Proof subproof(
    const Leaves& leaves, std::size_t m, std::size_t begin, std::size_t end, bool whole
) {
  if (m == end - begin) return whole ? Proof{} : Proof{root(leaves, begin, end)};
  const std::size_t k = split(end - begin);
  Proof proof = m <= k ? subproof(leaves, m, begin, begin + k, whole)
                       : subproof(leaves, m - k, begin + k, end, false);
  proof.push_back(m <= k ? root(leaves, begin + k, end) : root(leaves, begin, begin + k));
  return proof;
}

// The hash of a perfect subtree, computed from the leaves; counts how often it was asked.
struct Stored {
  const Leaves* leaves = nullptr;
  mutable std::size_t asked = 0;
  [[nodiscard]] SubtreeHash source() const {
    return [this](unsigned level, std::uint64_t index) -> Result<Digest> {
      ++asked;
      const std::size_t begin = index << level;
      const std::size_t end = begin + (std::size_t{1} << level);
      if (end > leaves->size()) return fail(ErrorKind::not_found, {"audit.proof-range", {}});
      return root(*leaves, begin, end);
    };
  }
};

inline Leaves numbered_leaves(std::size_t count) {
  Leaves leaves;
  leaves.reserve(count);
  for (std::size_t i = 0; i < count; ++i) leaves.push_back(leaf_hash(std::to_string(i)));
  return leaves;
}

}  // namespace tally::audit::reference
