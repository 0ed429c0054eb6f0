#include "side_files.hpp"

#include <algorithm>
#include <cstring>

#include "log_format.hpp"

namespace tally::audit {
namespace {
constexpr std::size_t hash_bytes = sizeof(Digest);
constexpr std::size_t compared_bytes = 64 << 10;  // at once
}  // namespace

SideFileCheck::SideFileCheck(LogStorage& storage, Frontier tree) : tree_(std::move(tree)) {
  for (unsigned level = 0; level < tile_levels; ++level) {
    good_[level] = hashes_at(level, tree_.size());
  }
  const auto names = storage.list();
  if (!names) return;
  for (unsigned level = 0; level < tile_levels; ++level) {
    if (!std::binary_search(names->begin(), names->end(), level_file(level))) continue;
    auto file = storage.open(level_file(level), false);
    if (file) levels_[level].file = std::move(*file);
  }
}

void SideFileCheck::append(const Digest& leaf) {
  tree_.append(leaf, [this](const Subtree& subtree) {
    if (subtree.level % 8 != 0) return;
    const unsigned number = subtree.level / 8;
    Level& level = levels_[number];
    if (!level.file) return;
    level.expected.insert(level.expected.end(), subtree.hash.begin(), subtree.hash.end());
    if (level.expected.size() >= compared_bytes) compare(number);
  });
}

void SideFileCheck::finish() {
  for (unsigned level = 0; level < tile_levels; ++level) compare(level);
}

std::optional<WrongHash> SideFileCheck::wrong() const {
  for (unsigned level = 0; level < tile_levels; ++level) {
    if (levels_[level].wrong) return WrongHash{level, *levels_[level].wrong};
  }
  return std::nullopt;
}

void SideFileCheck::compare(unsigned number) {
  Level& level = levels_[number];
  if (!level.file || level.expected.empty()) return;
  std::uint64_t& good = good_[number];
  Bytes found(level.expected.size());
  const auto got = level.file->read_at(good * hash_bytes, found);
  const std::size_t there = got ? *got / hash_bytes : 0;
  std::size_t same = 0;
  while (same < there &&
         std::memcmp(
             found.data() + same * hash_bytes, level.expected.data() + same * hash_bytes, hash_bytes
         ) == 0) {
    ++same;
  }
  good += same;
  if (same < level.expected.size() / hash_bytes) {
    if (same < there) level.wrong = good;
    level.file.reset();
  }
  level.expected.clear();
}

}  // namespace tally::audit
