// Checkpoints, requests to a witness, its answers, and the paths of tiles, from strangers: nothing
// crashes, and what is read prints as it was.
#include <cstddef>
#include <cstdint>
#include <cstdlib>

#include "tally/audit/tiles.hpp"
#include "tally/audit/witness_message.hpp"

namespace {

using namespace tally;

void require(bool condition) {
  if (!condition) std::abort();
}

void look_at(const audit::AddCheckpoint& request, std::string_view text) {
  require(request.print() == text);
  require(request.checkpoint.text() == request.note.text);
  const auto key = audit::make_verifier_key(request.checkpoint.origin, Bytes(32, 1));
  const audit::WatchedLog log{{key}, request.old_size, {}};
  const auto decision = audit::decide(request, &log);
  require(decision.status == audit::WitnessStatus::untrusted && !decision.signed_by_log);
  render(decision.reason, Lang::en);
}

void look_at(const audit::Tile& tile, std::string_view path) {
  require(audit::tile_path(tile) == path);
  require(tile.begin() < tile.end() && tile.size_needed() <= audit::most_tree_size);
  const auto in_tree = audit::tile_at(tile.level, tile.index, tile.size_needed());
  require(in_tree && in_tree->width == tile.width);
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  const std::string_view text(reinterpret_cast<const char*>(data), size);
  if (const auto checkpoint = audit::parse_checkpoint(text)) {
    require(checkpoint->text() == text);
  } else {
    render(checkpoint.error().message, Lang::zh);
  }
  if (const auto request = audit::parse_add_checkpoint(text)) look_at(*request, text);
  for (const int status : {200, 409}) {
    if (const auto answer = audit::parse_witness_answer(status, text))
      require(answer->body() == text);
  }
  if (const auto tile = audit::parse_tile_path(text)) look_at(*tile, text);
  return 0;
}
