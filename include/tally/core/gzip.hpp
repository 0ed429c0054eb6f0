// gzip (RFC 1952) of bodies in memory, and when HTTP allows it. Pure; any thread.
#pragma once

#include <cstddef>
#include <string>
#include <string_view>

#include "tally/core/http.hpp"
#include "tally/core/result.hpp"

namespace tally {

// For answers that are made once and sent once: quick rather than small.
std::string gzip(std::string_view text);
// Stops at `most` bytes, whatever the input promises. Errors: invalid (core.gzip-malformed: not one
// whole gzip member; core.gzip-too-large).
Result<std::string> gunzip(std::string_view packed, std::size_t most);

// RFC 9110, 12.5.3: whether Accept-Encoding names gzip, or everything, with a weight above 0.
bool accepts_gzip(const Headers& request);

}  // namespace tally
