#include "tally/core/task_group.hpp"

#include <exception>
#include <list>
#include <string>
#include <utility>
#include <vector>

#include <boost/asio/any_completion_handler.hpp>
#include <boost/asio/associated_cancellation_slot.hpp>
#include <boost/asio/associated_executor.hpp>
#include <boost/asio/async_result.hpp>
#include <boost/asio/bind_cancellation_slot.hpp>
#include <boost/asio/cancellation_signal.hpp>
#include <boost/asio/co_spawn.hpp>
#include <boost/asio/error.hpp>
#include <boost/asio/post.hpp>
#include <boost/asio/use_awaitable.hpp>
#include <boost/system/system_error.hpp>

namespace tally {
namespace asio = boost::asio;
using boost::system::error_code;

struct TaskGroup::State {
  struct Task {
    std::string name;
    asio::cancellation_signal stop;
  };
  // A coroutine in drained(). `handler` is empty once it was completed.
  struct Waiter {
    asio::any_io_executor own_executor;
    asio::any_completion_handler<void(error_code)> handler;

    void complete(error_code result) {
      if (!handler) return;
      asio::get_associated_cancellation_slot(handler).clear();
      asio::post(own_executor, [ready = std::move(handler), result]() mutable {
        std::move(ready)(result);
      });
    }
  };

  State(asio::any_io_executor on, Notices& to) : executor(std::move(on)), notices(to) {}

  void finished(const std::shared_ptr<Task>& task, const std::exception_ptr& failure) {
    if (failure) note(*task, failure);
    tasks.remove(task);
    if (!tasks.empty()) return;
    for (const auto& waiter : std::exchange(waiters, {})) waiter->complete({});
  }

  void note(const Task& task, const std::exception_ptr& failure) {
    std::string detail;
    try {
      std::rethrow_exception(failure);
    } catch (const boost::system::system_error& error) {
      if (error.code() == asio::error::operation_aborted) return;  // it was asked to stop
      detail = error.what();
    } catch (const std::exception& error) {
      detail = error.what();
    } catch (...) {
      detail = "unknown exception";
    }
    notices.note(
        Severity::error, {"core.task-failed", {{"task", task.name}, {"detail", std::move(detail)}}}
    );
  }

  asio::any_io_executor executor;
  Notices& notices;
  std::list<std::shared_ptr<Task>> tasks;
  std::vector<std::shared_ptr<Waiter>> waiters;
};

TaskGroup::TaskGroup(asio::any_io_executor executor, Notices& notices)
    : state_(std::make_shared<State>(std::move(executor), notices)) {}

TaskGroup::~TaskGroup() = default;

void TaskGroup::spawn(std::string_view name, awaitable<void> task) {
  auto entry = std::make_shared<State::Task>();
  entry->name = name;
  state_->tasks.push_back(entry);
  const auto slot = entry->stop.slot();
  auto done = [state = state_, entry](const std::exception_ptr& failure) {
    state->finished(entry, failure);
  };
  asio::co_spawn(
      state_->executor, std::move(task), asio::bind_cancellation_slot(slot, std::move(done))
  );
}

void TaskGroup::cancel() {
  // A copy: a task that ends at once takes itself off the list.
  const auto tasks = state_->tasks;
  for (const auto& task : tasks) task->stop.emit(asio::cancellation_type::terminal);
}

awaitable<void> TaskGroup::drained() {
  if (state_->tasks.empty()) co_return;
  auto initiate = [](auto handler, std::shared_ptr<State> state) {
    auto waiter = std::make_shared<State::Waiter>();
    auto slot = asio::get_associated_cancellation_slot(handler);
    waiter->own_executor = asio::get_associated_executor(handler, state->executor);
    waiter->handler = std::move(handler);
    state->waiters.push_back(waiter);
    if (!slot.is_connected()) return;
    slot.assign([weak = std::weak_ptr(waiter)](asio::cancellation_type) {
      if (const auto cancelled = weak.lock()) cancelled->complete(asio::error::operation_aborted);
    });
  };
  co_await asio::async_initiate<decltype(asio::use_awaitable) const, void(error_code)>(
      initiate, asio::use_awaitable, state_
  );
}

std::size_t TaskGroup::size() const {
  return state_->tasks.size();
}

}  // namespace tally
