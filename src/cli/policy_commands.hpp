// `tally policy …`: what an author of policies needs. They work on files, with no daemon and no
// network.
#pragma once

#include <filesystem>
#include <string>
#include <vector>

#include "console.hpp"

namespace tally::cli {

// Every fault of every file, with its JSON pointer; warnings too, which refuse nothing. A file is a
// policy, or an offer file of the `policies/` folder, of which only the policy is looked at: its
// audience and its asset are the connector's to find. An offer file has to be enforceable by this
// connector; of a policy by itself what is not is only said. So is what the files have against each
// other. Exit: 0 no faults, 1 some, 3 a file
// that cannot be read.
int policy_check(const Console& console, const std::vector<std::filesystem::path>& files);

// Runs folders and files of cases (docs/odrl-engine.md, "Cases"): a line for each that fails, with
// expected and got, then the counts. Exit: 0 none failed, 1 some did, 3 a path that cannot be read.
int policy_cases(const Console& console, const std::vector<std::filesystem::path>& paths);

struct EvalOptions {
  std::filesystem::path policy, request, world;
  bool full = false;  // every rule, not only the decisive one
};
// The decision and why. Exit: 0 permit, 1 deny, 3 a file that cannot be read.
int policy_eval(const Console& console, const EvalOptions& options);

// Every relation of the two, with a state of the world that shows it. Exit: 0 the first refines the
// second, 1 it does not or nobody can say, 3 a file that cannot be read.
int policy_compare(
    const Console& console, const std::filesystem::path& a, const std::filesystem::path& b
);

// The policy in plain sentences. Exit: 0, 1 it is not valid, 3 it cannot be read.
int policy_explain(const Console& console, const std::filesystem::path& file);

struct NewOptions {
  std::string name;
  std::vector<std::string> values;  // "name=value"; "uid=…" names the policy
};
// An Offer from a template. Errors: invalid: a name or value that does not fit.
Result<Json> filled_template(const NewOptions& options);
// The same on standard output. Exit: 0, 3 a name or value that does not fit.
int policy_new(const Console& console, const NewOptions& options);
int policy_templates(const Console& console);

// Every word that the engine knows: what GET /api/v1/policy-terms serves.
int policy_terms(const Console& console);

}  // namespace tally::cli
