#include "tally/core/wakeup.hpp"

#include <atomic>
#include <utility>

#include <boost/asio/associated_cancellation_slot.hpp>
#include <boost/asio/associated_executor.hpp>
#include <boost/asio/async_result.hpp>
#include <boost/asio/bind_cancellation_slot.hpp>
#include <boost/asio/cancellation_signal.hpp>
#include <boost/asio/error.hpp>
#include <boost/asio/post.hpp>
#include <boost/asio/use_awaitable.hpp>

namespace tally {
namespace {
namespace asio = boost::asio;
using boost::system::error_code;

// (asio::any_completion_handler of Boost 1.81 recurses without end when it is moved into a lambda.)
template <class Handler>
class HandlerWakeup final : public Wakeup, public std::enable_shared_from_this<Wakeup> {
 public:
  explicit HandlerWakeup(Handler handler)
      : executor_(asio::get_associated_executor(handler)), handler_(std::move(handler)) {}

  void wake(error_code result) override {
    if (woken_.exchange(true)) return;
    asio::post(executor_, [self = shared_from_this(), this, result] {
      asio::get_associated_cancellation_slot(handler_).clear();
      // The frame may go while the handler runs; nothing of this object is needed any more.
      Handler handler = std::move(handler_);
      std::move(handler)(result);
    });
  }

 private:
  asio::associated_executor_t<Handler> executor_;
  Handler handler_;
  std::atomic<bool> woken_ = false;
};

struct Initiate {
  template <class Handler>
  void operator()(Handler handler, std::function<void(std::shared_ptr<Wakeup>)> started) const {
    const auto slot = asio::get_associated_cancellation_slot(handler);
    const std::shared_ptr<Wakeup> wakeup =
        std::make_shared<HandlerWakeup<Handler>>(std::move(handler));
    if (slot.is_connected()) {
      auto cancel = [weak = std::weak_ptr(wakeup)](asio::cancellation_type) {
        if (const auto waiting = weak.lock()) waiting->wake(asio::error::operation_aborted);
      };
      auto connected = slot;
      connected.assign(std::move(cancel));
    }
    started(wakeup);
  }
};

}  // namespace

awaitable<void> suspend(std::function<void(std::shared_ptr<Wakeup>)> started) {
  using Token = const asio::use_awaitable_t<>;
  co_await asio::async_initiate<Token, void(error_code)>(
      Initiate{}, asio::use_awaitable, std::move(started)
  );
}

awaitable<void> suspend_to_the_end(std::function<void(std::shared_ptr<Wakeup>)> started) {
  // An empty slot in place of the coroutine's: nothing can reach the wakeup but its owner.
  auto token = asio::bind_cancellation_slot(asio::cancellation_slot(), asio::use_awaitable);
  co_await asio::async_initiate<decltype(token), void(error_code)>(
      Initiate{}, token, std::move(started)
  );
}

}  // namespace tally
