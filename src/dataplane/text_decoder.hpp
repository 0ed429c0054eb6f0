// Bytes of a declared encoding to UTF-8, in pieces of any size: a character that is cut between two
// pieces waits for its rest. What cannot be decoded ends it; nothing is replaced or left out.
#pragma once

#include <array>
#include <cstdint>
#include <memory>
#include <optional>
#include <span>
#include <string>

#include "tally/catalog/schema.hpp"
#include "tally/core/message.hpp"

namespace tally::dataplane {

class TextDecoder {
 public:
  explicit TextDecoder(catalog::Encoding encoding);
  ~TextDecoder();
  TextDecoder(const TextDecoder&) = delete;
  TextDecoder& operator=(const TextDecoder&) = delete;

  // Appends whole characters to `out`, up to the first fault. After a fault nothing more is taken.
  void decode(std::span<const std::uint8_t> piece, std::string& out);
  void finish();
  // What is wrong with the bytes behind what was appended: dataplane.undecodable, -bom-missing,
  // -bom-unexpected, -encoding-missing; its line is the caller's to add.
  [[nodiscard]] const std::optional<Message>& fault() const { return fault_; }

 private:
  struct Iconv;

  void decode_utf8(std::span<const std::uint8_t> piece, std::string& out);
  void decode_other(std::span<const std::uint8_t> piece, std::string& out);
  void check_mark(std::string& out, std::size_t from);
  void fail(const char* code);

  const catalog::Encoding encoding_;
  std::unique_ptr<Iconv> iconv_;  // of what is not UTF-8
  std::string cut_;               // the beginning of a character
  bool begun_ = false;            // the first character was looked at
  std::optional<Message> fault_;
};

}  // namespace tally::dataplane
