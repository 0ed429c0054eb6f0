// custody::BlobStore on a SimDisk.
#pragma once

#include <string>

#include "tally/custody/blob_store.hpp"

#include "sim/disk.hpp"

namespace tally::sim {

class SimBlobStore final : public custody::BlobStore {
 public:
  explicit SimBlobStore(SimDisk& disk, std::string folder = "custody");

  Result<std::vector<std::string>> list(std::string_view folder) override;
  Result<bool> exists(std::string_view name) override;
  Result<std::unique_ptr<custody::BlobFile>> open(std::string_view name) override;
  Result<std::unique_ptr<custody::BlobFile>> create(std::string_view name) override;
  Result<void> rename(std::string_view from, std::string_view to) override;
  Result<void> exchange(std::string_view one, std::string_view other) override;
  Result<void> remove(std::string_view name) override;
  Result<void> shred(std::string_view name) override;

  // What a test does to it.
  bool fail_shred = false;      // no key can be overwritten
  std::string fail_renames_to;  // nothing gets a name that ends so

 private:
  [[nodiscard]] std::string path(std::string_view name) const;
  SimDisk& disk_;
  std::string folder_;
};

}  // namespace tally::sim
