#include "tally/net/url.hpp"

#include <algorithm>

namespace tally::net {

namespace {

bool is_printable(std::string_view text) {
  return std::all_of(text.begin(), text.end(), [](char c) { return c > 0x20 && c < 0x7f; });
}

bool is_host(std::string_view text) {
  return !text.empty() && text.size() <= 253 && std::all_of(text.begin(), text.end(), [](char c) {
    return (c >= 'a' && c <= 'z') || (c >= '0' && c <= '9') || c == '.' || c == '-' || c == '_';
  });
}

bool is_v6(std::string_view text) {
  return !text.empty() && text.size() <= 45 && std::all_of(text.begin(), text.end(), [](char c) {
    return (c >= 'a' && c <= 'f') || (c >= '0' && c <= '9') || c == ':' || c == '.';
  });
}

bool is_port(std::string_view text) {
  if (text.empty() || text.size() > 5 || text.front() == '0') return false;
  const bool digits =
      std::all_of(text.begin(), text.end(), [](char c) { return c >= '0' && c <= '9'; });
  return digits && std::stoi(std::string(text)) <= 65535;
}

std::string lower(std::string_view text) {
  std::string result(text);
  for (char& c : result) {
    if (c >= 'A' && c <= 'Z') c = static_cast<char>(c + 32);
  }
  return result;
}

}  // namespace

std::string Url::authority() const {
  const std::string name = host.find(':') == std::string::npos ? host : "[" + host + "]";
  return name + ":" + port;
}

std::optional<Url> parse_url(std::string_view text) {
  if (text.size() > 4096 || !is_printable(text)) return std::nullopt;
  const auto scheme_end = text.find("://");
  if (scheme_end == std::string_view::npos) return std::nullopt;
  const std::string scheme = lower(text.substr(0, scheme_end));
  Url url;
  if (scheme == "https") {
    url.secure = true;
    url.port = "443";
  } else if (scheme == "http") {
    url.secure = false;
    url.port = "80";
  } else {
    return std::nullopt;
  }
  text.remove_prefix(scheme_end + 3);
  const auto path_start = text.find_first_of("/?#");
  const std::string authority = lower(text.substr(0, path_start));
  const std::string_view rest =
      path_start == std::string_view::npos ? std::string_view{} : text.substr(path_start);
  if (rest.find('#') != std::string_view::npos || rest.find('\\') != std::string_view::npos) {
    return std::nullopt;
  }
  url.target = rest.starts_with('/') ? std::string(rest) : "/" + std::string(rest);

  // Strict: what another parser might read differently ("user@", blanks, a backslash) is no URL.
  std::string_view port;
  if (authority.starts_with('[')) {
    const auto end = authority.find(']');
    if (end == std::string::npos) return std::nullopt;
    url.host = authority.substr(1, end - 1);
    if (!is_v6(url.host)) return std::nullopt;
    port = std::string_view(authority).substr(end + 1);
    if (!port.empty() && port.front() != ':') return std::nullopt;
  } else {
    const auto colon = authority.find(':');
    url.host = authority.substr(0, colon);
    if (!is_host(url.host)) return std::nullopt;
    if (colon != std::string::npos) port = std::string_view(authority).substr(colon);
  }
  if (!port.empty()) {
    port.remove_prefix(1);
    if (!is_port(port)) return std::nullopt;
    url.port = port;
  }
  return url;
}

}  // namespace tally::net
