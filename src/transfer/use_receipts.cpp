#include "tally/transfer/use_receipts.hpp"

#include <algorithm>
#include <utility>

#include <boost/asio/post.hpp>
#include <boost/asio/this_coro.hpp>

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
  const std::string content = receipt.jcs();
  auto receipts = audit::sign_use_receipts(std::span(&content, 1), key_, signer_);
  if (!receipts) return fail(std::move(receipts));
  return std::move(receipts->front());
}

awaitable<Result<std::string>> UseReceipts::receipt(const usage::Grant& grant) {
  audit::UseReceipt content;
  content.action = grant.action;
  content.agreement = grant.agreement;
  content.leaf = grant.leaf;
  content.origin = origin_;
  content.seq = grant.seq;
  content.time = format_micros(grant.decided_at);
  content.use = grant.use;
  const auto executor = co_await boost::asio::this_coro::executor;
  Result<std::string> receipt;
  auto started = [this, &content, &executor, &receipt](std::shared_ptr<Wakeup> wakeup) {
    join(executor, {content.jcs(), &receipt, std::move(wakeup)});
  };
  co_await suspend_to_the_end(std::move(started));
  co_return receipt;
}

void UseReceipts::join(const boost::asio::any_io_executor& executor, Waiting waiting) {
  std::shared_ptr<Batch> begun;
  {
    const std::lock_guard lock(mutex_);
    auto open = std::find_if(open_.begin(), open_.end(), [&](const Open& one) {
      return one.executor == executor;
    });
    if (open == open_.end()) open = open_.insert(open, {executor, {}});
    auto batch = open->batch.lock();
    if (!batch || batch->size() == audit::most_receipts_of_a_signature) {
      batch = begun = std::make_shared<Batch>();
      open->batch = batch;
    }
    batch->push_back(std::move(waiting));
  }
  if (!begun) return;
  boost::asio::post(executor, [this, batch = std::move(begun)] {
    close(batch);
    sign_all(*batch);
  });
}

void UseReceipts::close(const std::shared_ptr<Batch>& batch) {
  const std::lock_guard lock(mutex_);
  std::erase_if(open_, [&](const Open& one) { return one.batch.lock() == batch; });
}

void UseReceipts::sign_all(Batch& batch) const {
  std::vector<std::string> contents;
  contents.reserve(batch.size());
  for (Waiting& waiting : batch) contents.push_back(std::move(waiting.content));
  auto receipts = audit::sign_use_receipts(contents, key_, signer_);
  for (std::size_t i = 0; i < batch.size(); ++i) {
    *batch[i].receipt = receipts ? Result<std::string>(std::move((*receipts)[i]))
                                 : Result<std::string>(tl::unexpected(receipts.error()));
    batch[i].wakeup->wake();
  }
}

}  // namespace tally::transfer
