// Signs the receipts of uses with the contract key (docs/peer-api.md). Immutable; any thread. One
// signature is some 30 µs, so it is made where the connection is served, under no lock.
#pragma once

#include <memory>
#include <string>
#include <string_view>

#include "tally/audit/use_receipt.hpp"
#include "tally/identity/contract_key.hpp"
#include "tally/usage/enforcer.hpp"

namespace tally::transfer {

class UseReceipts {
 public:
  // `origin`: of our own log. `name`: our SAN URI, the name under which we sign.
  UseReceipts(
      std::string origin,
      std::string_view name,
      std::shared_ptr<const identity::ContractSigner> signer
  );

  // The note. A use has one receipt: every signing of it gives the same bytes.
  [[nodiscard]] Result<std::string> sign(const audit::UseReceipt& receipt) const;
  // Of a use that was just permitted, or continued.
  [[nodiscard]] Result<std::string> sign(const usage::Grant& grant) const;
  // What the receipts are checked with.
  [[nodiscard]] const audit::VerifierKey& key() const { return key_; }

 private:
  std::string origin_;
  audit::VerifierKey key_;
  audit::Signer signer_;
};

}  // namespace tally::transfer
