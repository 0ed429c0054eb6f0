// Reads a record as JSON and writes it again, for `verify --deep`: what comes out must be the bytes
// that went in. It shares no code with the scan that every reader uses (record_scan.hpp), so that
// one mistake is not made in both: characters become code points and numbers become numbers on the
// way.
#pragma once

#include <cstddef>
#include <optional>
#include <string>
#include <string_view>

namespace tally::audit {

class JsonRewriter {
 public:
  // The object that `text` holds in canonical form (RFC 8785), until the next call. nullopt: it is
  // no JSON object, or one that no record is (a fraction, a number over 2^53-1, a member twice,
  // more than 32 levels), or its members are not in order.
  std::optional<std::string_view> rewrite(std::string_view text);

 private:
  bool value();
  bool object();
  bool array();
  bool string();
  bool number();
  bool word(std::string_view expected);
  bool take(char c);
  std::optional<char32_t> character();
  std::optional<char32_t> escaped();
  void write(char32_t character);

  std::string_view rest_;
  std::string out_;
  std::size_t depth_ = 0;
};

}  // namespace tally::audit
