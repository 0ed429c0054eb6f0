#include "command_line.hpp"

#include <utility>

#include <CLI/CLI.hpp>

#include "tally/core/version.hpp"

namespace tally::cli {

PartyId parse_party(const std::string& text) {
  const auto colon = text.find(':');
  if (colon == std::string::npos) return {"", text};
  return {text.substr(0, colon), text.substr(colon + 1)};
}

Message malformed_party(const std::string& text) {
  return {"cli.party-malformed", {{"text", text}}};
}

CommandLine::CommandLine(CLI::App& of, Lang lang) : app(of), console{lang, false} {
  app.description(help("help"));
  app.require_subcommand(1);
  app.fallthrough();
  app.set_help_flag("-h,--help", help("help-help"));
  app.set_version_flag("--version", "tally " + std::string(version()), help("help-version"));
  app.add_option("--lang", lang_, help("help-lang"));
  app.add_flag("--json", console.json, help("help-json"));
  app.add_option("--connector", connection.folder, help("help-connector"))
      ->envname("TALLY_CONNECTOR");
  app.add_option("--url", connection.url, help("help-url"));
  app.add_option("--token", connection.token, help("help-token"));
}

std::string CommandLine::help(std::string_view code) const {
  return render({"cli." + std::string(code), {}}, console.lang);
}

CLI::App* CommandLine::add(CLI::App& parent, const std::string& name, std::string_view code) const {
  return parent.add_subcommand(name, help(code));
}

void CommandLine::does(CLI::App* command, std::function<int()> what) {
  command->callback([this, what = std::move(what)] { choose(what); });
}

void CommandLine::asks(CLI::App* command, std::function<int(Management&)> what) {
  does(command, asking(std::move(what)));
}

std::function<int()> CommandLine::asking(std::function<int(Management&)> what) const {
  return [this, what = std::move(what)] {
    auto api = Management::open(connection, console.lang);
    return api ? what(*api) : console.fail(api.error(), usage);
  };
}

}  // namespace tally::cli
