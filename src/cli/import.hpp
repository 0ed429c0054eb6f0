// `tally import`: what a certificate authority issued, put where the connector looks for it.
#pragma once

#include <filesystem>
#include <string>
#include <vector>

#include "console.hpp"

namespace tally::cli {

struct ImportOptions {
  std::filesystem::path folder;
  // Either: files with everything the authority gave, in any order …
  std::vector<std::filesystem::path> files;
  std::vector<std::string> uri_prefixes;  // of a domain that is not trusted yet; empty: the default
  // … or the two chains alone (PEM, leaf first), which changes no trust.
  std::filesystem::path tls_chain;
  std::filesystem::path contract_chain;
};

// Certificates are taken for the keys they belong to. An anchor is trusted for this connector's own
// domain where nothing is trusted yet for it, and then only with a revocation list; a list replaces
// the one before. All of it has to fit together before a file is written. Exit: 0, 1 refused, 3 a
// file that cannot be read.
int import_issued(const Console& console, const ImportOptions& options);

}  // namespace tally::cli
