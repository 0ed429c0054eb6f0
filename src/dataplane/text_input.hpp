// The decoded text that a reader of records works through, with its lines counted.
#pragma once

#include <algorithm>
#include <cstdint>
#include <span>
#include <string>
#include <string_view>

#include "tally/core/result.hpp"

#include "text_decoder.hpp"

namespace tally::dataplane {

class TextInput {
 public:
  explicit TextInput(catalog::Encoding encoding) : decoder_(encoding) {}

  // Precondition: nothing is left.
  void feed(std::span<const std::uint8_t> piece) {
    text_.clear();
    at_ = 0;
    decoder_.decode(piece, text_);
  }
  void finish() {
    text_.clear();
    at_ = 0;
    decoder_.finish();
    finished_ = true;
  }

  [[nodiscard]] std::string_view rest() const { return std::string_view(text_).substr(at_); }
  void consume(std::size_t bytes) {
    line_ += static_cast<std::uint64_t>(std::ranges::count(rest().substr(0, bytes), '\n'));
    at_ += bytes;
  }
  // Of what comes next, from 1.
  [[nodiscard]] std::uint64_t line() const { return line_; }

  // Precondition: nothing is left. Whether that was all; else more is needed. Errors: what follows
  // cannot be decoded.
  [[nodiscard]] Result<bool> is_over() const {
    if (!decoder_.fault()) return finished_;
    Message message = *decoder_.fault();
    message.params["line"] = std::to_string(line_);
    return fail(ErrorKind::unavailable, std::move(message));
  }

 private:
  TextDecoder decoder_;
  std::string text_;
  std::size_t at_ = 0;
  std::uint64_t line_ = 1;
  bool finished_ = false;
};

}  // namespace tally::dataplane
