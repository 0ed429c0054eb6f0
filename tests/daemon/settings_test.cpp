#include "settings.hpp"

#include <fstream>
#include <regex>
#include <set>

#include <gtest/gtest.h>
#include <nlohmann/json.hpp>

namespace tally::daemon {
namespace {

using Names = std::vector<std::string>;

TEST(Settings, AreNamedAsTheirPageNamesThem) {
  const Json before = Json::parse(
      R"({"tls":{"key":"a"},"threads":1,"peers":[{"uri":"x"}],"limits":{"connections":1}})"
  );
  Json now = before;
  EXPECT_EQ(differing(settings_of(before), settings_of(now)), Names{});
  now["tls"]["key"] = "b";
  now["peers"][0]["uri"] = "y";
  now["limits"]["drainSeconds"] = 3;
  now.erase("threads");
  EXPECT_EQ(
      differing(settings_of(before), settings_of(now)),
      (Names{"limits.drainSeconds", "peers", "threads", "tls.key"})
  );
}

// A row of the table: `peers[].url` …, "(reload" where a reload takes it up. A whole list is marked
// at its first row.
TEST(Settings, ThatAReloadTakesUpAreThoseThatThePageMarks) {
  std::ifstream page(std::string(TALLY_SOURCE_DIR) + "/docs/configuration.md");
  const std::regex row(R"(^\| `([\w.\[\]]+)` \|.*)");
  std::set<std::string> whole;
  std::size_t marked = 0;
  for (std::string line; std::getline(page, line);) {
    std::smatch found;
    if (line.starts_with("For policies that ask where")) {
      EXPECT_NE(line.find("(reload, all of it)"), std::string::npos);
      whole.insert({"site", "taxonomy", "events"});
    }
    if (!std::regex_match(line, found, row)) continue;
    const std::string path = found[1];
    const std::string name = path.substr(0, path.find("[]"));
    const bool reload = line.find("(reload") != std::string::npos;
    if (line.find("(reload, the whole list)") != std::string::npos) whole.insert(name);
    marked += reload ? 1 : 0;
    EXPECT_EQ(is_reloaded(name), reload || whole.contains(name.substr(0, name.find('.')))) << path;
  }
  EXPECT_GT(marked, 5U);
}

}  // namespace
}  // namespace tally::daemon
