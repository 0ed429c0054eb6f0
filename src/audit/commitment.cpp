#include "tally/audit/commitment.hpp"

#include <nlohmann/json.hpp>

#include "tally/core/json.hpp"

#include "record_scan.hpp"

namespace tally::audit {

namespace {

constexpr std::string_view prefix = "audit-commit/v1";
constexpr std::size_t opening_most_bytes = 64 << 10;

}  // namespace

Digest commitment_to(std::span<const std::uint8_t> salt, std::string_view fact) {
  static constexpr std::uint8_t zero = 0;
  Sha256 hash;
  hash.update(prefix);
  hash.update({&zero, 1});
  hash.update(salt);
  hash.update(fact);
  return hash.finish();
}

std::string print(const Opening& opening) {
  return to_jcs(Json{
      {"fact", to_base64(as_bytes(opening.fact))},
      {"opening", 1},
      {"salt", to_base64(opening.salt)}});
}

Result<Opening> parse_opening(std::string_view text) {
  const auto malformed = [] { return fail(ErrorKind::invalid, {"audit.opening-malformed", {}}); };
  const auto parsed = parse_json(text, {opening_most_bytes, 4});
  if (!parsed || !parsed->is_object() || parsed->value("opening", Json()) != 1) return malformed();
  const auto bytes_of = [&](const char* member) -> std::optional<Bytes> {
    const auto found = parsed->find(member);
    if (found == parsed->end() || !found->is_string()) return std::nullopt;
    return from_base64(found->get_ref<const std::string&>());
  };
  auto salt = bytes_of("salt");
  const auto fact = bytes_of("fact");
  if (!salt || !fact) return malformed();
  return Opening{std::move(*salt), std::string(fact->begin(), fact->end())};
}

Result<void> check_opening(std::string_view record, const Opening& opening) {
  const auto text = find_member(record, "private");
  if (text.empty()) return fail(ErrorKind::not_found, {"audit.opening-none", {}});
  if (text != "\"" + digest_text(commitment_to(opening.salt, opening.fact)) + "\"") {
    return fail(ErrorKind::conflict, {"audit.opening-other", {}});
  }
  return {};
}

}  // namespace tally::audit
