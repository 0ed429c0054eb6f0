// The operational log: what an operator should see on stderr. Codes and ids only, never data,
// tokens or bodies. Not the audit log, which is evidence.
#pragma once

#include "tally/core/message.hpp"

namespace tally {

enum class Severity { debug, info, warning, error };

class Notices {
 public:
  virtual ~Notices() = default;
  virtual void note(Severity severity, const Message& message) = 0;  // any thread, never throws
};

}  // namespace tally
