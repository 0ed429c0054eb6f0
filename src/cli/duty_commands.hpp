// Which commands of `tally` are about duties that are confirmed, and what they take.
#pragma once

#include "hold_command_line.hpp"

namespace tally::cli {

void add_duty_commands(CLI::App& app, CommandLine line);

}  // namespace tally::cli
