// A disk that forgets what was not synced, fails when told to, and survives the machine it is in.
//
// Files are bytes in two images, what the page cache shows and what the platter holds. A power cut
// keeps the second, plus those unsynced pages and those first changes of names that the seed lets
// through; the last page let through may be torn at a sector. Paths are "folder/name"; folders need
// not be made. One thread.
#pragma once

#include <cstddef>
#include <cstdint>
#include <map>
#include <memory>
#include <optional>
#include <set>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include <tl/expected.hpp>

#include "sim/world.hpp"

namespace tally::sim {

enum class DiskFault {
  io,        // told to fail
  no_space,  // full; a part may have been written
  exists,
  missing,
  dead,  // power is off, or the handle is from before it was
};
const char* name_of(DiskFault fault);

template <class T>
using DiskResult = tl::expected<T, DiskFault>;

class SimDisk {
 public:
  static constexpr std::size_t page = 4096;
  static constexpr std::size_t sector = 512;

  struct Inode;
  // An open file; keeps working after a rename, and is dead after a power cut.
  struct File {
    std::shared_ptr<Inode> inode;
    std::uint64_t power = 0;
  };

  explicit SimDisk(World& world) : chance_(world.chance().draw()) {}

  DiskResult<File> open(const std::string& path);
  DiskResult<File> create(const std::string& path);  // fails when it exists; name not yet durable
  DiskResult<std::uint64_t> size(const File& file);
  DiskResult<std::size_t> read_at(
      const File& file, std::uint64_t offset, std::span<std::uint8_t> out
  );
  DiskResult<void> write_at(
      const File& file, std::uint64_t offset, std::span<const std::uint8_t> bytes
  );
  DiskResult<void> truncate(const File& file, std::uint64_t size);
  DiskResult<void> sync(const File& file);  // its bytes and its size, not its name
  // Clean pages are read from the platter again, as after POSIX_FADV_DONTNEED.
  void drop_cache(const File& file);

  DiskResult<void> rename(const std::string& from, const std::string& to);
  DiskResult<void> exchange(const std::string& one, const std::string& other);
  DiskResult<void> remove(const std::string& path);
  DiskResult<void> sync_names();  // of all folders
  [[nodiscard]] std::vector<std::string> list(const std::string& folder) const;
  [[nodiscard]] bool exists(const std::string& path) const { return names_.contains(path); }
  DiskResult<std::uint64_t> free_bytes();

  // One holder per name until it lets go or the power goes. False when held.
  bool lock(const std::string& name) { return on_ && locks_.insert(name).second; }
  void unlock(const std::string& name) { locks_.erase(name); }

  // --- What a test does to it ---
  // From now on everything fails with `dead`; what survives is decided here.
  void cut_power();
  void power_on();
  [[nodiscard]] bool is_on() const { return on_; }
  // The n-th write (sync) from now fails, 1 being the next; a failing write leaves a part, a
  // failing sync leaves pages that look clean and are not on the platter. `stay`: so do all after
  // it.
  void fail_write(std::uint64_t nth, bool stay = false);
  void fail_sync(std::uint64_t nth, bool stay = false);
  void mend() { write_fault_ = sync_fault_ = {}; }
  // How many more bytes fit; nullopt is without end.
  void set_free(std::optional<std::uint64_t> bytes) { free_ = bytes; }
  [[nodiscard]] std::uint64_t writes() const { return writes_; }
  [[nodiscard]] std::uint64_t syncs() const { return syncs_; }
  // The bytes as the cache shows them, for a test to look at or to change behind everyone's back
  // (both images). Null when there is no such file.
  std::optional<std::vector<std::uint8_t>> contents(const std::string& path) const;
  void overwrite(const std::string& path, std::vector<std::uint8_t> bytes);

 private:
  using Names = std::map<std::string, std::shared_ptr<Inode>>;
  struct NameChange {
    std::string path;
    std::shared_ptr<Inode> inode;  // null: the name goes
    bool with_next = false;        // one half of a rename or an exchange
  };
  struct Fault {
    std::uint64_t at = 0;  // 0: none
    bool stay = false;
  };
  [[nodiscard]] bool alive(const File& file) const;
  static bool strikes(Fault& fault);
  void apply(NameChange change);
  void settle(Inode& inode);

  Chance chance_;
  bool on_ = true;
  std::uint64_t power_ = 1;
  Names names_;
  Names durable_names_;
  std::vector<NameChange> unsynced_names_;
  std::set<std::string> locks_;
  Fault write_fault_;
  Fault sync_fault_;
  std::optional<std::uint64_t> free_;
  std::uint64_t writes_ = 0;
  std::uint64_t syncs_ = 0;
};

}  // namespace tally::sim
