// What one side signed for the other beside receipts (statements of uses, notices of uses, word of
// duties), against the records that name it and the keys of whoever signed it.
#include <algorithm>
#include <utility>

#include <nlohmann/json.hpp>

#include "tally/audit/statement.hpp"
#include "tally/transfer/duty_note.hpp"
#include "tally/transfer/use_notice.hpp"

#include "checking.hpp"
#include "names.hpp"

namespace tally::evidence {
namespace {

// The key of whoever signed, and the name that it signs with.
struct SignedBy {
  std::string uri;
  identity::Ed25519PublicKey key;

  [[nodiscard]] audit::VerifierKey verifier() const { return audit::make_verifier_key(uri, key); }
};

bool has(const Json& record, const char* member, const Json& value) {
  const auto found = record.find(member);
  return found != record.end() && *found == value;
}

// Whether the note says what the record says of it. Errors: those of its form and signature.
Result<bool> fits_statement(
    const CheckedRecord& record, const std::string& note, const SignedBy& by
) {
  const auto statement = audit::verify_statement(note, by.verifier());
  if (!statement) return tl::unexpected(statement.error());
  return statement->agreement.value == record.view.agreement &&
         has(record.json, "number", statement->number) &&
         has(record.json, "sums", statement->sums.to_json());
}

Result<bool> fits_notice(const CheckedRecord& record, const std::string& note, const SignedBy& by) {
  const auto notice = transfer::verify_use_notice(note, by.verifier());
  if (!notice) return tl::unexpected(notice.error());
  if (notice->agreement.value != record.view.agreement) return false;
  if (!has(record.json, "rule", notice->duty.value)) return false;
  if (record.view.type == "inform.held") {
    return std::ranges::any_of(notice->uses, [&](const transfer::ToldUse& use) {
      return has(record.json, "use", use.use.value);
    });
  }
  const auto uses = record.json.find("uses");
  return uses != record.json.end() && uses->size() == notice->uses.size() &&
         std::ranges::all_of(notice->uses, [&](const transfer::ToldUse& use) {
           return std::ranges::find(*uses, Json(use.use.value)) != uses->end();
         });
}

Result<bool> fits_duty(const CheckedRecord& record, const std::string& note, const SignedBy& by) {
  const auto duty = transfer::verify_duty_note(note, by.uri, by.key);
  if (!duty) return tl::unexpected(duty.error());
  if (duty->agreement.value != record.view.agreement) return false;
  if (!has(record.json, "rule", duty->duty.value)) return false;
  const auto type = record.view.type;
  const bool same = (type == "duty.confirmed" && duty->what == usage::DutyChange::confirmed) ||
                    (type == "duty.withdrawn" && duty->what == usage::DutyChange::withdrawn) ||
                    (type == "duty.rejected" && duty->what == usage::DutyChange::rejected);
  return same &&
         (duty->confirmation.empty() || has(record.json, "confirmation", duty->confirmation));
}

Result<bool> fits(const CheckedRecord& record, const std::string& note, const SignedBy& by) {
  if (record.view.type.starts_with("statement.")) return fits_statement(record, note, by);
  if (record.view.type.starts_with("inform.")) return fits_notice(record, note, by);
  return fits_duty(record, note, by);
}

// Duties are confirmed by the provider alone.
bool owner_signed(const Checking& check, const CheckedRecord& record) {
  if (record.view.type.ends_with(".issued")) return true;
  if (record.view.type.ends_with(".held")) return false;
  return check.owner_side() == odrl::Side::provider;
}

// True: the note is here and fits.
bool check_note(Checking& check, const CheckedRecord& record, bool ours) {
  const auto named = record.json.find("content");
  if (named == record.json.end()) return false;  // nobody was told
  const auto digest =
      named->is_string() ? parse_digest_text(named->get<std::string>()) : std::nullopt;
  if (!digest) broken(record.file, "note", "evidence.note-unnamed");
  const std::string file = note_file(to_hex(*digest));
  // One notice is named by the record of each of its uses.
  const std::string* const note = check.take(file);
  const auto* const signature = check.signature_of(ours);
  if (note == nullptr) {
    // Who signs nothing has no notes of its own either.
    if (signature != nullptr || !ours) check.missing({"evidence.file-missing", {{"file", file}}});
    return false;
  }
  if (sha256(*note) != *digest) broken(record.file, "note", "evidence.receipt-other");
  const auto key = signature == nullptr
                       ? std::nullopt
                       : identity::certificate_ed25519_key(signature->chain.front());
  if (!key) {
    check.missing({"evidence.receipt-no-key", {{"file", file}}});
    return false;
  }
  const auto good = fits(record, *note, {signature->signer.uri, *key});
  if (!good) {
    // A certificate that was renewed since the contract has another key, which nobody archived.
    if (good.error().message.code != "audit.note-unsigned") broken(file, "note", good.error());
    check.missing({"evidence.receipt-no-key", {{"file", file}}});
    return false;
  }
  if (!*good) broken(file, "note", "evidence.receipt-other");
  return true;
}

}  // namespace

void check_notes(Checking& check) {
  std::uint64_t held = 0;
  std::uint64_t issued = 0;
  for (const auto& [seq, record] : check.records) {
    if (!names_a_note(record.view.type)) continue;
    const bool ours = owner_signed(check, record);
    if (!check_note(check, record, ours)) continue;
    ++(ours ? issued : held);
  }
  if (held + issued == 0) return;
  check.shown(
      {"evidence.notes", {{"held", std::to_string(held)}, {"issued", std::to_string(issued)}}}
  );
}

}  // namespace tally::evidence
