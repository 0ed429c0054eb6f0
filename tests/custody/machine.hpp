// A consumer's connector as far as custody is concerned, in a simulated machine: the real log,
// enforcement point, custody and keeper over disks that forget. For the tests of this folder.
#pragma once

#include <memory>
#include <string>
#include <vector>

#include "tally/audit/journal.hpp"
#include "tally/custody/keeper.hpp"

#include "sim/memory_store.hpp"
#include "sim/sim_blob_store.hpp"
#include "usage/rig.hpp"

namespace tally::custody::test {

// Keys that a test gives and takes; the first one is there from the beginning.
class FixedKey : public KeySource {
 public:
  explicit FixedKey(std::uint8_t fill = 7) { add(fill); }
  // Of these bytes; current from now on.
  void add(std::uint8_t fill) {
    SecretKey key;
    key.bytes.fill(fill);
    keys_.push_back(key);
  }
  void drop_former() { keys_.erase(keys_.begin(), keys_.end() - 1); }
  Result<SecretKey> current() override { return keys_.back(); }
  Result<SecretKey> find(const KeyName& name) override {
    for (const SecretKey& key : keys_) {
      if (name_of(key) == name) return key;
    }
    return fail(ErrorKind::not_found, {"custody.no-such-key", {}});
  }

 private:
  std::vector<SecretKey> keys_;
};

class Machine {
 public:
  explicit Machine(std::uint64_t seed = 1) : rig(seed) {}
  ~Machine() { off(); }

  // Starts everything over what is durable, as the daemon does.
  void start() {
    rig.start();
    store = std::make_unique<sim::MemoryStore>(*rig.node, image);
    journal = std::make_unique<audit::Journal>(*store, *rig.log);
    audit::OutboxSearch search(store->drafts().value(), store->mark().value());
    auto reader = rig.reader();
    records = CustodyRecords();
    const auto see = [&](const audit::RecordView& record) {
      search.see(record);
      (void)records.replay(record);
    };
    if (!audit::for_each_record(*reader, 0, see)) throw std::runtime_error("the log is broken");
    if (!search.check_store()) throw std::runtime_error("the store is older than the log");
    if (!rig.await(journal->replay(std::move(search)))) throw std::runtime_error("outbox");
    holdings = std::make_unique<Holdings>(*store, *journal);
    if (!holdings->load()) throw std::runtime_error("holdings");
    blobs = std::make_unique<sim::SimBlobStore>(rig.disk);
    custody = std::make_unique<Custody>(*blobs, keys, rig.node->worker(), rig.node->random());
    const KeeperParts parts{
        *custody,
        *holdings,
        *journal,
        *rig.enforcer,
        rig.node->clock(),
        rig.node->timers(),
        rig.node->random(),
        rig.node->notices(),
        records,
    };
    auto on_destroyed = [this](DeletionRecord record) -> awaitable<Result<void>> {
      if (refuse_notes) co_return fail(ErrorKind::unavailable, Message{"test.refused", {}});
      told.push_back(std::move(record));
      co_return Result<void>();
    };
    auto on_expired = [this](AgreementId id) -> awaitable<Result<void>> {
      expired.push_back(id.value);
      co_return Result<void>();
    };
    keeper = std::make_unique<Keeper>(parts, on_destroyed, on_expired);
  }

  void off() {
    if (!rig.node) return;
    rig.disk.cut_power();
    if (store) store->cut_power();
    rig.node->power_off();
    keeper.reset();
    custody.reset();
    holdings.reset();
    journal.reset();
    store.reset();
    rig.cut_power();
    blobs.reset();
  }

  template <class T>
  T run(awaitable<T> task) {
    return rig.await(std::move(task));
  }

  usage::test::Rig rig;
  sim::StoreImage image;
  FixedKey keys;
  CustodyRecords records;
  std::vector<DeletionRecord> told;
  std::vector<std::string> expired;
  bool refuse_notes = false;

  std::unique_ptr<sim::MemoryStore> store;
  std::unique_ptr<audit::Journal> journal;
  std::unique_ptr<Holdings> holdings;
  std::unique_ptr<sim::SimBlobStore> blobs;
  std::unique_ptr<Custody> custody;
  std::unique_ptr<Keeper> keeper;
};

}  // namespace tally::custody::test
