// What the connector says of its own state.
#include <algorithm>

#include "tally/core/version.hpp"

#include "connector.hpp"

namespace tally::daemon {

namespace {

constexpr Nanos certificate_notice = seconds(30 * 86'400);

}  // namespace

std::optional<Error> Connector::closed() const {
  if (auto failure = log_->failure()) return failure;
  if (const auto& alarm = sender_->alarm()) return Error{ErrorKind::unavailable, *alarm, {}};
  if (log_->on_reserve()) {
    return Error{ErrorKind::unavailable, {"daemon.disk-reserve", {}}, {}};
  }
  switch (store_->health()) {
    case store::Health::good:
      return std::nullopt;
    case store::Health::low_space:
      return Error{ErrorKind::unavailable, {"daemon.disk-reserve", {}}, {}};
    case store::Health::failed:
      break;
  }
  return Error{ErrorKind::unavailable, {"daemon.store-failed", {}}, {}};
}

std::vector<api::Check> Connector::checks() const {
  std::vector<api::Check> out;
  const auto failure = log_->failure();
  if (failure) {
    out.push_back({"log", false, failure->message});
  } else if (const auto& alarm = sender_->alarm()) {
    out.push_back({"log", false, *alarm});
  } else if (log_->on_reserve()) {
    out.push_back({"log", false, {"daemon.disk-reserve", {}}});
  } else {
    out.push_back({"log", true, {"daemon.log-good", {{"size", std::to_string(log_->mark().size)}}}}
    );
  }
  const auto health = store_->health();
  out.push_back(
      {"store",
       health == store::Health::good,
       {health == store::Health::good        ? "daemon.store-good"
        : health == store::Health::low_space ? "daemon.disk-reserve"
                                             : "daemon.store-failed",
        {}}}
  );
  const auto reading = clock_.read();
  out.push_back(
      {"clock",
       reading.reliable,
       {reading.reliable ? "daemon.clock-good" : "daemon.clock-stepped", {}}}
  );
  auto certificate = certificate_state(reading.at);
  const bool valid = certificate.code != "daemon.certificate-expired";
  out.push_back({"certificate", valid, std::move(certificate)});
  const auto problems = keeper_ ? keeper_->problems() : std::vector<Message>{};
  out.push_back(
      {"duties",
       problems.empty(),
       problems.empty() ? Message{"daemon.duties-good", {}} : problems.front()}
  );
  if (custody_desk_) {
    const auto wrong = custody_desk_->problem();
    out.push_back({"custody", !wrong, wrong.value_or(Message{"daemon.custody-good", {}})});
  }
  return out;
}

Message Connector::certificate_state(Instant now) const {
  const Instant until = std::min(credentials_.tls.not_after, credentials_.contract.not_after);
  Message out{"daemon.certificate-good", {{"until", format_seconds(until)}}};
  if (until <= now) {
    out.code = "daemon.certificate-expired";
  } else if (until <= now + certificate_notice) {
    out.code = "daemon.certificate-soon";
    out.params["days"] = std::to_string((until.seconds - now.seconds) / 86'400);
  }
  return out;
}

Json Connector::status() const {
  const auto mark = log_->mark();
  bool ready = true;
  for (const auto& check : checks()) ready = ready && check.good;
  return {
      {"participant", {{"domain", config_.participant.domain}, {"uri", config_.participant.uri}}},
      {"publicUrl", (config_.peers ? config_.peers : config_.credential_peers)->public_url},
      {"log",
       {{"origin", genesis_.origin},
        {"size", mark.size},
        {"leaf", mark.leaf},
        {"test", genesis_.test}}},
      {"witness", {{"vkey", witness_ ? witness_->key().text() : std::string()}}},
      {"receiptKey", use_receipts_->key().text()},
      {"receiptsMissing", transfers_->receipts_missing()},
      {"offers", catalog_->offers()},
      {"agreements", enforcer_->agreements().size()},
      {"callsLimited", limited_->total()},
      {"ready", ready},
      {"time", format_micros(clock_.read().at)},
      {"version", std::string(version())}};
}

}  // namespace tally::daemon
