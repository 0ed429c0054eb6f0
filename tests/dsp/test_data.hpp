// The files that these tests read: our own examples, and the shared ones if they are there.
#pragma once

#include <filesystem>
#include <optional>
#include <string>
#include <vector>

#include <nlohmann/json.hpp>

#include "tally/core/json.hpp"

namespace tally::dsp {

std::filesystem::path data_folder();                   // tests/data/dsp
std::optional<std::filesystem::path> shared_folder();  // schemas, examples, recorded messages
Json read_json(const std::filesystem::path& file);     // fails the test if it is not JSON
Json example(const std::string& name);                 // messages/<name>.json
std::vector<std::filesystem::path> json_files(const std::filesystem::path& folder);  // sorted

// Applies [{"at": pointer, "value": …} | {"at": pointer, "remove": true}].
Json changed(Json document, const Json& changes);

// The pointers of all values below the root, each once.
std::vector<Json::json_pointer> all_places(const Json& document);

// Reads `value` as the message that its `@type` names (version metadata has none), and writes it
// again.
Result<Json> reread(const Json& value);

}  // namespace tally::dsp
