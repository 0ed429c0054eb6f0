// Commands on policies as files.
#include <filesystem>
#include <memory>
#include <vector>

#include <CLI/CLI.hpp>

#include "command_line.hpp"
#include "policy_commands.hpp"

namespace tally::cli {

namespace {

using Files = std::vector<std::filesystem::path>;

}  // namespace

void add_policy_commands(CommandLine& line) {
  auto* policy = line.add(line.app, "policy", "help-policy");
  policy->require_subcommand(1);
  const auto files = std::make_shared<Files>();
  auto* check = line.add(*policy, "check", "help-policy-check");
  check->add_option("files", *files, line.help("help-policy-file"))->required();
  line.does(check, [&line, files] { return policy_check(line.console, *files); });
  auto* cases = line.add(*policy, "cases", "help-policy-cases");
  cases->add_option("folders", *files, line.help("help-case-folder"))->required();
  line.does(cases, [&line, files] { return policy_cases(line.console, *files); });

  const auto asked = std::make_shared<EvalOptions>();
  auto* eval = line.add(*policy, "eval", "help-policy-eval");
  eval->add_option("policy", asked->policy, line.help("help-policy-one"))->required();
  eval->add_option("--request", asked->request, line.help("help-request"))->required();
  eval->add_option("--world", asked->world, line.help("help-world"))->required();
  eval->add_flag("--full", asked->full, line.help("help-full"));
  line.does(eval, [&line, asked] { return policy_eval(line.console, *asked); });

  auto* compare = line.add(*policy, "compare", "help-policy-compare");
  compare->add_option("policies", *files, line.help("help-policy-one"))->required()->expected(2);
  line.does(compare, [&line, files] {
    return policy_compare(line.console, files->front(), files->back());
  });
  auto* explain = line.add(*policy, "explain", "help-policy-explain");
  explain->add_option("policy", *files, line.help("help-policy-one"))->required()->expected(1);
  line.does(explain, [&line, files] { return policy_explain(line.console, files->front()); });

  const auto filled = std::make_shared<NewOptions>();
  auto* made = line.add(*policy, "new", "help-policy-new");
  made->add_option("--template", filled->name, line.help("help-template"))->required();
  made->add_option("--set", filled->values, line.help("help-set"));
  line.does(made, [&line, filled] { return policy_new(line.console, *filled); });
  line.does(line.add(*policy, "templates", "help-policy-templates"), [&line] {
    return policy_templates(line.console);
  });
  line.does(line.add(*policy, "terms", "help-policy-terms"), [&line] {
    return policy_terms(line.console);
  });
}

}  // namespace tally::cli
