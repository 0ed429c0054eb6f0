#include "enrolments.hpp"

#include <nlohmann/json.hpp>

namespace tally::daemon {

namespace {

std::string key_of(const PartyId& party, const std::string& certificate) {
  return to_string(party) + " " + certificate;
}

}  // namespace

bool MetCertificates::has(const PartyId& party, const std::string& certificate) const {
  const std::lock_guard lock(mutex_);
  return known_.contains(key_of(party, certificate));
}

bool MetCertificates::has_any(const PartyId& party) const {
  const std::string prefix = key_of(party, "");
  const std::lock_guard lock(mutex_);
  const auto found = known_.lower_bound(prefix);
  return found != known_.end() && found->starts_with(prefix);
}

void MetCertificates::add(const PartyId& party, const std::string& certificate) {
  const std::lock_guard lock(mutex_);
  known_.insert(key_of(party, certificate));
}

Result<void> MetCertificates::replay(const audit::RecordView& record) {
  if (record.type != "peer.enrolled") return {};
  const Json json = record.json();
  const Json party = json.value("counterparty", Json::object());
  const PartyId id{party.value("domain", std::string()), party.value("uri", std::string())};
  add(id, json.value("certificate", std::string()));
  return {};
}

void MetCertificates::save(const Item& item) const {
  const std::lock_guard lock(mutex_);
  for (const std::string& key : known_) item(key);
}

Result<void> MetCertificates::restore(const Json& item) {
  if (!item.is_string()) return audit::malformed_item(part_name());
  const std::lock_guard lock(mutex_);
  if (!known_.insert(item.get<std::string>()).second) return audit::malformed_item(part_name());
  return {};
}

Enrolments::Enrolments(audit::LogAppender& log, Clock& clock, Random& random, MetCertificates& met)
    : log_(log), clock_(clock), random_(random), met_(met) {}

awaitable<Result<void>> Enrolments::met(const identity::PeerIdentity& peer) {
  const std::string certificate = "sha256:" + peer.certificate_sha256;
  if (met_.has(peer.party, certificate)) co_return Result<void>{};
  const bool renewed = met_.has_any(peer.party);
  audit::RecordDraft draft("peer.enrolled", new_event(random_, clock_.read().at));
  draft.set("counterparty", peer.party).set("certificate", certificate).set("renewed", renewed);
  draft.set("until", format_seconds(peer.not_after)).set("revocation", peer.crl_state);
  // Who ends something must be heard also when the disk is nearly full.
  auto recorded = co_await audit::append(log_, std::move(draft), audit::Priority::reserved);
  if (!recorded) co_return fail(std::move(recorded));
  met_.add(peer.party, certificate);
  co_return Result<void>{};
}

}  // namespace tally::daemon
