#include "tile_nodes.hpp"

#include <algorithm>

namespace tally::audit {
namespace {

void append(std::array<std::vector<Digest>, 8>& nodes, const Digest& hash) {
  nodes[0].push_back(hash);
  for (std::size_t height = 0; height + 1 < nodes.size(); ++height) {
    const std::vector<Digest>& here = nodes[height];
    if (here.size() % 2 != 0) return;
    nodes[height + 1].push_back(node_hash(here[here.size() - 2], here.back()));
  }
}

}  // namespace

Result<Digest> TileNodes::hash(
    unsigned level, std::uint64_t index, std::uint64_t size, const LevelHashes& levels
) {
  const unsigned height = level % 8;
  const unsigned shift = 8 - height;
  const Name name{level / 8, index >> shift};
  const auto place = static_cast<std::size_t>(index & ((std::uint64_t{1} << shift) - 1));

  const auto known = find(name);
  if (known && place < (*known)[height].size()) return (*known)[height][place];

  const auto tile = tile_at(name.first, name.second, size);
  auto nodes = known ? std::make_shared<Nodes>(*known) : std::make_shared<Nodes>();
  const std::size_t have = (*nodes)[0].size();
  const std::size_t wanted = tile ? tile->width : 0;
  if (have < wanted) {
    const auto bytes = levels(name.first, name.second * tile_width + have, wanted - have);
    if (!bytes) return tl::unexpected(bytes.error());
    const auto hashes = parse_tile(*bytes, static_cast<unsigned>(wanted - have));
    if (!hashes) return tl::unexpected(hashes.error());
    for (const Digest& one : *hashes) append(*nodes, one);
    keep(name, nodes);
  }
  if (place >= (*nodes)[height].size()) {
    return fail(
        ErrorKind::internal,
        {"audit.tile-bytes",
         {{"found", std::to_string((*nodes)[0].size() * sizeof(Digest))},
          {"wanted", std::to_string(((place + 1) << height) * sizeof(Digest))}}}
    );
  }
  return (*nodes)[height][place];
}

std::shared_ptr<const TileNodes::Nodes> TileNodes::find(const Name& name) {
  const std::scoped_lock lock(mutex_);
  const auto found = kept_.find(name);
  if (found == kept_.end()) return nullptr;
  found->second.asked = ++asked_;
  return found->second.nodes;
}

void TileNodes::keep(const Name& name, const std::shared_ptr<const Nodes>& nodes) {
  const std::scoped_lock lock(mutex_);
  Kept& kept = kept_[name];
  // Two may have asked at once.
  if (!kept.nodes || (*kept.nodes)[0].size() < (*nodes)[0].size()) kept.nodes = nodes;
  kept.asked = ++asked_;
  if (kept_.size() <= most_tiles) return;
  kept_.erase(std::min_element(kept_.begin(), kept_.end(), [](const auto& a, const auto& b) {
    return a.second.asked < b.second.asked;
  }));
}

}  // namespace tally::audit
