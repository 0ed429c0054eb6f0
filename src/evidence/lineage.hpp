// prov.jsonld: what the records of a bundle say of the data, in the terms of W3C PROV-O.
#pragma once

#include <string>
#include <vector>

#include "tally/core/result.hpp"

namespace tally::evidence {

// The file, of these records. Errors: of records that are none.
Result<std::string> lineage_of(std::vector<std::string> records, const std::string& agreement);

}  // namespace tally::evidence
