#include "text_decoder.hpp"

#include <algorithm>
#include <cerrno>

#include <iconv.h>

#include "tally/core/json.hpp"

namespace tally::dataplane {

namespace {

constexpr std::size_t longest_character = 4;  // bytes, of both encodings
constexpr std::string_view byte_order_mark = "\xef\xbb\xbf";

}  // namespace

// libc's converter: it knows the mapping of GB18030 and is streaming by nature.
struct TextDecoder::Iconv {
  const iconv_t converter = ::iconv_open("UTF-8", "GB18030");
  Iconv() = default;
  ~Iconv() {
    if (good()) ::iconv_close(converter);
  }
  Iconv(const Iconv&) = delete;
  Iconv& operator=(const Iconv&) = delete;
  [[nodiscard]] bool good() const { return converter != reinterpret_cast<iconv_t>(-1); }
};

TextDecoder::TextDecoder(catalog::Encoding encoding) : encoding_(encoding) {
  if (encoding != catalog::Encoding::gb18030) return;
  iconv_ = std::make_unique<Iconv>();
  if (!iconv_->good()) fail("dataplane.encoding-missing");
}

TextDecoder::~TextDecoder() = default;

void TextDecoder::decode(std::span<const std::uint8_t> piece, std::string& out) {
  if (fault_) return;
  const std::size_t from = out.size();
  if (iconv_) {
    decode_other(piece, out);
  } else {
    decode_utf8(piece, out);
  }
  if (!begun_ && out.size() > from) check_mark(out, from);
}

void TextDecoder::finish() {
  if (fault_) return;
  if (!cut_.empty()) return fail("dataplane.undecodable");
  if (!begun_ && encoding_ == catalog::Encoding::utf8_bom) fail("dataplane.bom-missing");
}

void TextDecoder::decode_utf8(std::span<const std::uint8_t> piece, std::string& out) {
  const std::size_t from = out.size();
  out += cut_;
  cut_.clear();
  out.append(reinterpret_cast<const char*>(piece.data()), piece.size());
  const auto broken = broken_utf8(std::string_view(out).substr(from));
  if (!broken) return;
  const std::size_t at = from + *broken;
  if (out.size() - at < longest_character) {
    cut_ = out.substr(at);  // whole with the next piece, or a fault there or at the end
  } else {
    fail("dataplane.undecodable");
  }
  out.resize(at);
}

void TextDecoder::decode_other(std::span<const std::uint8_t> piece, std::string& out) {
  std::array<char, 4096> room{};
  while (!piece.empty()) {
    // What was cut before, and what the room holds of the piece.
    const std::size_t taken = std::min(piece.size(), room.size() / longest_character);
    cut_.append(reinterpret_cast<const char*>(piece.data()), taken);
    char* in = cut_.data();
    std::size_t left = cut_.size();
    char* to = room.data();
    std::size_t space = room.size();
    // Two bytes become three at most, four become four: the room is always enough.
    const auto done = ::iconv(iconv_->converter, &in, &left, &to, &space);
    const int why = errno;
    out.append(room.data(), room.size() - space);
    if (done == static_cast<std::size_t>(-1) && (why != EINVAL || left >= longest_character)) {
      return fail("dataplane.undecodable");
    }
    cut_.erase(0, cut_.size() - left);
    piece = piece.subspan(taken);
  }
}

// The mark is declared: data that have another one are not what the schema says.
void TextDecoder::check_mark(std::string& out, std::size_t from) {
  begun_ = true;
  const bool found = std::string_view(out).substr(from).starts_with(byte_order_mark);
  const bool declared = encoding_ == catalog::Encoding::utf8_bom;
  if (found == declared) {
    if (found) out.erase(from, byte_order_mark.size());
    return;
  }
  out.resize(from);
  fail(found ? "dataplane.bom-unexpected" : "dataplane.bom-missing");
}

void TextDecoder::fail(const char* code) {
  fault_ = Message{code, {{"encoding", std::string(to_string(encoding_))}}};
  cut_.clear();
}

}  // namespace tally::dataplane
