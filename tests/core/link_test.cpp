#include "tally/core/link.hpp"

#include <gtest/gtest.h>

namespace tally {
namespace {

TEST(Link, IsFoundByItsRelation) {
  const struct {
    std::vector<const char*> fields;
    std::optional<std::string> next;
  } cases[] = {
      {{}, std::nullopt},
      {{"</a?t=1>; rel=\"next\""}, "/a?t=1"},
      {{"</a>; rel=next"}, "/a"},
      {{"</p>; rel=\"previous\", </n>; rel=\"next\""}, "/n"},
      {{"</p>; rel=\"previous\"", "</n>; rel=\"NEXT\""}, "/n"},
      {{"</n>;title=\"a, b; rel=x\" ; rel=\"last next\""}, "/n"},
      {{"</a,b>; rel=next"}, "/a,b"},
      {{"</a>; rel=\"prev\"; rel=\"next\""}, std::nullopt},
      {{"</a>; anchor=\"/other\"; rel=\"next\""}, std::nullopt},
      {{"</a>; rel=\"nextish\""}, std::nullopt},
      {{"/a; rel=\"next\""}, std::nullopt},
      {{"</a"}, std::nullopt},
      {{"</a>; rel=\"next"}, "/a"},
      {{"<>; rel=next"}, ""},
  };
  for (const auto& one : cases) {
    Headers headers;
    for (const char* field : one.fields) headers.add("link", field);
    EXPECT_EQ(find_link(headers, "next"), one.next) << (one.fields.empty() ? "" : one.fields[0]);
  }
  Headers ours;
  ours.set("Link", link_value("https://a/b?c=d", "next"));
  EXPECT_EQ(find_link(ours, "next"), "https://a/b?c=d");
}

TEST(Link, LeadsNowhereButToWhereItCameFrom) {
  const std::string base = "https://host:8443/dsp/catalog/request?t=1";
  const struct {
    const char* target;
    std::optional<std::string> url;
  } cases[] = {
      {"https://host:8443/x?y", "https://host:8443/x?y"},
      {"HTTPS://HOST:8443/x", "HTTPS://HOST:8443/x"},
      {"/x?y", "https://host:8443/x?y"},
      {"?t=2", "https://host:8443/dsp/catalog/request?t=2"},
      {"http://host:8443/x", std::nullopt},
      {"https://host/x", std::nullopt},
      {"https://host:8443.evil.example/x", std::nullopt},
      {"https://host:8443@evil.example/x", std::nullopt},
      {"https://user@host:8443/x", std::nullopt},
      {"//evil.example/x", std::nullopt},
      {"x/y", std::nullopt},
      {"", std::nullopt},
      {"/a b", std::nullopt},
      {"/a#b", std::nullopt},
  };
  for (const auto& one : cases) {
    EXPECT_EQ(same_origin_url(base, one.target), one.url) << one.target;
  }
}

}  // namespace
}  // namespace tally
