// What `tally` prints: sentences of the one table, tables for people, JSON for programs.
#pragma once

#include <string>
#include <string_view>
#include <vector>

#include "tally/core/json.hpp"
#include "tally/core/message.hpp"
#include "tally/core/result.hpp"

namespace tally::cli {

// Exit codes of every command: a promise to scripts.
enum Exit : int { done = 0, refused = 1, incomplete = 2, usage = 3 };

struct Console {
  Lang lang = Lang::en;
  bool json = false;

  void say(const Message& message) const;                  // standard output
  void print(std::string_view text) const;                 // standard output, a line
  int fail(const Error& error, int code = refused) const;  // standard error; returns `code`
  int fail(const Message& message, int code) const;
  // Column titles are codes "cli.column-<name>". Widths count a CJK character as two.
  void table(
      const std::vector<std::string>& columns, const std::vector<std::vector<std::string>>& rows
  ) const;
  [[nodiscard]] std::string text(const Message& message) const { return render(message, lang); }
  // {"code", "params", "text"}: a sentence within the JSON of an answer.
  [[nodiscard]] Json message_json(const Message& message) const;
};

// Cells that a terminal needs for `text` (UTF-8).
std::size_t display_width(std::string_view text);

}  // namespace tally::cli
