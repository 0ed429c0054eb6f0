#include "tally/transfer/receipt.hpp"

#include <utility>

#include <nlohmann/json.hpp>

#include "tally/audit/signed_json.hpp"

namespace tally::transfer {

namespace {

constexpr std::string_view receipt_line = "tally/receipt/v1";
constexpr std::string_view deletion_line = "tally/deletion/v1";

tl::unexpected<Error> malformed(std::string pointer = {}) {
  return fail(ErrorKind::invalid, {"transfer.note-malformed", {}}, std::move(pointer));
}

Json place_json(const LogPlace& place) {
  return {{"origin", place.origin}, {"seq", place.seq}, {"leaf", place.leaf}};
}

Result<std::uint64_t> number(const Json& object, std::string_view key) {
  const auto found = object.find(key);
  if (found == object.end() || !found->is_number_unsigned()) return malformed(child("", key));
  return found->get<std::uint64_t>();
}

Result<LogPlace> place_of(const Json& object) {
  if (!object.is_object()) return malformed();
  auto origin = string_member(object, "origin", "");
  auto leaf = string_member(object, "leaf", "");
  auto seq = number(object, "seq");
  if (!origin || !leaf || !seq) return malformed();
  return LogPlace{std::move(*origin), *seq, std::move(*leaf)};
}

Result<std::string> sign(
    std::string_view line,
    const Json& content,
    std::string_view name,
    const identity::ContractSigner& signer
) {
  const auto key = audit::make_verifier_key(name, signer.public_key());
  const audit::Signer sign_bytes = [&](std::span<const std::uint8_t> bytes) -> Result<Bytes> {
    const auto signature = signer.sign(bytes);
    return Bytes(signature.begin(), signature.end());
  };
  return audit::sign_json(line, to_jcs(content), key, sign_bytes);
}

Result<Json> verify(
    std::string_view note,
    std::string_view line,
    std::string_view name,
    std::span<const std::uint8_t> public_key
) {
  return audit::open_signed_json(note, line, audit::make_verifier_key(name, public_key));
}

}  // namespace

Result<std::string> sign_receipt(
    const Receipt& receipt, std::string_view name, const identity::ContractSigner& signer
) {
  Json content = {
      {"agreement", receipt.agreement.value},
      {"pid", receipt.process.value},
      {"content", receipt.content},
      {"bytes", receipt.bytes},
      {"time", receipt.time},
  };
  if (receipt.from) content["from"] = place_json(*receipt.from);
  if (receipt.to) content["to"] = place_json(*receipt.to);
  if (receipt.sealed) {
    content["chunks"] = receipt.sealed->chunks;
    content["key"] = receipt.sealed->key;
  }
  return sign(receipt_line, content, name, signer);
}

Result<std::string> sign_deletion(
    const DeletionNote& note, std::string_view name, const identity::ContractSigner& signer
) {
  const Json content = {
      {"agreement", note.agreement.value},
      {"content", note.content},
      {"bytes", note.bytes},
      {"method", note.method},
      {"time", note.time},
      {"log", place_json(note.log)},
  };
  return sign(deletion_line, content, name, signer);
}

Result<Receipt> verify_receipt(
    std::string_view note, std::string_view name, std::span<const std::uint8_t> public_key
) {
  const auto content = verify(note, receipt_line, name, public_key);
  if (!content) return tl::unexpected(content.error());
  auto agreement = string_member(*content, "agreement", "");
  auto process = string_member(*content, "pid", "");
  auto digest = string_member(*content, "content", "");
  auto bytes = number(*content, "bytes");
  auto time = string_member(*content, "time", "");
  if (!agreement || !process || !digest || !bytes || !time) return malformed();
  Receipt receipt;
  receipt.agreement = AgreementId(std::move(*agreement));
  receipt.process = Pid(std::move(*process));
  receipt.content = std::move(*digest);
  receipt.bytes = *bytes;
  receipt.time = std::move(*time);
  const auto optional_place = [&](const char* key, std::optional<LogPlace>& into) {
    const auto found = content->find(key);
    if (found == content->end()) return true;
    auto place = place_of(*found);
    if (!place) return false;
    into = std::move(*place);
    return true;
  };
  if (!optional_place("from", receipt.from) || !optional_place("to", receipt.to)) {
    return malformed();
  }
  if (content->contains("chunks") || content->contains("key")) {
    auto chunks = number(*content, "chunks");
    auto key = string_member(*content, "key", "");
    if (!chunks || !key || !parse_digest_text(*key)) return malformed();
    receipt.sealed = SealedContent{*chunks, std::move(*key)};
  }
  return receipt;
}

Result<DeletionNote> verify_deletion(
    std::string_view note, std::string_view name, std::span<const std::uint8_t> public_key
) {
  const auto content = verify(note, deletion_line, name, public_key);
  if (!content) return tl::unexpected(content.error());
  auto agreement = string_member(*content, "agreement", "");
  auto digest = string_member(*content, "content", "");
  auto bytes = number(*content, "bytes");
  auto method = string_member(*content, "method", "");
  auto time = string_member(*content, "time", "");
  const auto log = content->find("log");
  if (!agreement || !digest || !bytes || !method || !time || log == content->end()) {
    return malformed();
  }
  auto place = place_of(*log);
  if (!place) return tl::unexpected(place.error());
  return DeletionNote{
      AgreementId(std::move(*agreement)),
      std::move(*digest),
      *bytes,
      std::move(*method),
      std::move(*time),
      std::move(*place)};
}

}  // namespace tally::transfer
