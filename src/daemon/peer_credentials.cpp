#include "peer_credentials.hpp"

#include <algorithm>
#include <limits>

#include "tally/core/json.hpp"

#include "keys.hpp"

namespace tally::daemon {

namespace {

constexpr std::size_t longest = 4096;

// What an HTTP field can carry from one side to the other unchanged.
bool is_field_value(std::string_view text) {
  const auto fits = [](char c) { return c >= 0x20 && c < 0x7f; };
  return !text.empty() && text.size() <= longest && text.front() != ' ' && text.back() != ' ' &&
         std::all_of(text.begin(), text.end(), fits);
}

// Of the two ways to give a value; empty when neither is used.
Result<Secret> value_of(
    const std::string& written, const std::filesystem::path& file, const std::string& at
) {
  Secret value{std::string_view(written)};
  if (!file.empty()) {
    auto text = read_key_file(file);
    if (!text) return fail(text.error().kind, text.error().message, at);
    value = std::move(*text);
    // An editor's last line break is not part of it.
    for (const char last : {'\n', '\r'}) {
      if (value.text().ends_with(last)) value.shorten(value.size() - 1);
    }
  } else if (written.empty()) {
    return value;
  }
  if (!is_field_value(value)) {
    return fail(ErrorKind::invalid, {"daemon.credential-malformed", {}}, at);
  }
  return value;
}

}  // namespace

Result<std::vector<LoadedCredential>> load_peer_credentials(const Config& config) {
  std::vector<LoadedCredential> out;
  for (std::size_t i = 0; i < config.known_peers.size(); ++i) {
    const auto& entry = config.known_peers[i];
    if (!entry.credential) continue;
    const std::string at = "tally.json/peers/" + std::to_string(i);
    const auto& credential = *entry.credential;
    auto expects =
        value_of(credential.expects, credential.expects_file, at + "/credential/expects");
    if (!expects) return tl::unexpected(expects.error());
    auto sends = value_of(credential.sends, credential.sends_file, at + "/credential/sends");
    if (!sends) return tl::unexpected(sends.error());
    LoadedCredential loaded;
    loaded.party = entry.party;
    loaded.expects = sha256(expects->text());
    loaded.outgoing.sends = std::move(*sends);
    if (!entry.tls_anchors.empty()) {
      auto anchors = read_file(entry.tls_anchors);
      if (!anchors) {
        return fail(anchors.error().kind, anchors.error().message, at + "/tlsAnchors");
      }
      if (anchors->find("-----BEGIN CERTIFICATE-----") == std::string::npos) {
        return fail(
            ErrorKind::invalid,
            {"net.peer-anchors", {{"peer", to_string(entry.party)}}},
            at + "/tlsAnchors"
        );
      }
      loaded.outgoing.anchors_pem = std::move(*anchors);
    }
    for (const auto& other : out) {
      if (other.expects != loaded.expects) continue;
      return fail(
          ErrorKind::invalid,
          {"daemon.credential-shared",
           {{"one", to_string(other.party)}, {"other", to_string(loaded.party)}}},
          at + "/credential/expects"
      );
    }
    out.push_back(std::move(loaded));
  }
  return out;
}

std::vector<net::PeerAddress> addresses_of(
    const std::vector<PeerEntry>& entries, const std::vector<LoadedCredential>& credentials
) {
  std::vector<net::PeerAddress> out;
  out.reserve(entries.size());
  for (const auto& entry : entries) {
    net::PeerAddress address{entry.party, entry.hosts, entry.private_addresses, std::nullopt};
    for (const auto& credential : credentials) {
      if (credential.party == entry.party) address.credential = credential.outgoing;
    }
    out.push_back(std::move(address));
  }
  return out;
}

void PeerCredentials::replace(std::vector<LoadedCredential> credentials) {
  const std::lock_guard lock(mutex_);
  credentials_ = std::move(credentials);
}

std::optional<PartyId> PeerCredentials::owner(std::string_view authorization) const {
  if (authorization.empty()) return std::nullopt;
  const Digest given = sha256(authorization);
  const auto bytes = [](const Digest& digest) {
    return std::string_view(reinterpret_cast<const char*>(digest.data()), digest.size());
  };
  std::optional<PartyId> found;
  const std::lock_guard lock(mutex_);
  // To the end also when it is found: the time tells nothing of whose it is.
  for (const auto& credential : credentials_) {
    if (equal_secret(bytes(credential.expects), bytes(given))) found = credential.party;
  }
  return found;
}

bool PeerCredentials::has(const PartyId& party) const {
  const std::lock_guard lock(mutex_);
  return std::any_of(credentials_.begin(), credentials_.end(), [&](const LoadedCredential& one) {
    return one.party == party;
  });
}

std::shared_ptr<const identity::PeerIdentity> identity_by_credential(PartyId party) {
  auto identity = std::make_shared<identity::PeerIdentity>();
  identity->party = std::move(party);
  identity->certificate_sha256 = identity::by_credential;
  identity->not_after = identity->good_until = {std::numeric_limits<std::int64_t>::max(), 0};
  identity->crl_state = "none";
  return identity;
}

}  // namespace tally::daemon
