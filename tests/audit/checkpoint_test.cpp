#include "tally/audit/checkpoint.hpp"

#include <gtest/gtest.h>

#include "audit/known_keys.hpp"

namespace tally::audit {
namespace {

const std::string root_line = "XcnaeacGWamtVZy3Ad7ZoqudgjqtL0lgz+Nw7/RgQyg=";
const std::string known_note = checkpoint_text + "\n" + log_line;

TEST(Checkpoint, IsReadAndWrittenAsOtherToolsDo) {
  const auto checkpoint = parse_checkpoint(checkpoint_text);
  ASSERT_TRUE(checkpoint);
  EXPECT_EQ(checkpoint->origin, known_origin);
  EXPECT_EQ(checkpoint->size, 8U);
  EXPECT_EQ(
      to_hex(checkpoint->root), "5dc9da79a70659a9ad559cb701ded9a2ab9d823aad2f4960cfe370eff4604328"
  );
  EXPECT_EQ(checkpoint->text(), checkpoint_text);
  EXPECT_EQ(sign_checkpoint(*checkpoint, log_key(), signer_of(log_seed)).value(), known_note);
  const auto cosignature =
      cosign_checkpoint(known_note, witness_key(), witness_time, signer_of(witness_seed));
  ASSERT_TRUE(cosignature);
  EXPECT_EQ(cosignature->line(), witness_line);
}

TEST(Checkpoint, ItsExtensionLinesAreSignedAndCosignedWithIt) {
  const std::string text = checkpoint_text + "one\n— two\n";
  auto checkpoint = parse_checkpoint(text);
  ASSERT_TRUE(checkpoint);
  EXPECT_EQ(checkpoint->extensions, (std::vector<std::string>{"one", "— two"}));
  const auto note = sign_checkpoint(*checkpoint, log_key(), signer_of(log_seed)).value();
  const auto line = cosign_checkpoint(note, witness_key(), 9, signer_of(witness_seed))->line();
  const std::vector known{log_key(), witness_key()};
  const auto verified = verify_checkpoint(note + line, known);
  ASSERT_TRUE(verified);
  EXPECT_EQ(verified->checkpoint, *checkpoint);
  EXPECT_EQ(verified->text, text);
  std::string changed = note + line;
  changed[text.find("one")] = 'O';
  EXPECT_EQ(code_of(verify_checkpoint(changed, known)), "audit.note-forged");
  EXPECT_EQ(code_of(verify_checkpoint(changed, std::vector{log_key()})), "audit.note-forged");
}

TEST(Checkpoint, TextOfAnyOtherFormIsRefused) {
  const std::string log = known_origin + "\n";
  const std::string root = root_line + "\n";
  for (const std::string& text :
       {std::string(),
        log,
        log + "8\n",
        log + "8\n" + root_line,
        "\n8\n" + root,
        log + "\n" + root,
        log + "08\n" + root,
        log + "00\n" + root,
        log + "+8\n" + root,
        log + "-8\n" + root,
        log + " 8\n" + root,
        log + "8 \n" + root,
        log + "0x8\n" + root,
        log + "8.0\n" + root,
        log + "9223372036854775808\n" + root,
        log + "18446744073709551624\n" + root,
        log + "8\n" + root_line.substr(0, 43) + "\n",
        log + "8\n" + root_line.substr(0, 40) + "\n",
        log + "8\n\n",
        log + "8\n" + root_line + "=\n",
        log + "8\n " + root,
        log + "8\nXcnaeacGWamtVZy3Ad7ZoqudgjqtL0lgz+Nw7/RgQyh=\n",  // bits beyond the end
        log + "8\nXcnaeacGWamtVZy3Ad7ZoqudgjqtL0lgz-Nw7_RgQyg=\n",
        log + "8\n" + root + "\n",
        log + "8\n" + root + "x\n\ny\n",
        log + "8\n" + root + "x"}) {
    EXPECT_EQ(code_of(parse_checkpoint(text)), "audit.checkpoint-malformed") << text;
  }
  EXPECT_TRUE(parse_checkpoint(log + "0\n" + root));
  EXPECT_EQ(parse_checkpoint(log + "9223372036854775807\n" + root)->size, most_tree_size);
}

TEST(Checkpoint, IsTheWordOfItsOwnLogOnly) {
  const auto verified = verify_checkpoint(known_note + witness_line, std::vector{log_key()});
  ASSERT_TRUE(verified);
  EXPECT_EQ(verified->checkpoint.size, 8U);
  ASSERT_EQ(verified->good.size(), 1U);
  EXPECT_EQ(verified->others.size(), 1U);

  // Another log that is known as well signs in this one's name.
  const auto other = key_of("other.example/log", third_seed);
  const auto line = make_signature(checkpoint_text, other, signer_of(third_seed))->line();
  const std::vector known{log_key(), other, witness_key()};
  const std::string by_other = checkpoint_text + "\n" + line + witness_line;
  EXPECT_EQ(code_of(verify_checkpoint(by_other, known)), "audit.note-unsigned");
  const auto both = verify_checkpoint(by_other + log_line, known);
  ASSERT_TRUE(both);
  ASSERT_EQ(both->good.size(), 2U);
  for (const GoodSignature& signature : both->good) EXPECT_NE(signature.key, other);
  EXPECT_EQ(
      code_of(sign_checkpoint(*parse_checkpoint(checkpoint_text), other, signer_of(third_seed))),
      "audit.checkpoint-origin"
  );
}

TEST(Checkpoint, WitnessesAloneDoNotMakeOne) {
  const std::string note = checkpoint_text + "\n" + witness_line;
  EXPECT_EQ(
      code_of(verify_checkpoint(note, std::vector{witness_key(), log_key()})), "audit.note-unsigned"
  );
  EXPECT_EQ(code_of(verify_checkpoint(known_note, {})), "audit.note-unsigned");
}

TEST(Checkpoint, ASignedTextThatIsNoneIsRefused) {
  const std::string text = known_origin + "\n08\n" + root_line + "\n";
  const auto note = sign_note(text, log_key(), signer_of(log_seed)).value();
  EXPECT_EQ(code_of(verify_checkpoint(note, std::vector{log_key()})), "audit.checkpoint-malformed");
  EXPECT_EQ(
      code_of(cosign_checkpoint(note, witness_key(), 1, signer_of(witness_seed))),
      "audit.checkpoint-malformed"
  );
  EXPECT_EQ(
      code_of(cosign_checkpoint("x", witness_key(), 1, signer_of(witness_seed))),
      "audit.note-malformed"
  );
}

TEST(Checkpoint, EveryChangedBitIsNoticed) {
  const std::vector known{log_key(), witness_key()};
  const std::string note = known_note + witness_line;
  ASSERT_TRUE(verify_checkpoint(note, known));
  for (std::size_t i = 0; i < note.size(); ++i) {
    std::string changed = note;
    changed[i] = static_cast<char>(changed[i] ^ 1);
    const auto verified = verify_checkpoint(changed, known);
    // In the names of the signers: then that line is by somebody unknown.
    if (verified) EXPECT_EQ(verified->others.size(), 1U) << i;
    if (i < checkpoint_text.size()) EXPECT_FALSE(verified) << i;
  }
}

TEST(Checkpoint, ATooLargeOneIsRefused) {
  Checkpoint checkpoint = *parse_checkpoint(checkpoint_text);
  checkpoint.extensions.emplace_back(most_checkpoint_bytes, 'a');
  const auto note = sign_checkpoint(checkpoint, log_key(), signer_of(log_seed)).value();
  EXPECT_EQ(code_of(verify_checkpoint(note, std::vector{log_key()})), "audit.note-too-large");
}

}  // namespace
}  // namespace tally::audit
