#include "tally/core/message.hpp"

#include <set>

#include <gtest/gtest.h>

namespace tally {
namespace {

std::set<std::string> placeholders(std::string_view text) {
  std::set<std::string> names;
  for (auto open = text.find('{'); open != std::string_view::npos; open = text.find('{', open)) {
    const auto close = text.find('}', open);
    if (close == std::string_view::npos) return {"(unclosed)"};
    names.emplace(text.substr(open + 1, close - open - 1));
    open = close;
  }
  return names;
}

// The mark at the end, as both languages know it; ' ' for none.
char end_mark(std::string_view text) {
  const std::pair<std::string_view, char> marks[] = {
      {".", '.'},
      {"。", '.'},
      {"?", '.'},
      {"？", '.'},
      {"!", '.'},
      {"！", '.'},
      {":", ':'},
      {"：", ':'},
      {",", ','},
      {"，", ','},
      {";", ','},
      {"；", ','},
      {"、", ','},
      {" ", ','},
      {"-", ','}};
  for (const auto& [mark, meaning] : marks) {
    if (text.ends_with(mark)) return meaning;
  }
  return ' ';
}

TEST(Sentences, EachCodeStandsOnceInBothLanguages) {
  std::string_view last;
  for (const auto& [code, en, zh] : sentence_table()) {
    EXPECT_NE(code, last) << "twice in the table";
    last = code;
    EXPECT_FALSE(en.empty()) << code;
    EXPECT_FALSE(zh.empty()) << code;
    EXPECT_EQ(placeholders(en), placeholders(zh)) << code;
    EXPECT_FALSE(placeholders(en).contains("(unclosed)")) << code;
    EXPECT_EQ(end_mark(en), end_mark(zh)) << code << ": " << en << " | " << zh;
    EXPECT_NE(end_mark(en), ',') << code << ": " << en;
  }
}

TEST(Sentences, CodesAreModuleAndName) {
  const std::set<std::string_view> modules = {
      "core",
      "odrl",
      "dsp",
      "audit",
      "identity",
      "usage",
      "catalog",
      "negotiation",
      "transfer",
      "events",
      "dataplane",
      "aggregates",
      "custody",
      "evidence",
      "store",
      "net",
      "sources",
      "api",
      "daemon",
      "cli"};
  for (const auto& [code, en, zh] : sentence_table()) {
    const auto dot = code.find('.');
    ASSERT_NE(dot, std::string_view::npos) << code;
    EXPECT_TRUE(modules.contains(code.substr(0, dot))) << code;
    const std::string_view name = code.substr(dot + 1);
    EXPECT_FALSE(name.empty()) << code;
    // The line of a story carries the name of its type of record; what a term of a vocabulary is
    // called carries the term.
    const std::string lower = "abcdefghijklmnopqrstuvwxyz0123456789-";
    const bool story = name.starts_with("story-");
    const bool term =
        name.starts_with("operand-") || name.starts_with("action-") || name.starts_with("phrase-");
    const auto allowed = story  ? lower + "._"
                         : term ? lower + "ABCDEFGHIJKLMNOPQRSTUVWXYZ_"
                                : lower;
    EXPECT_EQ(name.find_first_not_of(allowed), name.npos) << code;
  }
}

TEST(Render, FillsThePlaceholders) {
  const Message message{"core.json-duplicate-key", {{"key", "a{b}"}}};
  EXPECT_EQ(
      render(message, Lang::en), "The member \"a{b}\" stands twice in one object. Keep one of them."
  );
  EXPECT_NE(render(message, Lang::zh).find("a{b}"), std::string::npos);
  EXPECT_NE(render(message, Lang::zh), render(message, Lang::en));
}

TEST(Render, HidesNothing) {
  EXPECT_EQ(render({"no.such", {{"a", "1"}, {"b", "2"}}}, Lang::zh), "no.such a=1 b=2");
  EXPECT_NE(render({"core.json-duplicate-key", {}}, Lang::en).find("{key}"), std::string::npos);
}

TEST(Lang, IsChineseWhereChineseIsAsked) {
  for (const char* text :
       {"zh",
        "ZH",
        "zh_CN.UTF-8",
        "zh-CN,en;q=0.5",
        "en;q=0.4, zh-TW;q=0.9",
        "zh-Hans",
        "fr,zh;q=0.2"}) {
    EXPECT_EQ(parse_lang(text), Lang::zh) << text;
  }
  for (const char* text :
       {"",
        "C",
        "C.UTF-8",
        "en_GB.UTF-8",
        "en,zh;q=0.9",
        "zh;q=0.1,en;q=0.2",
        "zh;q=0",
        "zhuang",
        "de",
        ",,;",
        "zh;q=x"}) {
    EXPECT_EQ(parse_lang(text), Lang::en) << text;
  }
}

}  // namespace
}  // namespace tally
