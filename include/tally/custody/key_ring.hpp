// The wrapping keys of one connector, in a file that only its owner may read and that does not lie
// in the data folder (docs/custody-format.md, "The key ring"). One key is current; others are there
// only while what lies under them is wrapped anew (key_rotation.hpp).
#pragma once

#include <filesystem>
#include <memory>
#include <mutex>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "tally/core/clock.hpp"
#include "tally/core/instant.hpp"
#include "tally/custody/key_source.hpp"

namespace tally::custody {

// The file, as the ring reaches it: the seam at which tests fail writes. Calls block.
class RingStorage {
 public:
  virtual ~RingStorage() = default;
  [[nodiscard]] virtual std::string place() const = 0;  // for sentences
  virtual Result<std::string> read() = 0;
  // Whole and durable on return, in place of what was there, which is overwritten and gone. After
  // an error either of the two stands there. Errors: unavailable (custody.file-failed).
  virtual Result<void> replace(std::string_view text) = 0;
  // Ends what a crash in `replace` left behind: overwrites and removes the other of the two.
  virtual Result<void> settle() = 0;
};

// A key of the ring without the key.
struct RingKey {
  KeyName name{};
  std::optional<Instant> made;  // not known of a key of the first format
  bool current = false;
};

constexpr std::size_t most_ring_keys = 16;

class KeyRing final : public KeySource {
 public:
  // Errors: those of RingStorage, invalid (custody.key-malformed).
  static Result<std::unique_ptr<KeyRing>> open(std::unique_ptr<RingStorage> storage);
  ~KeyRing() override;

  Result<SecretKey> current() override;
  Result<SecretKey> find(const KeyName& name) override;
  [[nodiscard]] std::vector<RingKey> keys() const;  // the current one first; any thread
  [[nodiscard]] std::string place() const { return storage_->place(); }

  // To be called once by whoever owns the folder, before anything is changed.
  Result<void> settle() { return storage_->settle(); }
  // Makes a key, which is current once it is durable. Errors: those of RingStorage, after which the
  // key before stays the one that is used; conflict (custody.ring-full). Blocks.
  Result<KeyName> add(Random& random, Instant now);
  // Destroys all but the current key. Errors: those of RingStorage; it may be repeated. Blocks.
  Result<void> destroy_former();

 private:
  struct Entry {
    SecretKey key;
    RingKey shown;
  };
  using Entries = std::vector<Entry>;
  KeyRing(std::unique_ptr<RingStorage> storage, Entries entries);
  static std::optional<Entries> parse(std::string_view text);
  static std::string print(const Entries& entries);
  friend Result<void> create_key_ring(
      const std::filesystem::path& file, Random& random, Instant now
  );

  const std::unique_ptr<RingStorage> storage_;
  std::mutex changing_;  // one change at a time
  mutable std::mutex mutex_;
  Entries entries_;  // mutex_; the current one first
};

// Never makes a ring: `tally init` does. Errors: invalid (custody.key-missing,
// custody.key-inside-data, custody.key-readable-by-others, custody.key-malformed), unavailable
// (custody.file-failed).
Result<std::unique_ptr<KeyRing>> open_key_ring(
    const std::filesystem::path& file, const std::filesystem::path& data_folder
);

// A ring of one key, for `tally init`. Errors: conflict (custody.key-exists), unavailable
// (custody.file-failed).
Result<void> create_key_ring(const std::filesystem::path& file, Random& random, Instant now);

}  // namespace tally::custody
