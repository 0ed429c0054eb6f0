// Which masks the policies of our agreements want done to what is held under them, and in what form
// that leaves it. Home executor.
#pragma once

#include <map>
#include <string>
#include <vector>

#include "tally/custody/masker.hpp"
#include "tally/usage/enforcer.hpp"

#include "pseudonym_secret.hpp"

namespace tally::daemon {

class HeldMasks final : public custody::MasksAtRest {
 public:
  HeldMasks(const usage::Enforcer& enforcer, const PseudonymSecret& secret)
      : enforcer_(enforcer), secret_(secret) {}

  std::vector<RuleId> masks_of(const custody::Holding& holding) override;
  Result<custody::FormAtRest> form_of(
      const custody::Holding& holding, const std::vector<RuleId>& duties
  ) override;

 private:
  const usage::Enforcer& enforcer_;
  const PseudonymSecret& secret_;
  std::map<std::string, std::vector<RuleId>> known_;  // by agreement: all that its policy has
};

}  // namespace tally::daemon
