#include "tally/audit/follows.hpp"

#include <algorithm>
#include <array>
#include <limits>

#include <nlohmann/json.hpp>

#include "text_form.hpp"

namespace tally::audit {

namespace {

constexpr std::string_view between = "/log/";
constexpr std::array<std::string_view, 3> verdicts = {"whole", "incomplete", "changed"};

// Up to the number, with it left out.
std::string_view owner_part(std::string_view origin) {
  return origin.substr(0, origin.rfind(between) + between.size());
}

std::optional<std::uint64_t> number_in(const Json& object, const char* key) {
  const auto found = object.find(key);
  if (found == object.end() || !found->is_number_unsigned()) return std::nullopt;
  return found->get<std::uint64_t>();
}

std::optional<Digest> digest_in(const Json& object, const char* key) {
  const auto found = object.find(key);
  if (found == object.end() || !found->is_string()) return std::nullopt;
  return parse_digest_text(found->get_ref<const std::string&>());
}

std::optional<Follows::Proof> parse_proof(const Json& value) {
  if (!value.is_object() || value.size() != 3) return std::nullopt;
  const auto note = digest_in(value, "note");
  const auto size = number_in(value, "size");
  const auto root = digest_in(value, "root");
  if (!note || !size || !root) return std::nullopt;
  return Follows::Proof{*note, *size, *root};
}

}  // namespace

Json to_json(const Follows& follows) {
  Json proofs = Json::array();
  for (const auto& proof : follows.proofs) {
    proofs.push_back(
        {{"note", digest_text(proof.note)}, {"root", digest_text(proof.root)}, {"size", proof.size}}
    );
  }
  return {
      {"leaf", digest_text(follows.leaf)},
      {"origin", follows.origin},
      {"proofs", std::move(proofs)},
      {"root", digest_text(follows.root)},
      {"size", follows.size},
      {"verdict", follows.verdict}};
}

std::optional<Follows> parse_follows(const Json& value, std::string_view origin) {
  if (!value.is_object() || value.size() != 6) return std::nullopt;
  const auto size = number_in(value, "size");
  const auto leaf = digest_in(value, "leaf");
  const auto root = digest_in(value, "root");
  const auto before = value.find("origin");
  const auto verdict = value.find("verdict");
  const auto proofs = value.find("proofs");
  if (!size || *size == 0 || !leaf || !root || before == value.end() || !before->is_string() ||
      verdict == value.end() || !verdict->is_string() || proofs == value.end() ||
      !proofs->is_array() || proofs->size() > most_proofs_of_loss) {
    return std::nullopt;
  }
  Follows follows;
  follows.origin = before->get<std::string>();
  follows.size = *size;
  follows.leaf = *leaf;
  follows.root = *root;
  follows.verdict = verdict->get<std::string>();
  const bool known = std::find(verdicts.begin(), verdicts.end(), follows.verdict) != verdicts.end();
  if (!known || !comes_after(origin, follows.origin)) return std::nullopt;
  for (const Json& one : *proofs) {
    const auto proof = parse_proof(one);
    if (!proof) return std::nullopt;
    follows.proofs.push_back(*proof);
  }
  return follows;
}

std::optional<std::uint64_t> log_number(std::string_view origin) {
  const auto at = origin.rfind(between);
  if (at == std::string_view::npos || at == 0) return std::nullopt;
  const std::string_view digits = origin.substr(at + between.size());
  const auto number = parse_number(digits, std::numeric_limits<std::uint64_t>::max() - 1);
  return number == 0 ? std::nullopt : number;
}

bool comes_after(std::string_view origin, std::string_view before) {
  const auto number = log_number(origin);
  const auto earlier = log_number(before);
  return number && earlier && *number > *earlier && owner_part(origin) == owner_part(before);
}

std::string next_origin(std::string_view origin) {
  return std::string(owner_part(origin)) + std::to_string(*log_number(origin) + 1);
}

}  // namespace tally::audit
