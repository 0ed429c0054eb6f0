#include "tally/audit/log_proof.hpp"

#include "text_form.hpp"

namespace tally::audit {
namespace {

constexpr std::string_view first_line = "c2sp.org/tlog-proof@v1";
constexpr std::string_view extra_word = "extra ";
constexpr std::string_view index_word = "index ";

tl::unexpected<Error> malformed() {
  return fail(ErrorKind::invalid, {"audit.log-proof-malformed", {}});
}

}  // namespace

std::string LogProof::print() const {
  std::string text(first_line);
  text += "\n";
  if (extra) text += std::string(extra_word) + to_base64(*extra) + "\n";
  text += std::string(index_word) + std::to_string(index) + "\n";
  for (const Digest& hash : hashes) text += to_base64(hash) + "\n";
  return text + "\n" + checkpoint;
}

Result<LogProof> parse_log_proof(std::string_view text) {
  if (text.size() > most_log_proof_bytes || take_line(text) != first_line) return malformed();
  LogProof proof;
  auto line = take_line(text);
  if (line && line->starts_with(extra_word)) {
    proof.extra = from_base64(line->substr(extra_word.size()));
    if (!proof.extra || proof.extra->size() > most_extra_bytes) return malformed();
    line = take_line(text);
  }
  if (!line || !line->starts_with(index_word)) return malformed();
  const auto index = parse_number(line->substr(index_word.size()), most_tree_size - 1);
  if (!index) return malformed();
  proof.index = *index;
  for (;;) {
    line = take_line(text);
    if (!line) return malformed();
    if (line->empty()) break;
    const auto hash = to_digest(from_base64(*line));
    if (!hash || proof.hashes.size() == most_proof_hashes) return malformed();
    proof.hashes.push_back(*hash);
  }
  if (!parse_note(text)) return malformed();
  proof.checkpoint = text;
  return proof;
}

Result<VerifiedCheckpoint> verify_log_proof(
    const LogProof& proof, const Digest& leaf, const LogPolicy& policy
) {
  auto verified = verify_checkpoint(proof.checkpoint, policy);
  if (!verified) return verified;
  const Checkpoint& checkpoint = verified->checkpoint;
  if (!verify_inclusion(leaf, proof.index, checkpoint.size, proof.hashes, checkpoint.root)) {
    return fail(
        ErrorKind::invalid,
        {"audit.inclusion-unproved",
         {{"index", std::to_string(proof.index)},
          {"origin", checkpoint.origin},
          {"size", std::to_string(checkpoint.size)}}}
    );
  }
  return verified;
}

}  // namespace tally::audit
