// Which version of Tally this is.
#pragma once

#include <string_view>

namespace tally {

// As it is tagged, without the "v": "0.1.0".
std::string_view version();

}  // namespace tally
