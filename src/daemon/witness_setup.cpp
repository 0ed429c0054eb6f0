#include "witness_setup.hpp"

#include <utility>

#include "tally/identity/enrolment.hpp"

#include "keys.hpp"

namespace tally::daemon {

Result<std::optional<WitnessKey>> load_witness_key(const Config& config) {
  if (config.witness_key.empty()) return std::nullopt;
  const auto wrong = [&](std::string code) {
    return fail(ErrorKind::invalid, {std::move(code), {{"file", config.witness_key.string()}}});
  };
  auto pem = read_key_file(config.witness_key);
  if (!pem) return fail(std::move(pem));
  auto secret = identity::ed25519_seed(*pem);
  if (!secret) return wrong("daemon.witness-key-malformed");
  // A cosignature does not say by whom it is, so its key must mean nothing else.
  for (const auto& file : {config.log_key, config.contract_key}) {
    const auto other = read_secret(file);
    if (other && identity::ed25519_seed(*other) == secret)
      return wrong("daemon.witness-key-shared");
  }
  const auto public_key = audit::ed25519_public_key(as_bytes(*secret));
  if (!public_key) return tl::unexpected(public_key.error());
  WitnessKey out;
  out.key = audit::make_verifier_key(
      config.participant.uri + "/witness", *public_key, audit::cosignature_type
  );
  out.signer = [secret = *std::move(secret)](std::span<const std::uint8_t> bytes) {
    return audit::ed25519_sign(secret, bytes);
  };
  return out;
}

Result<std::optional<audit::LogPolicy>> load_witness_quorum(const Config& config) {
  if (config.witness_quorum.empty()) return std::nullopt;
  const std::string file = config.witness_quorum.string();
  const auto text = read_file(config.witness_quorum);
  if (!text) return tl::unexpected(text.error());
  auto policy = audit::parse_log_policy(*text);
  const auto wrong = [&](const std::string& why) {
    return fail(ErrorKind::invalid, {"daemon.witness-quorum", {{"file", file}, {"why", why}}});
  };
  if (!policy) return wrong(render(policy.error().message, Lang::en));
  // Nobody's word is not what a policy that says `strict` asks for.
  if (policy->quorum.empty()) return wrong("quorum none");
  return std::optional(*std::move(policy));
}

std::vector<audit::WitnessTarget> witness_targets(
    const negotiation::PartnerLogs& partners,
    const negotiation::PeerDirectory& peers,
    const std::vector<WitnessEntry>& named
) {
  std::vector<audit::WitnessTarget> targets;
  for (const auto& party : partners.parties()) {
    auto keys = partners.witness_keys(party);
    const auto url = peers.tally_url(party);
    if (keys.empty() || !url) continue;
    targets.push_back({to_string(party), party, *url + "/witness", std::move(keys)});
  }
  // A space stands in no party, so that no name here is taken for a partner.
  for (const auto& entry : named) {
    targets.push_back({"witness " + entry.name, entry.party, entry.url, {entry.key}, entry.name});
  }
  return targets;
}

std::optional<audit::Watched> WatchedLogs::find(std::string_view origin, const PartyId& from)
    const {
  audit::Watched watched;
  for (const auto& key : named_) {
    if (key.name == origin) watched.keys.push_back(key);
  }
  // What the operator said about a log goes before what its owner says.
  if (!watched.keys.empty()) {
    watched.partner = partners_.owner_of(origin, watched.keys);
    return watched;
  }
  watched.keys = partners_.log_keys(from, origin);
  if (watched.keys.empty()) return std::nullopt;
  watched.owner = from;
  return watched;
}

std::vector<audit::WatchedName> WatchedLogs::all() const {
  std::vector<audit::WatchedName> out;
  for (const auto& key : named_) out.push_back({key.name, {}});
  for (const auto& party : partners_.parties()) {
    for (auto& origin : partners_.origins(party)) out.push_back({std::move(origin), party});
  }
  return out;
}

}  // namespace tally::daemon
