// Documents that other programs wrote must pass the strict reader, and their canonical form must be
// a fixed point.
#include <cstdlib>
#include <filesystem>
#include <fstream>
#include <iostream>
#include <iterator>

#include <gtest/gtest.h>
#include <nlohmann/json.hpp>

#include "tally/core/json.hpp"

namespace tally {
namespace {
namespace fs = std::filesystem;

TEST(StrictJson, ReadsWhatOtherConnectorsWrote) {
  const char* const named = std::getenv("TALLY_SHARED");
  const fs::path shared =
      named != nullptr ? fs::path(named) : fs::path(TALLY_SOURCE_DIR) / ".." / "shared";
  int read = 0;
  for (const char* folder : {"edc-recorded", "dsp-schemas", "odrl-cases"}) {
    if (!fs::exists(shared / folder)) continue;
    for (const auto& entry : fs::recursive_directory_iterator(shared / folder)) {
      if (entry.path().extension() != ".json" && entry.path().extension() != ".jsonld") continue;
      std::ifstream in(entry.path(), std::ios::binary);
      const std::string text{std::istreambuf_iterator<char>(in), {}};
      // What no JSON reader takes is a case of its own.
      if (!Json::accept(text)) continue;
      const auto value = parse_json(text, {std::size_t{64} << 20, 64});
      const std::string name = entry.path().filename().string();
      EXPECT_TRUE(value) << name << ": " << value.error().message.code << value.error().pointer;
      if (!value) continue;
      const std::string canonical = to_jcs(*value);
      const auto again = parse_json(canonical, {std::size_t{64} << 20, 64});
      ASSERT_TRUE(again) << name;
      EXPECT_EQ(to_jcs(*again), canonical) << name;
      ++read;
    }
  }
  if (read == 0) GTEST_SKIP() << "skipped: no recorded documents (set TALLY_SHARED)";
  std::cout << read << " documents\n";
}

}  // namespace
}  // namespace tally
