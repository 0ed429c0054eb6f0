#include "tally/audit/use_receipt.hpp"

#include <algorithm>

#include <nlohmann/json.hpp>

#include "tally/audit/record.hpp"
#include "tally/audit/signed_json.hpp"

#include "record_scan.hpp"
#include "stamp.hpp"
#include "text_form.hpp"

namespace tally::audit {
namespace {

constexpr std::string_view kind = "tally/use-receipt/v1";
constexpr std::string_view first_line = "tally/proven-use/v1";
constexpr std::string_view type = "use.permitted";

tl::unexpected<Error> malformed() {
  return fail(ErrorKind::invalid, {"audit.use-receipt-malformed", {}});
}

std::optional<std::uint64_t> number_of(const Json& object, const char* key) {
  const auto found = object.find(key);
  if (found == object.end() || !found->is_number_unsigned()) return std::nullopt;
  return found->get<std::uint64_t>();
}

// A text of the header, or nullopt.
std::optional<std::string> from_header(std::string_view line) {
  const auto bytes = from_base64(line);
  if (!bytes || bytes->size() > most_signed_json_bytes) return std::nullopt;
  std::string note(bytes->begin(), bytes->end());
  if (!note.starts_with(kind)) return std::nullopt;
  return note;
}

}  // namespace

Result<std::string> sign_use_receipt(
    const UseReceipt& receipt, const VerifierKey& key, const Signer& signer
) {
  // Written in place: one for each call, and a tree of it would be felt.
  std::string text;
  text.reserve(512);
  text += "{\"action\":";
  text += quote(receipt.action);
  text += ",\"agreement\":";
  text += quote(receipt.agreement.value);
  text += ",\"leaf\":\"";
  append_hex(text, receipt.leaf);
  text += "\",\"origin\":";
  text += quote(receipt.origin);
  text += ",\"seq\":";
  text += std::to_string(receipt.seq);
  text += ",\"time\":";
  text += quote(receipt.time);
  text += ",\"use\":";
  text += quote(receipt.use.value);
  text += '}';
  return sign_json(kind, text, key, signer);
}

Result<UseReceipt> verify_use_receipt(std::string_view note, const VerifierKey& key) {
  const auto content = open_signed_json(note, kind, key);
  if (!content) return tl::unexpected(content.error());
  auto action = string_member(*content, "action", "");
  auto agreement = string_member(*content, "agreement", "");
  const auto hex = string_member(*content, "leaf", "");
  auto origin = string_member(*content, "origin", "");
  const auto seq = number_of(*content, "seq");
  auto time = string_member(*content, "time", "");
  auto use = string_member(*content, "use", "");
  if (!action || !agreement || !hex || !origin || !seq || !time || !use) return malformed();
  const auto leaf = to_digest(from_hex(*hex));
  if (!leaf || to_hex(*leaf) != *hex) return malformed();
  return UseReceipt{
      std::move(*action),
      AgreementId(std::move(*agreement)),
      *leaf,
      std::move(*origin),
      *seq,
      std::move(*time),
      UseId(std::move(*use))};
}

Result<UseReceipt> receipt_of(std::string_view record) {
  const auto json = parse_json(record);
  if (!json || !json->is_object() || json->value("type", Json()) != Json(type)) return malformed();
  auto action = string_member(*json, "action", "");
  auto agreement = string_member(*json, "agreement", "");
  auto origin = string_member(*json, "log", "");
  const auto seq = number_of(*json, "seq");
  auto use = string_member(*json, "event", "");
  const auto decision = json->find("decision");
  if (decision == json->end() || !decision->is_object()) return malformed();
  auto time = string_member(*decision, "at", "");
  if (!action || !agreement || !origin || !seq || !time || !use) return malformed();
  return UseReceipt{
      std::move(*action),
      AgreementId(std::move(*agreement)),
      leaf_hash(record),
      std::move(*origin),
      *seq,
      std::move(*time),
      UseId(std::move(*use))};
}

std::string to_header(std::string_view receipt) {
  return to_base64(as_bytes(receipt));
}

std::string ProvenUse::print() const {
  return std::string(first_line) + "\n" + to_header(receipt) + "\n" + record + "\n" + proof.print();
}

Result<KeptReceipt> parse_kept_receipt(std::string_view text) {
  KeptReceipt kept;
  if (text.starts_with(kind)) {
    kept.receipt = text;
    return kept;
  }
  if (!text.starts_with(first_line)) {
    if (text.ends_with('\n')) text.remove_suffix(1);
    auto receipt = from_header(text);
    if (!receipt) return malformed();
    kept.receipt = std::move(*receipt);
    return kept;
  }
  if (take_line(text) != first_line) return malformed();
  const auto header = take_line(text);
  const auto record = take_line(text);
  if (!header || !record) return malformed();
  auto receipt = from_header(*header);
  if (!receipt) return malformed();
  auto proof = parse_log_proof(text);
  if (!proof) return fail(std::move(proof));
  kept.receipt = *receipt;
  kept.proven = ProvenUse{std::move(*receipt), std::string(*record), std::move(*proof)};
  return kept;
}

Result<UseShown> verify_proven_use(
    const ProvenUse& proven, const VerifierKey& key, const LogPolicy& policy
) {
  auto receipt = verify_use_receipt(proven.receipt, key);
  if (!receipt) return fail(std::move(receipt));
  auto checkpoint = verify_log_proof(proven.proof, leaf_hash(proven.record), policy);
  if (!checkpoint) return fail(std::move(checkpoint));
  const auto recorded = receipt_of(proven.record);
  if (!recorded) return tl::unexpected(recorded.error());
  if (*recorded != *receipt || receipt->seq != proven.proof.index ||
      receipt->origin != checkpoint->checkpoint.origin) {
    return fail(ErrorKind::invalid, {"audit.use-receipt-other", {}});
  }
  return UseShown{std::move(*receipt), std::move(*checkpoint)};
}

}  // namespace tally::audit
