// Secrets in memory: keys, credentials, tokens. What holds one overwrites it when it goes, so that
// it is nowhere once it was destroyed, neither in this process nor in what a debugger or a swap
// file sees of it later. None of them is printed, compared or copied by accident.
#pragma once

#include <array>
#include <cstddef>
#include <cstdint>
#include <span>
#include <string>
#include <string_view>

#include "tally/core/digest.hpp"

namespace tally {

// Overwrites secret bytes in a way that no optimiser removes.
void wipe(std::span<std::uint8_t> secret);
void wipe(std::string& secret);

// A key of fixed length.
template <std::size_t N>
class FixedSecret {
 public:
  FixedSecret() = default;
  ~FixedSecret() { wipe(); }
  FixedSecret(const FixedSecret&) = default;
  FixedSecret& operator=(const FixedSecret&) = default;
  void wipe() { tally::wipe(bytes); }

  std::array<std::uint8_t, N> bytes{};
};

// One of any length: the text of a key file, a credential. It never grows, so no copy stays behind.
class Secret {
 public:
  Secret() = default;
  explicit Secret(std::size_t size) : bytes_(size) {}  // to be filled
  explicit Secret(std::string_view text) : bytes_(text.begin(), text.end()) {}
  explicit Secret(Bytes&& bytes) : bytes_(std::move(bytes)) {}
  ~Secret() { wipe(bytes_); }
  Secret(const Secret&) = default;
  Secret(Secret&&) noexcept = default;
  Secret& operator=(Secret other) noexcept {
    bytes_.swap(other.bytes_);
    return *this;
  }

  [[nodiscard]] std::string_view text() const {
    return {reinterpret_cast<const char*>(bytes_.data()), bytes_.size()};
  }
  // NOLINTNEXTLINE(google-explicit-constructor): it is read where any text is.
  operator std::string_view() const { return text(); }
  [[nodiscard]] const std::uint8_t* data() const { return bytes_.data(); }
  [[nodiscard]] std::uint8_t* data() { return bytes_.data(); }
  [[nodiscard]] std::size_t size() const { return bytes_.size(); }
  [[nodiscard]] bool empty() const { return bytes_.empty(); }
  [[nodiscard]] auto begin() const { return bytes_.begin(); }
  [[nodiscard]] auto end() const { return bytes_.end(); }
  // Drops what stands behind the first `size` bytes.
  void shorten(std::size_t size);

  // In a time that says nothing of where they differ.
  bool operator==(const Secret& other) const;

 private:
  Bytes bytes_;
};

// The first thing that a program does which handles keys: no core file may hold them, no other
// process of the same user may read them, and what OpenSSL gives back to the heap is overwritten.
// Before any other call of OpenSSL; one thread.
void guard_secrets();

}  // namespace tally
