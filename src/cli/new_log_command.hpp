// `tally audit new-log`: a connector whose log must not be extended any more goes on with another.
#pragma once

#include <filesystem>

#include "console.hpp"

namespace tally::cli {

struct NewLogOptions {
  std::filesystem::path folder;  // of the connector, which does not run
  bool without_proof = false;    // nobody's proof of a loss is beside the log
};
// Ends every agreement, negotiation and transfer that is open, and begins the next log, which names
// the one before. Stopped at any point it is finished by being run again; the daemon does not start
// in between. Exit: 0 done, 1 refused, 3 no connector's folder.
int audit_new_log(const Console& console, const NewLogOptions& options);

}  // namespace tally::cli
