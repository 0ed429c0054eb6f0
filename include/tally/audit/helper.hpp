// One piece of work beside its caller, for what a second core can take off: the seam behind which
// the thread stands (posix.hpp). Without one the caller does everything itself, in the same order.
#pragma once

#include <functional>

namespace tally::audit {

class Helper {
 public:
  virtual ~Helper() = default;
  // Begins `work`, which does not throw. Precondition: nothing is begun that was not waited for.
  virtual void begin(std::function<void()> work) = 0;
  // Returns once what was begun is done, and sees what it wrote; at once when nothing was begun.
  virtual void wait() = 0;
};

}  // namespace tally::audit
