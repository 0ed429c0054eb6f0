// What an operator changed in the folder of a running connector is taken up: read and judged whole,
// recorded, then put in force. Connections, negotiations and transfers go on.
#include <algorithm>
#include <utility>

#include <nlohmann/json.hpp>

#include "connector.hpp"
#include "in_force.hpp"
#include "serving.hpp"

namespace tally::daemon {

namespace {

std::string list_of(const std::vector<std::string>& names) {
  std::string text;
  for (const auto& name : names) text += (text.empty() ? "" : ", ") + name;
  return text.empty() ? "–" : text;
}

// Digests of files that are read at a start alone.
constexpr std::string_view read_at_start[] = {"contractCertificate", "programs"};

}  // namespace

void Connector::reload_in_background() {
  // Whatever fails is noted where it does.
  auto reloading = [](Connector& self) -> awaitable<void> { co_await self.reload(); };
  tasks_->spawn("reload", reloading(*this));
}

awaitable<Result<api::Reloaded>> Connector::reload() {
  // One at a time: each begins with what the one before put in force.
  while (reloading_) co_await timers_.sleep_for(milliseconds(10));
  reloading_ = true;
  struct Release {
    bool& flag;
    ~Release() { flag = false; }
  } release{reloading_};
  const auto failed = [this](const Error& error) {
    notices_.note(Severity::error, error.message);
    return tl::unexpected(error);
  };

  auto fresh = read_again();
  if (!fresh) co_return fail(std::move(fresh));
  const std::string rules = rules_->digest();
  auto read = co_await rules_->reload();
  if (!read) co_return failed(read.error());
  fresh->digests = with_rules(std::move(fresh->digests), rules_->digest());

  api::Reloaded out;
  out.changed = changes(*fresh, true);
  out.restart = changes(*fresh, false);
  if (rules_->digest() != rules) out.changed.emplace_back("rules");
  // Recorded before it takes effect.
  auto recorded = co_await record_configuration("reload", fresh->digests);
  if (!recorded) co_return failed(recorded.error());
  take_up(std::move(*fresh));
  auto documents = co_await catalog_->reload();
  if (!documents) co_return failed(documents.error());
  out.documents = std::move(*documents);
  out.said = {
      "daemon.reloaded", {{"changed", list_of(out.changed)}, {"restart", list_of(out.restart)}}};
  notices_.note(Severity::info, out.said);
  co_return out;
}

Result<Connector::Fresh> Connector::read_again() const {
  std::vector<ConfigProblem> faults;
  auto config = load_config(config_.folder, config_.insecure_loopback);
  Fresh out;
  if (!config) {
    faults = std::move(config.error());
  } else {
    const auto take = [&faults](auto& into, auto read) {
      if (read) {
        into = std::move(*read);
      } else {
        faults.push_back({read.error().message, read.error().pointer});
      }
    };
    out.config = std::move(*config);
    take(out.trust, load_trust(out.config));
    take(out.credentials, load_credentials(out.config));
    take(out.peers, load_peer_credentials(out.config));
    if (faults.empty()) take(out.digests, digests_in_force(out.config, out.credentials));
  }
  if (faults.empty()) return out;
  for (const auto& fault : faults) notices_.note(Severity::error, fault.message);
  return fail(ErrorKind::conflict, faults.front().message, faults.front().pointer);
}

std::vector<std::string> Connector::changes(const Fresh& fresh, bool taken_up) const {
  std::vector<std::string> names;
  for (auto& name : differing(config_.settings, fresh.config.settings)) {
    if (is_reloaded(name) == taken_up) names.push_back(std::move(name));
  }
  const Json& before = taken_up ? from_log_->configuration.digests() : at_start_;
  for (auto& name : differing(before, fresh.digests)) {
    // The settings say it more exactly, and rules are looked at on their own.
    if (name == "configuration" || name == "rules") continue;
    const bool at_start = std::ranges::find(read_at_start, name) != std::end(read_at_start);
    if (at_start != taken_up) names.push_back(std::move(name));
  }
  return names;
}

void Connector::take_up(Fresh fresh) {
  trust_->replace(std::move(fresh.trust));
  peer_->recheck();
  const auto note = [this](const Result<void>& done) {
    if (!done) notices_.note(Severity::error, done.error().message);
  };
  const Credentials& credentials = fresh.credentials;
  note(peer_->reload_tls(credentials.tls_certificate_pem, credentials.tls_key_pem));
  if (serving_->peers) {
    note(serving_->peers->reload_tls(credentials.tls_certificate_pem, credentials.tls_key_pem));
  }
  if (serving_->credential_peers && !config_.credential_peers->plain) {
    auto pair = load_credential_pair(fresh.config, credentials);
    note(
        pair ? serving_->credential_peers->reload_tls(pair->certificate, pair->key)
             : Result<void>(tl::unexpected(pair.error()))
    );
  }
  credentials_.tls = credentials.tls;
  note(peer_->set_addresses(addresses_of(fresh.config.known_peers, fresh.peers)));
  peer_credentials_->replace(std::move(fresh.peers));
  peers_->replace(fresh.config.known_peers);
  if (quota_) quota_->set(quota_of(config_, fresh.config.known_peers));
  enforcer_->surround(surroundings_of(fresh.config));
  holds_->set_regulators(std::move(fresh.config.regulators));
  for (const auto& name : differing(config_.settings, fresh.config.settings)) {
    if (!is_reloaded(name)) continue;
    const auto now = fresh.config.settings.find(name);
    if (now == fresh.config.settings.end()) {
      config_.settings.erase(name);
    } else {
      config_.settings[name] = now->second;
    }
  }
}

}  // namespace tally::daemon
