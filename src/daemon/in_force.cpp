#include "in_force.hpp"

#include <algorithm>
#include <set>

#include <nlohmann/json.hpp>

namespace tally::daemon {

namespace {

// One digest over the files, each with its length; empty: there are none. A `key` that only this
// connector has keeps a reader of the log from trying what may stand in them.
Result<std::string> digest_over(
    const std::vector<std::filesystem::path>& files, const Secret& key = {}
) {
  if (files.empty()) return std::string();
  Sha256 sha;
  sha.update(key.text());
  for (const auto& file : files) {
    const auto content = read_secret(file);
    if (!content) return tl::unexpected(content.error());
    sha.update(std::to_string(content->size()) + ":");
    sha.update(content->text());
  }
  return digest_text(sha.finish());
}

// What the entries of peers name, in the order of the configuration: who is let in by what, and
// whose server is believed. One digest for all, since there may be many.
Result<void> add_peer_files(const Config& config, Json& digests) {
  std::vector<std::filesystem::path> anchors;
  std::vector<std::filesystem::path> secrets;
  for (const auto& entry : config.known_peers) {
    if (!entry.tls_anchors.empty()) anchors.push_back(entry.tls_anchors);
    if (!entry.credential) continue;
    for (const auto& file : {entry.credential->expects_file, entry.credential->sends_file}) {
      if (!file.empty()) secrets.push_back(file);
    }
  }
  const auto of_anchors = digest_over(anchors);
  if (!of_anchors) return tl::unexpected(of_anchors.error());
  if (!of_anchors->empty()) digests["peerAnchors"] = *of_anchors;
  if (secrets.empty()) return {};
  const auto key = read_secret(config.contract_key);
  if (!key) return tl::unexpected(key.error());
  const auto of_secrets = digest_over(secrets, *key);
  if (!of_secrets) return tl::unexpected(of_secrets.error());
  digests["peerCredentials"] = *of_secrets;
  return {};
}

// What is shared with programs of the operator, and by what their servers are judged.
Result<void> add_program_files(const Config& config, Json& digests) {
  std::vector<std::filesystem::path> files;
  const auto add = [&files](const ProgramEntry& entry) {
    files.push_back(entry.key);
    if (!entry.tls_anchors.empty()) files.push_back(entry.tls_anchors);
  };
  std::ranges::for_each(config.hooks, add);
  std::ranges::for_each(config.webhooks, add);
  if (files.empty()) return {};
  const auto key = read_secret(config.contract_key);
  if (!key) return tl::unexpected(key.error());
  const auto digest = digest_over(files, *key);
  if (!digest) return tl::unexpected(digest.error());
  digests["programs"] = *digest;
  return {};
}

}  // namespace

Result<Json> digests_in_force(const Config& config, const Credentials& credentials) {
  const auto configuration = read_file(config.folder / "tally.json");
  if (!configuration) return tl::unexpected(configuration.error());
  Json anchors = Json::object();
  Json revocations = Json::object();
  for (const auto& entry : config.trust) {
    const auto trusted = read_file(entry.anchors);
    if (!trusted) return tl::unexpected(trusted.error());
    anchors[entry.domain] = digest_text(sha256(*trusted));
    if (entry.crl.empty()) continue;
    const auto revoked = read_file(entry.crl);
    if (!revoked) return tl::unexpected(revoked.error());
    revocations[entry.domain] = digest_text(sha256(*revoked));
  }
  Json digests{
      {"configuration", digest_text(sha256(*configuration))},
      {"certificate", "sha256:" + credentials.tls.sha256},
      {"contractCertificate", "sha256:" + credentials.contract.sha256},
      {"anchors", std::move(anchors)},
      {"revocations", std::move(revocations)},
  };
  if (auto added = add_peer_files(config, digests); !added) return fail(std::move(added));
  if (auto added = add_program_files(config, digests); !added) return fail(std::move(added));
  return digests;
}

Json with_rules(Json digests, const std::string& rules) {
  if (!digests.is_object()) digests = Json::object();
  digests.erase("rules");
  if (!rules.empty()) digests["rules"] = rules;
  return digests;
}

std::vector<std::string> differing(const Json& before, const Json& now) {
  std::set<std::string> names;
  const auto compare = [&names](const Json& one, const Json& other, const std::string& prefix) {
    if (!one.is_object()) return;
    for (const auto& [name, value] : one.items()) {
      if (!value.is_string()) continue;
      if (!other.is_object() || other.value(name, Json()) != value) names.insert(prefix + name);
    }
  };
  const auto both = [&compare](const Json& one, const Json& other, const std::string& prefix) {
    compare(one, other, prefix);
    compare(other, one, prefix);
  };
  both(before, now, "");
  for (const char* group : {"anchors", "revocations"}) {
    const auto of = [group](const Json& digests) {
      return digests.is_object() ? digests.value(group, Json::object()) : Json::object();
    };
    both(of(before), of(now), std::string(group) + "/");
  }
  return {names.begin(), names.end()};
}

ConfigurationInForce::ConfigurationInForce() : digests_(std::make_unique<Json>()) {}
ConfigurationInForce::~ConfigurationInForce() = default;

void ConfigurationInForce::set(Json digests) {
  *digests_ = std::move(digests);
}

Result<void> ConfigurationInForce::replay(const audit::RecordView& record) {
  if (record.type == "config.changed") set(Json::parse(record.raw("digests"), nullptr, false));
  return {};
}

void ConfigurationInForce::save(const Item& item) const {
  // A record of an earlier version has none, and then none are in force.
  if (digests_->is_object()) item(*digests_);
}

Result<void> ConfigurationInForce::restore(const Json& item) {
  if (!item.is_object() || !digests_->is_null()) return audit::malformed_item(part_name());
  set(item);
  return {};
}

}  // namespace tally::daemon
