// Commands on a running connector itself: how it is, what it holds, its applications, its clock.
#include <cstdint>
#include <memory>
#include <string>

#include <CLI/CLI.hpp>

#include "command_line.hpp"
#include "commands.hpp"
#include "custody_commands.hpp"
#include "doctor.hpp"

namespace tally::cli {

namespace {

void add_custody(CommandLine& line) {
  auto* custody = line.add(line.app, "custody", "help-custody");
  custody->require_subcommand(0, 1);
  const auto options = std::make_shared<CustodyCheckOptions>();
  auto* check = line.add(*custody, "check", "help-custody-check");
  check->add_option("artefact", options->artefact, line.help("help-custody-artefact"));
  check->add_option("--wait", options->wait_seconds, line.help("help-wait"));
  line.asks(check, [&line, options](Management& api) {
    return custody_check(line.console, api, *options);
  });
  const auto wait = std::make_shared<int>(3600);
  auto* rotate = line.add(*custody, "rotate-key", "help-custody-rotate-key");
  rotate->add_option("--wait", *wait, line.help("help-wait"));
  line.asks(rotate, [&line, wait](Management& api) {
    return rotate_wrapping_key(line.console, api, *wait);
  });
  custody->callback([&line, custody] {
    if (!custody->get_subcommands().empty()) return;
    line.choose(line.asking([&line](Management& api) { return cli::custody(line.console, api); }));
  });
}

void add_app(CommandLine& line) {
  auto* app = line.add(line.app, "app", "help-app");
  app->require_subcommand(1);
  const auto options = std::make_shared<AppOptions>();
  auto* add = line.add(*app, "add", "help-app-add");
  add->add_option("id", options->id, line.help("help-app-id"))->required();
  add->add_option("--purpose", options->purposes, line.help("help-purpose"))->required();
  add->add_option("--role", options->roles, line.help("help-app-role"));
  add->add_option("--agreement", options->agreements, line.help("help-app-agreement"));
  line.asks(add, [&line, options](Management& api) {
    return cli::add_app(line.console, api, *options);
  });
  auto* remove = line.add(*app, "remove", "help-app-remove");
  remove->add_option("id", options->id, line.help("help-app-id"))->required();
  line.asks(remove, [&line, options](Management& api) {
    return remove_app(line.console, api, options->id);
  });
}

void add_decide(CommandLine& line) {
  const auto options = std::make_shared<DecideOptions>();
  auto* decide = line.add(line.app, "decide", "help-decide");
  decide->add_option("agreement", options->agreement, line.help("help-agreement"))->required();
  decide->add_option("--app", options->app, line.help("help-app-id"))->required();
  decide->add_option("--purpose", options->purpose, line.help("help-purpose"));
  line.asks(decide, [&line, options](Management& api) {
    return cli::decide(line.console, api, *options);
  });
}

void add_clock(CommandLine& line) {
  const auto advance = std::make_shared<std::int64_t>(0);
  auto* clock = line.add(line.app, "clock", "help-clock");
  clock->add_option("--advance", *advance, line.help("help-advance"))->required();
  line.asks(clock, [&line, advance](Management& api) {
    return advance_clock(line.console, api, *advance);
  });
}

}  // namespace

void add_connector_commands(CommandLine& line) {
  line.asks(line.add(line.app, "reload", "help-reload"), [&line](Management& api) {
    return reload(line.console, api);
  });
  line.asks(line.add(line.app, "status", "help-status"), [&line](Management& api) {
    return status(line.console, api);
  });
  line.does(line.add(line.app, "doctor", "help-doctor"), [&line] {
    return doctor(line.console, line.connection);
  });
  add_custody(line);
  add_app(line);
  add_decide(line);
  add_clock(line);
}

}  // namespace tally::cli
