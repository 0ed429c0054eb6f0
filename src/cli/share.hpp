// `tally share`: a file of one's own becomes an asset with an offer on it.
#pragma once

#include <filesystem>
#include <string>
#include <vector>

#include "tally/core/ids.hpp"

#include "console.hpp"
#include "policy_commands.hpp"

namespace tally::cli {

struct ShareOptions {
  std::filesystem::path folder;
  std::filesystem::path file;  // copied below the data folder, unless it lies there
  std::string id;              // of the asset; empty: the file's name without its ending
  std::string title;           // empty: the id
  NewOptions terms;            // the template of the offer
  std::vector<PartyId> to;     // who may see it; empty: everybody in this connector's domain
};

// Writes data, asset and offer, in this order, and nothing where one of them exists or the offer
// could not be enforced. A running connector takes it up within a second. Exit: 0, 1 refused, 3 a
// file that cannot be read.
int share(const Console& console, const ShareOptions& options);

}  // namespace tally::cli
