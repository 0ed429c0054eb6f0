#include "tally/audit/ustar.hpp"

#include <algorithm>
#include <array>
#include <cstring>

namespace tally::audit {
namespace {

constexpr std::size_t block = 512;
constexpr std::size_t name_bytes = 100;
constexpr std::size_t size_at = 124;
constexpr std::size_t size_digits = 11;
constexpr std::size_t checksum_at = 148;

using Header = std::array<char, block>;

std::string octal(std::size_t value, std::size_t digits) {
  std::string text(digits, '0');
  for (std::size_t i = digits; i-- > 0; value >>= 3) text[i] = static_cast<char>('0' + (value & 7));
  return text;
}

Header header_of(std::string_view name, std::size_t size) {
  Header header{};
  const auto put = [&header](std::size_t at, std::string_view text) {
    std::memcpy(header.data() + at, text.data(), text.size());
  };
  put(0, name);
  put(100, "0000644");  // mode
  put(108, "0000000");  // owner
  put(116, "0000000");  // group
  put(size_at, octal(size, size_digits));
  put(136, "00000000000");       // time
  put(checksum_at, "        ");  // counted as blanks
  put(156, "0");                 // an ordinary file
  put(257,
      std::string_view(
          "ustar\0"
          "00",
          8
      ));
  put(329, "0000000");  // device
  put(337, "0000000");
  std::size_t sum = 0;
  for (const char c : header) sum += static_cast<unsigned char>(c);
  put(checksum_at, octal(sum, 6));
  header[checksum_at + 6] = '\0';
  return header;
}

std::size_t padded(std::size_t size) {
  return (size + block - 1) / block * block;
}

bool all_zero(std::string_view bytes) {
  return std::all_of(bytes.begin(), bytes.end(), [](char c) { return c == '\0'; });
}

tl::unexpected<Error> malformed(std::size_t offset) {
  return fail(ErrorKind::invalid, {"audit.ustar-malformed", {{"offset", std::to_string(offset)}}});
}

tl::unexpected<Error> too_large() {
  return fail(
      ErrorKind::invalid,
      {"audit.ustar-too-large",
       {{"bytes", std::to_string(most_ustar_bytes)}, {"files", std::to_string(most_ustar_files)}}}
  );
}

}  // namespace

bool is_ustar_name(std::string_view name) {
  if (name.empty() || name.size() > name_bytes) return false;
  std::size_t begin = 0;
  while (begin <= name.size()) {
    const std::size_t end = std::min(name.find('/', begin), name.size());
    const std::string_view part = name.substr(begin, end - begin);
    if (part.empty() || part.front() == '.') return false;
    const bool plain = std::all_of(part.begin(), part.end(), [](char c) {
      return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') ||
             c == '.' || c == '_' || c == '-';
    });
    if (!plain) return false;
    begin = end + 1;
  }
  return true;
}

std::string write_ustar(std::span<const UstarFile> files) {
  std::string out;
  std::size_t size = 2 * block;
  for (const UstarFile& file : files) size += block + padded(file.bytes.size());
  out.reserve(size);
  for (const UstarFile& file : files) {
    const Header header = header_of(file.name, file.bytes.size());
    out.append(header.data(), header.size());
    out.append(file.bytes);
    out.append(padded(file.bytes.size()) - file.bytes.size(), '\0');
  }
  out.append(2 * block, '\0');
  return out;
}

Result<std::vector<UstarFile>> parse_ustar(std::string_view archive) {
  if (archive.size() > most_ustar_bytes) return too_large();
  std::vector<UstarFile> files;
  std::size_t at = 0;
  for (;;) {
    if (archive.size() - at < 2 * block) return malformed(at);
    if (all_zero(archive.substr(at, block))) {
      if (archive.size() - at != 2 * block || !all_zero(archive.substr(at))) return malformed(at);
      return files;
    }
    if (files.size() == most_ustar_files) return too_large();
    const std::string_view header = archive.substr(at, block);
    const std::string_view field = header.substr(0, name_bytes);
    const std::string_view name = field.substr(0, std::min(field.find('\0'), field.size()));
    std::size_t size = 0;
    for (const char c : header.substr(size_at, size_digits)) {
      if (c < '0' || c > '7') return malformed(at);
      size = size * 8 + static_cast<std::size_t>(c - '0');
    }
    // The header can only be the one that we would write.
    const Header wanted = header_of(name, size);
    if (!is_ustar_name(name) || header != std::string_view(wanted.data(), wanted.size())) {
      return malformed(at);
    }
    if (!files.empty() && files.back().name >= name) return malformed(at);
    at += block;
    if (size > archive.size() - at || padded(size) > archive.size() - at) return malformed(at);
    if (!all_zero(archive.substr(at + size, padded(size) - size))) return malformed(at + size);
    files.push_back({name, archive.substr(at, size)});
    at += padded(size);
  }
}

}  // namespace tally::audit
