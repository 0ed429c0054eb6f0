// Which certificates of which parties this connector has met: `peer.enrolled`, for the first and
// for each renewed one, durable before anything is done for who shows it. Any thread.
#pragma once

#include <mutex>
#include <set>
#include <string>
#include <string_view>

#include "tally/audit/appender.hpp"
#include "tally/audit/log_part.hpp"
#include "tally/audit/record.hpp"
#include "tally/core/clock.hpp"
#include "tally/identity/peer_identity.hpp"

namespace tally::daemon {

// Those that the log has a record of.
class MetCertificates final : public audit::LogPart {
 public:
  [[nodiscard]] bool has(const PartyId& party, const std::string& certificate) const;
  [[nodiscard]] bool has_any(const PartyId& party) const;
  void add(const PartyId& party, const std::string& certificate);

  [[nodiscard]] std::string_view part_name() const override { return "certificates"; }
  Result<void> replay(const audit::RecordView& record) override;
  void save(const Item& item) const override;
  Result<void> restore(const Json& item) override;

 private:
  mutable std::mutex mutex_;
  std::set<std::string> known_;  // mutex; certificates as "sha256:…" behind their party
};

class Enrolments {
 public:
  Enrolments(audit::LogAppender& log, Clock& clock, Random& random, MetCertificates& met);

  // Two that come first at the same moment may both be recorded. Errors: those of LogAppender.
  awaitable<Result<void>> met(const identity::PeerIdentity& peer);

 private:
  audit::LogAppender& log_;
  Clock& clock_;
  Random& random_;
  MetCertificates& met_;
};

}  // namespace tally::daemon
