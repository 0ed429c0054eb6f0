// Counting where many threads pass and nothing may wait: each counts in cells of its own with one
// relaxed addition, and whoever reads adds them up. Numbers only grow, from the start of the
// process on; what is read while others count may lack the latest. Any thread.
#pragma once

#include <array>
#include <atomic>
#include <cstddef>
#include <cstdint>
#include <memory>
#include <vector>

namespace tally {

// A fixed number of counters.
class Counters {
 public:
  explicit Counters(std::size_t size);

  // `which` is below the size that was given.
  void add(std::size_t which, std::uint64_t n = 1);
  [[nodiscard]] std::vector<std::uint64_t> read() const;

 private:
  static constexpr std::size_t copies = 8;  // more threads than that share some
  static constexpr std::size_t per_line = 8;
  struct alignas(64) Line {
    std::array<std::atomic<std::uint64_t>, per_line> cells{};
  };

  std::size_t size_;
  std::size_t lines_;  // of one copy
  std::unique_ptr<Line[]> all_;
};

// How often values fell between bounds, and their sum.
class Histogram {
 public:
  // Upper bounds, ascending; a value on a bound belongs below it.
  explicit Histogram(std::vector<std::uint64_t> bounds);

  void observe(std::uint64_t value);

  struct Reading {
    std::vector<std::uint64_t> bounds;
    std::vector<std::uint64_t> counts;  // between them; the last: above all bounds
    std::uint64_t sum = 0;
  };
  [[nodiscard]] Reading read() const;

 private:
  std::vector<std::uint64_t> bounds_;
  Counters cells_;  // one for each of Reading::counts, then the sum
};

// Bounds in nanoseconds, 100 µs to 10 s.
std::vector<std::uint64_t> duration_bounds();

}  // namespace tally
