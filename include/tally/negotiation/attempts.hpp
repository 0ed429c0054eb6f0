// What became of each attempt to deliver a message, for people: kept beside the message, also when
// it has long been delivered or given up. Bounded: the first few and the last twenty. Home executor
// only.
//
// Nothing follows from what stands here, so that it is written beside the process and not with it.
#pragma once

#include <cstdint>
#include <deque>
#include <string>
#include <string_view>
#include <vector>

#include "tally/core/json.hpp"
#include "tally/core/store.hpp"

namespace tally::negotiation {

inline constexpr std::string_view attempts_kind = "attempts";

struct Attempt {
  std::string at;
  std::string answer;  // status and what the peer said of it, or the code of a network error
};

class Attempts {
 public:
  static constexpr std::size_t first_kept = 4;
  static constexpr std::size_t last_kept = 20;

  // Those of a message; none yet is none. A row that cannot be read counts as none.
  static Attempts of(Store& store, std::string_view message);

  void add(Attempt attempt);
  [[nodiscard]] std::uint64_t count() const { return count_; }
  // The answer to the last one, or empty.
  [[nodiscard]] std::string last_answer() const;
  // {"count", "first": [{"at", "answer"}], "last": […]}
  [[nodiscard]] Json to_json() const;
  // As it is stored: `process` is OutgoingMessage::process.
  [[nodiscard]] Row to_row(std::string_view message, std::string_view process) const;

 private:
  std::uint64_t version_ = 0;
  std::uint64_t count_ = 0;
  std::vector<Attempt> first_;
  std::deque<Attempt> last_;
};

// A history as `describe` shows it: each message that went out has `attempts` where one of them
// failed.
Json history_with_attempts(Json history, Store& store);
// What waits to be sent, as `describe` shows it.
Json to_json(const std::vector<OutgoingMessage>& waiting);

}  // namespace tally::negotiation
