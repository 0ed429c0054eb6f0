#include "tally/audit/log_policy.hpp"

#include <gtest/gtest.h>

#include "audit/known_keys.hpp"

namespace tally::audit {
namespace {

// Witness `n`, with a key of its own.
std::string seed(int n) {
  return to_hex(sha256("witness " + std::to_string(n)));
}
VerifierKey key(int n) {
  return key_of("w" + std::to_string(n) + ".example", seed(n), cosignature_type);
}
std::string witness(int n) {
  return "witness w" + std::to_string(n) + " " + key(n).text() + "\n";
}
const std::string log = "log " + log_key().text() + "\n";

// The known checkpoint, cosigned by these.
std::string note_by(const std::vector<int>& witnesses) {
  std::string note = checkpoint_text + "\n" + log_line;
  for (const int n : witnesses) {
    note += make_cosignature(checkpoint_text, key(n), 7, signer_of(seed(n)))->line();
  }
  return note;
}

// Two of three of one house, and one of two of the other.
const std::string two_houses =
    "# whom we believe\n"
    "\tlog \t" +
    log_key().text() + "   https://log.example/ \n\n" + witness(1) + witness(2) + witness(3) +
    "group one 2 w1 w2 w3\n" + witness(4) + "witness w5 " + key(5).text() +
    " https://w5.example/\n" + "group other any w4 w5\n  # both\ngroup both all one other\n" +
    "quorum both\n";

TEST(LogPolicy, IsReadAndWritten) {
  const auto policy = parse_log_policy(two_houses);
  ASSERT_TRUE(policy);
  ASSERT_EQ(policy->logs.size(), 1U);
  EXPECT_EQ(policy->logs[0].key, log_key());
  EXPECT_EQ(policy->logs[0].url, "https://log.example/");
  ASSERT_EQ(policy->witnesses.size(), 5U);
  EXPECT_EQ(policy->witnesses[4].url, "https://w5.example/");
  ASSERT_EQ(policy->groups.size(), 3U);
  EXPECT_EQ(policy->groups[2].least, 2U);
  EXPECT_EQ(policy->quorum, "both");
  EXPECT_EQ(policy->keys().size(), 6U);
  EXPECT_EQ(parse_log_policy(policy->print()).value(), *policy);
  const auto none = parse_log_policy("quorum none\n");
  ASSERT_TRUE(none);
  EXPECT_EQ(none->print(), "quorum none\n");
}

TEST(LogPolicy, TheQuorumIsCountedOverGroups) {
  const LogPolicy policy = parse_log_policy(two_houses).value();
  for (int set = 0; set < 32; ++set) {
    std::vector<int> by;
    for (int n = 1; n <= 5; ++n) {
      if ((set >> (n - 1) & 1) != 0) by.push_back(n);
    }
    const int one = (set & 1) + (set >> 1 & 1) + (set >> 2 & 1);
    const bool enough = one >= 2 && (set >> 3) != 0;
    const auto verified = verify_checkpoint(note_by(by), policy);
    EXPECT_EQ(verified.has_value(), enough) << set;
    if (!verified) EXPECT_EQ(verified.error().message.code, "audit.quorum-missed") << set;
  }
}

TEST(LogPolicy, ASignatureCountsOnceAndOnlyByItsKey) {
  const LogPolicy two =
      parse_log_policy(log + witness(1) + witness(2) + "group g 2 w1 w2\nquorum g\n").value();
  EXPECT_EQ(code_of(verify_checkpoint(note_by({1, 1, 1}), two)), "audit.quorum-missed");
  EXPECT_EQ(code_of(verify_checkpoint(note_by({1, 3}), two)), "audit.quorum-missed");
  EXPECT_EQ(code_of(verify_checkpoint(note_by({1, 2}), two)), "");
  // A forged one of a known witness refuses all.
  std::string forged = note_by({1, 2});
  forged[forged.size() - 10] = forged[forged.size() - 10] == 'A' ? 'B' : 'A';
  EXPECT_EQ(code_of(verify_checkpoint(forged, two)), "audit.note-forged");
  // One witness may be the quorum; without one, the log alone is enough.
  const LogPolicy one = parse_log_policy(log + witness(1) + "quorum w1\n").value();
  EXPECT_EQ(code_of(verify_checkpoint(note_by({1}), one)), "");
  EXPECT_EQ(code_of(verify_checkpoint(note_by({2}), one)), "audit.quorum-missed");
  const LogPolicy none = parse_log_policy(log + "quorum none\n").value();
  EXPECT_EQ(code_of(verify_checkpoint(note_by({}), none)), "");
  const LogPolicy no_log = parse_log_policy(witness(1) + "quorum none\n").value();
  EXPECT_EQ(code_of(verify_checkpoint(note_by({1}), no_log)), "audit.note-unsigned");
}

TEST(LogPolicy, AMistakeIsRefusedWithItsLine) {
  const std::string w1_key = key(1).text();
  const std::string renamed =
      make_verifier_key("x.example", key(1).public_key, cosignature_type).text();
  const auto plain_key = make_verifier_key("w1.example", key(1).public_key).text();
  struct Case {
    std::string text;
    std::string code;
    std::string line;
  };
  for (const auto& [text, code, line] : std::vector<Case>{
           {"", "quorum", "1"},
           {log, "quorum", "2"},
           {"quorum none\nquorum none\n", "quorum", "2"},
           {"quorum none", "line", "1"},
           {"quorum\n", "line", "1"},
           {"quorum none none\n", "line", "1"},
           {"Quorum none\n", "line", "1"},
           {"quorum none\r\n", "line", "1"},
           {"# \x01\nquorum none\n", "line", "1"},
           {"# \x7f\nquorum none\n", "line", "1"},
           {"quorum w1\n" + witness(1), "name-unknown", "1"},
           {"log\nquorum none\n", "line", "1"},
           {"log a b c\nquorum none\n", "line", "1"},
           {"log a+00000000+AAAA\nquorum none\n", "key", "1"},
           {"log " + w1_key + "\nquorum none\n", "key", "1"},
           {"witness w1 " + plain_key + "\nquorum none\n", "key", "1"},
           {log + log + "quorum none\n", "key-twice", "2"},
           {witness(1) + "witness w2 " + w1_key + "\nquorum none\n", "key-twice", "2"},
           {witness(1) + "witness w2 " + renamed + "\nquorum none\n", "key-twice", "2"},
           {witness(1) + "witness w1 " + key(2).text() + "\nquorum none\n", "name-taken", "2"},
           {"witness none " + w1_key + "\nquorum none\n", "name-taken", "1"},
           {witness(1) + "group none any w1\nquorum none\n", "name-taken", "2"},
           {witness(1) + "group w1 any w1\nquorum none\n", "name-taken", "2"},
           {witness(1) + "group g any g\nquorum none\n", "name-unknown", "2"},
           {witness(1) + "group g any w1 none\nquorum none\n", "name-unknown", "2"},
           {witness(1) + "group g any w2\n" + witness(2) + "quorum none\n", "name-unknown", "2"},
           {witness(1) + "group g any w1 w1\nquorum none\n", "member-twice", "2"},
           {witness(1) + "group g any w1\ngroup h any w1\nquorum none\n", "member-twice", "3"},
           {witness(1) + "group g any\nquorum none\n", "line", "2"},
           {witness(1) + "group g 0 w1\nquorum none\n", "threshold", "2"},
           {witness(1) + "group g 2 w1\nquorum none\n", "threshold", "2"},
           {witness(1) + "group g 01 w1\nquorum none\n", "threshold", "2"},
           {witness(1) + "group g -1 w1\nquorum none\n", "threshold", "2"},
           {witness(1) + "group g most w1\nquorum none\n", "threshold", "2"}}) {
    const auto policy = parse_log_policy(text);
    ASSERT_FALSE(policy) << text;
    EXPECT_EQ(policy.error().message.code, "audit.log-policy-" + code) << text;
    EXPECT_EQ(policy.error().message.params.at("line"), line) << text;
  }
}

TEST(LogPolicy, IsOfABoundedSize) {
  std::string text;
  for (std::size_t n = 0; n < most_policy_members; ++n) text += witness(static_cast<int>(n));
  EXPECT_TRUE(parse_log_policy(text + "quorum none\n"));
  EXPECT_FALSE(parse_log_policy(text + witness(999) + "quorum none\n"));
  text = witness(0) + "group g0 any w0\n";
  for (std::size_t n = 1; n < most_policy_members; ++n) {
    text += "group g" + std::to_string(n) + " any g" + std::to_string(n - 1) + "\n";
  }
  EXPECT_TRUE(parse_log_policy(text + "quorum g255\n"));
  EXPECT_FALSE(parse_log_policy(text + "group g256 any g255\nquorum none\n"));
  text.clear();
  for (std::size_t n = 0; n < most_policy_members; ++n) {
    text += "log " + key_of("l.example", seed(static_cast<int>(n))).text() + "\n";
  }
  EXPECT_TRUE(parse_log_policy(text + "quorum none\n"));
  EXPECT_FALSE(parse_log_policy(text + log + "quorum none\n"));
  EXPECT_FALSE(parse_log_policy("#" + std::string(most_policy_bytes, 'a') + "\nquorum none\n"));
}

}  // namespace
}  // namespace tally::audit
