#include "tally/negotiation/partner_logs.hpp"

#include <algorithm>
#include <utility>

namespace tally::negotiation {

namespace {

void add(std::vector<audit::VerifierKey>& keys, audit::VerifierKey key) {
  if (std::find(keys.begin(), keys.end(), key) == keys.end()) keys.push_back(std::move(key));
}

}  // namespace

void PartnerLogs::learn(const Agreement& agreement) {
  if (agreement.finalized_at.empty()) return;
  const auto statement = agreement.peer_statement();
  const PartyId& peer = agreement.peer();
  if (!statement || statement->party != peer.uri) return;
  Partner& partner = partners_[peer];
  auto log = audit::parse_verifier_key(statement->first_log_vkey);
  if (log && log->type == audit::ed25519_type && log->name == statement->log_origin &&
      log->name.starts_with(peer.uri + "/log/")) {
    auto& keys = partner.logs[statement->log_origin];
    add(keys, *std::move(log));
  }
  auto witness = audit::parse_verifier_key(statement->witness_vkey);
  if (witness && witness->type == audit::cosignature_type) {
    add(partner.witnesses, *std::move(witness));
  }
}

std::vector<audit::VerifierKey> PartnerLogs::log_keys(const PartyId& party, std::string_view origin)
    const {
  const auto partner = partners_.find(party);
  if (partner == partners_.end()) return {};
  const auto log = partner->second.logs.find(origin);
  return log == partner->second.logs.end() ? std::vector<audit::VerifierKey>{} : log->second;
}

PartyId PartnerLogs::owner_of(std::string_view origin, const std::vector<audit::VerifierKey>& keys)
    const {
  for (const auto& [party, partner] : partners_) {
    const auto log = partner.logs.find(origin);
    if (log == partner.logs.end()) continue;
    const auto& own = log->second;
    const bool same =
        std::find_first_of(keys.begin(), keys.end(), own.begin(), own.end()) != keys.end();
    if (same) return party;
  }
  return {};
}

std::vector<std::string> PartnerLogs::origins(const PartyId& party) const {
  std::vector<std::string> out;
  const auto partner = partners_.find(party);
  if (partner == partners_.end()) return out;
  for (const auto& [origin, keys] : partner->second.logs) out.push_back(origin);
  return out;
}

std::vector<audit::VerifierKey> PartnerLogs::witness_keys(const PartyId& party) const {
  const auto partner = partners_.find(party);
  return partner == partners_.end() ? std::vector<audit::VerifierKey>{} : partner->second.witnesses;
}

std::vector<PartyId> PartnerLogs::parties() const {
  std::vector<PartyId> out;
  out.reserve(partners_.size());
  for (const auto& [party, partner] : partners_) out.push_back(party);
  return out;
}

}  // namespace tally::negotiation
