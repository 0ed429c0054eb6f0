#include "tally/core/gzip.hpp"

#include <algorithm>
#include <array>
#include <stdexcept>

#include <zlib.h>

#include "tally/core/letters.hpp"

namespace tally {

namespace {

constexpr int gzip_window = 15 + 16;  // zlib's way of saying: the largest window, a gzip header

std::string_view trimmed(std::string_view text) {
  const auto blank = [](char c) { return c == ' ' || c == '\t'; };
  while (!text.empty() && blank(text.front())) text.remove_prefix(1);
  while (!text.empty() && blank(text.back())) text.remove_suffix(1);
  return text;
}

// The weight of "gzip;q=0.5": anything but zeros is above 0.
bool refuses(std::string_view parameters) {
  const auto at = parameters.find("q=");
  if (at == std::string_view::npos) return false;
  const auto weight = trimmed(parameters.substr(at + 2));
  return !weight.empty() && weight.find_first_not_of("0.") == std::string_view::npos;
}

// zlib reads through a pointer that its declaration says it may write to.
Bytef* input_of(std::string_view text) {
  return reinterpret_cast<Bytef*>(const_cast<char*>(text.data()));
}

}  // namespace

std::string gzip(std::string_view text) {
  z_stream stream{};
  if (deflateInit2(&stream, Z_BEST_SPEED, Z_DEFLATED, gzip_window, 8, Z_DEFAULT_STRATEGY) != Z_OK) {
    throw std::bad_alloc();
  }
  std::string out(deflateBound(&stream, static_cast<uLong>(text.size())), '\0');
  stream.next_in = input_of(text);
  stream.avail_in = static_cast<uInt>(text.size());
  stream.next_out = reinterpret_cast<Bytef*>(out.data());
  stream.avail_out = static_cast<uInt>(out.size());
  deflate(&stream, Z_FINISH);  // fits, by deflateBound
  out.resize(stream.total_out);
  deflateEnd(&stream);
  return out;
}

Result<std::string> gunzip(std::string_view packed, std::size_t most) {
  z_stream stream{};
  if (inflateInit2(&stream, gzip_window) != Z_OK) throw std::bad_alloc();
  struct End {
    z_stream& stream;
    ~End() { inflateEnd(&stream); }
  } end{stream};
  stream.next_in = input_of(packed);
  stream.avail_in = static_cast<uInt>(packed.size());
  std::string out;
  std::array<char, 16 << 10> piece;
  for (;;) {
    stream.next_out = reinterpret_cast<Bytef*>(piece.data());
    stream.avail_out = static_cast<uInt>(piece.size());
    const int state = inflate(&stream, Z_NO_FLUSH);
    const std::size_t got = piece.size() - stream.avail_out;
    if (out.size() + got > most) {
      return fail(ErrorKind::invalid, {"core.gzip-too-large", {{"most", std::to_string(most)}}});
    }
    out.append(piece.data(), got);
    if (state == Z_STREAM_END && stream.avail_in == 0) return out;
    // Bytes behind the end, an end too early, or no gzip at all.
    if (state != Z_OK || got == 0) return fail(ErrorKind::invalid, {"core.gzip-malformed", {}});
  }
}

bool accepts_gzip(const Headers& request) {
  const auto value = request.get("Accept-Encoding");
  if (!value) return false;
  bool everything = false;
  std::string_view rest = *value;
  for (;;) {
    const auto comma = rest.find(',');
    const auto item = rest.substr(0, comma);
    const auto semicolon = item.find(';');
    const auto coding = trimmed(item.substr(0, semicolon));
    const bool refused = semicolon != std::string_view::npos && refuses(item.substr(semicolon + 1));
    if (same_name(coding, "gzip") || same_name(coding, "x-gzip")) return !refused;
    if (coding == "*") everything = !refused;
    if (comma == std::string_view::npos) return everything;
    rest.remove_prefix(comma + 1);
  }
}

}  // namespace tally
