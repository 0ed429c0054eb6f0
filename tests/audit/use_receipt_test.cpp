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

// As one signature gives them.
std::vector<std::string> receipts_of(const std::vector<std::string>& contents) {
  return *sign_use_receipts(contents, contract_key(), signer_of(third_seed));
}

std::string receipt_text(const UseReceipt& receipt) {
  return receipts_of({receipt.jcs()}).front();
}

std::vector<std::string> contents(std::size_t count) {
  std::vector<std::string> all;
  for (std::size_t i = 0; i < count; ++i) {
    UseReceipt receipt = *receipt_of(record_text());
    receipt.use = UseId("u-" + std::to_string(i));
    all.push_back(receipt.jcs());
  }
  return all;
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
  proven.receipt = receipt_text(*receipt_of(proven.record));
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
  const std::string content = R"({"action":"read","agreement":"urn:uuid:a","leaf":")" +
                              to_hex(receipt->leaf) + R"(","origin":")" + known_origin +
                              R"(","seq":1,"time":"2026-03-01T08:00:02.000000Z","use":"u-1"})";
  const std::string text = receipt_text(*receipt);
  const Digest root = sha256("\x05" + content);
  const std::string head = "tally/use-receipt/v1\n" + content +
                           "\n0\n\ntally/use-receipts/v1\n1\n" + to_base64(root) + "\n\n";
  EXPECT_TRUE(text.starts_with(head)) << text;
  const auto read = verify_use_receipt(text, contract_key());
  ASSERT_TRUE(read);
  EXPECT_EQ(*read, *receipt);
}

TEST(UseReceiptTest, OneSignatureIsForEachOfABatch) {
  for (std::size_t count = 1; count <= most_receipts_of_a_signature; ++count) {
    const auto all = contents(count);
    const auto receipts = receipts_of(all);
    ASSERT_EQ(receipts.size(), count);
    const std::string note = receipts.front().substr(receipts.front().find("\n\n"));
    for (std::size_t i = 0; i < count; ++i) {
      EXPECT_TRUE(receipts[i].ends_with(note));
      EXPECT_LT(to_header(receipts[i]).size(), 1400U);
      const auto read = verify_use_receipt(receipts[i], contract_key());
      ASSERT_TRUE(read) << i << " of " << count;
      EXPECT_EQ(read->jcs(), all[i]);
    }
  }
}

TEST(UseReceiptTest, AThirdOfThreeIsWhereTheDocumentSays) {
  const auto all = contents(3);
  const auto hash = [](const std::string& jcs) { return sha256("\x05" + jcs); };
  const auto text = [](const Digest& digest) { return std::string(digest.begin(), digest.end()); };
  const Digest pair = sha256("\x06" + text(hash(all[0])) + text(hash(all[1])));
  const Digest root = sha256("\x06" + text(pair) + text(hash(all[2])));
  const std::string head = "tally/use-receipt/v1\n" + all[2] + "\n2\n" + to_base64(pair) +
                           "\n\ntally/use-receipts/v1\n3\n" + to_base64(root) + "\n\n";
  EXPECT_TRUE(receipts_of(all)[2].starts_with(head)) << receipts_of(all)[2];
}

TEST(UseReceiptTest, NoChangedByteOfABatchIsTaken) {
  const auto receipts = receipts_of(contents(7));
  for (const std::size_t member : {0U, 3U, 6U}) {
    for (std::size_t at = 0; at < receipts[member].size(); ++at) {
      for (const int bit : {1, 2, 32}) {
        std::string changed = receipts[member];
        changed[at] = static_cast<char>(changed[at] ^ bit);
        EXPECT_FALSE(verify_use_receipt(changed, contract_key()))
            << "member " << member << " byte " << at << " bit " << bit;
      }
    }
  }
}

TEST(UseReceiptTest, NothingElseIsTakenForAMember) {
  const auto all = contents(5);
  const auto receipts = receipts_of(all);
  const auto note_of = [](const std::string& text) { return text.substr(text.find("\n\n") + 2); };
  const auto signed_text = [](const std::string& text) {
    return *sign_note(text, contract_key(), signer_of(third_seed));
  };
  const auto replaced = [](std::string text, std::string_view from, std::string_view to) {
    return text.replace(text.find(from), from.size(), to);
  };
  const std::string& second = receipts[1];
  const std::string alone = receipts_of({all[1]}).front();
  const std::string root = to_base64(sha256("\x05" + all[1]));
  const std::string before = alone.substr(0, alone.find("\n\n") + 2);
  const std::string kind = "tally/use-receipts/v1\n";
  const std::string unsigned_code = "audit.use-receipt-unsigned";
  const std::string malformed_code = "audit.use-receipt-malformed";
  std::string hashes;
  for (int i = 0; i < 7; ++i) hashes += to_base64(Digest{}) + "\n";
  const std::string open = "{ " + all[1].substr(1);
  const std::string open_root = to_base64(sha256("\x05" + open));
  const struct {
    const char* what;
    std::string text;
    std::string code;
  } cases[] = {
      {"the index of another", replaced(second, "}\n1\n", "}\n0\n"), unsigned_code},
      {"an index not below the count", replaced(second, "}\n1\n", "}\n5\n"), unsigned_code},
      {"an index beyond any batch", replaced(second, "}\n1\n", "}\n64\n"), malformed_code},
      {"an index with a zero before it", replaced(second, "}\n1\n", "}\n01\n"), malformed_code},
      {"the content of another", replaced(second, all[1], all[2]), unsigned_code},
      {"the signature of another batch", before + note_of(second), unsigned_code},
      {"a batch's path with a lone signature",
       second.substr(0, second.find("\n\n") + 2) + note_of(alone),
       unsigned_code},
      {"more hashes than any batch has",
       replaced(second, "\n\n", "\n" + hashes + "\n"),
       malformed_code},
      {"a signed count that does not fit",
       before + signed_text(kind + "2\n" + root + "\n"),
       unsigned_code},
      {"a signed count of none", before + signed_text(kind + "0\n" + root + "\n"), unsigned_code},
      {"a signed count beyond any batch",
       before + signed_text(kind + "65\n" + root + "\n"),
       malformed_code},
      {"a signed line more", before + signed_text(kind + "1\n" + root + "\nx\n"), malformed_code},
      {"a signed note of another kind",
       before + signed_text("tally/statement/v1\n1\n" + root + "\n"),
       malformed_code},
      {"a signed root that is none", before + signed_text(kind + "1\nx\n"), malformed_code},
      {"a signed content that is not canonical",
       "tally/use-receipt/v1\n" + open + "\n0\n\n" + signed_text(kind + "1\n" + open_root + "\n"),
       malformed_code},
      {"too much", second + std::string(17 << 10, ' '), malformed_code},
      {"no signature", before, "audit.note-malformed"},
      {"nothing behind the content", "tally/use-receipt/v1\n" + all[1] + "\n", malformed_code},
  };
  for (const auto& each : cases) {
    EXPECT_EQ(code_of(verify_use_receipt(each.text, contract_key())), each.code) << each.what;
  }
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
  other.receipt = receipt_text(receipt);
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
  moved.receipt = receipt_text(*receipt_of(moved.record));
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
