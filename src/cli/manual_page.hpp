// The manual page of `tally`, in the man macros of roff, and its completions for shells. Pure.
#pragma once

#include <optional>
#include <string>
#include <string_view>

#include "tally/core/message.hpp"

#include "command_table.hpp"

namespace tally::cli {

std::string manual_page(const Command& program, std::string_view version, Lang lang);

// For "bash" or "zsh"; nullopt: another shell.
std::optional<std::string> completion(const Command& program, std::string_view shell);

}  // namespace tally::cli
