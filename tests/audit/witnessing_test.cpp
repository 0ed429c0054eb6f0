// Who has to have cosigned before an agreement that says `strict` goes on.
#include "tally/audit/witnessing.hpp"

#include <gtest/gtest.h>

#include "audit/known_keys.hpp"
#include "audit/tree_reference.hpp"

namespace tally::audit {
namespace {

const PartyId lab{"north", "did:web:lab.example"};
const PartyId other{"north", "did:web:other.example"};
const Instant noon{1'772'366'400, 0};

struct Cosigner {
  std::string name;
  std::string seed;
  [[nodiscard]] VerifierKey key() const {
    return key_of(name + ".example/witness", seed, cosignature_type);
  }
};
const Cosigner ada{"ada", std::string(64, '1')};
const Cosigner bea{"bea", std::string(64, '2')};
const Cosigner cay{"cay", std::string(64, '3')};

// Our checkpoint of that size with the cosignature of that one.
Cosigned cosigned_by(const Cosigner& who, std::uint64_t size) {
  const auto leaves = reference::numbered_leaves(20);
  const Checkpoint checkpoint{known_origin, size, reference::root(leaves, 0, size), {}};
  auto note =
      parse_note(sign_checkpoint(checkpoint, log_key(), signer_of(log_seed)).value()).value();
  note.signatures.push_back(
      make_cosignature(note.text, who.key(), 1'772'366'400, signer_of(who.seed)).value()
  );
  Cosigned out;
  out.id = "witness " + who.name;
  out.size = size;
  out.note = note.print();
  return out;
}

// Two of the three.
LogPolicy two_of_three() {
  std::string text = "log " + log_key().text() + "\n";
  for (const auto& who : {ada, bea, cay}) {
    text += "witness " + who.name + " " + who.key().text() + "\n";
  }
  return parse_log_policy(text + "group most 2 ada bea cay\nquorum most\n").value();
}

class Quorum : public ::testing::Test {
 protected:
  void milestone(const std::string& agreement, std::uint64_t size) {
    witnessing.queued(agreement, noon);
    witnessing.settled(agreement, size);
  }
  std::string missing(const std::string& agreement) {
    const auto found = witnessing.missing(agreement, lab);
    return found ? found->witnesses : "";
  }
  Witnessing witnessing{two_of_three()};
};

TEST_F(Quorum, TwoDifferentWitnessesMakeItAndOneTwiceDoesNot) {
  milestone("a", 5);
  EXPECT_EQ(missing("a"), "ada, bea, cay");
  witnessing.cosigned(cosigned_by(ada, 5));
  EXPECT_EQ(missing("a"), "bea, cay");
  // The same key under another name of the store.
  Cosigned twin = cosigned_by(ada, 7);
  twin.id = "witness twin";
  witnessing.cosigned(twin);
  EXPECT_EQ(missing("a"), "bea, cay");
  witnessing.cosigned(cosigned_by(cay, 5));
  EXPECT_EQ(missing("a"), "");
}

TEST_F(Quorum, ACosignatureOfAShorterLogDoesNotCountAndALaterOneDoes) {
  milestone("a", 9);
  witnessing.cosigned(cosigned_by(ada, 12));
  witnessing.cosigned(cosigned_by(bea, 8));
  EXPECT_EQ(missing("a"), "bea, cay");
  witnessing.cosigned(cosigned_by(bea, 9));
  EXPECT_EQ(missing("a"), "");
}

TEST_F(Quorum, WhatIsQueuedIsBeyondEveryCosignature) {
  milestone("a", 5);
  for (const auto& who : {ada, bea, cay}) witnessing.cosigned(cosigned_by(who, 20));
  EXPECT_EQ(missing("a"), "");
  witnessing.queued("a", noon);
  EXPECT_EQ(missing("a"), "ada, bea, cay");
  EXPECT_FALSE(witnessing.quorum()->reached);
  witnessing.settled("a", 20);
  EXPECT_EQ(missing("a"), "");
}

TEST_F(Quorum, AForgedCosignatureMakesNothing) {
  milestone("a", 5);
  witnessing.cosigned(cosigned_by(ada, 5));
  Cosigned forged = cosigned_by(bea, 5);
  auto note = parse_note(forged.note).value();
  note.signatures.back().signature.back() ^= 1;
  forged.note = note.print();
  witnessing.cosigned(forged);
  EXPECT_EQ(missing("a"), "bea, cay");
}

TEST_F(Quorum, SaysHowFarItHasCosignedAndWhetherThatIsEnough) {
  EXPECT_EQ(witnessing.quorum()->name, "most");
  milestone("a", 5);
  milestone("b", 9);
  EXPECT_EQ(witnessing.quorum()->size, 0U);
  witnessing.cosigned(cosigned_by(ada, 12));
  EXPECT_EQ(witnessing.quorum()->size, 0U);
  witnessing.cosigned(cosigned_by(bea, 7));
  EXPECT_EQ(witnessing.quorum()->size, 7U);
  EXPECT_FALSE(witnessing.quorum()->reached);
  witnessing.cosigned(cosigned_by(cay, 10));
  EXPECT_EQ(witnessing.quorum()->size, 10U);
  EXPECT_TRUE(witnessing.quorum()->reached);
  EXPECT_FALSE(Witnessing().quorum());
}

TEST_F(Quorum, SaysWhoseKeysAreMissing) {
  milestone("a", 5);
  witnessing.cosigned(cosigned_by(bea, 5));
  const auto found = witnessing.missing("a", lab);
  ASSERT_TRUE(found);
  EXPECT_EQ(found->keys, (std::vector{ada.key(), cay.key()}));
  EXPECT_TRUE(found->party.empty());
}

TEST(WithoutQuorum, ItIsTheOtherPartyThatHasToHaveCosigned) {
  Witnessing witnessing;
  witnessing.queued("a", noon);
  witnessing.settled("a", 5);
  Cosigned by = cosigned_by(ada, 9);
  by.party = other;
  witnessing.cosigned(by);
  const auto found = witnessing.missing("a", lab);
  ASSERT_TRUE(found);
  EXPECT_EQ(found->party, lab);
  EXPECT_TRUE(found->keys.empty());
  EXPECT_FALSE(witnessing.missing("a", other));
}

}  // namespace
}  // namespace tally::audit
