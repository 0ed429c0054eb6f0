#include <tuple>

#include "tally/custody/key_source.hpp"

#include "keys.hpp"
#include "log_key.hpp"
#include "peer_credentials.hpp"
#include "programs.hpp"
#include "pseudonym_secret.hpp"
#include "witness_setup.hpp"

namespace tally::daemon {

namespace {

void note(std::vector<ConfigProblem>& problems, const Error& error, std::string pointer) {
  problems.push_back({error.message, std::move(pointer)});
}

}  // namespace

std::vector<ConfigProblem> check(const Config& config) {
  std::vector<ConfigProblem> problems;
  const std::pair<const std::filesystem::path&, const char*> files[] = {
      {config.tls_certificate, "tally.json/tls/certificate"},
      {config.contract_certificate, "tally.json/contract/certificate"},
  };
  const std::pair<const std::filesystem::path&, const char*> keys[] = {
      {config.tls_key, "tally.json/tls/key"},
      {config.contract_key, "tally.json/contract/key"},
      {config.log_key, "tally.json/log/key"},
  };
  for (const auto& [file, pointer] : files) {
    if (auto text = read_file(file); !text) note(problems, text.error(), pointer);
  }
  for (const auto& [file, pointer] : keys) {
    if (auto text = read_key_file(file); !text) note(problems, text.error(), pointer);
  }
  if (problems.empty()) {
    if (auto loaded = load_credentials(config); !loaded) {
      note(problems, loaded.error(), loaded.error().pointer);
    }
    if (auto key = load_log_signer(config.log_key, "check"); !key) {
      note(problems, key.error(), "tally.json/log/key");
    }
  }
  if (auto key = load_witness_key(config); !key) {
    note(problems, key.error(), "tally.json/witness/key");
  }
  if (auto quorum = load_witness_quorum(config); !quorum) {
    note(problems, quorum.error(), "tally.json/witness/quorum");
  }
  if (auto peers = load_peer_credentials(config); !peers) {
    note(problems, peers.error(), peers.error().pointer);
  }
  if (auto programs = load_programs(config); !programs) {
    note(problems, programs.error(), programs.error().pointer);
  }
  if (config.credential_peers && !config.credential_peers->plain) {
    if (auto pair = load_credential_pair(config, {}); !pair) {
      note(problems, pair.error(), "tally.json/listeners/credentialPeers");
    }
  }
  if (auto trust = load_trust(config); !trust) note(problems, trust.error(), "tally.json/trust");
  if (!std::filesystem::is_directory(config.data_root)) {
    problems.push_back(
        {{"daemon.folder-missing", {{"folder", config.data_root.string()}}}, "tally.json/dataRoot"}
    );
  }
  if (!config.wrapping_key.empty()) {
    auto key = custody::open_key_file(config.wrapping_key, config.folder);
    if (!key) note(problems, key.error(), "tally.json/custody/wrappingKey");
  }
  if (!config.pseudonym_key.empty()) {
    auto secret = PseudonymSecret::read(config.pseudonym_key);
    if (!secret) note(problems, secret.error(), "tally.json/pseudonymKey");
  }
  return problems;
}

}  // namespace tally::daemon
