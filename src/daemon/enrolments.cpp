#include "enrolments.hpp"

#include <nlohmann/json.hpp>

namespace tally::daemon {

namespace {

std::string key_of(const PartyId& party, const std::string& certificate) {
  return to_string(party) + " " + certificate;
}

}  // namespace

Enrolments::Enrolments(audit::LogAppender& log, Clock& clock, Random& random)
    : log_(log), clock_(clock), random_(random) {}

void Enrolments::see(const audit::RecordView& record) {
  if (record.type != "peer.enrolled") return;
  const Json json = record.json();
  const Json party = json.value("counterparty", Json::object());
  const PartyId id{party.value("domain", std::string()), party.value("uri", std::string())};
  const std::lock_guard lock(mutex_);
  known_.insert(key_of(id, json.value("certificate", std::string())));
}

awaitable<Result<void>> Enrolments::met(const identity::PeerIdentity& peer) {
  const std::string certificate = "sha256:" + peer.certificate_sha256;
  const std::string key = key_of(peer.party, certificate);
  bool renewed = false;
  {
    const std::lock_guard lock(mutex_);
    if (known_.contains(key)) co_return Result<void>{};
    const auto before = known_.lower_bound(to_string(peer.party) + " ");
    renewed = before != known_.end() && before->starts_with(to_string(peer.party) + " ");
  }
  audit::RecordDraft draft("peer.enrolled", new_event(random_, clock_.read().at));
  draft.set("counterparty", peer.party).set("certificate", certificate).set("renewed", renewed);
  draft.set("until", format_seconds(peer.not_after)).set("revocation", peer.crl_state);
  // Who ends something must be heard also when the disk is nearly full.
  auto recorded = co_await audit::append(log_, std::move(draft), audit::Priority::reserved);
  if (!recorded) co_return fail(std::move(recorded));
  const std::lock_guard lock(mutex_);
  known_.insert(key);
  co_return Result<void>{};
}

}  // namespace tally::daemon
