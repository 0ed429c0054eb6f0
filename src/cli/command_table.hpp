// The commands of `tally` with what they take, read from the command line's own definition: what
// the manual page and the completions are made from, so that they cannot say anything else.
#pragma once

#include <string>
#include <vector>

namespace CLI {
class App;
}

namespace tally::cli {

struct Argument {
  std::string name;  // "--role", or "folder" of what has its place
  std::string about;
  std::vector<std::string> choices;  // empty: anything
  bool takes_value = true;
  bool required = false;
  bool repeats = false;
};

struct Command {
  std::string name;  // "rotate-key"
  std::string about;
  std::vector<Argument> options;    // named
  std::vector<Argument> arguments;  // by their place
  std::vector<Command> commands;
};

// In the order of the definition. The whole of it: call it when everything has been added.
Command command_table(const CLI::App& app);

}  // namespace tally::cli
