#include "tally/core/task_group.hpp"

#include <exception>
#include <list>
#include <string>
#include <utility>
#include <vector>

#include <boost/asio/bind_cancellation_slot.hpp>
#include <boost/asio/cancellation_signal.hpp>
#include <boost/asio/co_spawn.hpp>
#include <boost/asio/error.hpp>
#include <boost/asio/multiple_exceptions.hpp>
#include <boost/system/system_error.hpp>

#include "tally/core/wakeup.hpp"

namespace tally {
namespace asio = boost::asio;

struct TaskGroup::State {
  struct Task {
    std::string name;
    asio::cancellation_signal stop;
  };
  State(asio::any_io_executor on, Notices& to) : executor(std::move(on)), notices(to) {}

  void finished(const std::shared_ptr<Task>& task, const std::exception_ptr& failure) {
    if (failure) note(*task, failure);
    tasks.remove(task);
    if (!tasks.empty()) return;
    for (const auto& waiter : std::exchange(waiters, {})) waiter->wake();
  }

  void note(const Task& task, const std::exception_ptr& failure) {
    std::string detail;
    try {
      std::rethrow_exception(failure);
    } catch (const asio::multiple_exceptions& both) {
      // `a || b` that was cancelled as a whole: each side ended, the first one says why.
      if (both.first_exception()) return note(task, both.first_exception());
      detail = both.what();
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
  bool cancelled = false;
  std::list<std::shared_ptr<Task>> tasks;
  std::vector<std::shared_ptr<Wakeup>> waiters;  // the coroutines in drained()
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
  if (state_->cancelled) entry->stop.emit(asio::cancellation_type::terminal);
}

void TaskGroup::cancel() {
  state_->cancelled = true;
  // A copy: a task that ends at once takes itself off the list.
  const auto tasks = state_->tasks;
  for (const auto& task : tasks) task->stop.emit(asio::cancellation_type::terminal);
}

awaitable<void> TaskGroup::drained() {
  if (state_->tasks.empty()) co_return;
  auto started = [state = state_](std::shared_ptr<Wakeup> wakeup) {
    state->waiters.push_back(std::move(wakeup));
  };
  co_await suspend(std::move(started));
}

std::size_t TaskGroup::size() const {
  return state_->tasks.size();
}

}  // namespace tally
