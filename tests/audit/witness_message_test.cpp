#include "tally/audit/witness_message.hpp"

#include <gtest/gtest.h>

#include "audit/known_keys.hpp"
#include "audit/tree_reference.hpp"

namespace tally::audit {
namespace {

// From 3 to 8 records of the tree that Certificate Transparency's tests use.
const std::string known_request =
    "old 3\n"
    "ApjRIpBtz8EIkstTpzmS/FufST6kybrbJ7eRtBJ6f+c=\n"
    "B1Bqhf2d0vEg62lPhgEeW7RmLlxBWmKRcDPUqWJEh+c=\n"
    "+sVCA+fMaWzw38tCySodnbr3CtnmIfS9jZhmLwDjwSU=\n"
    "a0eq8p7jwq+a+Im8H7klTavTEXfxYjLdaqsDXKOb9uQ=\n"
    "\n" +
    checkpoint_text + "\n" + log_line;
const std::string known_root3 = "aeb6bcfe274b70a14fb067a5e5578264db0fa9b51af5e0ba159158f329e06e77";

Digest digest(std::string_view hex) {
  const Bytes bytes = from_hex(hex).value();
  Digest out{};
  std::copy_n(bytes.begin(), out.size(), out.begin());
  return out;
}

AddCheckpoint known() {
  return parse_add_checkpoint(known_request).value();
}
WatchedLog watched() {
  return {{log_key()}, 3, digest(known_root3)};
}
// A request with a checkpoint that the log did sign.
AddCheckpoint request_for(
    std::uint64_t old_size, std::uint64_t size, const Digest& root, const Proof& proof
) {
  const Checkpoint checkpoint{known_origin, size, root, {}};
  const auto note = sign_checkpoint(checkpoint, log_key(), signer_of(log_seed)).value();
  return {old_size, proof, parse_note(note).value(), checkpoint};
}
int status_of(const AddCheckpoint& request, const WatchedLog& log) {
  return static_cast<int>(decide(request, &log).status);
}

TEST(AddCheckpoint, IsReadAndWrittenAsOtherToolsDo) {
  const AddCheckpoint request = known();
  EXPECT_EQ(request.old_size, 3U);
  EXPECT_EQ(request.proof.size(), 4U);
  EXPECT_EQ(request.checkpoint.origin, known_origin);
  EXPECT_EQ(request.print(), known_request);
  EXPECT_EQ(
      to_hex(sha256(request.checkpoint.origin)),
      "70963772bc9815efd3d883622759621c382e297e7bd5a3e45f33a6cdafd00827"
  );
}

TEST(AddCheckpoint, ABodyOfAnyOtherFormIsRefused) {
  const std::string note = checkpoint_text + "\n" + log_line;
  const std::string hash = "ApjRIpBtz8EIkstTpzmS/FufST6kybrbJ7eRtBJ6f+c=\n";
  std::string most = "old 3\n";
  for (std::size_t i = 0; i < most_request_hashes; ++i) most += hash;
  EXPECT_TRUE(parse_add_checkpoint(most + "\n" + note));
  EXPECT_TRUE(parse_add_checkpoint("old 0\n\n" + note));
  const std::string large_note =
      checkpoint_text + std::string(most_checkpoint_bytes, 'a') + "\n\n" + log_line;
  for (const std::string& body :
       {std::string(),
        std::string("old 3"),
        std::string("old 3\n"),
        std::string("old 3\n\n"),
        "old 3\n" + note,
        "\n" + note,
        note,
        "old\n\n" + note,
        "old \n\n" + note,
        "old 03\n\n" + note,
        "old -3\n\n" + note,
        "old  3\n\n" + note,
        "old 3 \n\n" + note,
        "Old 3\n\n" + note,
        "old 3\r\n\n" + note,
        "old 9223372036854775808\n\n" + note,
        "old 3\nAAAA\n\n" + note,
        "old 3\n" + hash.substr(0, 43) + "\n\n" + note,
        "old 3\n" + hash + " \n" + note,
        most + hash + "\n" + note,
        "old 3\n\n" + checkpoint_text,
        "old 3\n\n" + known_origin + "\n08\n\n" + log_line,
        "old 3\n\n" + note + "x",
        "old 3\n\n" + large_note,
        "old 3\n" + std::string(most_request_bytes, '\n')}) {
    EXPECT_EQ(code_of(parse_add_checkpoint(body)), "audit.witness-request") << body.substr(0, 200);
  }
}

TEST(Witness, CosignsAConsistentCheckpoint) {
  const WatchedLog log = watched();
  const WitnessDecision decision = decide(known(), &log);
  EXPECT_EQ(decision.status, WitnessStatus::cosigned);
  EXPECT_TRUE(decision.signed_by_log);
  EXPECT_TRUE(decision.reason.code.empty());
}

TEST(Witness, AnswersEachStatusForItsReason) {
  const WatchedLog log = watched();
  const Digest root8 = known().checkpoint.root;
  const Digest other = leaf_hash("other");
  const auto good = known();

  // 404, before anything else is looked at.
  const WitnessDecision unknown = decide(good, nullptr);
  EXPECT_EQ(unknown.status, WitnessStatus::unknown_log);
  EXPECT_EQ(unknown.reason.code, "audit.witness-unknown-log");
  EXPECT_FALSE(unknown.signed_by_log);

  // 403: nobody known signed; a known one signed wrongly; a known one of another log.
  auto unsigned_one = good;
  unsigned_one.note.signatures[0].name = "connector.example/log2";
  EXPECT_EQ(status_of(unsigned_one, log), 403);
  auto forged = good;
  forged.note.signatures[0].signature[9] ^= 1;
  EXPECT_EQ(status_of(forged, log), 403);
  auto half_forged = good;
  half_forged.note.signatures.push_back(forged.note.signatures[0]);
  EXPECT_EQ(status_of(half_forged, log), 403);
  EXPECT_FALSE(decide(forged, &log).signed_by_log);
  const WatchedLog by_other{{key_of("other.example/log", log_seed)}, 3, log.root};
  EXPECT_EQ(status_of(good, by_other), 403);
  const WatchedLog by_nobody{{}, 3, log.root};
  EXPECT_EQ(status_of(good, by_nobody), 403);
  // A bad signature goes before a bad size.
  auto forged_shrink = forged;
  forged_shrink.old_size = 9;
  EXPECT_EQ(status_of(forged_shrink, log), 403);

  // 400: the old size is above the new one.
  const auto shrinks = request_for(9, 8, root8, {});
  EXPECT_EQ(status_of(shrinks, log), 400);
  EXPECT_EQ(status_of(shrinks, {log.keys, 9, other}), 400);
  EXPECT_TRUE(decide(shrinks, &log).signed_by_log);

  // 409: another size was cosigned last, also none.
  for (const std::uint64_t size : {0U, 2U, 4U, 8U, 9U}) {
    const WatchedLog moved{log.keys, size, other};
    const WitnessDecision decision = decide(good, &moved);
    EXPECT_EQ(decision.status, WitnessStatus::other_size) << size;
    EXPECT_EQ(decision.size, size);
    EXPECT_EQ(decision.reason.params.at("size"), std::to_string(size));
  }

  // 422: a proof that does not hold.
  auto wrong_proof = good;
  wrong_proof.proof[2][0] ^= 1;
  EXPECT_EQ(status_of(wrong_proof, log), 422);
  EXPECT_TRUE(decide(wrong_proof, &log).signed_by_log);
  wrong_proof.proof.clear();
  EXPECT_EQ(status_of(wrong_proof, log), 422);
  EXPECT_EQ(status_of(good, {log.keys, 3, other}), 422);
}

TEST(Witness, OfTheSameSizeThereIsOneRoot) {
  const Digest root8 = known().checkpoint.root;
  const WatchedLog log{{log_key()}, 8, root8};
  EXPECT_EQ(status_of(request_for(8, 8, root8, {}), log), 200);  // again, at a later time
  EXPECT_EQ(status_of(request_for(8, 8, leaf_hash("other"), {}), log), 422);
  EXPECT_EQ(status_of(request_for(8, 8, root8, {leaf_hash("x")}), log), 422);
}

TEST(Witness, BeginsAtAnySizeWithoutAProof) {
  const Digest root8 = known().checkpoint.root;
  const WatchedLog never{{log_key()}, 0, {}};
  EXPECT_EQ(status_of(request_for(0, 8, root8, {}), never), 200);
  EXPECT_EQ(status_of(request_for(0, 8, root8, {leaf_hash("x")}), never), 422);
  EXPECT_EQ(status_of(request_for(0, 0, empty_root(), {}), never), 200);
  EXPECT_EQ(status_of(request_for(0, 0, leaf_hash("x"), {}), never), 422);
  EXPECT_EQ(status_of(request_for(0, 0, Digest{}, {}), never), 422);
}

TEST(WitnessAnswer, IsReadAsItIsWritten) {
  const Note note = parse_note(checkpoint_text + "\n" + witness_line).value();
  const WitnessAnswer cosigned{WitnessStatus::cosigned, note.signatures, 0};
  EXPECT_EQ(cosigned.body(), witness_line);
  EXPECT_EQ(cosigned.content_type(), "text/plain; charset=utf-8");
  const auto back = parse_witness_answer(200, cosigned.body());
  ASSERT_TRUE(back);
  EXPECT_EQ(back->cosignatures, note.signatures);

  const WitnessAnswer other{WitnessStatus::other_size, {}, 20'852'014};
  EXPECT_EQ(other.body(), "20852014\n");
  EXPECT_EQ(other.content_type(), "text/x.tlog.size");
  EXPECT_EQ(parse_witness_answer(409, other.body())->size, 20'852'014U);
  for (const int status : {400, 403, 404, 422}) {
    const auto plain = parse_witness_answer(status, "whatever");
    ASSERT_TRUE(plain);
    EXPECT_EQ(static_cast<int>(plain->status), status);
    EXPECT_EQ(plain->body(), "");
  }
  // So a witness that keeps to the letter of the standard answers another root at the same size.
  for (const char* body : {"", "7", "07\n", "7\n7\n", "9223372036854775808\n", "conflict\n"}) {
    const auto conflict = parse_witness_answer(409, body);
    ASSERT_TRUE(conflict) << body;
    EXPECT_EQ(conflict->status, WitnessStatus::inconsistent) << body;
  }
  for (const auto& [status, body] : std::vector<std::pair<int, std::string>>{
           {200, ""},
           {200, "ok\n"},
           {200, witness_line + "\n"},
           {201, witness_line},
           {302, ""},
           {500, ""},
           {422, std::string(most_checkpoint_bytes + 1, 'a')}}) {
    const auto answer = parse_witness_answer(status, body);
    ASSERT_FALSE(answer) << status << " " << body;
    EXPECT_EQ(answer.error().message.code, "audit.witness-answer");
    EXPECT_EQ(answer.error().kind, ErrorKind::unavailable);
  }
}

TEST(WitnessAnswer, OnlyGoodCosignaturesOfKnownWitnessesAreTaken) {
  const Note note = parse_note(checkpoint_text + "\n" + log_line).value();
  const auto sign = [&](const VerifierKey& key, std::uint64_t time, const std::string& seed) {
    return make_cosignature(note.text, key, time, signer_of(seed)).value();
  };
  const VerifierKey stranger = key_of("stranger.example", third_seed, cosignature_type);
  const std::vector witnesses{witness_key(), log_key()};
  const std::vector answer{sign(stranger, 5, third_seed), sign(witness_key(), 5, witness_seed)};
  const auto first = add_cosignatures(note, answer, witnesses);
  ASSERT_TRUE(first);
  ASSERT_EQ(first->signatures.size(), 2U);
  EXPECT_TRUE(first->signatures[0].by(log_key()));
  EXPECT_EQ(first->signatures[1], answer[1]);
  // A newer one takes the place of the old one.
  const std::vector later{sign(witness_key(), 6, witness_seed)};
  const auto second = add_cosignatures(*first, later, witnesses);
  ASSERT_TRUE(second);
  ASSERT_EQ(second->signatures.size(), 2U);
  EXPECT_EQ(second->signatures[1], later[0]);

  auto forged = answer;
  forged[1].signature[40] ^= 1;
  EXPECT_EQ(code_of(add_cosignatures(note, forged, witnesses)), "audit.note-forged");
  const std::vector unknown{answer[0]};
  EXPECT_EQ(code_of(add_cosignatures(note, unknown, witnesses)), "audit.note-unsigned");
  // A plain signature is no cosignature, whoever made it.
  const std::vector plain{note.signatures[0]};
  EXPECT_EQ(code_of(add_cosignatures(note, plain, witnesses)), "audit.note-unsigned");
  Note full = note;
  full.signatures.resize(most_note_signatures, note.signatures[0]);
  EXPECT_EQ(code_of(add_cosignatures(full, later, witnesses)), "audit.note-too-large");
}

}  // namespace
}  // namespace tally::audit
