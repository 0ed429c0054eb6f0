// Receipts and statements from strangers, also signed ones: whoever holds the key of a contract may
// still be hostile. Nothing crashes, and what is read prints as it was.
#include <array>
#include <cstddef>
#include <cstdint>
#include <cstdlib>

#include <nlohmann/json.hpp>

#include "tally/audit/statement.hpp"
#include "tally/audit/use_receipt.hpp"
#include "tally/core/json.hpp"

#include "../audit/known_keys.hpp"

namespace {

using namespace tally;

void require(bool condition) {
  if (!condition) std::abort();
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  static const audit::VerifierKey key = audit::key_of("a.example/contract", audit::log_seed);
  static const audit::Signer signer = audit::signer_of(audit::log_seed);
  static const audit::LogPolicy nobody{};
  const std::string text(reinterpret_cast<const char*>(data), size);

  // As a stranger hands it over.
  if (const auto kept = audit::parse_kept_receipt(text)) {
    (void)audit::verify_use_receipt(kept->receipt, key);
    if (kept->proven) {
      require(kept->proven->print() == text);
      require(!audit::verify_proven_use(*kept->proven, key, nobody));
    }
  } else {
    render(kept.error().message, Lang::en);
  }
  (void)audit::verify_statement(text, key);
  (void)audit::receipt_of(text);
  if (const auto json = parse_json(text)) {
    // Sums are members of larger objects: what is not theirs is passed over.
    if (const auto sums = audit::parse_use_sums(*json)) {
      require(audit::parse_use_sums(sums->to_json()) == *sums);
    }
  }

  // With its signature.
  const std::array contents{text, std::string("{}")};
  if (const auto signed_ones = audit::sign_use_receipts(contents, key, signer)) {
    const auto receipt = audit::verify_use_receipt(signed_ones->front(), key);
    if (receipt) require(receipt->jcs() == text);
  }
  if (const auto note = audit::sign_note("tally/statement/v1\n" + text + "\n", key, signer)) {
    if (const auto statement = audit::verify_statement(*note, key)) {
      require(audit::sign_statement(*statement, key, signer) == *note);
    }
  }
  return 0;
}
