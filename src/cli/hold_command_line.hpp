// Which commands of `tally` are about holds and about what the other side used, and what they take.
#pragma once

#include <functional>
#include <string>

#include "console.hpp"
#include "management.hpp"

namespace CLI {
class App;
}

namespace tally::cli {

// What a file of commands is given of the whole command line.
struct CommandLine {
  const Console& console;
  std::function<std::string(const std::string& code)> help;
  std::function<void(std::function<int()> chosen)> run;  // what the line came to
  std::function<std::function<int()>(std::function<int(Management&)> ask)> with_api;
};

void add_hold_commands(CLI::App& app, CommandLine line);

}  // namespace tally::cli
