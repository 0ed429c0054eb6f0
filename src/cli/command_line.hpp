// The command line of `tally`: what all commands share, how they are added, and which one was
// chosen. Each add_… is a file of commands and what they take; what these do is elsewhere.
#pragma once

#include <functional>
#include <string>
#include <string_view>
#include <utility>

#include "tally/core/ids.hpp"

#include "console.hpp"
#include "management.hpp"

namespace CLI {
class App;
}

namespace tally::cli {

// From "domain:uri", the way a party is written on a command line; without a colon the domain is
// empty.
PartyId parse_party(const std::string& text);
Message malformed_party(const std::string& text);

// Options and callbacks of `app` refer to it: it lives as long as they are used, and `app` longer.
class CommandLine {
 public:
  // Adds the options that every command has.
  CommandLine(CLI::App& app, Lang lang);
  CommandLine(const CommandLine&) = delete;
  CommandLine& operator=(const CommandLine&) = delete;

  CLI::App& app;
  Console console;
  Connection connection;

  // The sentence "cli.<code>": CLI11 wants plain text at construction.
  [[nodiscard]] std::string help(std::string_view code) const;
  CLI::App* add(CLI::App& parent, const std::string& name, std::string_view code) const;

  // What `command` does where it is the one that was chosen; the exit code is the program's.
  void does(CLI::App* command, std::function<int()> what);
  // The same for what a running connector is asked.
  void asks(CLI::App* command, std::function<int(Management&)> what);
  // For the callback of a command that has more to look at before.
  void choose(std::function<int()> what) { chosen_ = std::move(what); }
  [[nodiscard]] std::function<int()> asking(std::function<int(Management&)> what) const;

  [[nodiscard]] int run() const { return chosen_(); }

 private:
  std::string lang_;  // as it was written: the language was looked for before
  std::function<int()> chosen_;
};

void add_folder_commands(CommandLine& line);
void add_connector_commands(CommandLine& line);
void add_exchange_commands(CommandLine& line);
void add_hold_commands(CommandLine& line);
void add_duty_commands(CommandLine& line);
void add_audit_commands(CommandLine& line);
void add_policy_commands(CommandLine& line);

}  // namespace tally::cli
