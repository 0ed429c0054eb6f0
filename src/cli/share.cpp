#include "share.hpp"

#include <algorithm>
#include <string_view>
#include <utility>

#include "tally/odrl/policy.hpp"

#include "connector_folder.hpp"
#include "files.hpp"

namespace tally::cli {

namespace {

namespace fs = std::filesystem;

// As the schema of an asset knows the forms of its data (docs/assets-and-offers.md).
std::string media_type_of(const fs::path& file) {
  constexpr std::pair<std::string_view, const char*> known[] = {
      {".csv", "text/csv"}, {".json", "application/json"}, {".ndjson", "application/x-ndjson"}};
  for (const auto& [ending, type] : known) {
    if (file.extension() == ending) return type;
  }
  return "application/octet-stream";
}

// The name of the two documents: an id may hold what a file's name may not.
std::string file_name_of(const std::string& id) {
  std::string name = id;
  std::ranges::replace_if(
      name,
      [](char c) {
        return c == '/' || c == '\\' || static_cast<unsigned char>(c) < ' ' || c == '\x7f';
      },
      '-'
  );
  return (name.starts_with('.') ? "-" + name : name) + ".json";
}

// Where the file stands below the data folder; empty: outside.
fs::path place_within(const fs::path& root, const fs::path& file) {
  std::error_code failed;
  const auto place =
      fs::weakly_canonical(file, failed).lexically_relative(fs::weakly_canonical(root, failed));
  return failed || place.empty() || *place.begin() == ".." ? fs::path() : place;
}

Result<Json> offer_of(
    const ShareOptions& options, const std::string& asset, const std::string& domain
) {
  auto policy = filled_template(options.terms);
  if (!policy) return policy;
  (*policy)["target"] = asset;
  Json readers = Json::array();
  for (const auto& party : options.to) {
    readers.push_back({{"domain", party.domain}, {"uri", party.uri}});
  }
  if (readers.empty()) readers.push_back({{"domain", domain}});
  odrl::LoadOptions load;
  load.required_type = odrl::PolicyType::offer;
  if (const auto good = odrl::load_policy(*policy, load); !good) {
    const auto& problem = good.error().front();
    return tl::unexpected(Error{ErrorKind::invalid, problem.message, problem.pointer});
  }
  return Json{{"visibleTo", std::move(readers)}, {"policy", *std::move(policy)}};
}

}  // namespace

int share(const Console& console, const ShareOptions& options) {
  const auto config = read_config(options.folder);
  if (!config) return console.fail(config.error(), usage);
  std::error_code failed;
  if (!fs::is_regular_file(options.file, failed)) {
    return console.fail(Message{"cli.file-unreadable", {{"file", options.file.string()}}}, usage);
  }
  const std::string id = options.id.empty() ? options.file.stem().string() : options.id;
  const auto offer = offer_of(options, id, (*config)["participant"]["domain"].get<std::string>());
  if (!offer) return console.fail(offer.error(), usage);

  const fs::path root = options.folder / config->value("dataRoot", "source");
  auto place = place_within(root, options.file);
  const bool copied = place.empty();
  if (copied) place = options.file.filename();
  const auto asset_file = options.folder / "assets" / file_name_of(id);
  const auto offer_file = options.folder / "policies" / file_name_of(id);
  for (const auto& file : {copied ? root / place : fs::path(), asset_file, offer_file}) {
    if (file.empty() || !fs::exists(file, failed)) continue;
    return console.fail(Message{"cli.share-taken", {{"file", file.string()}}}, refused);
  }

  // An asset that nobody is offered is seen by nobody, so the offer comes last.
  if (copied) {
    fs::create_directories(root, failed);
    if (!fs::copy_file(options.file, root / place, failed)) {
      return console.fail(
          Message{
              "cli.file-failed",
              {{"file", (root / place).string()},
               {"action", "create"},
               {"reason", failed.message()}}},
          refused
      );
    }
  }
  const Ordered asset = {
      {"id", id},
      {"title", options.title.empty() ? id : options.title},
      {"mediaType", media_type_of(options.file)},
      {"delivery", "custody"},
      {"source", {{"type", "file"}, {"path", place.string()}}}};
  for (const auto& [file, text] :
       {std::pair{asset_file, asset.dump(2)}, std::pair{offer_file, offer->dump(2)}}) {
    if (auto made = create_file(file, text + "\n", 0644); !made) {
      return console.fail(made.error());
    }
  }
  console.say(
      {"cli.shared", {{"asset", id}, {"file", asset_file.string()}, {"offer", offer_file.string()}}}
  );
  return done;
}

}  // namespace tally::cli
