#include "tally/evidence/bundle.hpp"

#include <utility>
#include <vector>

#include <nlohmann/json.hpp>

#include "tally/audit/ustar.hpp"
#include "tally/core/digest.hpp"
#include "tally/core/json.hpp"

namespace tally::evidence {
namespace {

constexpr std::string_view manifest_type = "tally/bundle/v1";
constexpr std::size_t most_manifest_bytes = 128 << 20;

tl::unexpected<Error> of_file(ErrorKind kind, std::string code, std::string_view file) {
  return fail(kind, {std::move(code), {{"file", std::string(file)}}});
}

tl::unexpected<Error> malformed() {
  return of_file(ErrorKind::invalid, "evidence.manifest-malformed", manifest_file);
}

}  // namespace

const std::string* Bundle::find(std::string_view name) const {
  const auto found = files.find(name);
  return found == files.end() ? nullptr : &found->second;
}

std::string Bundle::print() const {
  Json digests = Json::object();
  for (const auto& [name, bytes] : files) digests[name] = to_hex(sha256(bytes));
  const Json manifest = {
      {"type", manifest_type},
      {"agreement", agreement},
      {"log", origin},
      {"size", size},
      {"files", std::move(digests)}};
  const std::string text = to_jcs(manifest);
  std::vector<audit::UstarFile> all;
  all.reserve(files.size() + 1);
  bool placed = false;
  for (const auto& [name, bytes] : files) {
    if (!placed && name > manifest_file) {
      all.push_back({manifest_file, text});
      placed = true;
    }
    all.push_back({name, bytes});
  }
  if (!placed) all.push_back({manifest_file, text});
  return audit::write_ustar(all);
}

Result<Bundle> parse_bundle(std::string_view archive) {
  const auto files = audit::parse_ustar(archive);
  if (!files) return tl::unexpected(files.error());
  Bundle bundle;
  const std::string_view* manifest_text = nullptr;
  for (const audit::UstarFile& file : *files) {
    if (file.name == manifest_file) {
      manifest_text = &file.bytes;
    } else {
      bundle.files.emplace_hint(bundle.files.end(), file.name, file.bytes);
    }
  }
  if (manifest_text == nullptr) {
    return of_file(ErrorKind::not_found, "evidence.file-missing", manifest_file);
  }
  const auto manifest = parse_json(*manifest_text, {.bytes = most_manifest_bytes, .depth = 3});
  if (!manifest || !manifest->is_object() || manifest->size() != 5 ||
      to_jcs(*manifest) != *manifest_text) {
    return malformed();
  }
  const auto type = string_member(*manifest, "type", "");
  auto agreement = string_member(*manifest, "agreement", "");
  auto origin = string_member(*manifest, "log", "");
  const auto size = manifest->find("size");
  const auto digests = manifest->find("files");
  if (!type || *type != manifest_type || !agreement || !origin || size == manifest->end() ||
      !size->is_number_unsigned() || digests == manifest->end() || !digests->is_object()) {
    return malformed();
  }
  bundle.agreement = *std::move(agreement);
  bundle.origin = *std::move(origin);
  bundle.size = size->get<std::uint64_t>();
  for (const auto& [name, bytes] : bundle.files) {
    const auto listed = digests->find(name);
    if (listed == digests->end()) {
      return of_file(ErrorKind::invalid, "evidence.file-unlisted", name);
    }
    if (*listed != Json(to_hex(sha256(bytes)))) {
      return of_file(ErrorKind::invalid, "evidence.file-changed", name);
    }
  }
  for (const auto& [name, digest] : digests->items()) {
    if (!bundle.files.contains(name)) {
      return of_file(ErrorKind::not_found, "evidence.file-missing", name.substr(0, 200));
    }
  }
  return bundle;
}

}  // namespace tally::evidence
