// Where an asset's bytes come from: files, or what custody holds under an agreement that permits to
// pass it on. Any thread.
#pragma once

#include <string>
#include <vector>

#include "tally/dataplane/source.hpp"
#include "tally/usage/enforcer.hpp"

#include "held_reader.hpp"

namespace tally::daemon {

class DataSources final : public dataplane::SourceReader {
 public:
  DataSources(dataplane::SourceReader& files, const usage::Enforcer& enforcer, PartyId self);
  // Once, when custody is there. Null: nothing is held.
  void attach(HeldReader* held) { held_ = held; }

  Result<std::unique_ptr<dataplane::Source>> source(const Json& spec) override;
  // For loading an asset: the form of its source, and whether what is held may be passed on at all.
  // Errors: as of `source`; forbidden (catalog.not-passed-on, which names the agreement).
  Result<void> check(const Json& spec) const;
  // The policy that an offer of such an asset has to stay within; null: the data are our own.
  [[nodiscard]] odrl::PolicyPtr bound_by(const Json& spec) const;

 private:
  dataplane::SourceReader& files_;
  const usage::Enforcer& enforcer_;
  const PartyId self_;
  HeldReader* held_ = nullptr;
};

// The agreement under which a source is held; empty: it is none of custody.
AgreementId held_under(const Json& spec);
// What its operator passes it on for; at most one.
std::vector<std::string> onward_purposes(const Json& spec);

}  // namespace tally::daemon
