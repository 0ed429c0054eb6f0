#include "tally/audit/signed_json.hpp"

#include <nlohmann/json.hpp>

namespace tally::audit {

Result<std::string> sign_json(
    std::string_view kind, std::string_view jcs, const VerifierKey& key, const Signer& signer
) {
  std::string text;
  text.reserve(kind.size() + jcs.size() + 2);
  text += kind;
  text += '\n';
  text += jcs;
  text += '\n';
  return sign_note(text, key, signer);
}

Result<Json> open_signed_json(
    std::string_view note, std::string_view kind, const VerifierKey& key, std::size_t most_bytes
) {
  const auto other = [kind] {
    return fail(ErrorKind::invalid, {"audit.note-other", {{"kind", std::string(kind)}}});
  };
  if (note.size() > most_bytes) return other();
  const auto verified = verify_note(note, std::span(&key, 1));
  if (!verified) return tl::unexpected(verified.error());
  std::string_view text = verified->text;
  if (!text.starts_with(kind) || text.size() < kind.size() + 2 || text[kind.size()] != '\n') {
    return other();
  }
  text.remove_prefix(kind.size() + 1);
  text.remove_suffix(1);  // a note's text ends in a line feed
  auto content = parse_json(text);
  if (!content) return content;
  if (!content->is_object() || to_jcs(*content) != text) return other();
  return content;
}

}  // namespace tally::audit
