// A simulated connector up to its journal: a store and a log that forget what was not synced.
#pragma once

#include <memory>
#include <stdexcept>
#include <string>
#include <vector>

#include <nlohmann/json.hpp>

#include "tally/audit/journal.hpp"
#include "tally/audit/log_writer.hpp"
#include "tally/audit/recovery.hpp"

#include "audit/known_keys.hpp"
#include "sim/memory_store.hpp"
#include "sim/sim_log_storage.hpp"

namespace tally::audit {

class Station {
 public:
  Station(sim::World& world, std::string name) : world(world), name_(std::move(name)) {}
  virtual ~Station() { stop(); }
  Station(const Station&) = delete;
  Station& operator=(const Station&) = delete;

  // Starts over what is durable.
  void start() {
    node = std::make_unique<sim::Node>(world, name_);
    store = std::make_unique<sim::MemoryStore>(*node, image);
    storage = std::make_unique<sim::SimLogStorage>(disk);
    const auto mark = store->mark().value();
    auto recovered = recover(*storage, mark);
    if (!recovered) {
      Genesis genesis;
      genesis.origin = name_ + ".example/log/1";
      genesis.actor = {"north", "did:web:" + name_ + ".example"};
      genesis.vkey = key_of(genesis.origin, third_seed).text();
      if (!create_log(*storage, genesis, node->clock(), node->random())) {
        throw std::runtime_error("no log");
      }
      recovered = recover(*storage, mark);
    }
    if (!recovered) throw std::runtime_error(recovered.error().message.code);
    log = std::make_unique<LogWriter>(
        *storage, *std::move(recovered), node->clock(), node->random(), limits
    );
    pump = std::make_unique<sim::LogPump>(*node, *log);
    journal = std::make_unique<Journal>(*store, *log);
    begin();
  }
  void stop() {
    if (!node) return;
    node->power_off();
    end();
    journal.reset();
    pump.reset();
    log.reset();
    storage.reset();
    store.reset();
    node.reset();
  }
  void cut_power() {
    disk.cut_power();
    store->cut_power();
    stop();
    disk.power_on();
  }

  std::vector<Json> records(const std::string& type) {
    std::vector<Json> found;
    sim::SimLogStorage reader(disk);
    const auto read = for_each_record(reader, 0, [&](const RecordView& record) {
      if (record.type == type) found.push_back(record.json());
    });
    if (!read) throw std::runtime_error(read.error().message.code);
    return found;
  }

  sim::World& world;
  sim::SimDisk disk{world};
  sim::StoreImage image;
  Limits limits;
  std::unique_ptr<sim::Node> node;
  std::unique_ptr<sim::MemoryStore> store;
  std::unique_ptr<sim::SimLogStorage> storage;
  std::unique_ptr<LogWriter> log;
  std::unique_ptr<sim::LogPump> pump;
  std::unique_ptr<Journal> journal;

 protected:
  virtual void begin() {}  // more parts, over the journal
  virtual void end() {}

 private:
  std::string name_;
};

}  // namespace tally::audit
