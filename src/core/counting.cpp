#include "tally/core/counting.hpp"

#include <algorithm>
#include <utility>

namespace tally {

namespace {

// Threads are few and stay: they take the copies in turn.
std::size_t number_of_thread() {
  static std::atomic<std::size_t> next{0};
  thread_local const std::size_t mine = next.fetch_add(1, std::memory_order_relaxed);
  return mine;
}

}  // namespace

Counters::Counters(std::size_t size)
    : size_(size),
      lines_((size + per_line - 1) / per_line),
      all_(std::make_unique<Line[]>(lines_ * copies)) {}

void Counters::add(std::size_t which, std::uint64_t n) {
  Line& line = all_[(number_of_thread() % copies) * lines_ + which / per_line];
  line.cells[which % per_line].fetch_add(n, std::memory_order_relaxed);
}

std::vector<std::uint64_t> Counters::read() const {
  std::vector<std::uint64_t> out(size_);
  for (std::size_t copy = 0; copy < copies; ++copy) {
    for (std::size_t i = 0; i < size_; ++i) {
      const Line& line = all_[copy * lines_ + i / per_line];
      out[i] += line.cells[i % per_line].load(std::memory_order_relaxed);
    }
  }
  return out;
}

Histogram::Histogram(std::vector<std::uint64_t> bounds)
    : bounds_(std::move(bounds)), cells_(bounds_.size() + 2) {}

void Histogram::observe(std::uint64_t value) {
  const auto bound = std::lower_bound(bounds_.begin(), bounds_.end(), value);
  cells_.add(static_cast<std::size_t>(bound - bounds_.begin()));
  cells_.add(bounds_.size() + 1, value);
}

Histogram::Reading Histogram::read() const {
  Reading out{bounds_, cells_.read(), 0};
  out.sum = out.counts.back();
  out.counts.pop_back();
  return out;
}

std::vector<std::uint64_t> duration_bounds() {
  constexpr std::uint64_t micro = 1'000;
  constexpr std::uint64_t milli = 1'000'000;
  return {
      100 * micro,
      250 * micro,
      500 * micro,
      1 * milli,
      2500 * micro,
      5 * milli,
      10 * milli,
      25 * milli,
      50 * milli,
      100 * milli,
      250 * milli,
      500 * milli,
      1'000 * milli,
      2'500 * milli,
      10'000 * milli};
}

}  // namespace tally
