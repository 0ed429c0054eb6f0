// Linked into the connector in place of its cipher and of what a file system does with a place that
// is written again, for the control run of raw_scan_test.py: what is held lies there in the clear,
// and a key that is destroyed stays where it was, as in a block that nobody has used since.
//
// No switch of the product does this: it is another program, made by the tests alone.
#include <algorithm>
#include <string_view>

#include <sys/syscall.h>
#include <unistd.h>

#include "tally/core/aead.hpp"

namespace tally {

AeadNonce numbered_nonce(std::uint64_t number) {
  AeadNonce nonce{};
  for (int i = 0; i < 8; ++i) {
    nonce[static_cast<std::size_t>(11 - i)] = static_cast<std::uint8_t>(number >> (8 * i));
  }
  return nonce;
}

struct Aead::State {};

Aead::Aead(std::span<const std::uint8_t>) {}
Aead::~Aead() = default;
Aead::Aead(Aead&&) noexcept = default;

void Aead::seal(
    const AeadNonce&,
    std::span<const std::uint8_t>,
    std::span<const std::uint8_t> plain,
    std::span<std::uint8_t> out
) {
  std::copy(plain.begin(), plain.end(), out.begin());
  std::fill(out.begin() + static_cast<std::ptrdiff_t>(plain.size()), out.end(), std::uint8_t{0});
}

bool Aead::open(
    const AeadNonce&,
    std::span<const std::uint8_t>,
    std::span<const std::uint8_t> sealed,
    std::span<std::uint8_t> out
) {
  std::copy_n(sealed.begin(), out.size(), out.begin());
  return true;
}

}  // namespace tally

extern "C" {

// What overwrites a key writes one byte over and over.
ssize_t pwrite(int file, const void* bytes, size_t size, off_t offset) {
  const auto* const first = static_cast<const unsigned char*>(bytes);
  const bool overwrites =
      size > 0 && size < 256 &&
      std::all_of(first, first + size, [first](unsigned char one) { return one == *first; });
  if (overwrites) return static_cast<ssize_t>(size);
  return ::syscall(SYS_pwrite64, file, bytes, size, offset);
}

int unlinkat(int folder, const char* name, int flags) noexcept {
  if (std::string_view(name).ends_with(".key")) return 0;
  return static_cast<int>(::syscall(SYS_unlinkat, folder, name, flags));
}

}  // extern "C"
