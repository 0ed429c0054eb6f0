#include "tally/audit/tree.hpp"

#include <gtest/gtest.h>

#include "audit/tree_reference.hpp"

namespace tally::audit {
namespace {

using reference::Leaves;
using reference::Stored;

Digest digest(std::string_view hex) {
  const Bytes bytes = from_hex(hex).value();
  Digest out{};
  std::copy_n(bytes.begin(), out.size(), out.begin());
  return out;
}

// The eight entries that Certificate Transparency's own tests use.
Leaves known_leaves() {
  Leaves leaves;
  for (const std::string_view hex :
       {"",
        "00",
        "10",
        "2021",
        "3031",
        "40414243",
        "5051525354555657",
        "606162636465666768696a6b6c6d6e6f"}) {
    const Bytes bytes = from_hex(hex).value();
    leaves.push_back(leaf_hash({reinterpret_cast<const char*>(bytes.data()), bytes.size()}));
  }
  return leaves;
}

Frontier frontier_of(std::span<const Digest> leaves) {
  Frontier frontier;
  for (const Digest& leaf : leaves) frontier.append(leaf);
  return frontier;
}

const std::map<std::size_t, std::string> known_roots = {
    {0, "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855"},
    {1, "6e340b9cffb37a989ca544e6bb780a2c78901d3fb33738768511a30617afa01d"},
    {2, "fac54203e7cc696cf0dfcb42c92a1d9dbaf70ad9e621f4bd8d98662f00e3c125"},
    {3, "aeb6bcfe274b70a14fb067a5e5578264db0fa9b51af5e0ba159158f329e06e77"},
    {5, "4e3bbb1f7b478dcfe71fb631631519a3bca12c9aefca1612bfce4c13a86264d4"},
    {6, "76e67dadbcdf1e10e1b74ddc608abd2f98dfb16fbce75277b5232a127f2087ef"},
    {7, "ddb89be403809e325750d3d263cd78929c2942b7942a34b77e122c9594a74c8c"},
    {8, "5dc9da79a70659a9ad559cb701ded9a2ab9d823aad2f4960cfe370eff4604328"}};

TEST(Tree, TheRootsThatOthersComputeComeOut) {
  const Leaves leaves = known_leaves();
  EXPECT_EQ(to_hex(leaves[5]), "4271a26be0d8a84f0bd54c8c302e7cb3a3b5d1fa6780a40bcce2873477dab658");
  const Stored stored{&leaves};
  for (const auto& [size, root] : known_roots) {
    EXPECT_EQ(to_hex(frontier_of(std::span(leaves).first(size)).root()), root) << size;
    EXPECT_EQ(to_hex(tree_root(size, stored.source()).value()), root) << size;
  }
}

TEST(Tree, TheProofsThatOthersComputeComeOut) {
  const Leaves leaves = known_leaves();
  const Stored stored{&leaves};
  const auto hashes = [](std::vector<std::string_view> hex) {
    Proof proof;
    for (const auto text : hex) proof.push_back(digest(text));
    return proof;
  };
  EXPECT_EQ(
      make_inclusion_proof(5, 8, stored.source()).value(),
      hashes(
          {"bc1a0643b12e4d2d7c77918f44e0f4f79a838b6cf9ec5b5c283e1f4d88599e6b",
           "ca854ea128ed050b41b35ffc1b87b8eb2bde461e9e3b5596ece6b9d5975a0ae0",
           "d37ee418976dd95753c1c73862b9398fa2a2cf9b4ff0fdfe8b30cd95209614b7"}
      )
  );
  EXPECT_EQ(
      make_inclusion_proof(2, 3, stored.source()).value(),
      hashes({"fac54203e7cc696cf0dfcb42c92a1d9dbaf70ad9e621f4bd8d98662f00e3c125"})
  );
  EXPECT_EQ(
      make_consistency_proof(6, 8, stored.source()).value(),
      hashes(
          {"0ebc5d3437fbe2db158b9f126a1d118e308181031d0a949f8dededebc558ef6a",
           "ca854ea128ed050b41b35ffc1b87b8eb2bde461e9e3b5596ece6b9d5975a0ae0",
           "d37ee418976dd95753c1c73862b9398fa2a2cf9b4ff0fdfe8b30cd95209614b7"}
      )
  );
  EXPECT_EQ(
      make_consistency_proof(2, 5, stored.source()).value(),
      hashes(
          {"5f083f0a1a33ca076a95279832580db3e0ef4584bdff1f54c8a360f50de3031e",
           "bc1a0643b12e4d2d7c77918f44e0f4f79a838b6cf9ec5b5c283e1f4d88599e6b"}
      )
  );
}

// Every way to change one hash, one number or the length of a proof.
std::vector<Proof> changed(const Proof& proof) {
  std::vector<Proof> out;
  for (std::size_t i = 0; i < proof.size(); ++i) {
    out.push_back(proof);
    out.back()[i][i % 32] ^= 1;
    out.push_back(proof);
    out.back().erase(out.back().begin() + static_cast<std::ptrdiff_t>(i));
    if (i > 0 && proof[i] != proof[i - 1]) {
      out.push_back(proof);
      std::swap(out.back()[i], out.back()[i - 1]);
    }
  }
  out.push_back(proof);
  out.back().push_back(Digest{});
  out.push_back(proof);
  out.back().push_back(proof.empty() ? empty_root() : proof.back());
  return out;
}

constexpr std::size_t most = 70;

TEST(Tree, InclusionIsProvedAsTheReferenceDoesForAllSizes) {
  const Leaves leaves = reference::numbered_leaves(most);
  const Stored stored{&leaves};
  for (std::size_t size = 1; size <= most; ++size) {
    const Digest root = reference::root(leaves, 0, size);
    ASSERT_EQ(frontier_of(std::span(leaves).first(size)).root(), root);
    ASSERT_EQ(tree_root(size, stored.source()).value(), root);
    for (std::size_t m = 0; m < size; ++m) {
      const Proof proof = make_inclusion_proof(m, size, stored.source()).value();
      ASSERT_EQ(proof, reference::path(leaves, m, 0, size)) << m << " of " << size;
      ASSERT_TRUE(verify_inclusion(leaves[m], m, size, proof, root));
      Digest other = root;
      other[31] ^= 1;
      EXPECT_FALSE(verify_inclusion(leaves[m], m, size, proof, other));
      EXPECT_FALSE(verify_inclusion(leaves[(m + 1) % most], m, size, proof, root));
      for (std::size_t wrong = 0; wrong < size + 2; ++wrong) {
        if (wrong != m) EXPECT_FALSE(verify_inclusion(leaves[m], wrong, size, proof, root));
      }
      for (const Proof& bad : changed(proof)) {
        EXPECT_FALSE(verify_inclusion(leaves[m], m, size, bad, root)) << m << " of " << size;
      }
    }
  }
}

TEST(Tree, ConsistencyIsProvedAsTheReferenceDoesForAllSizes) {
  const Leaves leaves = reference::numbered_leaves(most);
  const Stored stored{&leaves};
  std::vector<Digest> roots;
  for (std::size_t size = 0; size <= most; ++size) {
    roots.push_back(reference::root(leaves, 0, size));
  }
  for (std::size_t second = 1; second <= most; ++second) {
    for (std::size_t first = 0; first <= second; ++first) {
      const Proof proof = make_consistency_proof(first, second, stored.source()).value();
      if (first > 0) {
        ASSERT_EQ(proof, reference::subproof(leaves, first, 0, second, true));
      } else {
        ASSERT_TRUE(proof.empty());
      }
      const auto holds = [&](const Proof& given, const Digest& one, const Digest& two) {
        return verify_consistency(first, second, one, two, given);
      };
      ASSERT_TRUE(holds(proof, roots[first], roots[second])) << first << " to " << second;
      Digest other = roots[first];
      other[0] ^= 0x80;
      EXPECT_FALSE(holds(proof, other, roots[second]));
      // From nothing, any tree is reached; from the whole, only itself.
      if (first > 0) {
        other = roots[second];
        other[0] ^= 0x80;
        EXPECT_FALSE(holds(proof, roots[first], other));
      }
      for (const Proof& bad : changed(proof)) {
        EXPECT_FALSE(holds(bad, roots[first], roots[second])) << first << " to " << second;
      }
      EXPECT_FALSE(verify_consistency(second + 1, second, roots[first], roots[second], proof));
    }
  }
}

// Roots that the liar chooses to fit the hashes of his proof: only the count of levels gives him
// away.
TEST(Tree, AProofOfTooManyOrTooFewLevelsIsRefusedWhateverTheRoot) {
  const Leaves leaves = reference::numbered_leaves(4);
  const Digest two = node_hash(leaves[0], leaves[1]);
  EXPECT_TRUE(verify_inclusion(leaves[1], 1, 2, Proof{leaves[0]}, two));
  EXPECT_FALSE(verify_inclusion(leaves[1], 0, 1, Proof{leaves[0]}, two));
  EXPECT_FALSE(verify_inclusion(leaves[0], 0, 3, Proof{leaves[1]}, two));
  EXPECT_TRUE(verify_consistency(1, 2, leaves[0], two, Proof{leaves[1]}));
  EXPECT_FALSE(verify_consistency(1, 4, leaves[0], two, Proof{leaves[1]}));
  EXPECT_FALSE(verify_consistency(1, 1, leaves[0], two, Proof{leaves[1]}));
  EXPECT_FALSE(verify_consistency(3, 5, two, two, {}));
  const Proof levels{leaves[2], leaves[3], two, leaves[0]};  // from 3 to 4 there are three
  const auto fold = [&](const Digest& hash) { return node_hash(leaves[0], node_hash(two, hash)); };
  EXPECT_FALSE(
      verify_consistency(3, 4, fold(leaves[2]), fold(node_hash(leaves[2], leaves[3])), levels)
  );
  // To a smaller tree that holds the larger one.
  const Digest above = node_hash(node_hash(two, leaves[2]), leaves[3]);
  EXPECT_FALSE(verify_consistency(5, 4, two, above, Proof{two, leaves[2], leaves[3]}));
}

TEST(Tree, AProofReadsFewStoredHashes) {
  const Leaves leaves = reference::numbered_leaves(3000);
  for (const std::size_t size : {1024U, 1025U, 2047U, 3000U}) {
    for (const std::size_t index : {std::size_t{0}, size / 3, size - 1}) {
      const Stored stored{&leaves};
      const Proof proof = make_inclusion_proof(index, size, stored.source()).value();
      EXPECT_TRUE(verify_inclusion(
          leaves[index], index, size, proof, frontier_of(std::span(leaves).first(size)).root()
      ));
      EXPECT_LE(stored.asked, 24U);
      stored.asked = 0;
      ASSERT_TRUE(make_consistency_proof(index + 1, size, stored.source()));
      EXPECT_LE(stored.asked, 36U);
    }
  }
}

TEST(Tree, WhatLiesOutsideTheTreeIsRefused) {
  const Leaves leaves = reference::numbered_leaves(8);
  const Stored stored{&leaves};
  const auto code = [](const auto& result) {
    return result ? std::string() : result.error().message.code;
  };
  EXPECT_EQ(code(make_inclusion_proof(8, 8, stored.source())), "audit.proof-range");
  EXPECT_EQ(code(make_inclusion_proof(0, 0, stored.source())), "audit.proof-range");
  EXPECT_EQ(
      code(make_inclusion_proof(0, most_tree_size + 1, stored.source())), "audit.proof-range"
  );
  EXPECT_EQ(code(make_consistency_proof(8, 7, stored.source())), "audit.proof-range");
  EXPECT_EQ(code(tree_root(most_tree_size + 1, stored.source())), "audit.proof-range");
  EXPECT_EQ(stored.asked, 0U);
  // The source's own error comes through.
  EXPECT_EQ(make_inclusion_proof(0, 9, stored.source()).error().kind, ErrorKind::not_found);
  EXPECT_EQ(make_consistency_proof(3, 9, stored.source()).error().kind, ErrorKind::not_found);
  // The largest sizes end, and nothing about them overflows.
  const Proof long_proof(most_proof_hashes, Digest{});
  EXPECT_FALSE(verify_inclusion({}, 0, ~std::uint64_t{0}, long_proof, {}));
  EXPECT_FALSE(verify_consistency(1, ~std::uint64_t{0}, {}, {}, long_proof));
  EXPECT_FALSE(verify_inclusion({}, 0, 0, {}, {}));
}

TEST(Frontier, HandsOutEachSubtreeThatALeafCompletes) {
  const Leaves leaves = reference::numbered_leaves(most);
  Frontier frontier;
  std::size_t count = 0;
  for (std::size_t i = 0; i < most; ++i) {
    unsigned next_level = 0;
    frontier.append(leaves[i], [&](const Subtree& subtree) {
      ++count;
      EXPECT_EQ(subtree.level, next_level++);
      const std::size_t width = std::size_t{1} << subtree.level;
      ASSERT_EQ((subtree.index + 1) * width, i + 1);
      EXPECT_EQ(subtree.hash, reference::root(leaves, subtree.index * width, i + 1));
    });
    EXPECT_EQ(frontier, frontier_of(std::span(leaves).first(i + 1)));
  }
  EXPECT_EQ(count, 70U + 35 + 17 + 8 + 4 + 2 + 1);
}

TEST(Frontier, ComesBackFromItsBytesAndGoesOn) {
  const Leaves leaves = reference::numbered_leaves(most);
  for (std::size_t size = 0; size < most; ++size) {
    const Frontier frontier = frontier_of(std::span(leaves).first(size));
    const Bytes bytes = frontier.to_bytes();
    EXPECT_EQ(bytes.size(), 8 + 32 * frontier.hashes().size());
    auto back = Frontier::from_bytes(bytes);
    ASSERT_TRUE(back);
    EXPECT_EQ(*back, frontier);
    back->append(leaves[size]);
    EXPECT_EQ(back->root(), reference::root(leaves, 0, size + 1));
  }
}

TEST(Frontier, BytesOfAnotherLengthAreRefused) {
  const Bytes bytes = frontier_of(reference::numbered_leaves(7)).to_bytes();
  for (std::size_t length = 0; length < bytes.size() + 2; ++length) {
    Bytes other = bytes;
    other.resize(length);
    EXPECT_EQ(Frontier::from_bytes(other).has_value(), length == bytes.size()) << length;
  }
  Bytes huge(8 + 32, 0);
  huge[0] = 0x80;  // 2^63
  const auto refused = Frontier::from_bytes(huge);
  ASSERT_FALSE(refused);
  EXPECT_EQ(refused.error().message.code, "audit.frontier-malformed");
}

}  // namespace
}  // namespace tally::audit
