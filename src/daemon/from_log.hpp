// What a connector knows from its log alone: all that a start learns from the records. Made once
// for the connector to go on with, and once more in the background for each snapshot.
#pragma once

#include <optional>
#include <vector>

#include "tally/audit/log_part.hpp"
#include "tally/audit/witnessing.hpp"
#include "tally/custody/custody_records.hpp"
#include "tally/usage/enforcer.hpp"

#include "enrolments.hpp"
#include "facts_of_log.hpp"
#include "in_force.hpp"

namespace tally::daemon {

class FromLog final : public audit::LogParts {
 public:
  FromLog(
      Clock& clock, Random& random, const Limits& limits, std::optional<audit::LogPolicy> quorum
  )
      : enforcer(clock, random, limits), witnessing(std::move(quorum)) {}

  // In the order of snapshots, which therefore never changes.
  std::vector<audit::LogPart*> all() override {
    return {&enforcer, &witnessing, &certificates, &facts, &configuration, &custody};
  }

  usage::Enforcer enforcer;
  audit::Witnessing witnessing;
  MetCertificates certificates;
  CommittedFacts facts;
  ConfigurationInForce configuration;
  custody::CustodyRecords custody;
};

}  // namespace tally::daemon
