#include "dsp/test_data.hpp"

#include <algorithm>
#include <cstdlib>
#include <fstream>
#include <functional>
#include <map>
#include <set>
#include <sstream>

#include <gtest/gtest.h>

#include "tally/dsp/binding.hpp"
#include "tally/dsp/messages.hpp"

namespace tally::dsp {

namespace fs = std::filesystem;

fs::path data_folder() {
  return fs::path(TALLY_SOURCE_DIR) / "tests/data/dsp";
}

std::optional<fs::path> shared_folder() {
  const char* named = std::getenv("TALLY_SHARED");
  const fs::path folder = named ? fs::path(named) : fs::path(TALLY_SOURCE_DIR) / "../shared";
  if (!fs::exists(folder / "dsp-schemas")) return std::nullopt;
  return folder;
}

Json read_json(const fs::path& file) {
  std::ifstream in(file, std::ios::binary);
  std::ostringstream text;
  text << in.rdbuf();
  auto value = parse_json(text.str());
  if (!value) {
    ADD_FAILURE() << file << ": " << render(value.error().message, Lang::en);
    return {};
  }
  return *value;
}

Json example(const std::string& name) {
  return read_json(data_folder() / "messages" / (name + ".json"));
}

std::vector<fs::path> json_files(const fs::path& folder) {
  std::vector<fs::path> files;
  for (const auto& entry : fs::recursive_directory_iterator(folder)) {
    if (entry.path().extension() == ".json") files.push_back(entry.path());
  }
  std::sort(files.begin(), files.end());
  return files;
}

Json changed(Json document, const Json& changes) {
  for (const Json& change : changes) {
    const Json::json_pointer at(change.at("at").get<std::string>());
    if (!change.contains("remove")) {
      document[at] = change.at("value");
    } else {
      document.at(at.parent_pointer()).erase(at.back());
    }
  }
  return document;
}

std::vector<Json::json_pointer> all_places(const Json& document) {
  std::set<std::string> found;
  const Json flat = document.flatten();
  for (const auto& [pointer, ignored] : flat.items()) {
    Json::json_pointer at(pointer);
    while (!at.empty() && found.insert(at.to_string()).second) at.pop_back();
  }
  std::vector<Json::json_pointer> places;
  for (const std::string& pointer : found) places.emplace_back(pointer);
  return places;
}

namespace {

template <class X>
Result<Json> reread_as(const Json& value) {
  auto read = from_json<X>(value);
  if (!read) return fail(std::move(read));
  return to_json(*read);
}

}  // namespace

Result<Json> reread(const Json& value) {
  static const std::map<std::string, std::function<Result<Json>(const Json&)>> readers{
      {"CatalogRequestMessage", reread_as<CatalogRequestMessage>},
      {"Catalog", reread_as<Catalog>},
      {"Dataset", reread_as<Dataset>},
      {"CatalogError", reread_as<CatalogError>},
      {"ContractRequestMessage", reread_as<ContractRequestMessage>},
      {"ContractOfferMessage", reread_as<ContractOfferMessage>},
      {"ContractAgreementMessage", reread_as<ContractAgreementMessage>},
      {"ContractAgreementVerificationMessage", reread_as<ContractAgreementVerificationMessage>},
      {"ContractNegotiationEventMessage", reread_as<ContractNegotiationEventMessage>},
      {"ContractNegotiationTerminationMessage", reread_as<ContractNegotiationTerminationMessage>},
      {"ContractNegotiation", reread_as<ContractNegotiation>},
      {"ContractNegotiationError", reread_as<ContractNegotiationError>},
      {"TransferRequestMessage", reread_as<TransferRequestMessage>},
      {"TransferStartMessage", reread_as<TransferStartMessage>},
      {"TransferSuspensionMessage", reread_as<TransferSuspensionMessage>},
      {"TransferCompletionMessage", reread_as<TransferCompletionMessage>},
      {"TransferTerminationMessage", reread_as<TransferTerminationMessage>},
      {"TransferProcess", reread_as<TransferProcess>},
      {"TransferError", reread_as<TransferError>},
      {"", reread_as<VersionResponse>},
  };
  const auto reader = readers.find(message_type(value));
  if (reader == readers.end()) return fail(ErrorKind::invalid, {"test.no-reader", {}});
  return reader->second(value);
}

}  // namespace tally::dsp
