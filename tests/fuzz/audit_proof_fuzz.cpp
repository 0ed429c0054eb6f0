// Proofs, bundles and stored frontiers from strangers: nothing crashes, what is read prints as it
// was, and no proof holds for a root that nobody has.
#include <cstddef>
#include <cstdint>
#include <cstdlib>
#include <cstring>

#include "tally/audit/heads.hpp"
#include "tally/audit/log_proof.hpp"
#include "tally/audit/tiles.hpp"

namespace {

using namespace tally;

void require(bool condition) {
  if (!condition) std::abort();
}

// Two sizes, then hashes.
void try_proof(std::span<const std::uint8_t> bytes) {
  std::uint64_t sizes[2] = {};
  if (bytes.size() < sizeof sizes) return;
  std::memcpy(sizes, bytes.data(), sizeof sizes);
  bytes = bytes.subspan(sizeof sizes);
  const auto hashes = audit::parse_tile(
      bytes.first(bytes.size() / 32 * 32), static_cast<unsigned>(bytes.size() / 32)
  );
  require(hashes.has_value());
  const Digest root = sha256("nobody has it");
  require(!audit::verify_inclusion({}, sizes[0], sizes[1], *hashes, root));
  require(!audit::verify_consistency(sizes[0], sizes[1], sha256("nor this"), root, *hashes));
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  const std::span<const std::uint8_t> bytes(data, size);
  const std::string_view text(reinterpret_cast<const char*>(data), size);
  if (const auto proof = audit::parse_log_proof(text)) {
    require(proof->print() == text);
    require(!audit::verify_log_proof(*proof, {}, {}));
  } else {
    render(proof.error().message, Lang::en);
  }
  if (const auto proof = audit::parse_heads_proof(text)) {
    require(proof->print() == text);
    require(!audit::verify_heads_proof(sha256("nobody has it"), AgreementId("a"), *proof));
  }
  for (const unsigned width : {1U, 3U, 256U}) {
    const auto entries = audit::decode_bundle(text, width);
    if (!entries) continue;
    const auto again = audit::encode_bundle(*entries);
    require(again && std::equal(again->begin(), again->end(), bytes.begin(), bytes.end()));
  }
  if (auto frontier = audit::Frontier::from_bytes(bytes)) {
    const Bytes again = frontier->to_bytes();
    require(std::equal(again.begin(), again.end(), bytes.begin(), bytes.end()));
    if (frontier->size() < audit::most_tree_size) frontier->append({});
    (void)frontier->root();
  }
  try_proof(bytes);
  return 0;
}
