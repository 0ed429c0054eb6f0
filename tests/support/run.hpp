// Runs one coroutine to its end on a context of its own, and a Worker that works at once. For tests
// of parts that wait for nothing but their own work.
#pragma once

#include <exception>
#include <functional>
#include <optional>
#include <stdexcept>
#include <utility>

#include <boost/asio/co_spawn.hpp>
#include <boost/asio/io_context.hpp>
#include <boost/asio/post.hpp>
#include <boost/asio/this_coro.hpp>
#include <boost/asio/use_awaitable.hpp>

#include "tally/core/clock.hpp"

namespace tally::testing {

template <class T>
T run(awaitable<T> task) {
  boost::asio::io_context context{1};
  std::optional<T> result;
  std::exception_ptr failed;
  boost::asio::co_spawn(context, std::move(task), [&](std::exception_ptr error, T value) {
    failed = error;
    if (!error) result.emplace(std::move(value));
  });
  context.run();
  if (failed) std::rethrow_exception(failed);
  if (!result) throw std::runtime_error("the coroutine waits for something that never comes");
  return std::move(*result);
}

class InlineWorker : public Worker {
 public:
  awaitable<void> run(std::function<void()> job) override {
    ++jobs;
    job();
    co_await boost::asio::post(
        co_await boost::asio::this_coro::executor, boost::asio::use_awaitable
    );
  }
  int jobs = 0;
};

}  // namespace tally::testing
