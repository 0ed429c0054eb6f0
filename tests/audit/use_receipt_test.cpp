#include "tally/audit/use_receipt.hpp"

#include <gtest/gtest.h>

#include "tally/audit/record.hpp"
#include "tally/audit/tree.hpp"

#include "known_keys.hpp"

namespace tally::audit {
namespace {

const std::string signer_name = "did:web:clinic.example";

VerifierKey contract_key() {
  return key_of(signer_name, third_seed);
}

std::string record_text(const std::string& type = "use.permitted", int seq = 1) {
  return R"({"action":"read","agreement":"urn:uuid:a","aprev":")" + std::string(64, '0') +
         R"(","aseq":1,"decision":{"at":"2026-03-01T08:00:02.000000Z"},"event":"u-1","log":")" +
         known_origin + R"(","prev":")" + std::string(64, '1') + R"(","rules":[],"seq":)" +
         std::to_string(seq) + R"(,"time":"2026-03-01T08:00:02.000001Z","type":")" + type +
         R"(","v":1})";
}

// A log of three records whose second is the use, and its receipt with the proof.
ProvenUse proven_use() {
  ProvenUse proven;
  proven.record = record_text();
  const std::vector<Digest> leaves = {
      leaf_hash("before"), leaf_hash(proven.record), leaf_hash("behind")};
  const Digest root = node_hash(node_hash(leaves[0], leaves[1]), leaves[2]);
  proven.proof.index = 1;
  proven.proof.hashes = {leaves[0], leaves[2]};
  const std::string text = known_origin + "\n3\n" + to_base64(root) + "\n";
  proven.proof.checkpoint = *sign_note(text, log_key(), signer_of(log_seed));
  proven.receipt =
      *sign_use_receipt(*receipt_of(proven.record), contract_key(), signer_of(third_seed));
  return proven;
}

LogPolicy believed() {
  LogPolicy policy;
  policy.logs.push_back({log_key(), {}});
  return policy;
}

TEST(UseReceiptTest, ARecordHasOneReceiptAndItReadsBack) {
  const auto receipt = receipt_of(record_text());
  ASSERT_TRUE(receipt);
  EXPECT_EQ(receipt->use, UseId("u-1"));
  EXPECT_EQ(receipt->seq, 1U);
  EXPECT_EQ(receipt->time, "2026-03-01T08:00:02.000000Z");
  const auto note = sign_use_receipt(*receipt, contract_key(), signer_of(third_seed));
  ASSERT_TRUE(note);
  EXPECT_TRUE(note->starts_with(
      R"(tally/use-receipt/v1)"
      "\n"
      R"({"action":"read","agreement":"urn:uuid:a","leaf":")" +
      to_hex(receipt->leaf) + R"(","origin":")" + known_origin +
      R"(","seq":1,"time":"2026-03-01T08:00:02.000000Z","use":"u-1"})"
  )) << *note;
  const auto read = verify_use_receipt(*note, contract_key());
  ASSERT_TRUE(read);
  EXPECT_EQ(*read, *receipt);
}

TEST(UseReceiptTest, OnlyAPermittedUseHasOne) {
  EXPECT_FALSE(receipt_of(record_text("use.denied")));
  EXPECT_FALSE(receipt_of("{}"));
  EXPECT_FALSE(receipt_of("no record"));
}

TEST(UseReceiptTest, IsKeptInThreeForms) {
  const ProvenUse proven = proven_use();
  for (const std::string& text :
       {proven.receipt, to_header(proven.receipt), to_header(proven.receipt) + "\n"}) {
    const auto kept = parse_kept_receipt(text);
    ASSERT_TRUE(kept);
    EXPECT_EQ(kept->receipt, proven.receipt);
    EXPECT_FALSE(kept->proven);
  }
  const auto kept = parse_kept_receipt(proven.print());
  ASSERT_TRUE(kept && kept->proven);
  EXPECT_EQ(*kept->proven, proven);
  for (const char* text : {"", "\n", "tally/proven-use/v1\n", "not base64!"}) {
    EXPECT_FALSE(parse_kept_receipt(text)) << text;
  }
}

TEST(UseReceiptTest, TheProofHolds) {
  const auto shown = verify_proven_use(proven_use(), contract_key(), believed());
  ASSERT_TRUE(shown) << render(shown.error().message, Lang::en);
  EXPECT_EQ(shown->receipt.use, UseId("u-1"));
  EXPECT_EQ(shown->checkpoint.checkpoint.size, 3U);
}

TEST(UseReceiptTest, NoChangedByteOfTheFileIsTaken) {
  const std::string text = proven_use().print();
  for (std::size_t at = 0; at < text.size(); ++at) {
    std::string changed = text;
    changed[at] = static_cast<char>(changed[at] ^ 1);
    const auto kept = parse_kept_receipt(changed);
    if (!kept || !kept->proven) continue;
    EXPECT_FALSE(verify_proven_use(*kept->proven, contract_key(), believed())) << "byte " << at;
  }
}

TEST(UseReceiptTest, ReceiptAndRecordHaveToBeOfTheSameUse) {
  ProvenUse other = proven_use();
  auto receipt = *receipt_of(other.record);
  receipt.use = UseId("u-2");
  other.receipt = *sign_use_receipt(receipt, contract_key(), signer_of(third_seed));
  EXPECT_EQ(
      code_of(verify_proven_use(other, contract_key(), believed())), "audit.use-receipt-other"
  );
  // A record that names another place than the one where it stands.
  ProvenUse moved = proven_use();
  moved.record = record_text("use.permitted", 2);
  const Digest leaf = leaf_hash(moved.record);
  const Digest root = node_hash(node_hash(moved.proof.hashes[0], leaf), moved.proof.hashes[1]);
  const std::string text = known_origin + "\n3\n" + to_base64(root) + "\n";
  moved.proof.checkpoint = *sign_note(text, log_key(), signer_of(log_seed));
  moved.receipt =
      *sign_use_receipt(*receipt_of(moved.record), contract_key(), signer_of(third_seed));
  EXPECT_EQ(
      code_of(verify_proven_use(moved, contract_key(), believed())), "audit.use-receipt-other"
  );
}

TEST(UseReceiptTest, AnotherKeyOrAnotherLogIsNotBelieved) {
  const ProvenUse proven = proven_use();
  EXPECT_EQ(
      code_of(verify_proven_use(proven, key_of(signer_name, witness_seed), believed())),
      "audit.note-unsigned"
  );
  LogPolicy other;
  other.logs.push_back({key_of(known_origin, witness_seed), {}});
  EXPECT_FALSE(verify_proven_use(proven, contract_key(), other));
}

}  // namespace
}  // namespace tally::audit
