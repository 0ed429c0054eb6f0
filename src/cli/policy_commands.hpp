// `tally policy …`: what an author of policies needs. They work on files, with no daemon and no
// network.
#pragma once

#include <filesystem>
#include <vector>

#include "console.hpp"

namespace tally::cli {

// Every fault of every file, with its JSON pointer; warnings too, which refuse nothing. A file is a
// policy, or an offer file of the `policies/` folder, of which only the policy is looked at: its
// audience and its asset are the connector's to find. Exit: 0 all can be enforced, 1 some cannot,
// 3 a file that cannot be read.
int policy_check(const Console& console, const std::vector<std::filesystem::path>& files);

// Runs folders and files of cases (docs/odrl-profile.md, "Cases"): a line for each that fails, with
// expected and got, then the counts. Exit: 0 none failed, 1 some did, 3 a path that cannot be read.
int policy_cases(const Console& console, const std::vector<std::filesystem::path>& paths);

}  // namespace tally::cli
