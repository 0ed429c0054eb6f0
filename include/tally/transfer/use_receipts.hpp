// Signs the receipts of uses with the contract key (docs/peer-api.md). A signature costs more than
// all the rest of a small answer, so one is made for all the uses that were permitted together: the
// log wakes those who wait for one batch of records with one post for each executor, and whoever
// asks first posts the signing behind them.
//
// Any thread. The lock is held to join a batch and to take one, never while signing.
#pragma once

#include <memory>
#include <mutex>
#include <string>
#include <string_view>
#include <vector>

#include <boost/asio/any_io_executor.hpp>

#include "tally/audit/use_receipt.hpp"
#include "tally/core/wakeup.hpp"
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
  UseReceipts(const UseReceipts&) = delete;
  UseReceipts& operator=(const UseReceipts&) = delete;

  // The receipt of a use that was just permitted, or continued: signed together with the others
  // that are asked for on this executor before it gets to it. A cancellation waits for it. Errors:
  // those of audit::sign_use_receipts.
  [[nodiscard]] awaitable<Result<std::string>> receipt(const usage::Grant& grant);
  // The receipt of a recorded use, signed alone, at once. Errors: as above.
  [[nodiscard]] Result<std::string> sign(const audit::UseReceipt& receipt) const;
  // What the receipts are checked with.
  [[nodiscard]] const audit::VerifierKey& key() const { return key_; }

 private:
  // `receipt` is the waiting coroutine's; the wakeup keeps that alive.
  struct Waiting {
    std::string content;
    Result<std::string>* receipt;
    std::shared_ptr<Wakeup> wakeup;
  };
  using Batch = std::vector<Waiting>;
  // The posted signing owns its batch: where an executor ends before it ran, the coroutines end
  // with it.
  struct Open {
    boost::asio::any_io_executor executor;
    std::weak_ptr<Batch> batch;
  };

  void join(const boost::asio::any_io_executor& executor, Waiting waiting);
  void close(const std::shared_ptr<Batch>& batch);
  void sign_all(Batch& batch) const;

  std::string origin_;
  audit::VerifierKey key_;
  audit::Signer signer_;
  std::mutex mutex_;
  std::vector<Open> open_;  // at most one for each executor
};

}  // namespace tally::transfer
