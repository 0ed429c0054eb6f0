#include "tally/negotiation/history.hpp"

#include <gtest/gtest.h>
#include <nlohmann/json.hpp>

namespace tally::negotiation {
namespace {

HistoryEntry entry(const std::string& note) {
  return {"2026-01-01T00:00:00Z", "in", "ContractRequestMessage", "urn:uuid:1", note};
}

TEST(History, SaysWhatWasAddedInItsOrder) {
  History history;
  EXPECT_EQ(history.text(), "[]");
  EXPECT_EQ(history.json(), Json::array());
  history.add(entry("a \"quoted\"\nnote, 数据"));
  history.add(entry("second"));
  const Json json = history.json();
  ASSERT_EQ(json.size(), 2u);
  const Json first = {
      {"at", "2026-01-01T00:00:00Z"},
      {"direction", "in"},
      {"message", "ContractRequestMessage"},
      {"id", "urn:uuid:1"},
      {"note", "a \"quoted\"\nnote, 数据"}};
  EXPECT_EQ(json[0], first);
  EXPECT_EQ(json[1]["note"], "second");
  EXPECT_EQ(Json::parse(history.text()), json);
}

TEST(History, TheOldestGoFirst) {
  History history;
  for (std::size_t i = 0; i < history_length + 3; ++i) history.add(entry(std::to_string(i)));
  const Json json = history.json();
  ASSERT_EQ(json.size(), history_length);
  EXPECT_EQ(json.front()["note"], "3");
  EXPECT_EQ(json.back()["note"], std::to_string(history_length + 2));
}

TEST(History, IsReadFromARowAndGoesOn) {
  History history;
  history.add(entry("one"));
  History again(history.json());
  again.add(entry("two"));
  EXPECT_EQ(again.json()[0], history.json()[0]);
  EXPECT_EQ(again.json().size(), 2u);
  EXPECT_EQ(History(Json(3)).text(), "[]");
}

}  // namespace
}  // namespace tally::negotiation
