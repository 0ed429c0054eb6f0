// `tally audit …`: an auditor's commands. They work on folders, with no daemon and no network.
#pragma once

#include <filesystem>
#include <string>
#include <vector>

#include "console.hpp"

namespace tally::cli {

// Exit: 0 whole, 1 evidence of change (record, file, offset), 2 incomplete, 3 usage. `folder` is a
// log folder or a connector's folder with `log` in it.
int audit_verify(const Console& console, const std::filesystem::path& folder, bool deep);

// The story of one agreement from one log, or from both sides' logs side by side.
int audit_show(
    const Console& console,
    const std::vector<std::filesystem::path>& folders,
    const std::string& agreement
);

}  // namespace tally::cli
