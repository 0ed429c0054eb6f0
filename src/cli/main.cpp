// tally: the operator's and the auditor's tool. Which commands there are and what they take is in
// the files *_command_line.cpp; commands on files work alone, the others ask the management API of
// a running connector.
#include <cstdlib>
#include <exception>
#include <memory>
#include <string>
#include <string_view>

#include <CLI/CLI.hpp>

#include "tally/core/secret.hpp"
#include "tally/core/version.hpp"

#include "command_line.hpp"
#include "command_table.hpp"
#include "line_fault.hpp"
#include "manual_page.hpp"

namespace {

using namespace tally;
using namespace tally::cli;

Lang language_of(int argc, char** argv) {
  for (int i = 1; i + 1 < argc; ++i) {
    if (std::string_view(argv[i]) == "--lang") return parse_lang(argv[i + 1]);
  }
  for (const char* name : {"LC_ALL", "LC_MESSAGES", "LANG"}) {
    const char* value = std::getenv(name);
    if (value != nullptr && *value != '\0') return parse_lang(value);
  }
  return Lang::en;
}

// Commands about this program itself.
void add_own_commands(CommandLine& line) {
  const auto shell = std::make_shared<std::string>();
  auto* completion = line.add(line.app, "completion", "help-completion");
  completion->add_option("shell", *shell, line.help("help-shell"))
      ->required()
      ->check(CLI::IsMember({"bash", "zsh"}));
  line.does(completion, [&line, shell] {
    line.console.print(*cli::completion(command_table(line.app), *shell));
    return done;
  });
  line.does(line.add(line.app, "manual", "help-manual"), [&line] {
    line.console.print(manual_page(command_table(line.app), version(), line.console.lang));
    return done;
  });
}

}  // namespace

int main(int argc, char** argv) {
  guard_secrets();
  CLI::App app;
  CommandLine line(app, language_of(argc, argv));
  add_folder_commands(line);
  add_connector_commands(line);
  add_exchange_commands(line);
  add_hold_commands(line);
  add_duty_commands(line);
  add_audit_commands(line);
  add_policy_commands(line);
  add_own_commands(line);
  try {
    app.parse(argc, argv);
  } catch (const CLI::ParseError& error) {
    if (error.get_exit_code() == 0) return app.exit(error);  // help, version
    return line.console.fail(fault_of(app, error), usage);
  }
  // Instead of an abort without a word. 3, since 1 and 2 say something of what was looked at.
  try {
    return line.run();
  } catch (const std::exception& unexpected) {
    return line.console.fail(Message{"cli.unexpected", {{"reason", unexpected.what()}}}, usage);
  }
}
