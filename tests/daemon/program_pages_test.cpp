#include "daemon/program_pages.hpp"

#include <fstream>

#include <gtest/gtest.h>

namespace tally::daemon {
namespace {

// Pages of this process that are a file's, as the kernel counts them.
long file_pages() {
  std::ifstream statm("/proc/self/statm");
  long size = 0;
  long resident = 0;
  long shared = 0;
  statm >> size >> resident >> shared;
  return shared;
}

TEST(ProgramPages, AreGivenBackAndComeAgainWhenTheyAreNeeded) {
  const auto before = file_pages();
  ASSERT_GT(before, 0);
  give_back_program_pages();
  const auto after = file_pages();
  EXPECT_LT(after, before / 2);
  give_back_program_pages();
}

}  // namespace
}  // namespace tally::daemon
