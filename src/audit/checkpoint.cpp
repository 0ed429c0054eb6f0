#include "tally/audit/checkpoint.hpp"

#include <algorithm>

#include "text_form.hpp"

namespace tally::audit {
namespace {

tl::unexpected<Error> malformed() {
  return fail(ErrorKind::invalid, {"audit.checkpoint-malformed", {}});
}

}  // namespace

std::string Checkpoint::text() const {
  std::string text = origin + "\n" + std::to_string(size) + "\n" + to_base64(root) + "\n";
  for (const std::string& line : extensions) text += line + "\n";
  return text;
}

Result<Checkpoint> parse_checkpoint(std::string_view text) {
  const auto origin = take_line(text);
  const auto size = take_line(text);
  const auto root = take_line(text);
  if (!origin || origin->empty() || !size || !root) return malformed();
  const auto number = parse_number(*size, most_tree_size);
  const auto digest = to_digest(from_base64(*root));
  if (!number || !digest) return malformed();
  Checkpoint checkpoint{std::string(*origin), *number, *digest, {}};
  while (const auto line = take_line(text)) {
    if (line->empty()) return malformed();
    checkpoint.extensions.emplace_back(*line);
  }
  if (!text.empty()) return malformed();  // a last line without its end
  return checkpoint;
}

Result<std::string> sign_checkpoint(
    const Checkpoint& checkpoint, const VerifierKey& key, const Signer& signer
) {
  if (key.name != checkpoint.origin) {
    return fail(
        ErrorKind::invalid,
        {"audit.checkpoint-origin", {{"name", key.name}, {"origin", checkpoint.origin}}}
    );
  }
  return sign_note(checkpoint.text(), key, signer);
}

Result<NoteSignature> cosign_checkpoint(
    std::string_view note, const VerifierKey& key, std::uint64_t time, const Signer& signer
) {
  const auto parsed = parse_note(note);
  if (!parsed) return tl::unexpected(parsed.error());
  if (const auto checkpoint = parse_checkpoint(parsed->text); !checkpoint) {
    return tl::unexpected(checkpoint.error());
  }
  return make_cosignature(parsed->text, key, time, signer);
}

Result<VerifiedCheckpoint> verify_checkpoint(
    std::string_view note, std::span<const VerifierKey> known
) {
  if (note.size() > most_checkpoint_bytes) {
    return fail(
        ErrorKind::invalid,
        {"audit.note-too-large",
         {{"bytes", std::to_string(most_checkpoint_bytes)},
          {"signatures", std::to_string(most_note_signatures)}}}
    );
  }
  auto verified = verify_note(note, known);
  if (!verified) return fail(std::move(verified));
  auto checkpoint = parse_checkpoint(verified->text);
  if (!checkpoint) return fail(std::move(checkpoint));
  auto& good = verified->good;
  std::erase_if(good, [&](const GoodSignature& signature) {
    return !signature.cosignature() && signature.key.name != checkpoint->origin;
  });
  if (std::all_of(good.begin(), good.end(), [](const auto& one) { return one.cosignature(); })) {
    return fail(ErrorKind::invalid, {"audit.note-unsigned", {}});
  }
  return VerifiedCheckpoint{
      *std::move(checkpoint),
      std::move(verified->text),
      std::move(good),
      std::move(verified->others)};
}

}  // namespace tally::audit
