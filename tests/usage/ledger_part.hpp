// What a simulated connector learns from its log: the ledger.
#pragma once

#include <memory>
#include <vector>

#include "tally/audit/log_part.hpp"
#include "tally/usage/enforcer.hpp"

namespace tally::usage::test {

class LedgerPart final : public audit::LogParts {
 public:
  explicit LedgerPart(std::unique_ptr<Enforcer> of) : enforcer(std::move(of)) {}
  std::vector<audit::LogPart*> all() override { return {enforcer.get()}; }
  std::unique_ptr<Enforcer> enforcer;
};

}  // namespace tally::usage::test
