// The receipt of one use (使用凭证): whoever used data keeps it, and shows later that the use
// stands in the log of the side that served it. Signed with that side's contract key before the
// first byte goes out; once a checkpoint covers the record, the same receipt comes with the proof
// of it. One signature is for several receipts at once, over the root of a tree of them, because a
// signature costs more than all the rest of a small answer.
//
// Pure; values and free functions, safe from any thread.
#pragma once

#include <cstdint>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <vector>

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

  [[nodiscard]] std::string jcs() const;  // canonical JSON
  bool operator==(const UseReceipt&) const = default;
};

// Of one signature: a receipt has at most six hashes beside it.
constexpr std::size_t most_receipts_of_a_signature = 64;

// One signature for all of `contents`, which are what `jcs` gives: 1 … most_receipts_of_a_signature
// of them. The answer has the receipt of each, in their order. Errors: those of sign_note.
//
// A receipt is "tally/use-receipt/v1\n" JCS "\n" index "\n", the hashes that lead from it to the
// root in base64, a line each, an empty line, and a signed note: "tally/use-receipts/v1\n" count
// "\n" root in base64 "\n".
Result<std::vector<std::string>> sign_use_receipts(
    std::span<const std::string> contents, const VerifierKey& key, const Signer& signer
);
// Errors: those of verify_note, invalid audit.use-receipt-malformed, audit.use-receipt-unsigned.
Result<UseReceipt> verify_use_receipt(std::string_view receipt, const VerifierKey& key);
// The receipt that a `use.permitted` record has. Errors: invalid audit.use-receipt-malformed.
Result<UseReceipt> receipt_of(std::string_view record);

// As an answer's header carries it: one line, base64 of the text.
std::string to_header(std::string_view receipt);

// A receipt with what shows that its log keeps to it.
struct ProvenUse {
  std::string receipt;  // its text
  std::string record;   // the bytes of use.permitted
  LogProof proof;       // of that record

  // "tally/proven-use/v1", the receipt as a header has it, the record, a line each; then the proof.
  [[nodiscard]] std::string print() const;
  bool operator==(const ProvenUse&) const = default;
};

// A receipt as somebody kept it: the value of the header, its text, or the file that
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
