// What is wrong with a command line, as a sentence of the one table.
#pragma once

#include <string>

#include "tally/core/message.hpp"

namespace CLI {
class App;
class ParseError;
}  // namespace CLI

namespace tally::cli {

// `app` has parsed as far as the fault: the sentence names the command whose --help tells more.
Message fault_of(const CLI::App& app, const CLI::ParseError& error);

}  // namespace tally::cli
