// Fetches contracted data from its provider into custody, over cuts: it goes on from the last byte
// it has (Range, If-Range), at most Limits::stream_resumes times, with the back-off of messages.
// A source that changed meanwhile is fetched anew from its first byte.
//
// Home executor. Memory: one piece and one chunk, however large the data.
#pragma once

#include <memory>
#include <string>

#include "tally/core/limits.hpp"
#include "tally/core/notices.hpp"
#include "tally/core/peer.hpp"
#include "tally/core/runs.hpp"
#include "tally/custody/custody.hpp"
#include "tally/custody/holdings.hpp"
#include "tally/transfer/pull_executor.hpp"

namespace tally::custody {

class Puller final : public transfer::PullExecutor {
 public:
  Puller(
      Peer& peer,
      Custody& custody,
      Holdings& holdings,
      Clock& clock,
      Timers& timers,
      Notices& notices,
      const Limits& limits
  );

  // A repeat begins anew; of what is held already it answers what is there. Errors: unavailable
  // (custody.pull-gave-up, custody.*), forbidden (custody.pull-refused {status}), invalid
  // (custody.pull-answer), conflict (custody.pull-running, custody.already-destroyed).
  awaitable<Result<transfer::Pulled>> pull(transfer::PullOrder order) override;
  awaitable<Result<void>> open(transfer::OpenOrder order) override;
  awaitable<Result<void>> publish(Pid process, Json form) override;
  awaitable<Result<void>> discard(Pid process) override;

 private:
  struct Progress;
  enum class Step { whole, cut, restart, renew };
  awaitable<Result<transfer::Pulled>> fetch(transfer::PullOrder order);
  awaitable<Result<Step>> fetch_part(Progress& progress);
  awaitable<Result<Step>> receive(Progress& progress, PeerStream& stream);
  awaitable<Result<std::string>> fresh_token(transfer::PullOrder order);
  // Stages `holding`, whose artefact is sealed; unless its agreement has ended meanwhile.
  awaitable<Result<void>> stage(Holding holding);
  awaitable<Result<void>> discard_one(ArtefactId id);

  Peer& peer_;
  Custody& custody_;
  Holdings& holdings_;
  Clock& clock_;
  Timers& timers_;
  Notices& notices_;
  const Limits& limits_;
  Runs running_;  // one pull for each process
};

// The artefact that a transfer process fills, and the one in which its encrypted payload waits for
// the key.
ArtefactId artefact_of(const Pid& process);
ArtefactId payload_of(const Pid& process);

}  // namespace tally::custody
