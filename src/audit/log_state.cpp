#include "log_state.hpp"

#include <algorithm>
#include <map>
#include <utility>

#include <nlohmann/json.hpp>

#include "tally/audit/note.hpp"
#include "tally/audit/tiles.hpp"

#include "text_form.hpp"

namespace tally::audit {
namespace {

constexpr std::string_view own_part = "log";
constexpr std::size_t piece_bytes = 64 << 10;

// Items in, arrays of bounded size out.
class PieceWriter {
 public:
  void begin(std::string_view part) {
    end();
    part_ = part;
    begun_ = false;
  }
  void add(const Json& item) {
    const std::string text = to_jcs(item);
    if (!items_.empty() && items_.size() + text.size() > piece_bytes) flush();
    items_ += items_.empty() ? '[' : ',';
    items_ += text;
  }
  // A part without an item has an empty piece: that it is there is part of the snapshot.
  void end() {
    if (part_.empty()) return;
    if (items_.empty() && !begun_) items_ = "[";
    if (!items_.empty()) flush();
  }
  std::vector<SnapshotPiece> take() {
    end();
    return std::move(pieces_);
  }

 private:
  void flush() {
    pieces_.push_back({part_, std::move(items_) + "]"});
    items_.clear();
    begun_ = true;
  }

  std::vector<SnapshotPiece> pieces_;
  std::string part_;
  std::string items_;
  bool begun_ = false;
};

void save_log(const LogState& state, PieceWriter& out) {
  const Chain::State& chain = state.chain.state();
  Json rotations = Json::array();
  for (const auto& entry : chain.keys.entries()) {
    if (!entry.note.empty()) rotations.push_back({{"from", entry.from}, {"note", entry.note}});
  }
  Json edge = Json::array();
  for (const Digest& leaf : state.edge) edge.push_back(to_hex(leaf));
  const Genesis& genesis = *chain.genesis;
  Json item{
      {"origin", genesis.origin},
      {"actor", {{"domain", genesis.actor.domain}, {"uri", genesis.actor.uri}}},
      {"vkey", genesis.vkey},
      {"test", genesis.test},
      {"follows", genesis.follows ? to_json(*genesis.follows) : Json()},
      {"rotations", std::move(rotations)},
      {"size", chain.size},
      {"leaf", to_hex(chain.leaf)},
      {"time", chain.time},
      {"headsDue", chain.heads_due},
      {"tiles", to_base64(state.tiles.to_bytes())},
      {"edge", std::move(edge)},
      {"segments", state.segments},
      {"frame", state.frame},
      {"end", state.end}};
  if (chain.pruned) {
    item["pruned"] = {
        {"from", chain.pruned->from},
        {"to", chain.pruned->to},
        {"root", to_hex(chain.pruned->root)},
        {"snapshot", to_hex(chain.pruned->snapshot)}};
  }
  out.add(item);
  const std::map<std::string, AgreementHead> sorted(
      chain.agreements.begin(), chain.agreements.end()
  );
  for (const auto& [agreement, head] : sorted) {
    out.add(Json{
        {"agreement", agreement},
        {"aseq", head.aseq},
        {"leaf", to_hex(head.leaf)},
        {"size", head.size}});
  }
}

std::optional<Digest> digest_of(const Json& text) {
  return to_digest(from_hex(text.get_ref<const std::string&>()));
}

// Throws what the JSON library throws where a member is missing or of another type.
std::optional<LogState> read_log(const Json& item) {
  Chain::State chain;
  Genesis genesis;
  genesis.origin = item.at("origin").get<std::string>();
  genesis.actor = {
      item.at("actor").at("domain").get<std::string>(),
      item.at("actor").at("uri").get<std::string>()};
  genesis.vkey = item.at("vkey").get<std::string>();
  genesis.test = item.at("test").get<bool>();
  if (const Json& before = item.at("follows"); !before.is_null()) {
    genesis.follows = parse_follows(before, genesis.origin);
    if (!genesis.follows) return std::nullopt;
  }
  auto key = parse_verifier_key(genesis.vkey);
  if (!key) return std::nullopt;
  chain.keys = LogKeys(*std::move(key));
  if (!item.at("rotations").is_array() || !item.at("edge").is_array()) return std::nullopt;
  for (const Json& rotation : item.at("rotations")) {
    const auto& note = rotation.at("note").get_ref<const std::string&>();
    if (!chain.keys.rotate(rotation.at("from").get<std::uint64_t>(), note)) return std::nullopt;
  }
  chain.genesis = std::move(genesis);
  chain.size = item.at("size").get<std::uint64_t>();
  chain.time = item.at("time").get<std::string>();
  chain.heads_due = item.at("headsDue").get<bool>();
  const auto leaf = digest_of(item.at("leaf"));
  const auto bytes = from_base64(item.at("tiles").get_ref<const std::string&>());
  if (!leaf || !bytes || !is_record_time(chain.time)) return std::nullopt;
  chain.leaf = *leaf;
  auto tiles = Frontier::from_bytes(*bytes);
  if (!tiles) return std::nullopt;

  if (const auto pruned = item.find("pruned"); pruned != item.end()) {
    const auto root = digest_of(pruned->at("root"));
    const auto snapshot = digest_of(pruned->at("snapshot"));
    if (!root || !snapshot) return std::nullopt;
    chain.pruned = Pruned{
        pruned->at("from").get<std::uint64_t>(),
        pruned->at("to").get<std::uint64_t>(),
        *root,
        *snapshot};
  }

  LogState state;
  state.tiles = *std::move(tiles);
  for (const Json& text : item.at("edge")) {
    const auto hash = digest_of(text);
    if (!hash) return std::nullopt;
    state.edge.push_back(*hash);
  }
  state.segments = item.at("segments").get<std::vector<std::uint64_t>>();
  state.frame = item.at("frame").get<std::uint64_t>();
  state.end = item.at("end").get<std::uint64_t>();
  const bool whole_tiles = state.tiles.size() % tile_width == 0 && state.edge.size() < tile_width;
  if (!whole_tiles || state.tiles.size() + state.edge.size() != chain.size || chain.size == 0 ||
      (!state.edge.empty() && state.edge.back() != chain.leaf) || state.segments.empty() ||
      !std::is_sorted(state.segments.begin(), state.segments.end()) ||
      state.segments.back() >= chain.size || state.frame >= state.end) {
    return std::nullopt;
  }
  state.chain = Chain(std::move(chain));
  return state;
}

bool read_head(const Json& item, std::uint64_t size, Chain& chain) {
  const auto leaf = digest_of(item.at("leaf"));
  if (!leaf) return false;
  const AgreementHead head{
      item.at("aseq").get<std::uint64_t>(), *leaf, item.at("size").get<std::uint64_t>()};
  if (head.aseq == 0 || head.size == 0 || head.size > size) return false;
  return chain.agreements().emplace(item.at("agreement").get<std::string>(), head).second;
}

// Takes the next item of the log's own part.
Result<void> take_log_item(const Json& item, std::optional<LogState>& state) {
  try {
    if (state) {
      if (!read_head(item, state->chain.size(), state->chain)) return malformed_item(own_part);
      return {};
    }
    state = read_log(item);
    if (!state) return malformed_item(own_part);
    return {};
  } catch (const Json::exception&) {
    return malformed_item(own_part);
  }
}

Result<LogState> at_its_end(std::optional<LogState> state, const Snapshot& snapshot) {
  if (!state) return malformed_item(own_part);
  const LogMark at{state->chain.size(), to_hex(state->chain.leaf())};
  if (at != snapshot.at) return malformed_item(own_part);
  return *std::move(state);
}

}  // namespace

tl::unexpected<Error> malformed_item(std::string_view part) {
  return fail(ErrorKind::invalid, {"audit.snapshot-malformed", {{"part", std::string(part)}}});
}

void LogState::append(const Digest& leaf) {
  edge.push_back(leaf);
  if (edge.size() < tile_width) return;
  for (const Digest& hash : edge) tiles.append(hash);
  edge.clear();
}

std::vector<SnapshotPiece> save_pieces(const LogState& state, const std::vector<LogPart*>& parts) {
  PieceWriter out;
  out.begin(own_part);
  save_log(state, out);
  for (const LogPart* part : parts) {
    out.begin(part->part_name());
    part->save([&out](const Json& item) { out.add(item); });
  }
  return out.take();
}

Result<LogState> restore_pieces(const Snapshot& snapshot, const std::vector<LogPart*>& parts) {
  std::optional<LogState> state;
  auto expected = parts.begin();
  const std::string* before = nullptr;
  for (const SnapshotPiece& piece : snapshot.pieces) {
    const Json items = Json::parse(piece.items, nullptr, false);
    if (!items.is_array()) return malformed_item(piece.part);
    // The log, then the parts in their order, each in one run of pieces.
    const bool another = before == nullptr || *before != piece.part;
    if (another && before == nullptr && piece.part != own_part) return malformed_item(piece.part);
    if (another && before != nullptr) {
      if (expected == parts.end() || (*expected)->part_name() != piece.part) {
        return malformed_item(piece.part);
      }
      ++expected;
    }
    before = &piece.part;
    for (const Json& item : items) {
      if (expected != parts.begin()) {
        if (auto taken = (*std::prev(expected))->restore(item); !taken)
          return fail(std::move(taken));
        continue;
      }
      if (auto taken = take_log_item(item, state); !taken) return fail(std::move(taken));
    }
  }
  if (expected != parts.end()) return malformed_item(own_part);
  return at_its_end(std::move(state), snapshot);
}

Result<LogState> restore_log(const Snapshot& snapshot) {
  std::optional<LogState> state;
  for (const SnapshotPiece& piece : snapshot.pieces) {
    if (piece.part != own_part) break;
    const Json items = Json::parse(piece.items, nullptr, false);
    if (!items.is_array()) return malformed_item(own_part);
    for (const Json& item : items) {
      if (auto taken = take_log_item(item, state); !taken) return fail(std::move(taken));
    }
  }
  return at_its_end(std::move(state), snapshot);
}

}  // namespace tally::audit
