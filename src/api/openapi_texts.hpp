// The descriptions of src/api/openapi, as the build makes them part of the program.
#pragma once

#include <string_view>

namespace tally::api {

extern const std::string_view management_description;
extern const std::string_view applications_description;

}  // namespace tally::api
