#include "tally/transfer/use_receipts.hpp"

#include <utility>

namespace tally::transfer {

UseReceipts::UseReceipts(
    std::string origin,
    std::string_view name,
    std::shared_ptr<const identity::ContractSigner> signer
)
    : origin_(std::move(origin)),
      key_(audit::make_verifier_key(name, signer->public_key())),
      signer_([signer](std::span<const std::uint8_t> bytes) -> Result<Bytes> {
        const auto signature = signer->sign(bytes);
        return Bytes(signature.begin(), signature.end());
      }) {}

Result<std::string> UseReceipts::sign(const audit::UseReceipt& receipt) const {
  return audit::sign_use_receipt(receipt, key_, signer_);
}

Result<std::string> UseReceipts::sign(const usage::Grant& grant) const {
  audit::UseReceipt receipt;
  receipt.action = grant.action;
  receipt.agreement = grant.agreement;
  receipt.leaf = grant.leaf;
  receipt.origin = origin_;
  receipt.seq = grant.seq;
  receipt.time = format_micros(grant.decided_at);
  receipt.use = grant.use;
  return sign(receipt);
}

}  // namespace tally::transfer
