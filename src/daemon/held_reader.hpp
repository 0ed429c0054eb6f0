// What custody holds under an agreement, for the reads of local applications: of several artefacts
// the latest, with the rows, columns and masks that are left to do. Any thread.
#pragma once

#include <map>
#include <memory>
#include <mutex>
#include <string>

#include "tally/api/data_routes.hpp"
#include "tally/custody/custody.hpp"
#include "tally/custody/holdings.hpp"
#include "tally/usage/enforcer.hpp"

#include "pseudonym_secret.hpp"

namespace tally::daemon {

class HeldReader final : public api::HeldDataReader {
 public:
  // `custody` and `holdings` null: there is no wrapping key, and nothing is held.
  HeldReader(
      custody::Custody* custody,
      const custody::Holdings* holdings,
      const usage::Enforcer& enforcer,
      const PseudonymSecret& secret
  );

  Result<api::HeldData> held(const AgreementId& agreement) override;
  awaitable<Result<std::unique_ptr<BodyReader>>> open(ArtefactId artefact, std::uint64_t offset)
      override;

 private:
  using Shapes = std::shared_ptr<const dataplane::RuleShapes>;
  Result<Shapes> shapes_of(const custody::Holding& holding);

  custody::Custody* custody_;
  const custody::Holdings* holdings_;
  const usage::Enforcer& enforcer_;
  const PseudonymSecret& secret_;
  std::mutex mutex_;
  std::map<std::string, Shapes> shapes_;  // by artefact; mutex_
};

}  // namespace tally::daemon
