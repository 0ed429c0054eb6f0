// What is looked at and ordered of the custody, for the management API and readiness.
#pragma once

#include <optional>
#include <vector>

#include "tally/api/custody_routes.hpp"
#include "tally/custody/key_rotation.hpp"
#include "tally/custody/quota.hpp"
#include "tally/custody/rechecker.hpp"

#include "config.hpp"

namespace tally::daemon {

custody::QuotaSettings quota_of(const Config& config, const std::vector<PeerEntry>& peers);

class CustodyDesk final : public api::CustodyAdmin {
 public:
  CustodyDesk(
      const custody::Holdings& holdings,
      const custody::KeyRing& ring,
      custody::KeyRotation& rotation,
      custody::Rechecker& rechecker,
      const custody::Quota& quota,
      Nanos recheck_every
  )
      : holdings_(holdings),
        ring_(ring),
        rotation_(rotation),
        rechecker_(rechecker),
        quota_(quota),
        recheck_every_(recheck_every) {}

  // What is wrong, for readiness; the first of it. Any thread.
  [[nodiscard]] std::optional<Message> problem() const;

  [[nodiscard]] Json custody(Lang lang) const override;
  Result<void> check(const std::string& artefact) override;
  awaitable<Result<Json>> rotate_wrapping_key() override;

 private:
  const custody::Holdings& holdings_;
  const custody::KeyRing& ring_;
  custody::KeyRotation& rotation_;
  custody::Rechecker& rechecker_;
  const custody::Quota& quota_;
  const Nanos recheck_every_;
};

}  // namespace tally::daemon
