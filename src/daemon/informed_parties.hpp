// The programs that take notices of uses for parties which are neither side of an agreement
// (`webhooks[].party` of tally.json). Home executor, but for knows().
#pragma once

#include <map>
#include <string>

#include "tally/core/clock.hpp"
#include "tally/core/peer.hpp"
#include "tally/events/program.hpp"
#include "tally/transfer/informer.hpp"

namespace tally::daemon {

class ConfiguredParties final : public transfer::InformedParties {
 public:
  // By party.
  using Programs = std::map<std::string, events::Program>;

  ConfiguredParties(Peer& peer, Clock& clock, Programs programs)
      : peer_(peer), clock_(clock), programs_(std::move(programs)) {}

  [[nodiscard]] bool knows(const std::string& party) const override {
    return programs_.contains(party);
  }
  awaitable<Result<bool>> tell(std::string party, std::string id, std::string body) override;

 private:
  Peer& peer_;
  Clock& clock_;
  const Programs programs_;
};

}  // namespace tally::daemon
