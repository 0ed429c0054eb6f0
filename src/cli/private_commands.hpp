// Facts about persons beside a log: erased and opened through the connector that has their keys,
// checked with two files alone.
#pragma once

#include <cstdint>
#include <filesystem>
#include <optional>
#include <string>

#include "console.hpp"
#include "management.hpp"

namespace tally::cli {

struct EraseOptions {
  std::optional<std::uint64_t> record;  // one of these two
  std::string subject;
  std::string basis;
};
int audit_erase(const Console& console, Management& api, const EraseOptions& options);

// Prints the opening of the fact beside record `seq`, checked against the record.
int audit_open(const Console& console, Management& api, std::uint64_t seq);

// Exit: 0 the record commits to the opening, 1 it does not, 3 usage.
int audit_check_opening(
    const Console& console,
    const std::filesystem::path& record,
    const std::filesystem::path& opening
);

}  // namespace tally::cli
