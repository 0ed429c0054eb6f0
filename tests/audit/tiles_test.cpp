#include "tally/audit/tiles.hpp"

#include <gtest/gtest.h>

#include "audit/flat_levels.hpp"

namespace tally::audit {
namespace {

const FlatLevels& seventy_thousand() {
  static const FlatLevels log = [] {
    FlatLevels out;
    for (int i = 0; i < 70'000; ++i) out.add(std::to_string(i));
    return out;
  }();
  return log;
}

TEST(Tiles, ATreeOf70000IsCutAsOthersCutIt) {
  const FlatLevels& log = seventy_thousand();
  const LevelHashes levels = log.source();
  const std::vector<std::pair<std::string, std::string>> files = {
      {"tile/0/000", "b9704a8bfbee2c61185ceb38904a49f3f703c81e194b5b2ccdc254c2bdaaa62b"},
      {"tile/0/273.p/112", "4d21244557c976993a9a89bf928a46b5a876585228df279878239fd84489e5a5"},
      {"tile/1/000", "ea7b038bc73489c89c31a27ac355aaca65a4ed73f0dd7484e68deb29d30f10a2"},
      {"tile/1/001.p/17", "adfaca2731630fe7944a4b98a0f98ef3e98685eafda09e6f81070218fb759ce4"}};
  for (const auto& [path, digest] : files) {
    const auto tile = parse_tile_path(path);
    ASSERT_TRUE(tile) << path;
    EXPECT_EQ(tile_at(tile->level, tile->index, 70'000), *tile);
    EXPECT_EQ(to_hex(sha256(tile_content(*tile, levels).value())), digest) << path;
  }
  const Tile top = parse_tile_path("tile/2/000.p/1").value();
  EXPECT_EQ(
      to_hex(tile_content(top, levels).value()),
      "f025d06ed804859fd274a1bdacadd6e48ea87634aa91e1edb20143f9498cd02b"
  );
  EXPECT_EQ(
      to_hex(log.frontier.root()),
      "1a4cdfcb66374a0c0dcbef49acbd4976d13ee864fb3cb241fc943cad04f02f7e"
  );
  EXPECT_EQ(hashes_at(0, 70'000) / 256, 273U);
  for (unsigned level = 0; level < tile_levels; ++level) {
    EXPECT_EQ(log.levels[level].size(), 32 * hashes_at(level, 70'000)) << level;
    EXPECT_EQ(tile_at(level, hashes_at(level, 70'000) / 256 + 1, 70'000), std::nullopt);
  }
}

TEST(Tiles, ProofsAndRootsComeFromEveryEighthLevel) {
  const FlatLevels log = seventy_thousand();  // NOLINT(performance-unnecessary-copy-initialization)
  log.most_read = 0;
  const LevelHashes levels = log.source();
  const SubtreeHash stored = stored_in_tiles(levels);
  const std::map<std::uint64_t, std::string> roots = {
      {256, "828515d033c19d8c901f37eccb8aed919667703486f8d2fff1cf7040321c5db1"},
      {257, "1eda049a4351d86f76252bd7ec0b7746ad75b7fa0316ad5f541dbda458a312c4"},
      {70'000, "1a4cdfcb66374a0c0dcbef49acbd4976d13ee864fb3cb241fc943cad04f02f7e"}};
  for (const auto& [size, root] : roots) {
    EXPECT_EQ(to_hex(tree_root(size, stored).value()), root) << size;
  }
  for (const std::uint64_t index : {0U, 255U, 256U, 65'535U, 65'536U, 69'888U, 69'999U}) {
    const Proof proof = make_inclusion_proof(index, 70'000, stored).value();
    const Digest leaf = leaf_hash(std::to_string(index));
    EXPECT_TRUE(verify_inclusion(leaf, index, 70'000, proof, log.frontier.root())) << index;
    const Proof growth = make_consistency_proof(index + 1, 70'000, stored).value();
    const Digest before = tree_root(index + 1, stored).value();
    EXPECT_TRUE(verify_consistency(index + 1, 70'000, before, log.frontier.root(), growth))
        << index;
  }
  EXPECT_LE(log.most_read, 128U);
}

TEST(Tiles, AFullTileIsOneHashOfTheNextLevel) {
  EXPECT_EQ(tile_at(0, 0, 0), std::nullopt);
  EXPECT_EQ(tile_at(0, 0, 255), (Tile{false, 0, 0, 255}));
  EXPECT_EQ(tile_at(1, 0, 255), std::nullopt);
  EXPECT_EQ(tile_at(0, 0, 256), (Tile{false, 0, 0, 256}));
  EXPECT_EQ(tile_at(0, 1, 256), std::nullopt);
  EXPECT_EQ(tile_at(1, 0, 256), (Tile{false, 1, 0, 1}));
  EXPECT_EQ(tile_at(7, 0, most_tree_size), (Tile{false, 7, 0, 127}));
  EXPECT_EQ(tile_at(8, 0, most_tree_size), std::nullopt);
  EXPECT_EQ((Tile{false, 1, 1, 17}).size_needed(), (256U + 17) * 256);
}

TEST(Tiles, APathIsReadAsItIsWritten) {
  const std::vector<std::pair<std::string, Tile>> paths = {
      {"tile/0/000", {false, 0, 0, 256}},
      {"tile/0/999", {false, 0, 999, 256}},
      {"tile/0/x001/000", {false, 0, 1000, 256}},
      {"tile/3/x001/x234/067", {false, 3, 1'234'067, 256}},
      {"tile/entries/x001/x234/067.p/255", {true, 0, 1'234'067, 255}},
      {"tile/7/000.p/127", {false, 7, 0, 127}},
      {"tile/0/x036/x028/x797/x018/x963/966", {false, 0, 36'028'797'018'963'966U, 256}}};
  for (const auto& [path, tile] : paths) {
    EXPECT_EQ(tile_path(tile), path);
    const auto parsed = parse_tile_path(path);
    ASSERT_TRUE(parsed) << path;
    EXPECT_EQ(*parsed, tile);
  }
  for (std::uint64_t index = 0; index < 3'000'000; index += 997) {
    const Tile tile{index % 2 == 0, 0, index, static_cast<unsigned>(index % 256) + 1};
    EXPECT_EQ(parse_tile_path(tile_path(tile)).value(), tile);
  }
}

TEST(Tiles, APathOfAnyOtherFormIsRefused) {
  for (const std::string path :
       {"",
        "tile",
        "tile/",
        "tile/0",
        "tile/0/",
        "/tile/0/000",
        "tile/00/000",
        "tile/-1/000",
        "tile/8/000",
        "tile/63/000",
        "tile/64/000",
        "tile/+1/000",
        "tile/Entries/000",
        "tile/0/0",
        "tile/0/00",
        "tile/0/0000",
        "tile/0/x000/067",
        "tile/0/x001",
        "tile/0/001/067",
        "tile/0/x001/x067",
        "tile/0/x001x234/067",
        "tile/0/x001//067",
        "tile/0/x1/067",
        "tile/0/067/",
        "tile/0/../000",
        "tile/0/000/../000",
        "tile/0/000.p",
        "tile/0/000.p/",
        "tile/0/000.p/0",
        "tile/0/000.p/01",
        "tile/0/000.p/256",
        "tile/0/000.p/1.p/1",
        "tile/0/000.p/1/",
        "tile/0/000.p/ 1",
        "tile/0/ 00",
        "tile/0/0\x30\x00",
        "tile/0/%30%30%30",
        "tile/7/000.p/128",
        "tile/7/000",
        "tile/0/x036/x028/x797/x018/x963/968",
        "tile/0/x072/x057/x594/x037/x927/936",
        "tile/0/x018/x446/x744/x073/x709/x551/616",
        "tile/0/xxx/067",
        "tile/0//",
        "tile/0/x",
        "tile/entries/"}) {
    const auto parsed = parse_tile_path(path);
    ASSERT_FALSE(parsed) << path;
    EXPECT_EQ(parsed.error().message.code, "audit.tile-path");
  }
  using std::string_literals::operator""s;
  EXPECT_FALSE(parse_tile_path("tile/0/000\0"s));
  const auto longest = parse_tile_path("tile/0/" + std::string(1 << 20, 'x'));
  ASSERT_FALSE(longest);
  EXPECT_EQ(longest.error().message.params.at("path").size(), 80U);
}

TEST(Tiles, ATileOfAnotherLengthIsRefused) {
  const Tile tile{false, 0, 0, 3};
  for (const std::size_t length : {0U, 95U, 97U, 128U}) {
    const LevelHashes wrong = [length](unsigned, std::uint64_t, std::size_t) -> Result<Bytes> {
      return Bytes(length);
    };
    EXPECT_EQ(tile_content(tile, wrong).error().message.code, "audit.tile-bytes");
    EXPECT_EQ(stored_in_tiles(wrong)(0, 0).error().message.code, "audit.tile-bytes");
    EXPECT_EQ(parse_tile(Bytes(length), 3).error().kind, ErrorKind::invalid);
  }
  Bytes bytes(96);
  bytes[64] = 7;
  EXPECT_EQ(parse_tile(bytes, 3).value().at(2)[0], 7);
}

TEST(Bundle, TheFirst256EntriesAreAsOthersWriteThem) {
  std::vector<std::string> texts;
  for (int i = 0; i < 256; ++i) texts.push_back(std::to_string(i));
  const std::vector<std::string_view> entries(texts.begin(), texts.end());
  const Bytes bytes = encode_bundle(entries).value();
  EXPECT_EQ(bytes.size(), 1170U);
  EXPECT_EQ(
      to_hex(sha256(bytes)), "94693d5c6d6a0355ec07bac8214516c1ce6a5100b0588f226fd95f26571157d7"
  );
  const std::string_view text(reinterpret_cast<const char*>(bytes.data()), bytes.size());
  EXPECT_EQ(decode_bundle(text, 256).value(), entries);
  for (std::size_t length = 0; length < text.size(); ++length) {
    const Bytes cut(bytes.begin(), bytes.begin() + static_cast<std::ptrdiff_t>(length));
    EXPECT_FALSE(decode_bundle({reinterpret_cast<const char*>(cut.data()), length}, 256)) << length;
  }
  EXPECT_FALSE(decode_bundle(text, 255));
  EXPECT_FALSE(decode_bundle(std::string(text) + '\0', 256));
  EXPECT_FALSE(decode_bundle(text, 0));
  EXPECT_FALSE(decode_bundle({}, 0));
  // 257 entries, each of which would be whole.
  EXPECT_FALSE(decode_bundle(std::string(514, '\0'), 257));
  EXPECT_TRUE(decode_bundle(std::string(512, '\0'), 256));
}

TEST(Bundle, HoldsOneTo256EntriesOfAtMost65535Bytes) {
  const std::string largest(most_entry_bytes, 'a');
  const std::vector<std::string_view> one{largest};
  const Bytes bytes = encode_bundle(one).value();
  EXPECT_EQ(bytes.size(), 2 + most_entry_bytes);
  const std::string_view text(reinterpret_cast<const char*>(bytes.data()), bytes.size());
  EXPECT_EQ(decode_bundle(text, 1).value(), one);
  const std::string larger = largest + "a";
  EXPECT_EQ(
      encode_bundle(std::vector<std::string_view>{larger}).error().message.code,
      "audit.bundle-malformed"
  );
  EXPECT_FALSE(encode_bundle({}));
  EXPECT_FALSE(encode_bundle(std::vector<std::string_view>(257, "a")));
  EXPECT_TRUE(encode_bundle(std::vector<std::string_view>(256, "a")));
}

}  // namespace
}  // namespace tally::audit
