// Where the wrapping key comes from: the one key under which the keys of all artefacts lie. Apart
// from the data, so that a copy of the data folder alone opens nothing. A file today; a hardware
// module or a key service is another implementation.
#pragma once

#include <array>
#include <cstdint>
#include <filesystem>
#include <memory>

#include "tally/core/clock.hpp"
#include "tally/core/result.hpp"

namespace tally::custody {

// 32 secret bytes, wiped when they go.
class SecretKey {
 public:
  SecretKey() = default;
  ~SecretKey();
  SecretKey(const SecretKey&) = default;
  SecretKey& operator=(const SecretKey&) = default;
  void wipe();
  std::array<std::uint8_t, 32> bytes{};
};

class KeySource {
 public:
  virtual ~KeySource() = default;
  virtual Result<SecretKey> wrapping_key() = 0;  // any thread
};

// A file that only its owner may read and that does not lie in the data folder. Never makes one:
// `tally init` does. Errors: invalid (custody.key-missing, custody.key-inside-data,
// custody.key-readable-by-others, custody.key-malformed), unavailable (custody.file-failed).
Result<std::unique_ptr<KeySource>> open_key_file(
    const std::filesystem::path& file, const std::filesystem::path& data_folder
);

// For `tally init`. Errors: conflict (custody.key-exists), unavailable (custody.file-failed).
Result<void> create_key_file(const std::filesystem::path& file, Random& random);

}  // namespace tally::custody
