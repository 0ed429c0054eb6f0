// The receipts and notes of deletion that the records name, against the records and the keys of
// whoever signed them.
#include <utility>

#include <nlohmann/json.hpp>

#include "tally/transfer/receipt.hpp"

#include "checking.hpp"
#include "names.hpp"

namespace tally::evidence {
namespace {

// What a receipt and a note of deletion have in common.
struct Said {
  std::string agreement;
  std::string content;
  std::uint64_t bytes = 0;
  std::vector<transfer::LogPlace> places;
};

Result<Said> read_note(
    const std::string& note, const std::string& uri, std::span<const std::uint8_t> key
) {
  if (note.starts_with("tally/deletion/")) {
    auto deletion = transfer::verify_deletion(note, uri, key);
    if (!deletion) return fail(std::move(deletion));
    return Said{deletion->agreement.value, deletion->content, deletion->bytes, {deletion->log}};
  }
  auto receipt = transfer::verify_receipt(note, uri, key);
  if (!receipt) return fail(std::move(receipt));
  Said said{receipt->agreement.value, receipt->content, receipt->bytes, {}};
  for (const auto& place : {receipt->from, receipt->to}) {
    if (place) said.places.push_back(*place);
  }
  return said;
}

// Places in this log that the note names must be what stands there.
void check_places(const Checking& check, const std::string& file, const Said& said) {
  for (const auto& place : said.places) {
    if (place.origin != check.bundle.origin || place.seq >= check.bundle.size) continue;
    const auto record = check.records.find(place.seq);
    if (record == check.records.end() || to_hex(record->second.view.leaf) != place.leaf) {
      broken(file, "receipt", "evidence.receipt-place");
    }
  }
}

}  // namespace

void check_receipts(Checking& check) {
  std::uint64_t held = 0;
  std::uint64_t issued = 0;
  for (const auto& [seq, record] : check.records) {
    const auto named = record.json.find("receipt");
    if (named == record.json.end()) continue;
    const auto digest =
        named->is_string() ? parse_digest_text(named->get<std::string>()) : std::nullopt;
    if (!digest) broken(record.file, "receipt", "evidence.receipt-unnamed");
    const std::string file = receipt_file(to_hex(*digest));
    const std::string* const note = check.take(file);
    if (note == nullptr) {
      check.missing({"evidence.file-missing", {{"file", file}}});
      continue;
    }
    if (sha256(*note) != *digest) broken(file, "receipt", "evidence.receipt-other");
    const bool ours = record.view.type == "receipt.issued";
    const auto* signature = check.signature_of(ours);
    if (signature == nullptr) {
      check.missing({"evidence.receipt-no-key", {{"file", file}}});
      continue;
    }
    const auto key = identity::certificate_ed25519_key(signature->chain.front());
    if (!key) broken(file, "receipt", "evidence.receipt-other");
    const auto said = read_note(*note, signature->signer.uri, *key);
    if (!said) {
      // A certificate that was renewed since the contract has another key, which nobody archived.
      if (said.error().message.code != "audit.note-unsigned") {
        broken(file, "receipt", said.error());
      }
      check.missing({"evidence.receipt-no-key", {{"file", file}}});
      continue;
    }
    if (said->agreement != check.bundle.agreement) {
      broken(file, "receipt", "evidence.receipt-other");
    }
    const auto content = record.json.find("content");
    if (content != record.json.end() && *content != Json(said->content)) {
      broken(file, "receipt", "evidence.receipt-other");
    }
    check_places(check, file, *said);
    if (record.view.type == "receipt.held") ++held;
    if (ours) ++issued;
  }
  check.shown(
      {"evidence.receipts", {{"held", std::to_string(held)}, {"issued", std::to_string(issued)}}}
  );
}

}  // namespace tally::evidence
