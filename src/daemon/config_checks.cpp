#include <set>
#include <tuple>

#include "config_reader.hpp"

namespace tally::daemon {

namespace {

bool is_loopback(std::string_view address) {
  return address.starts_with("127.") || address == "::1";
}

// In the form before this version's `insecureLoopback` put the one listener for peers in the clear,
// and `peers[].loopbackCredential` told them apart. It is the same as a listener for credentials
// there and none for certificates. True: the listener is of that form.
bool take_up_former_form(ConfigReader& read, Config& config) {
  for (std::size_t i = 0; i < config.known_peers.size(); ++i) {
    auto& entry = config.known_peers[i];
    if (!entry.former_credential) continue;
    const std::string at = "/peers/" + std::to_string(i) + "/loopbackCredential";
    if (entry.credential) {
      read.problem({"daemon.config-two-credentials", {}}, at);
    } else if (!config.insecure_loopback) {
      // It was without effect, and stays so: the peer is known by its certificate.
      entry.former_credential.reset();
    } else {
      entry.credential = entry.former_credential;
      config.former_form = true;
    }
  }
  if (!config.insecure_loopback || config.credential_peers || !config.peers) return false;
  config.former_form = true;
  config.credential_peers = std::move(config.peers);
  config.credential_peers->plain = true;
  config.peers.reset();
  return true;
}

void check_credential_listener(ConfigReader& read, Config& config) {
  if (!config.credential_peers) return;
  auto& listener = *config.credential_peers;
  const std::string at = "/listeners/credentialPeers";
  listener.plain = listener.public_url.starts_with("http://");
  if (listener.plain && !config.insecure_loopback) {
    read.problem({"daemon.config-plain", {{"url", listener.public_url}}}, at + "/publicUrl");
  }
  if (listener.plain && !is_loopback(listener.address)) {
    read.problem({"net.plain-not-loopback", {{"address", listener.address}}}, at + "/address");
  }
  for (const auto& [one, other, name] :
       {std::tuple{&listener.certificate, &listener.key, "key"},
        std::tuple{&listener.key, &listener.certificate, "certificate"}}) {
    if (one->empty() || !other->empty()) continue;
    read.problem({"daemon.config-missing", {{"setting", name}}}, at + "/" + name);
  }
}

void check_credential(
    ConfigReader& read, const Config& config, const PeerEntry& entry, const std::string& at
) {
  if (!entry.credential) {
    if (!entry.tls_anchors.empty()) {
      read.problem(
          {"daemon.config-anchors-unused", {{"uri", entry.party.uri}}}, child(at, "tlsAnchors")
      );
    }
    return;
  }
  const auto& credential = *entry.credential;
  const std::string place = child(at, "credential");
  if (!config.credential_peers) {
    read.problem({"daemon.config-no-credential-listener", {{"uri", entry.party.uri}}}, place);
  }
  if (credential.expects.empty() == credential.expects_file.empty()) {
    read.expected(place, "expects|expectsFile");
  }
  if (!credential.sends.empty() && !credential.sends_file.empty()) {
    read.expected(place, "sends|sendsFile");
  }
}

}  // namespace

void check_peers(ConfigReader& read, Config& config) {
  const bool former_listener = take_up_former_form(read, config);
  if (!config.peers && !config.credential_peers) {
    read.problem({"daemon.config-missing", {{"setting", "peers"}}}, "/listeners/peers");
  }
  if (!former_listener) check_credential_listener(read, config);
  std::set<PartyId> seen;
  for (std::size_t i = 0; i < config.known_peers.size(); ++i) {
    const auto& entry = config.known_peers[i];
    const std::string at = "/peers/" + std::to_string(i);
    if (!seen.insert(entry.party).second) {
      read.problem({"daemon.config-peer-twice", {{"uri", entry.party.uri}}}, at);
    }
    check_credential(read, config, entry, at);
  }
  // The address of data was one for all peers while there was one listener.
  if (config.peers) {
    config.peers->data_url = config.data_url.empty() ? config.peers->public_url : config.data_url;
  }
  if (config.credential_peers) {
    const bool one_for_all = former_listener && !config.data_url.empty();
    config.credential_peers->data_url =
        one_for_all ? config.data_url : config.credential_peers->public_url;
  }
}

}  // namespace tally::daemon
