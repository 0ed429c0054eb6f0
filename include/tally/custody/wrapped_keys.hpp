// Files whose secrets lie wrapped under the key ring: what a new wrapping key has to be wrapped
// around. Each owner of such a folder is one of these, and does it under the lock by which it makes
// and destroys them. Calls block, so they are made through Worker.
#pragma once

#include <string>
#include <vector>

#include "tally/core/result.hpp"

namespace tally::custody {

enum class Rewrapped {
  already,   // lies under the current key
  done,      // durable under the current key; what lay under the one before is overwritten and gone
  unopened,  // does not open with any key of the ring: damaged, or under a key that is gone
  gone,      // was destroyed meanwhile
};

class WrappedKeys {
 public:
  virtual ~WrappedKeys() = default;
  // The names of what lies wrapped there now.
  virtual Result<std::vector<std::string>> wrapped() = 0;
  // One of them. A crash at any step leaves it whole, under one key or the other. Errors:
  // unavailable of BlobStore and KeySource.
  virtual Result<Rewrapped> rewrap(const std::string& name) = 0;
};

}  // namespace tally::custody
