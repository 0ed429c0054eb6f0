#include "tally/net/url.hpp"

#include <gtest/gtest.h>

namespace tally::net {
namespace {

TEST(Url, SplitsWhatWeConnectTo) {
  struct Case {
    std::string text;
    bool secure;
    std::string authority, target;
  };
  const std::vector<Case> cases{
      {"https://A.Example/x?y=z", true, "a.example:443", "/x?y=z"},
      {"http://127.0.0.1:8080", false, "127.0.0.1:8080", "/"},
      {"HTTPS://[::1]:99/%20", true, "[::1]:99", "/%20"},
      {"https://a.example?q", true, "a.example:443", "/?q"},
  };
  for (const Case& one : cases) {
    const auto url = parse_url(one.text);
    ASSERT_TRUE(url) << one.text;
    EXPECT_EQ(url->secure, one.secure);
    EXPECT_EQ(url->authority(), one.authority);
    EXPECT_EQ(url->target, one.target);
  }
}

TEST(Url, RefusesWhatAnotherParserMightReadDifferently) {
  for (const std::string bad :
       {"",
        "x",
        "https://",
        "https:///x",
        "ftp://a/",
        "https://user@a.example/",
        "https://a.example@evil.example/",
        "https://a.example:443@evil/",
        "https://a b/",
        "https://a.example:0/",
        "https://a.example:99999/",
        "https://a.example:/",
        "https://a.example:4x/",
        "https://a.example/#f",
        "https://a.example\\@evil/",
        "https://a.example/\\x",
        "https://[::1/",
        "https://[zz]/",
        "https://a%2eexample/",
        "https://a.example\r\nX: y/",
        "//a.example/",
        "https://[::1]x/",
        "https://\xc3\xa4/"}) {
    EXPECT_FALSE(parse_url(bad)) << bad;
  }
  EXPECT_FALSE(parse_url("https://a.example/" + std::string(5000, 'x')));
}

}  // namespace
}  // namespace tally::net
