// URLs as this program connects to them. Pure.
#pragma once

#include <optional>
#include <string>
#include <string_view>

namespace tally::net {

// "https://host:port/path?query", split. No user info, no fragment.
struct Url {
  bool secure = true;
  std::string host;  // without brackets
  std::string port;
  std::string target;                           // begins with '/'
  [[nodiscard]] std::string authority() const;  // "host:port", lower case, brackets back on
};
std::optional<Url> parse_url(std::string_view text);

}  // namespace tally::net
