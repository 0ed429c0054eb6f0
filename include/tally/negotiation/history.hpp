// What happened in a process, line by line, for people. Bounded: the oldest lines go first.
#pragma once

#include <cstddef>
#include <string>

#include "tally/core/json.hpp"

namespace tally::negotiation {

struct HistoryEntry {
  std::string at;
  std::string direction;  // "in", "out", "local"
  std::string message;    // `@type` or command
  std::string id;         // `@id`
  std::string note;       // code, status, state
};

constexpr std::size_t history_length = 64;

// Kept as the text that its row holds: a line is added at each step of a process and hardly ever
// read.
class History {
 public:
  History() = default;
  // What is no list of a row of ours is an empty history.
  explicit History(const Json& list);

  void add(const HistoryEntry& entry);
  // A JSON array, as text and as a value.
  [[nodiscard]] std::string text() const { return "[" + lines_ + "]"; }
  [[nodiscard]] Json json() const;

 private:
  std::string lines_;  // objects with commas between them
  std::size_t count_ = 0;
};

}  // namespace tally::negotiation
