#include "tally/audit/log_proof.hpp"

#include <gtest/gtest.h>

#include "audit/known_keys.hpp"
#include "audit/tree_reference.hpp"

namespace tally::audit {
namespace {

const reference::Leaves leaves = reference::numbered_leaves(11);

LogPolicy policy() {
  return parse_log_policy(
             "log " + log_key().text() + "\nwitness w " + witness_key().text() + "\nquorum w\n"
  )
      .value();
}

LogProof proof_of(std::uint64_t index) {
  const Checkpoint checkpoint{known_origin, 11, reference::root(leaves, 0, 11), {}};
  std::string note = sign_checkpoint(checkpoint, log_key(), signer_of(log_seed)).value();
  note += cosign_checkpoint(note, witness_key(), 5, signer_of(witness_seed))->line();
  return {std::nullopt, index, reference::path(leaves, index, 0, 11), note};
}

TEST(LogProof, HoldsForItsOwnRecordAndPlaceOnly) {
  for (std::uint64_t index = 0; index < 11; ++index) {
    const LogProof proof = parse_log_proof(proof_of(index).print()).value();
    EXPECT_EQ(proof, proof_of(index));
    for (std::uint64_t other = 0; other < 11; ++other) {
      const auto verified = verify_log_proof(proof, leaves[other], policy());
      EXPECT_EQ(code_of(verified), other == index ? "" : "audit.inclusion-unproved");
      LogProof moved = proof;
      moved.index = other;
      if (other != index) EXPECT_FALSE(verify_log_proof(moved, leaves[index], policy()));
    }
    LogProof outside = proof;
    outside.index = 11;
    EXPECT_FALSE(verify_log_proof(outside, leaves[index], policy()));
  }
}

// What somebody keeps of a record of a log of ten million, with the signature of the log and of one
// witness: the target is 1.6 KB of text.
TEST(LogProof, OfTenMillionRecordsIsSmall) {
  constexpr std::uint64_t size = 10'000'000;
  const SubtreeHash any = [](unsigned level, std::uint64_t index) -> Result<Digest> {
    return sha256(std::to_string(level) + "/" + std::to_string(index));
  };
  const Checkpoint checkpoint{known_origin, size, tree_root(size, any).value(), {}};
  std::string note = sign_checkpoint(checkpoint, log_key(), signer_of(log_seed)).value();
  note += cosign_checkpoint(note, witness_key(), 1'772'352'000, signer_of(witness_seed))->line();
  std::size_t most_hashes = 0;
  std::size_t most_bytes = 0;
  for (std::uint64_t index = 0; index < size; index += size / 97) {
    const LogProof proof{std::nullopt, index, make_inclusion_proof(index, size, any).value(), note};
    most_hashes = std::max(most_hashes, proof.hashes.size());
    most_bytes = std::max(most_bytes, proof.print().size());
  }
  EXPECT_EQ(most_hashes, 24U);
  EXPECT_LE(most_bytes, 1600U);
}

TEST(LogProof, NeedsACheckpointThatThePolicyBelieves) {
  LogProof proof = proof_of(4);
  const auto verified = verify_log_proof(proof, leaves[4], policy());
  ASSERT_TRUE(verified);
  EXPECT_EQ(verified->checkpoint.size, 11U);
  ASSERT_EQ(verified->good.size(), 2U);
  EXPECT_EQ(verified->good[1].time, 5U);
  const std::size_t second = proof.checkpoint.rfind("— ");
  proof.checkpoint.resize(second);
  EXPECT_EQ(code_of(verify_log_proof(proof, leaves[4], policy())), "audit.quorum-missed");
  EXPECT_EQ(code_of(verify_log_proof(proof, leaves[4], LogPolicy())), "audit.note-unsigned");
}

TEST(LogProof, CarriesExtraBytesThatNothingVouchesFor) {
  LogProof proof = proof_of(4);
  for (const Bytes& extra : {Bytes{}, Bytes{1, 2, 3}, Bytes(most_extra_bytes)}) {
    proof.extra = extra;
    EXPECT_EQ(parse_log_proof(proof.print()).value(), proof);
    EXPECT_TRUE(verify_log_proof(proof, leaves[4], policy()));
  }
  proof.extra = Bytes(most_extra_bytes + 1);
  EXPECT_FALSE(parse_log_proof(proof.print()));
}

TEST(LogProof, TextOfAnyOtherFormIsRefused) {
  const std::string head = "c2sp.org/tlog-proof@v1\n";
  const std::string hash = to_base64(leaves[0]) + "\n";
  const std::string note = "\n" + checkpoint_text + "\n" + log_line;
  std::string most = head + "index 0\n";
  for (std::size_t i = 0; i < most_proof_hashes; ++i) most += hash;
  EXPECT_TRUE(parse_log_proof(most + note));
  EXPECT_TRUE(parse_log_proof(head + "index 0\n" + note));
  const std::string large(most_log_proof_bytes, 'a');
  for (const std::string& text :
       {std::string(),
        head,
        head + note,
        "c2sp.org/tlog-proof@v2\nindex 0\n" + note,
        "index 0\n" + note,
        head + "index 00\n" + note,
        head + "index 01\n" + note,
        head + "index -1\n" + note,
        head + "index \n" + note,
        head + "index  0\n" + note,
        head + "index 9223372036854775807\n" + note,
        head + "index 0\n" + hash,
        head + "index 0\n" + hash + note.substr(1),
        head + "index 0\n" + hash.substr(1) + note,
        head + "index 0\nAAAA\n" + note,
        head + "index 0\nextra AAAA\n" + note,
        head + "extra AAA\nindex 0\n" + note,
        head + "extra AAAA\nextra AAAA\nindex 0\n" + note,
        head + "extra\nindex 0\n" + note,
        head + "index 0\n\n" + checkpoint_text,
        head + "index 0\n" + note + "x",
        most + hash + note,
        head + "index 0\n\n" + large + note}) {
    EXPECT_EQ(code_of(parse_log_proof(text)), "audit.log-proof-malformed") << text.substr(0, 300);
  }
}

TEST(LogProof, EveryChangedBitIsNoticedOrHarmless) {
  const LogProof proof = proof_of(6);
  const std::string text = proof.print();
  for (std::size_t i = 0; i < text.size(); ++i) {
    std::string changed = text;
    changed[i] = static_cast<char>(changed[i] ^ 1);
    const auto parsed = parse_log_proof(changed);
    EXPECT_FALSE(parsed && verify_log_proof(*parsed, leaves[6], policy())) << i;
  }
}

}  // namespace
}  // namespace tally::audit
