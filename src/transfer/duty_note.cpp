#include "tally/transfer/duty_note.hpp"

#include <algorithm>
#include <array>
#include <utility>

#include <nlohmann/json.hpp>

#include "tally/audit/signed_json.hpp"
#include "tally/core/digest.hpp"
#include "tally/core/json.hpp"

namespace tally::transfer {
namespace {

constexpr std::string_view line = "tally/duty/v1";
constexpr std::size_t most_id_bytes = 2048;

struct Word {
  usage::DutyChange what;
  std::string_view word;
};
constexpr auto words = std::to_array<Word>({
    {usage::DutyChange::confirmed, "confirmed"},
    {usage::DutyChange::withdrawn, "withdrawn"},
    {usage::DutyChange::rejected, "rejected"},
});

tl::unexpected<Error> malformed(std::string_view member) {
  return fail(ErrorKind::invalid, {"transfer.note-malformed", {}}, child("", member));
}

std::optional<Instant> time_in(const Json& content, std::string_view member) {
  const auto text = string_member(content, std::string(member), "");
  const auto time = text ? parse_date_time(*text) : std::nullopt;
  return time && time->had_zone ? std::optional(time->instant) : std::nullopt;
}

}  // namespace

Result<std::string> sign_duty_note(
    const DutyNote& note, std::string_view name, const identity::ContractSigner& signer
) {
  Json content = {
      {"agreement", note.agreement.value},
      {"to", note.to},
      {"number", note.number},
      {"state", std::ranges::find(words, note.what, &Word::what)->word},
      {"duty", note.duty.value},
      {"time", format_micros(note.time)},
      {"at", format_micros(note.at)},
  };
  if (!note.confirmation.empty()) content["confirmation"] = note.confirmation;
  if (!note.request.empty()) content["request"] = note.request;
  if (!note.said.empty()) content["said"] = note.said;
  const auto key = audit::make_verifier_key(name, signer.public_key());
  const audit::Signer sign = [&](std::span<const std::uint8_t> bytes) -> Result<Bytes> {
    const auto signature = signer.sign(bytes);
    return Bytes(signature.begin(), signature.end());
  };
  return audit::sign_json(line, to_jcs(content), key, sign);
}

Result<DutyNote> verify_duty_note(
    std::string_view text, std::string_view name, std::span<const std::uint8_t> public_key
) {
  const auto content =
      audit::open_signed_json(text, line, audit::make_verifier_key(name, public_key));
  if (!content) return tl::unexpected(content.error());
  DutyNote note;
  const auto take = [&](const char* member, bool required, std::size_t most, std::string& into) {
    if (!required && !content->contains(member)) return true;
    auto read = string_member(*content, member, "");
    if (!read || read->size() > most || (required && read->empty())) return false;
    into = *std::move(read);
    return true;
  };
  std::string state;
  if (!take("agreement", true, most_id_bytes, note.agreement.value)) return malformed("agreement");
  if (!take("to", true, most_id_bytes, note.to)) return malformed("to");
  if (!take("duty", true, most_id_bytes, note.duty.value)) return malformed("duty");
  if (!take("state", true, most_id_bytes, state)) return malformed("state");
  if (!take("request", false, most_id_bytes, note.request)) return malformed("request");
  if (!take("said", false, most_duty_said_bytes, note.said)) return malformed("said");
  if (!take("confirmation", false, most_id_bytes, note.confirmation)) {
    return malformed("confirmation");
  }
  const auto word = std::ranges::find(words, state, &Word::word);
  if (word == words.end()) return malformed("state");
  note.what = word->what;
  const bool confirms = note.what != usage::DutyChange::rejected;
  if (confirms != parse_digest_text(note.confirmation).has_value()) {
    return malformed("confirmation");
  }
  const auto number = content->find("number");
  if (number == content->end() || !number->is_number_unsigned()) return malformed("number");
  note.number = number->get<std::uint64_t>();
  const auto time = time_in(*content, "time");
  const auto at = time_in(*content, "at");
  if (!time) return malformed("time");
  if (!at) return malformed("at");
  note.time = *time;
  note.at = *at;
  return note;
}

}  // namespace tally::transfer
