#include "tally/core/link.hpp"

#include <algorithm>

#include "tally/core/letters.hpp"

namespace tally {

namespace {

// Reads one field value from left to right; a fault ends it.
class LinkReader {
 public:
  explicit LinkReader(std::string_view text) : rest_(text) {}

  struct Link {
    std::string target;
    std::string relations;  // between blanks
    bool anchored = false;
  };

  std::optional<Link> next() {
    skip(" \t,");
    if (!take('<')) return std::nullopt;
    const auto end = rest_.find('>');
    if (end == std::string_view::npos) return std::nullopt;
    Link link;
    link.target = rest_.substr(0, end);
    rest_.remove_prefix(end + 1);
    bool has_relation = false;
    for (skip(" \t"); take(';'); skip(" \t")) {
      skip(" \t");
      const std::string name = token();
      std::string value;
      skip(" \t");
      if (take('=')) {
        skip(" \t");
        value = take('"') ? quoted() : token();
      }
      // RFC 8288, 3.3: only the first rel counts.
      if (same_name(name, "rel") && !has_relation) {
        link.relations = std::move(value);
        has_relation = true;
      }
      if (same_name(name, "anchor")) link.anchored = true;
    }
    return link;
  }

 private:
  void skip(std::string_view characters) {
    rest_.remove_prefix(std::min(rest_.find_first_not_of(characters), rest_.size()));
  }
  bool take(char c) {
    if (rest_.empty() || rest_.front() != c) return false;
    rest_.remove_prefix(1);
    return true;
  }
  std::string token() {
    const auto end = std::min(rest_.find_first_of(" \t;,="), rest_.size());
    std::string text(rest_.substr(0, end));
    rest_.remove_prefix(end);
    return text;
  }
  std::string quoted() {
    std::string text;
    while (!rest_.empty() && !take('"')) {
      take('\\');
      if (rest_.empty()) break;
      text += rest_.front();
      rest_.remove_prefix(1);
    }
    return text;
  }

  std::string_view rest_;
};

bool names(std::string_view relations, std::string_view wanted) {
  while (!relations.empty()) {
    const auto blank = std::min(relations.find(' '), relations.size());
    if (same_name(relations.substr(0, blank), wanted)) return true;
    relations.remove_prefix(std::min(blank + 1, relations.size()));
  }
  return false;
}

// "https://host:port" of a URL, in lower case; empty if it is none.
std::string origin_of(std::string_view url) {
  const auto scheme = url.find("://");
  if (scheme == std::string_view::npos) return {};
  const auto end = std::min(url.find_first_of("/?#", scheme + 3), url.size());
  std::string origin(url.substr(0, end));
  std::transform(origin.begin(), origin.end(), origin.begin(), lower);
  return origin;
}

}  // namespace

std::string link_value(std::string_view target, std::string_view relation) {
  return "<" + std::string(target) + ">; rel=\"" + std::string(relation) + "\"";
}

std::optional<std::string> find_link(const Headers& answer, std::string_view relation) {
  for (const auto& [name, value] : answer.all()) {
    if (!same_name(name, "Link")) continue;
    LinkReader reader(value);
    while (auto link = reader.next()) {
      if (!link->anchored && names(link->relations, relation)) return std::move(link->target);
    }
  }
  return std::nullopt;
}

std::optional<std::string> same_origin_url(std::string_view base, std::string_view target) {
  const bool printable =
      std::all_of(target.begin(), target.end(), [](char c) { return c > 0x20 && c < 0x7f; });
  if (!printable || target.find('#') != std::string_view::npos) return std::nullopt;
  const std::string origin = origin_of(base);
  if (origin.empty() || target.empty()) return std::nullopt;
  if (target.starts_with("//")) return std::nullopt;
  if (target.front() == '/') return origin + std::string(target);
  if (target.front() == '?') {
    return std::string(base.substr(0, base.find('?'))) + std::string(target);
  }
  if (origin_of(target) != origin) return std::nullopt;
  return std::string(target);
}

}  // namespace tally
