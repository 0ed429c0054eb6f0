#include "policy_commands.hpp"

#include <utility>

#include <nlohmann/json.hpp>

#include "tally/core/limits.hpp"
#include "tally/odrl/cases.hpp"
#include "tally/odrl/policy.hpp"

#include "files.hpp"

namespace tally::cli {

namespace {

// Of one file: what refuses it and what is only worth knowing.
struct Checked {
  std::vector<odrl::Problem> problems;
  std::vector<odrl::Problem> warnings;
};

Checked check(std::string_view text) {
  Checked checked;
  const Limits limits;
  const auto document = parse_json(text, {limits.policy_bytes, limits.json_depth});
  if (!document) {
    checked.problems.push_back({document.error().message, document.error().pointer});
    return checked;
  }
  const bool offer_file = document->is_object() && document->contains("policy");
  odrl::LoadOptions options;
  if (offer_file) options.required_type = odrl::PolicyType::offer;  // as the connector reads it
  auto policy = odrl::load_policy(offer_file ? document->at("policy") : *document, options);
  if (policy) {
    checked.warnings = (*policy)->warnings();
  } else {
    checked.problems = std::move(policy.error());
  }
  if (offer_file) {
    for (auto* list : {&checked.problems, &checked.warnings}) {
      for (auto& problem : *list) problem.pointer.insert(0, "/policy");
    }
  }
  return checked;
}

Json to_json(const Console& console, const std::vector<odrl::Problem>& problems) {
  Json out = Json::array();
  for (const auto& problem : problems) {
    auto& one = out.emplace_back(console.message_json(problem.message));
    one["pointer"] = problem.pointer;
  }
  return out;
}

void say(
    const Console& console,
    const char* code,
    const std::filesystem::path& file,
    const std::vector<odrl::Problem>& problems
) {
  for (const auto& problem : problems) {
    console.say(
        {code,
         {{"file", file.string()},
          {"pointer", problem.pointer.empty() ? "/" : problem.pointer},
          {"what", console.text(problem.message)}}}
    );
  }
}

}  // namespace

int policy_check(const Console& console, const std::vector<std::filesystem::path>& files) {
  bool refused_any = false;
  bool unreadable = false;
  Json report = Json::array();
  for (const auto& file : files) {
    const auto text = read_text(file);
    if (!text) {
      unreadable = true;
      console.fail(text.error(), usage);
      continue;
    }
    const auto checked = check(*text);
    refused_any = refused_any || !checked.problems.empty();
    if (console.json) {
      report.push_back(
          {{"file", file.string()},
           {"problems", to_json(console, checked.problems)},
           {"warnings", to_json(console, checked.warnings)}}
      );
      continue;
    }
    say(console, "cli.policy-problem", file, checked.problems);
    say(console, "cli.policy-warning", file, checked.warnings);
    if (checked.problems.empty()) console.say({"cli.policy-good", {{"file", file.string()}}});
  }
  if (console.json) console.print(report.dump(2));
  return unreadable ? usage : refused_any ? refused : done;
}

int policy_cases(const Console& console, const std::vector<std::filesystem::path>& paths) {
  const auto run = odrl::run_cases(paths);
  if (!run) return console.fail(run.error(), usage);
  Json failed = Json::array();
  for (const auto& result : run->results) {
    if (result.verdict != odrl::CaseVerdict::failed) continue;
    for (const auto& one : result.differences) {
      const std::map<std::string, std::string> params{
          {"case", result.id},
          {"file", result.file},
          {"what", one.what},
          {"expected", one.expected.empty() ? "-" : one.expected},
          {"got", one.got.empty() ? "-" : one.got},
      };
      if (console.json) {
        failed.push_back(params);
      } else {
        console.say({"cli.case-failed", params});
      }
    }
  }
  if (console.json) {
    const Json out = {
        {"passed", run->passed},
        {"failed", run->failed},
        {"outOfScope", run->out_of_scope},
        {"differences", failed}};
    console.print(out.dump(2));
  } else {
    if (run->out_of_scope > 0) {
      console.say({"cli.cases-out-of-scope", {{"number", std::to_string(run->out_of_scope)}}});
    }
    console.say(
        {"cli.cases-done",
         {{"passed", std::to_string(run->passed)}, {"failed", std::to_string(run->failed)}}}
    );
  }
  return run->failed == 0 ? done : refused;
}

}  // namespace tally::cli
