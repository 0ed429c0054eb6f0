#include "tally/core/secret.hpp"

#include <algorithm>
#include <cstdlib>
#include <cstring>

#include <malloc.h>
#include <openssl/crypto.h>
#include <sys/prctl.h>
#include <sys/resource.h>

namespace tally {

namespace {

// OpenSSL wipes keys that it knows as such, and not what it read them from: the decoder of a PEM
// text leaves the key's DER behind.
void give_back(void* block, const char*, int) {
  if (block != nullptr) OPENSSL_cleanse(block, malloc_usable_size(block));
  std::free(block);
}

void* take(std::size_t size, const char*, int) {
  return std::malloc(size);
}

// std::realloc may leave the old block behind as it was.
void* take_more(void* block, std::size_t size, const char* file, int line) {
  if (block == nullptr) return std::malloc(size);
  const std::size_t held = malloc_usable_size(block);
  if (size != 0 && size <= held) return block;
  void* larger = size == 0 ? nullptr : std::malloc(size);
  if (size != 0 && larger == nullptr) return nullptr;
  if (larger != nullptr) std::memcpy(larger, block, std::min(held, size));
  give_back(block, file, line);
  return larger;
}

}  // namespace

void wipe(std::span<std::uint8_t> secret) {
  OPENSSL_cleanse(secret.data(), secret.size());
}

void wipe(std::string& secret) {
  OPENSSL_cleanse(secret.data(), secret.size());
}

void Secret::shorten(std::size_t size) {
  if (size >= bytes_.size()) return;
  wipe(std::span(bytes_).subspan(size));
  bytes_.resize(size);
}

bool Secret::operator==(const Secret& other) const {
  return size() == other.size() && CRYPTO_memcmp(data(), other.data(), size()) == 0;
}

void guard_secrets() {
  prctl(PR_SET_DUMPABLE, 0);
  const rlimit no_core{0, 0};
  setrlimit(RLIMIT_CORE, &no_core);
  if (CRYPTO_set_mem_functions(&take, &take_more, &give_back) != 1) std::abort();
}

}  // namespace tally
