// One record that several requests wait for: the first use with a key, and its repeats while the
// record is still on its way. The wait goes on when the request that began it is gone. Any thread.
#pragma once

#include <cstdint>
#include <memory>
#include <mutex>
#include <optional>
#include <vector>

#include <boost/asio/any_completion_handler.hpp>
#include <boost/asio/any_io_executor.hpp>

#include "tally/audit/appender.hpp"

namespace tally::usage {

class SharedWait : public std::enable_shared_from_this<SharedWait> {
 public:
  explicit SharedWait(audit::Ticket ticket) : ticket_(std::move(ticket)) {}

  // Completes on the awaiting executor, never inline; honours its cancellation slot. Errors: those
  // of LogAppender::wait. Any number of times. `shared` keeps itself alive.
  static awaitable<Result<void>> wait(std::shared_ptr<SharedWait> shared, audit::LogAppender& log);

 private:
  using Handler = boost::asio::any_completion_handler<void(Result<void>)>;
  struct Waiter {
    std::uint64_t number = 0;
    Handler handler;
    boost::asio::any_io_executor executor;
  };
  struct Watch;

  void settle(const Result<void>& result);
  void abandon();
  void cancel(std::uint64_t number);
  static void post(Waiter waiter, Result<void> result);

  std::mutex mutex_;      // guards everything below
  audit::Ticket ticket_;  // until somebody watches it
  std::optional<Result<void>> result_;
  std::vector<Waiter> waiters_;
  std::uint64_t next_number_ = 0;
};

}  // namespace tally::usage
