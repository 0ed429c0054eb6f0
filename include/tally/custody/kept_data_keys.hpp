// The keys of what a provider sends encrypted, each in a file of its own under the wrapping key
// (docs/custody-format.md, "Keys of payloads"), until the transfer ends. Not the custody's folder:
// a key without a blob is no key there.
#pragma once

#include <mutex>
#include <set>
#include <string>

#include "tally/core/digest.hpp"
#include "tally/custody/blob_store.hpp"
#include "tally/custody/key_source.hpp"
#include "tally/custody/wrapped_keys.hpp"
#include "tally/transfer/data_keys.hpp"

namespace tally::custody {

class KeptDataKeys final : public transfer::DataKeys, public WrappedKeys {
 public:
  KeptDataKeys(BlobStore& files, KeySource& wrapping, Worker& worker, Random& random);

  // Once, before anything else: what is there, without the files that a stop cut short. Blocks.
  Result<void> load();

  awaitable<Result<transfer::DataKey>> key_for(Pid process, std::string version) override;
  awaitable<Result<transfer::DataKey>> find(Pid process) override;
  awaitable<Result<void>> destroy(Pid process) override;
  [[nodiscard]] bool holds(const Pid& process) const override;

  Result<std::vector<std::string>> wrapped() override;
  Result<Rewrapped> rewrap(const std::string& name) override;

 private:
  struct Secret;
  Result<Secret> read(const ArtefactId& id);
  Result<Secret> make(const ArtefactId& id, const Digest& version);
  Result<Secret> key_for_now(const ArtefactId& id, const Digest& version);
  Result<void> destroy_now(const ArtefactId& id);

  BlobStore& files_;
  KeySource& wrapping_;
  Worker& worker_;
  Random& random_;
  std::mutex working_;  // one file operation at a time: two requests make one key
  mutable std::mutex known_mutex_;
  std::set<std::string> known_;  // known_mutex_
};

}  // namespace tally::custody
