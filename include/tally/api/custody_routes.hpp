// What operators and auditors ask of the custody: how much is held, under which wrapping keys,
// whether it is whole. Docs: docs/management-api.md.
#pragma once

#include <memory>
#include <string>

#include "tally/api/router.hpp"
#include "tally/core/clock.hpp"
#include "tally/core/json.hpp"

namespace tally::api {

// Home executor.
class CustodyAdmin {
 public:
  virtual ~CustodyAdmin() = default;
  // {"held", "providers", "ring", "checks", "altered"} (docs/management-api.md).
  [[nodiscard]] virtual Json custody(Lang lang) const = 0;
  // Looks at one artefact, or at all of them (empty), in the background; the holdings say what came
  // of it. Errors: not_found (custody.unknown-artefact).
  virtual Result<void> check(const std::string& artefact) = 0;
  // Makes a new wrapping key, which is current and durable on return: {"key", "before"}. What lies
  // under the one before is wrapped anew in the background, and then that one is destroyed. Errors:
  // conflict (custody.rotating), unavailable.
  virtual awaitable<Result<Json>> rotate_wrapping_key() = 0;
};

}  // namespace tally::api
