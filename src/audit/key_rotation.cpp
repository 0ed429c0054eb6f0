#include "tally/audit/key_rotation.hpp"

#include <algorithm>
#include <array>
#include <utility>

#include <nlohmann/json.hpp>

#include "tally/core/json.hpp"

#include "text_form.hpp"

namespace tally::audit {
namespace {

// Its second line is no number, so that no checkpoint has this text.
constexpr std::string_view first_line = "tally/key-rotation/v1";
constexpr std::string_view role = "log";

tl::unexpected<Error> malformed() {
  return fail(ErrorKind::invalid, {"audit.rotation-malformed", {}});
}

std::string text_of(const KeyRotation& rotation) {
  std::string text(first_line);
  text += "\n" + std::string(role) + "\n" + rotation.origin + "\n";
  text += rotation.before.text() + "\n" + rotation.after.text() + "\n";
  return text + format_seconds(rotation.overlap_until) + "\n";
}

}  // namespace

Result<std::string> sign_rotation(
    const KeyRotation& rotation, const Signer& before, const Signer& after
) {
  Note note{text_of(rotation), {}};
  for (const auto& [key, signer] :
       {std::pair(&rotation.before, &before), std::pair(&rotation.after, &after)}) {
    auto signature = make_signature(note.text, *key, *signer);
    if (!signature) return fail(std::move(signature));
    note.signatures.push_back(*std::move(signature));
  }
  return note.print();
}

Result<KeyRotation> parse_rotation(std::string_view text) {
  auto note = parse_note(text);
  if (!note) return malformed();
  std::string_view rest = note->text;
  std::array<std::string_view, 6> lines;
  for (auto& line : lines) {
    const auto taken = take_line(rest);
    if (!taken) return malformed();
    line = *taken;
  }
  auto before = parse_verifier_key(lines[3]);
  auto after = parse_verifier_key(lines[4]);
  const auto until = parse_date_time(lines[5]);
  if (lines[0] != first_line || lines[1] != role || !before || !after || !until) return malformed();
  KeyRotation rotation{
      std::string(lines[2]), *std::move(before), *std::move(after), until->instant};
  for (const VerifierKey* key : {&rotation.before, &rotation.after}) {
    if (key->type != ed25519_type || key->name != rotation.origin) return malformed();
    // One signature each: that of the other one does not stand in for it.
    if (!verify_note(*note, std::span(key, 1))) return malformed();
  }
  if (rotation.before == rotation.after || text_of(rotation) != note->text) return malformed();
  return rotation;
}

Result<void> LogKeys::rotate(std::uint64_t seq, std::string_view note) {
  auto rotation = parse_rotation(note);
  if (!rotation) return fail(std::move(rotation));
  const auto had = [&](const Entry& entry) {
    return entry.key.public_key == rotation->after.public_key;
  };
  if (entries_.empty() || entries_.size() > most_rotations || rotation->before != current() ||
      std::any_of(entries_.begin(), entries_.end(), had)) {
    return fail(ErrorKind::invalid, {"audit.rotation-unfit", {{"origin", rotation->origin}}});
  }
  entries_.push_back({seq, std::move(rotation->after), std::string(note)});
  return {};
}

const VerifierKey& LogKeys::at(std::uint64_t size) const {
  const auto later = std::find_if(entries_.begin() + 1, entries_.end(), [size](const Entry& entry) {
    return entry.from >= size;
  });
  return std::prev(later)->key;
}

std::vector<std::string> LogKeys::notes() const {
  std::vector<std::string> notes;
  for (const Entry& entry : entries_) {
    if (!entry.note.empty()) notes.push_back(entry.note);
  }
  return notes;
}

LogKeys LogKeys::extended(std::span<const std::string> shown) const {
  LogKeys keys = *this;
  // The record that names each is not known here, but that our log does not have it.
  const std::uint64_t seq = entries_.back().from;
  for (const std::string& note : shown) (void)keys.rotate(seq, note);
  return keys;
}

Result<VerifiedCheckpoint> LogKeys::verify(std::string_view note) const {
  const auto parsed = parse_note(note);
  if (!parsed) return tl::unexpected(parsed.error());
  const auto checkpoint = parse_checkpoint(parsed->text);
  if (!checkpoint) return tl::unexpected(checkpoint.error());
  return verify_checkpoint(note, std::span(&at(checkpoint->size), 1));
}

std::string print_rotations(std::span<const std::string> notes) {
  Json list = Json::array();
  for (const std::string& note : notes) list.push_back(note);
  const Json body = {{"rotations", std::move(list)}};
  return body.dump();
}

Result<std::vector<std::string>> parse_rotations(std::string_view text) {
  const auto body = parse_json(text);
  if (!body || !body->is_object()) return malformed();
  const auto list = body->find("rotations");
  if (list == body->end() || !list->is_array() || list->size() > most_rotations) return malformed();
  std::vector<std::string> notes;
  for (const Json& note : *list) {
    if (!note.is_string()) return malformed();
    notes.push_back(note.get<std::string>());
  }
  return notes;
}

}  // namespace tally::audit
