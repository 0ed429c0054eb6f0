#include "shared_wait.hpp"

#include <exception>
#include <utility>

#include <boost/asio/associated_cancellation_slot.hpp>
#include <boost/asio/associated_executor.hpp>
#include <boost/asio/async_result.hpp>
#include <boost/asio/co_spawn.hpp>
#include <boost/asio/post.hpp>
#include <boost/asio/this_coro.hpp>
#include <boost/asio/use_awaitable.hpp>

namespace tally::usage {
namespace asio = boost::asio;

// What waits for the log. Its handler has no cancellation slot, and when the log goes without an
// answer, the waiters go too: each holds its coroutine, which holds this object.
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
      here->settle(fail(ErrorKind::unavailable, {"audit.log-failed", {{"cause", "exception"}}}));
    } else if (appended) {
      here->settle({});
    } else {
      here->settle(tl::unexpected(appended.error()));
    }
  }
};

awaitable<Result<void>> SharedWait::wait(
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

  const auto initiate = [](auto handler, const std::shared_ptr<SharedWait>& on) {
    const asio::any_io_executor executor = asio::get_associated_executor(handler);
    auto slot = asio::get_associated_cancellation_slot(handler);
    std::unique_lock lock(on->mutex_);
    const std::uint64_t number = on->next_number_++;
    if (slot.is_connected()) {
      slot.assign([weak = std::weak_ptr<SharedWait>(on), number](asio::cancellation_type) {
        if (const auto here = weak.lock()) here->cancel(number);
      });
    }
    Waiter waiter{number, Handler(std::move(handler)), executor};
    if (on->result_) {
      const Result<void> result = *on->result_;
      lock.unlock();
      post(std::move(waiter), result);
    } else {
      on->waiters_.push_back(std::move(waiter));
    }
  };
  auto result = co_await asio::async_initiate<const asio::use_awaitable_t<>, void(Result<void>)>(
      initiate, asio::use_awaitable, shared
  );
  co_return result;
}

void SharedWait::post(Waiter waiter, Result<void> result) {
  const asio::any_io_executor executor = waiter.executor;
  asio::post(executor, [handler = std::move(waiter.handler), result = std::move(result)]() mutable {
    asio::get_associated_cancellation_slot(handler).clear();
    std::move(handler)(std::move(result));
  });
}

void SharedWait::settle(const Result<void>& result) {
  std::vector<Waiter> waiters;
  {
    const std::lock_guard lock(mutex_);
    result_ = result;
    waiters.swap(waiters_);
  }
  for (auto& waiter : waiters) post(std::move(waiter), result);
}

void SharedWait::abandon() {
  std::vector<Waiter> dropped;
  {
    const std::lock_guard lock(mutex_);
    dropped.swap(waiters_);
  }
}

void SharedWait::cancel(std::uint64_t number) {
  std::optional<Waiter> cancelled;
  {
    const std::lock_guard lock(mutex_);
    for (auto it = waiters_.begin(); it != waiters_.end(); ++it) {
      if (it->number != number) continue;
      cancelled = std::move(*it);
      waiters_.erase(it);
      break;
    }
  }
  if (cancelled) {
    post(std::move(*cancelled), fail(ErrorKind::unavailable, {"audit.wait-cancelled", {}}));
  }
}

}  // namespace tally::usage
