// The vectors of docs/audit-log-format.md, sections 10 to 15: made by a second implementation
// (tests/data/audit/make_tree_vectors.py), which shares no code with the program.
#include <fstream>
#include <iterator>
#include <regex>

#include <gtest/gtest.h>
#include <nlohmann/json.hpp>

#include "tally/audit/heads.hpp"
#include "tally/audit/log_proof.hpp"
#include "tally/audit/witness_message.hpp"
#include "tally/core/json.hpp"

#include "audit/flat_levels.hpp"
#include "audit/known_keys.hpp"

namespace tally::audit {
namespace {

const Json& vectors() {
  static const Json json = [] {
    std::ifstream file(std::string(TALLY_SOURCE_DIR) + "/tests/data/audit/tree_vectors.json");
    return Json::parse(file);
  }();
  return json;
}

std::string text(const std::string& name) {
  return vectors().at(name).get<std::string>();
}

FlatLevels log_of(std::uint64_t size) {
  FlatLevels log;
  for (std::uint64_t i = 0; i < size; ++i) log.add("record " + std::to_string(i));
  return log;
}

std::vector<std::string> hexes(const Proof& proof) {
  std::vector<std::string> out;
  for (const Digest& hash : proof) out.push_back(to_hex(hash));
  return out;
}

TEST(TreeVectors, RootsProofsAndTilesComeOut) {
  EXPECT_EQ(to_hex(leaf_hash("record 0")), text("leaf_0"));
  const FlatLevels log = log_of(300);
  const LevelHashes levels = log.source();
  const SubtreeHash stored = stored_in_tiles(levels);
  for (const auto& [size, root] : vectors().at("roots").items()) {
    EXPECT_EQ(to_hex(tree_root(std::stoull(size), stored).value()), root.get<std::string>())
        << size;
    EXPECT_EQ(to_hex(log_of(std::stoull(size)).frontier.root()), root.get<std::string>()) << size;
  }
  for (const auto& [name, proof] : vectors().at("inclusion").items()) {
    const auto index = static_cast<std::uint64_t>(name[0] - '0');
    EXPECT_EQ(
        hexes(make_inclusion_proof(index, 7, stored).value()), proof.get<std::vector<std::string>>()
    ) << name;
  }
  for (const auto& [name, proof] : vectors().at("consistency").items()) {
    const auto first = static_cast<std::uint64_t>(name[0] - '0');
    EXPECT_EQ(
        hexes(make_consistency_proof(first, 7, stored).value()),
        proof.get<std::vector<std::string>>()
    ) << name;
  }
  std::size_t tiles = 0;
  for (const auto& [path, digest] : vectors().at("tiles_300").items()) {
    const Tile tile = parse_tile_path(path).value();
    Bytes content;
    if (tile.entries) {
      std::vector<std::string> entries;
      for (auto i = tile.begin(); i < tile.end(); ++i)
        entries.push_back("record " + std::to_string(i));
      content =
          encode_bundle(std::vector<std::string_view>(entries.begin(), entries.end())).value();
    } else {
      content = tile_content(tile, levels).value();
    }
    EXPECT_EQ(to_hex(sha256(content)), digest.get<std::string>()) << path;
    ++tiles;
  }
  EXPECT_EQ(tiles, 5U);
}

TEST(TreeVectors, NotesRequestsAndProofsComeOut) {
  const FlatLevels log = log_of(7);
  const LevelHashes levels = log.source();
  const SubtreeHash stored = stored_in_tiles(levels);
  const VerifierKey key = parse_verifier_key(text("log_vkey")).value();
  const VerifierKey witness = parse_verifier_key(text("witness_vkey")).value();
  const Checkpoint checkpoint{key.name, 7, log.frontier.root(), {}};
  const auto note = sign_checkpoint(checkpoint, key, signer_of(text("log_seed"))).value();
  EXPECT_EQ(note, text("note"));
  const std::uint64_t time = vectors().at("time");
  const auto cosignature = cosign_checkpoint(note, witness, time, signer_of(text("witness_seed")));
  EXPECT_EQ(cosignature->line(), text("witness_line"));

  AddCheckpoint request;
  request.old_size = 3;
  request.proof = make_consistency_proof(3, 7, stored).value();
  request.note = parse_note(note).value();
  EXPECT_EQ(request.print(), text("request"));
  const auto parsed = parse_add_checkpoint(text("request"));
  ASSERT_TRUE(parsed);
  const WatchedLog watched{{key}, 3, tree_root(3, stored).value()};
  EXPECT_EQ(decide(*parsed, &watched).status, WitnessStatus::cosigned);

  const LogProof proof{
      std::nullopt, 4, make_inclusion_proof(4, 7, stored).value(), note + cosignature->line()};
  EXPECT_EQ(proof.print(), text("proof"));
  const LogPolicy policy = parse_log_policy(text("policy")).value();
  EXPECT_TRUE(verify_log_proof(proof, leaf_hash("record 4"), policy));
  EXPECT_FALSE(verify_log_proof(proof, leaf_hash("record 5"), policy));
}

TEST(TreeVectors, TheMapOfHeadsComesOut) {
  std::vector<std::pair<AgreementId, AgreementHead>> heads;
  for (const Json& one : vectors().at("heads")) {
    const Bytes leaf = from_hex(one.at("leaf").get<std::string>()).value();
    AgreementHead head{one.at("aseq"), {}, one.at("size")};
    std::copy(leaf.begin(), leaf.end(), head.leaf.begin());
    heads.emplace_back(AgreementId(one.at("agreement").get<std::string>()), head);
  }
  const HeadsMap map = HeadsMap::make(heads).value();
  EXPECT_EQ(to_hex(map.root()), text("heads_root"));
  EXPECT_EQ(to_hex(HeadsMap::make({})->root()), text("heads_root_empty"));
  for (const auto& [name, proof] : vectors().at("heads_proofs").items()) {
    EXPECT_EQ(map.prove(AgreementId(name)).print(), proof.get<std::string>()) << name;
    const auto parsed = parse_heads_proof(proof.get<std::string>());
    ASSERT_TRUE(parsed) << name;
    const auto head = verify_heads_proof(map.root(), AgreementId(name), *parsed);
    ASSERT_TRUE(head) << name;
    EXPECT_EQ(head->has_value(), name == "urn:uuid:a");
  }
}

TEST(TreeVectors, ThePageHasTheSameOnes) {
  std::ifstream file(std::string(TALLY_SOURCE_DIR) + "/docs/audit-log-format.md");
  const std::string page{std::istreambuf_iterator<char>(file), {}};
  const std::string all = vectors().dump();
  const std::regex word("[0-9a-f]{64}|[A-Za-z0-9+/]{43}=");
  std::size_t count = 0;
  const auto from = page.find("## 10 The tree");
  const auto behind = page.find("## 16 The tree of a running log");
  ASSERT_TRUE(from != std::string::npos && behind != std::string::npos);
  const std::string sections = page.substr(from, behind - from);
  for (std::sregex_iterator it(sections.begin(), sections.end(), word), end; it != end; ++it) {
    ++count;
    EXPECT_NE(all.find(it->str()), std::string::npos) << it->str();
  }
  EXPECT_GT(count, 25U);
}

}  // namespace
}  // namespace tally::audit
