#include "shared_wait.hpp"

#include <exception>

#include <boost/asio/co_spawn.hpp>
#include <boost/asio/this_coro.hpp>
#include <boost/system/system_error.hpp>

namespace tally::usage {
namespace asio = boost::asio;

// What waits for the log. It has no cancellation slot, and when the log goes without an answer, the
// waiters go too: each holds its coroutine, which holds the SharedWait.
struct SharedWait::Watch {
  std::shared_ptr<SharedWait> shared;

  explicit Watch(std::shared_ptr<SharedWait> of) : shared(std::move(of)) {}
  Watch(Watch&&) noexcept = default;
  Watch& operator=(Watch&&) = delete;
  ~Watch() {
    if (shared) shared->abandon();
  }

  void operator()(const std::exception_ptr& thrown, const Result<audit::Appended>& appended) {
    const auto here = std::exchange(shared, nullptr);
    if (thrown) {
      here->settle(fail(ErrorKind::unavailable, {"audit.wait-cancelled", {}}));
    } else {
      here->settle(appended);
    }
  }
};

awaitable<Result<audit::Appended>> SharedWait::wait(
    std::shared_ptr<SharedWait> shared, audit::LogAppender& log
) {
  audit::Ticket unwatched;
  {
    const std::lock_guard lock(shared->mutex_);
    unwatched = std::exchange(shared->ticket_, nullptr);
  }
  if (unwatched) {
    const asio::any_io_executor executor = co_await asio::this_coro::executor;
    Watch watch(shared);
    asio::co_spawn(executor, log.wait(std::move(unwatched)), std::move(watch));
  }

  const auto started = [&shared](std::shared_ptr<Wakeup> wakeup) {
    const std::lock_guard lock(shared->mutex_);
    if (shared->result_) {
      wakeup->wake();
    } else {
      shared->waiters_.push_back(std::move(wakeup));
    }
  };
  try {
    co_await suspend(started);
  } catch (const boost::system::system_error&) {
    // The request is gone; the record is written all the same.
    co_return fail(ErrorKind::unavailable, {"audit.wait-cancelled", {}});
  }
  const std::lock_guard lock(shared->mutex_);
  co_return *shared->result_;
}

void SharedWait::settle(Result<audit::Appended> result) {
  std::vector<std::shared_ptr<Wakeup>> waiters;
  {
    const std::lock_guard lock(mutex_);
    result_ = std::move(result);
    waiters.swap(waiters_);
  }
  for (const auto& waiter : waiters) waiter->wake();
}

void SharedWait::abandon() {
  std::vector<std::shared_ptr<Wakeup>> dropped;
  {
    const std::lock_guard lock(mutex_);
    dropped.swap(waiters_);
  }
}

}  // namespace tally::usage
