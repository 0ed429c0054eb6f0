// The receipt of one use (使用凭证): whoever used data keeps it, and shows later that the use
// stands in the log of the side that served it. Signed with that side's contract key before the
// first byte goes out; once a checkpoint covers the record, the same receipt comes with the proof
// of it.
//
// Pure; values and free functions, safe from any thread.
#pragma once

#include <cstdint>
#include <string>
#include <string_view>

#include "tally/audit/log_proof.hpp"
#include "tally/core/ids.hpp"

namespace tally::audit {

// What `use.permitted` says, and where it stands.
struct UseReceipt {
  std::string action;  // as in the record
  AgreementId agreement;
  Digest leaf{};
  std::string origin;
  std::uint64_t seq = 0;
  std::string time;  // when the use was decided, with microseconds
  UseId use;
  bool operator==(const UseReceipt&) const = default;
};

// "tally/use-receipt/v1\n" JCS "\n", as a signed note. Errors: those of sign_note.
Result<std::string> sign_use_receipt(
    const UseReceipt& receipt, const VerifierKey& key, const Signer& signer
);
// Errors: those of open_signed_json, invalid audit.use-receipt-malformed.
Result<UseReceipt> verify_use_receipt(std::string_view note, const VerifierKey& key);
// The receipt that a `use.permitted` record has. Errors: invalid audit.use-receipt-malformed.
Result<UseReceipt> receipt_of(std::string_view record);

// As an answer's header carries it: one line, base64 of the note.
std::string to_header(std::string_view receipt);

// A receipt with what shows that its log keeps to it.
struct ProvenUse {
  std::string receipt;  // the note
  std::string record;   // the bytes of use.permitted
  LogProof proof;       // of that record

  // "tally/proven-use/v1", the receipt as a header has it, the record, a line each; then the proof.
  [[nodiscard]] std::string print() const;
  bool operator==(const ProvenUse&) const = default;
};

// A receipt as somebody kept it: the value of the header, the note itself, or the file that
// `print` makes.
struct KeptReceipt {
  std::string receipt;
  std::optional<ProvenUse> proven;
};
// Errors: invalid audit.use-receipt-malformed, audit.log-proof-malformed.
Result<KeptReceipt> parse_kept_receipt(std::string_view text);

// That the receipt is signed by `key`, that its record says the same, and that the record is where
// the receipt says in a log that the policy believes. Errors: those of verify_use_receipt and
// verify_log_proof, invalid audit.use-receipt-other.
struct UseShown {
  UseReceipt receipt;
  VerifiedCheckpoint checkpoint;
};
Result<UseShown> verify_proven_use(
    const ProvenUse& proven, const VerifierKey& key, const LogPolicy& policy
);

}  // namespace tally::audit
