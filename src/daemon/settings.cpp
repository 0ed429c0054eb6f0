#include "settings.hpp"

#include <algorithm>
#include <array>

#include <nlohmann/json.hpp>

namespace tally::daemon {

namespace {

// docs/configuration.md marks them with "reload".
constexpr std::array<std::string_view, 9> reloaded = {
    "events",
    "listeners.credentialPeers.certificate",
    "listeners.credentialPeers.key",
    "peers",
    "regulators",
    "site",
    "taxonomy",
    "tls",
    "trust",
};

void add_settings(const Json& value, const std::string& name, Settings& out) {
  if (!value.is_object()) {
    out.emplace(name, sha256(value.dump()));
    return;
  }
  for (const auto& [key, member] : value.items()) {
    add_settings(member, name.empty() ? key : name + "." + key, out);
  }
}

}  // namespace

Settings settings_of(const Json& document) {
  Settings out;
  add_settings(document, "", out);
  return out;
}

std::vector<std::string> differing(const Settings& before, const Settings& now) {
  std::vector<std::string> names;
  for (const auto& [name, digest] : before) {
    const auto found = now.find(name);
    if (found == now.end() || found->second != digest) names.push_back(name);
  }
  for (const auto& [name, digest] : now) {
    if (!before.contains(name)) names.push_back(name);
  }
  std::ranges::sort(names);
  return names;
}

bool is_reloaded(std::string_view setting) {
  return std::ranges::any_of(reloaded, [setting](std::string_view name) {
    return setting == name ||
           (setting.starts_with(name) && setting.substr(name.size()).starts_with('.'));
  });
}

}  // namespace tally::daemon
