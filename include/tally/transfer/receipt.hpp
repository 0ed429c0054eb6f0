// The signed notes that one Tally gives another: receipts of a transfer and records of a deletion
// (docs/peer-api.md). Signed with the contract key, verified with the certificate that the
// agreement archived. Pure, but for kept_notes.
#pragma once

#include <cstdint>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "tally/core/digest.hpp"
#include "tally/core/ids.hpp"
#include "tally/core/json.hpp"
#include "tally/core/result.hpp"
#include "tally/core/store.hpp"
#include "tally/identity/contract_key.hpp"
#include "tally/transfer/data_keys.hpp"

namespace tally::transfer {

// A record of a log, as the other side may look it up.
struct LogPlace {
  std::string origin;
  std::uint64_t seq = 0;
  std::string leaf;  // hex
  bool operator==(const LogPlace&) const = default;
};

struct Receipt {
  AgreementId agreement;
  Pid process;  // the provider's pid, on both receipts
  std::string content;
  std::uint64_t bytes = 0;
  std::optional<LogPlace> from;         // the sender's record
  std::optional<LogPlace> to;           // the receiver's record; not in a "sent" receipt
  std::optional<SealedContent> sealed;  // `content` is encrypted, and its key comes afterwards
  std::string time;
  bool operator==(const Receipt&) const = default;
};

struct DeletionNote {
  AgreementId agreement;
  std::string content;
  std::uint64_t bytes = 0;
  std::string method;  // "key-destroyed"
  std::string time;
  LogPlace log;
  bool operator==(const DeletionNote&) const = default;
};

// "tally/receipt/v1\n" JCS "\n", as a signed note; `name` is the signer's SAN URI.
Result<std::string> sign_receipt(
    const Receipt& receipt, std::string_view name, const identity::ContractSigner& signer
);
Result<std::string> sign_deletion(
    const DeletionNote& note, std::string_view name, const identity::ContractSigner& signer
);
// Errors: invalid: audit.note-*, transfer.note-malformed.
Result<Receipt> verify_receipt(
    std::string_view note, std::string_view name, std::span<const std::uint8_t> public_key
);
Result<DeletionNote> verify_deletion(
    std::string_view note, std::string_view name, std::span<const std::uint8_t> public_key
);

// All signed notes that this side keeps of an agreement, its own and the other side's: receipts and
// notes of deletion, as they were signed. Errors: those of the store.
Result<std::vector<std::string>> kept_notes(Store& store, const AgreementId& agreement);

}  // namespace tally::transfer
