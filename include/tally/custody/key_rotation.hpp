// A new wrapping key while the connector runs (docs/custody-format.md, "Rotation"). The order is:
// the new key durable in the ring and current → everything wrapped under it → `wrapping.rotated`
// durable → the key before destroyed. A crash anywhere in it is finished by the next start.
//
// Home executor, but for kick, problem and is_unfinished.
#pragma once

#include <memory>
#include <mutex>
#include <optional>
#include <vector>

#include "tally/audit/appender.hpp"
#include "tally/core/notices.hpp"
#include "tally/core/wakeup.hpp"
#include "tally/custody/custody_records.hpp"
#include "tally/custody/key_ring.hpp"
#include "tally/custody/wrapped_keys.hpp"

namespace tally::custody {

struct KeyRotationParts {
  KeyRing& ring;
  std::vector<WrappedKeys*> users;  // all there are
  audit::LogAppender& log;
  Clock& clock;
  Timers& timers;
  Worker& worker;
  Random& random;
  Notices& notices;
};

class KeyRotation {
 public:
  explicit KeyRotation(KeyRotationParts parts);
  ~KeyRotation();
  KeyRotation(const KeyRotation&) = delete;
  KeyRotation& operator=(const KeyRotation&) = delete;

  // Once, after check_ring. A key that the log says was replaced is destroyed, again or at last,
  // and reported.
  awaitable<Result<void>> start(const CustodyRecords& records);
  // The new key is durable and current on return; the rest is done by `run`. Errors: conflict
  // (custody.rotating: one is not finished), unavailable.
  awaitable<Result<KeyName>> begin();
  // Finishes what was begun, again after a minute where it fails; returns when it is cancelled.
  awaitable<void> run();

  [[nodiscard]] bool is_unfinished() const { return parts_.ring.keys().size() > 1; }
  // Why one could not be finished yet, for readiness.
  [[nodiscard]] std::optional<Message> problem() const;

 private:
  struct State;
  awaitable<Result<void>> finish();

  KeyRotationParts parts_;
  std::shared_ptr<State> state_;
};

// Before anything is opened with it. Errors: invalid (custody.ring-older {file, key}): the ring
// lacks the key that the log calls current, so it is an older copy.
Result<void> check_ring(const KeyRing& ring, const CustodyRecords& records);

}  // namespace tally::custody
