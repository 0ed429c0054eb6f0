#include "loopback_credential.hpp"

#include <limits>

#include "tally/core/digest.hpp"

namespace tally::daemon {

namespace {
constexpr std::string_view credential_header = "Tally-Loopback-Credential";
}

LoopbackPeer::LoopbackPeer(Peer& peer, std::vector<PeerEntry> entries)
    : peer_(peer), entries_(std::move(entries)) {}

void LoopbackPeer::present(PeerRequest& request) const {
  if (!request.url.starts_with("http://")) return;
  for (const auto& entry : entries_) {
    if (entry.party != request.to || entry.sends.empty()) continue;
    const bool taken = request.http.headers.get("Authorization").has_value();
    request.http.headers.set(taken ? std::string(credential_header) : "Authorization", entry.sends);
  }
}

awaitable<Result<PeerAnswer>> LoopbackPeer::send(PeerRequest request) {
  present(request);
  co_return co_await peer_.send(std::move(request));
}

awaitable<Result<PeerStream>> LoopbackPeer::open(PeerRequest request) {
  present(request);
  co_return co_await peer_.open(std::move(request));
}

std::shared_ptr<const identity::PeerIdentity> identify_loopback(
    const HttpRequest& request,
    const identity::Caller& caller,
    const std::vector<PeerEntry>& entries
) {
  if (!caller.insecure_loopback) return nullptr;
  const auto apart = request.headers.get(credential_header);
  const std::string given(apart ? *apart : std::string_view(caller.authorization));
  if (given.empty()) return nullptr;
  for (const auto& entry : entries) {
    if (entry.expects.empty() || !equal_secret(entry.expects, given)) continue;
    auto identity = std::make_shared<identity::PeerIdentity>();
    identity->party = entry.party;
    // What data tokens are bound to, in the place of a certificate.
    identity->certificate_sha256 = to_hex(sha256("loopback-credential\n" + given));
    identity->not_after = identity->good_until = {std::numeric_limits<std::int64_t>::max(), 0};
    identity->crl_state = "none";
    return identity;
  }
  return nullptr;
}

}  // namespace tally::daemon
