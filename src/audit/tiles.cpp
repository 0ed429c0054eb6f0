#include "tally/audit/tiles.hpp"

#include <algorithm>

#include "text_form.hpp"

namespace tally::audit {
namespace {

constexpr std::string_view root_folder = "tile/";
constexpr std::string_view entries_folder = "entries";
constexpr std::string_view partial_mark = ".p/";
constexpr std::size_t length_bytes = 2;
constexpr std::size_t most_path_bytes = 80;

std::string three_digits(std::uint64_t number) {
  const std::string digits = std::to_string(number);
  return std::string(3 - digits.size(), '0') + digits;
}

// "x001/x234/067": groups of three digits, all but the last with an x before it.
std::string index_path(std::uint64_t index) {
  if (index < 1000) return three_digits(index);
  std::string folders = index_path(index / 1000);
  // What was the last group is a folder now.
  folders.insert(folders.size() - 3, "x");
  return folders.append("/").append(three_digits(index % 1000));
}

// No tree is larger than 2^63 − 1: then neither `end` nor `size_needed` overflows.
bool in_some_tree(const Tile& tile) {
  const std::uint64_t most = most_tree_size >> (8 * tile.level);
  return tile.index <= most / tile_width && tile.end() <= most;
}

tl::unexpected<Error> wrong_bytes(ErrorKind kind, std::size_t found, std::size_t wanted) {
  return fail(
      kind,
      {"audit.tile-bytes", {{"found", std::to_string(found)}, {"wanted", std::to_string(wanted)}}}
  );
}

tl::unexpected<Error> no_bundle() {
  return fail(ErrorKind::invalid, {"audit.bundle-malformed", {}});
}

Digest digest_at(const Bytes& bytes, std::size_t place) {
  Digest digest{};
  std::copy_n(
      bytes.begin() + static_cast<std::ptrdiff_t>(place * digest.size()),
      digest.size(),
      digest.begin()
  );
  return digest;
}

}  // namespace

std::string tile_path(const Tile& tile) {
  std::string path(root_folder);
  path += tile.entries ? std::string(entries_folder) : std::to_string(tile.level);
  path += "/" + index_path(tile.index);
  if (tile.width != tile_width) path += std::string(partial_mark) + std::to_string(tile.width);
  return path;
}

Result<Tile> parse_tile_path(std::string_view path) {
  const auto bad = [path] {
    // A hostile path may be long; what is shown of it is not.
    const std::string shown(path.substr(0, most_path_bytes));
    return fail(ErrorKind::invalid, {"audit.tile-path", {{"path", shown}}});
  };
  std::string_view rest = path;
  if (path.size() > most_path_bytes || !rest.starts_with(root_folder)) return bad();
  rest.remove_prefix(root_folder.size());
  const std::size_t slash = rest.find('/');
  if (slash == std::string_view::npos) return bad();
  Tile tile;
  if (rest.substr(0, slash) == entries_folder) {
    tile.entries = true;
  } else {
    const auto level = parse_number(rest.substr(0, slash), tile_levels - 1);
    if (!level) return bad();
    tile.level = static_cast<unsigned>(*level);
  }
  rest.remove_prefix(slash + 1);
  if (const std::size_t mark = rest.find(partial_mark); mark != std::string_view::npos) {
    const auto width = parse_number(rest.substr(mark + partial_mark.size()), tile_width - 1);
    if (!width || *width == 0) return bad();
    tile.width = static_cast<unsigned>(*width);
    rest = rest.substr(0, mark);
  }
  // The digits without the marks between them; whether the marks stood right is seen below.
  std::string digits;
  for (const char c : rest) {
    if (c != 'x' && c != '/') digits += c;
  }
  while (digits.size() > 1 && digits.front() == '0') digits.erase(0, 1);
  const auto index = parse_number(digits);
  if (!index) return bad();
  tile.index = *index;
  if (!in_some_tree(tile) || tile_path(tile) != path) return bad();
  return tile;
}

std::uint64_t hashes_at(unsigned level, std::uint64_t size) {
  return level < tile_levels ? size >> (8 * level) : 0;
}

std::optional<Tile> tile_at(unsigned level, std::uint64_t index, std::uint64_t size) {
  const std::uint64_t count = hashes_at(level, size);
  if (index > count / tile_width) return std::nullopt;
  const std::uint64_t left = count - index * tile_width;
  if (left == 0) return std::nullopt;
  return Tile{
      false, level, index, static_cast<unsigned>(std::min<std::uint64_t>(left, tile_width))};
}

Result<Bytes> tile_content(const Tile& tile, const LevelHashes& levels) {
  auto bytes = levels(tile.level, tile.begin(), tile.width);
  if (bytes && bytes->size() != tile.width * sizeof(Digest)) {
    return wrong_bytes(ErrorKind::internal, bytes->size(), tile.width * sizeof(Digest));
  }
  return bytes;
}

Result<std::vector<Digest>> parse_tile(std::span<const std::uint8_t> bytes, unsigned width) {
  if (bytes.size() != width * sizeof(Digest)) {
    return wrong_bytes(ErrorKind::invalid, bytes.size(), width * sizeof(Digest));
  }
  std::vector<Digest> hashes(width);
  for (Digest& hash : hashes) {
    std::copy_n(bytes.begin(), hash.size(), hash.begin());
    bytes = bytes.subspan(hash.size());
  }
  return hashes;
}

SubtreeHash stored_in_tiles(const LevelHashes& levels) {
  return [&levels](unsigned level, std::uint64_t index) -> Result<Digest> {
    const std::size_t count = std::size_t{1} << (level % 8);
    auto bytes = levels(level / 8, index * count, count);
    if (!bytes) return fail(std::move(bytes));
    if (bytes->size() != count * sizeof(Digest)) {
      return wrong_bytes(ErrorKind::internal, bytes->size(), count * sizeof(Digest));
    }
    Frontier subtree;
    for (std::size_t i = 0; i < count; ++i) subtree.append(digest_at(*bytes, i));
    return subtree.root();
  };
}

Result<Bytes> encode_bundle(std::span<const std::string_view> entries) {
  if (entries.empty() || entries.size() > tile_width) return no_bundle();
  Bytes bytes;
  for (const std::string_view entry : entries) {
    if (entry.size() > most_entry_bytes) return no_bundle();
    bytes.push_back(static_cast<std::uint8_t>(entry.size() >> 8));
    bytes.push_back(static_cast<std::uint8_t>(entry.size()));
    bytes.insert(bytes.end(), entry.begin(), entry.end());
  }
  return bytes;
}

Result<std::vector<std::string_view>> decode_bundle(std::string_view bytes, unsigned width) {
  if (width == 0 || width > tile_width) return no_bundle();
  std::vector<std::string_view> entries;
  entries.reserve(width);
  for (unsigned i = 0; i < width; ++i) {
    if (bytes.size() < length_bytes) return no_bundle();
    const auto high = static_cast<std::uint8_t>(bytes[0]);
    const auto low = static_cast<std::uint8_t>(bytes[1]);
    const std::size_t length = std::size_t{high} << 8 | low;
    bytes.remove_prefix(length_bytes);
    if (bytes.size() < length) return no_bundle();
    entries.push_back(bytes.substr(0, length));
    bytes.remove_prefix(length);
  }
  if (!bytes.empty()) return no_bundle();
  return entries;
}

}  // namespace tally::audit
