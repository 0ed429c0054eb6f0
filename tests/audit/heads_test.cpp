#include "tally/audit/heads.hpp"

#include <gtest/gtest.h>

#include "audit/known_keys.hpp"
#include "audit/tree_reference.hpp"
#include "sim/world.hpp"

namespace tally::audit {
namespace {

using Heads = std::vector<std::pair<AgreementId, AgreementHead>>;

AgreementId agreement(std::size_t n) {
  return AgreementId("urn:uuid:" + std::to_string(n));
}
AgreementHead head(std::size_t n) {
  return {n + 1, leaf_hash(std::to_string(n)), 10 * n + 7};
}
HeadsMap map_of(std::size_t count) {
  Heads heads;
  for (std::size_t n = 0; n < count; ++n) heads.emplace_back(agreement(n), head(n));
  return HeadsMap::make(heads).value();
}

// The map as the format describes it, over the recursive tree of RFC 6962.
std::string number(std::uint64_t value) {
  std::string bytes;
  for (int shift = 56; shift >= 0; shift -= 8) bytes += static_cast<char>(value >> shift);
  return bytes;
}
std::string text(const Digest& digest) {
  return {digest.begin(), digest.end()};
}
Digest reference_root(std::size_t count) {
  std::map<std::string, Digest> sorted;
  for (std::size_t n = 0; n < count; ++n) {
    const std::string key = text(sha256(agreement(n).value));
    const AgreementHead at = head(n);
    sorted[key] = sha256("\x02" + key + number(at.aseq) + text(at.leaf) + number(at.size));
  }
  reference::Leaves leaves;
  for (const auto& [key, leaf] : sorted) leaves.push_back(leaf);
  return sha256("\x04" + number(count) + text(reference::root(leaves, 0, count, 3)));
}

// Whatever changed since, the map that follows is the one made anew: a few heads, new agreements
// before, between and behind the others, both, or nothing.
TEST(Heads, AMapThatFollowsIsTheOneMadeAnew) {
  sim::Chance chance(11);
  for (int log = 0; log < 40; ++log) {
    std::unordered_map<std::string, AgreementHead> agreements;
    HeadsMap followed;
    EXPECT_EQ(followed.root(), reference_root(0));
    std::uint64_t size = 0;
    for (int step = 0; step < 25; ++step) {
      const std::uint64_t records = chance.below(12);
      for (std::uint64_t i = 0; i < records; ++i) {
        AgreementHead& head = agreements[agreement(chance.below(60)).value];
        ++size;
        head = {head.aseq + 1, leaf_hash(std::to_string(size)), size};
      }
      ASSERT_TRUE(followed.follow(agreements));
      const HeadsMap anew = HeadsMap::of(agreements).value();
      ASSERT_EQ(followed.count(), agreements.size());
      ASSERT_EQ(followed.root(), anew.root()) << log << " " << step;
      // Not the root alone: all that proofs are made of.
      const AgreementId one = agreement(chance.below(80));
      ASSERT_EQ(followed.prove(one), anew.prove(one));
      const auto shown = verify_heads_proof(followed.root(), one, followed.prove(one));
      ASSERT_TRUE(shown);
      ASSERT_EQ(*shown, followed.find(one));
    }
  }
}

TEST(Heads, TheRootIsTheOneThatTheFormatDescribes) {
  for (std::size_t count = 0; count <= 40; ++count) {
    EXPECT_EQ(map_of(count).root(), reference_root(count)) << count;
  }
  // The order in which heads come in does not matter.
  Heads heads{{agreement(1), head(1)}, {agreement(0), head(0)}, {agreement(2), head(2)}};
  EXPECT_EQ(HeadsMap::make(heads)->root(), map_of(3).root());
}

TEST(Heads, EachIsProvedAndEachAbsenceToo) {
  for (std::size_t count = 0; count <= 24; ++count) {
    const HeadsMap map = map_of(count);
    EXPECT_EQ(map.count(), count);
    for (std::size_t n = 0; n < 40; ++n) {
      const HeadsProof proof = map.prove(agreement(n));
      EXPECT_EQ(parse_heads_proof(proof.print()).value(), proof);
      const auto found = verify_heads_proof(map.root(), agreement(n), proof);
      ASSERT_TRUE(found) << n << " of " << count;
      EXPECT_EQ(found->has_value(), n < count);
      EXPECT_EQ(*found, map.find(agreement(n)));
      if (n < count) EXPECT_EQ(**found, head(n));
      // It is no proof about another map.
      const auto other = verify_heads_proof(map_of(count + 1).root(), agreement(n), proof);
      EXPECT_EQ(code_of(other), "audit.heads-proof-wrong");
    }
  }
}

// Every proof that can be put together from the entries of a map, with any count: none says that an
// agreement is absent which is there, or gives it another head.
TEST(Heads, NoMixtureOfEntriesHidesAnAgreement) {
  for (std::size_t count = 1; count <= 7; ++count) {
    const HeadsMap map = map_of(count);
    std::vector<ProvenHead> all;
    for (std::size_t n = 0; n < count; ++n) all.push_back(map.prove(agreement(n)).entries.at(0));
    for (std::size_t n = 0; n < 2 * count; ++n) {
      const auto lies = [&](const HeadsProof& proof) {
        const auto found = verify_heads_proof(map.root(), agreement(n), proof);
        return found && *found != map.find(agreement(n));
      };
      for (std::uint64_t claimed = 0; claimed <= count + 2; ++claimed) {
        EXPECT_FALSE(lies({claimed, {}}));
        for (const ProvenHead& one : all) {
          for (std::uint64_t place = 0; place <= count; ++place) {
            ProvenHead moved = one;
            moved.index = place;
            EXPECT_FALSE(lies({claimed, {moved}}));
          }
          for (const ProvenHead& two : all) {
            EXPECT_FALSE(lies({claimed, {one, two}}));
            EXPECT_FALSE(lies({claimed, {one, two, two}}));
          }
        }
      }
    }
  }
}

TEST(Heads, AChangedProofShowsNothing) {
  const HeadsMap map = map_of(13);
  for (const std::size_t n : {3U, 20U, 21U, 22U}) {
    const std::string proof = map.prove(agreement(n)).print();
    ASSERT_TRUE(verify_heads_proof(map.root(), agreement(n), parse_heads_proof(proof).value()));
    for (std::size_t i = 0; i < proof.size(); ++i) {
      std::string changed = proof;
      changed[i] = static_cast<char>(changed[i] ^ 1);
      const auto parsed = parse_heads_proof(changed);
      EXPECT_FALSE(parsed && verify_heads_proof(map.root(), agreement(n), *parsed)) << i;
    }
  }
}

// A tree of the same hashes without the count in its root would leave the end open.
TEST(Heads, TheCountIsPartOfTheRoot) {
  const HeadsMap map = map_of(3);
  std::optional<AgreementId> behind;  // an absent one behind all others
  for (std::size_t n = 3; !behind; ++n) {
    if (map.prove(agreement(n)).entries.back().index == 2 &&
        map.prove(agreement(n)).entries.size() == 1) {
      behind = agreement(n);
    }
  }
  HeadsProof proof = map.prove(*behind);
  ASSERT_TRUE(verify_heads_proof(map.root(), *behind, proof));
  // The last of three stands as the last of two would: the path is the same.
  proof.count = 2;
  proof.entries[0].index = 1;
  EXPECT_EQ(code_of(verify_heads_proof(map.root(), *behind, proof)), "audit.heads-proof-wrong");
}

TEST(Heads, AProofSaysNothingBesideItsPoint) {
  const HeadsProof counted{5, {}};
  EXPECT_EQ(
      code_of(verify_heads_proof(map_of(0).root(), agreement(0), counted)),
      "audit.heads-proof-wrong"
  );
  const HeadsMap map = map_of(5);
  std::size_t n = 5;
  while (map.prove(agreement(n)).entries.size() != 2) ++n;  // an absent one between two
  HeadsProof proof = map.prove(agreement(n));
  ASSERT_TRUE(verify_heads_proof(map.root(), agreement(n), proof));
  proof.entries.push_back(map.prove(agreement(0)).entries[0]);
  EXPECT_EQ(
      code_of(verify_heads_proof(map.root(), agreement(n), proof)), "audit.heads-proof-wrong"
  );
}

TEST(Heads, WhatCannotBeIsRefused) {
  const auto code = [](const Heads& heads) { return code_of(HeadsMap::make(heads)); };
  EXPECT_EQ(code({{agreement(0), head(0)}, {agreement(0), head(1)}}), "audit.heads-twice");
  EXPECT_EQ(code({{agreement(0), {0, {}, 1}}}), "audit.heads-empty");
  EXPECT_EQ(code({{agreement(0), {1, {}, 0}}}), "audit.heads-empty");
  EXPECT_EQ(code({{agreement(0), {1, {}, 1}}}), "");
}

TEST(HeadsProof, TextOfAnyOtherFormIsRefused) {
  const std::string good = map_of(5).prove(agreement(2)).print();
  ASSERT_TRUE(parse_heads_proof(good));
  const std::string top = "tally/heads-proof/v1\n";
  const std::string hash = to_base64(leaf_hash("x"));
  const std::string entry = "entry 0 " + hash + " 1 " + hash + " 7\n";
  std::string most = top + "count 1\n" + entry;
  for (std::size_t i = 0; i < most_proof_hashes; ++i) most += hash + "\n";
  EXPECT_TRUE(parse_heads_proof(most));
  EXPECT_TRUE(parse_heads_proof(top + "count 0\n"));
  EXPECT_TRUE(parse_heads_proof(top + "count 2\n" + entry + entry));
  for (const std::string& bad :
       {std::string(),
        top,
        "count 0\n" + top,
        top + "count\n",
        top + "count 01\n",
        top + "count 9223372036854775808\n",
        top + "count 1\n" + hash + "\n" + entry,
        top + "count 1\n\n" + entry,
        top + "count 1\n" + entry + "\n",
        top + "count 1\n" + entry + "x",
        top + "count 3\n" + entry + entry + entry,
        top + "count 1\nentry 00 " + hash + " 1 " + hash + " 7\n",
        top + "count 1\nentry 0  " + hash + " 1 " + hash + " 7\n",
        top + "count 1\nentry 0 " + hash + " 1 " + hash + "\n",
        top + "count 1\nentry 0 " + hash + " 1 " + hash + " 7 \n",
        top + "count 1\nentry 0 " + hash + " 1 " + hash + " 7 8\n",
        top + "count 1\nentry 0 AAAA 1 " + hash + " 7\n",
        most + hash + "\n",
        top + "count 1\n" + entry + std::string(1 << 16, 'A') + "\n"}) {
    const auto parsed = parse_heads_proof(bad);
    EXPECT_EQ(code_of(parsed), "audit.heads-proof-malformed") << bad;
  }
}

}  // namespace
}  // namespace tally::audit
