#include "command_table.hpp"

#include <algorithm>

#include <CLI/CLI.hpp>

namespace tally::cli {

namespace {

// "TEXT:{auditor,operator,admin}" is how CLI11 shows one of these words.
std::vector<std::string> choices_of(const std::string& type) {
  std::vector<std::string> out;
  const auto open = type.find('{');
  const auto close = type.find('}', open);
  if (open == std::string::npos || close == std::string::npos) return out;
  for (auto at = open + 1; at < close;) {
    const auto comma = std::min(type.find(',', at), close);
    out.push_back(type.substr(at, comma - at));
    at = comma + 1;
  }
  return out;
}

void add_options(const CLI::App& app, Command& to) {
  for (const CLI::Option* option : app.get_options()) {
    Argument one;
    one.about = option->get_description();
    one.choices = choices_of(option->get_type_name());
    one.takes_value = option->get_items_expected_max() > 0;
    one.required = option->get_required();
    one.repeats = one.takes_value && option->get_expected_max() > 1;
    one.name =
        option->get_positional() ? option->get_single_name() : "--" + option->get_lnames().front();
    (option->get_positional() ? to.arguments : to.options).push_back(std::move(one));
  }
}

}  // namespace

Command command_table(const CLI::App& app) {
  Command out{app.get_name(), app.get_description(), {}, {}, {}};
  add_options(app, out);
  for (const CLI::App* below : app.get_subcommands([](const CLI::App*) { return true; })) {
    // A nameless one groups options of the command it is in.
    if (below->get_name().empty()) {
      add_options(*below, out);
    } else {
      out.commands.push_back(command_table(*below));
    }
  }
  return out;
}

}  // namespace tally::cli
