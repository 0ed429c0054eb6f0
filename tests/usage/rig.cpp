#include "usage/rig.hpp"

#include <stdexcept>

#include <gtest/gtest.h>

#include "tally/audit/note.hpp"
#include "tally/core/json.hpp"

namespace tally::usage::test {

namespace {

class LyingFile final : public audit::LogFile {
 public:
  explicit LyingFile(std::unique_ptr<audit::LogFile> file) : file_(std::move(file)) {}
  Result<std::uint64_t> size() override { return file_->size(); }
  Result<std::size_t> read_at(std::uint64_t offset, std::span<std::uint8_t> out) override {
    return file_->read_at(offset, out);
  }
  Result<void> write_at(std::uint64_t offset, std::span<const std::uint8_t> bytes) override {
    return file_->write_at(offset, bytes);
  }
  Result<void> sync() override { return {}; }
  Result<void> truncate(std::uint64_t size) override { return file_->truncate(size); }
  void drop_cache() override {}

 private:
  std::unique_ptr<audit::LogFile> file_;
};

// What a build that acknowledges before the sync would do to its log.
class LyingStorage final : public audit::LogStorage {
 public:
  explicit LyingStorage(std::unique_ptr<audit::LogStorage> storage)
      : storage_(std::move(storage)) {}
  Result<void> lock() override { return storage_->lock(); }
  Result<std::vector<std::string>> list() override { return storage_->list(); }
  Result<std::unique_ptr<audit::LogFile>> open(std::string_view name, bool writable) override {
    return lying(storage_->open(name, writable));
  }
  Result<std::unique_ptr<audit::LogFile>> create(std::string_view name) override {
    return lying(storage_->create(name));
  }
  Result<void> sync_names() override { return storage_->sync_names(); }
  Result<std::optional<std::string>> read_small(std::string_view name) override {
    return storage_->read_small(name);
  }
  Result<void> replace_small(std::string_view name, std::string_view text) override {
    return storage_->replace_small(name, text);
  }
  Result<void> remove(std::string_view name) override { return storage_->remove(name); }
  Result<std::uint64_t> free_bytes() override { return storage_->free_bytes(); }

 private:
  static Result<std::unique_ptr<audit::LogFile>> lying(Result<std::unique_ptr<audit::LogFile>> file
  ) {
    if (!file) return file;
    return std::make_unique<LyingFile>(std::move(*file));
  }
  std::unique_ptr<audit::LogStorage> storage_;
};

}  // namespace

Json atom(const std::string& operand, const std::string& op, Json value) {
  return {{"leftOperand", operand}, {"operator", op}, {"rightOperand", std::move(value)}};
}

Json limit(std::int64_t count, const std::string& op) {
  return atom("count", op, count);
}

odrl::PolicyPtr policy(Json constraints) {
  Json permission = {{"uid", rule_id}, {"action", "use"}};
  if (!constraints.empty()) permission["constraint"] = std::move(constraints);
  const Json document = {
      {"@context", "http://www.w3.org/ns/odrl.jsonld"},
      {"@type", "Agreement"},
      {"uid", "urn:test:policy"},
      {"assigner", provider.uri},
      {"assignee", consumer.uri},
      {"target", "urn:test:cohort"},
      {"permission", Json::array({permission})},
  };
  auto loaded = odrl::load_policy(document);
  if (!loaded) {
    std::string why;
    for (const auto& problem : loaded.error()) why += problem.pointer + problem.message.code + "\n";
    throw std::runtime_error(why);
  }
  return *loaded;
}

AgreementTerms terms(const std::string& id, odrl::PolicyPtr policy, odrl::Side side) {
  AgreementTerms terms;
  terms.id = AgreementId(id);
  terms.our_side = side;
  terms.provider = provider;
  terms.consumer = consumer;
  terms.asset = AssetId("urn:test:cohort");
  terms.policy = std::move(policy);
  return terms;
}

Act act(const std::string& agreement, const std::string& key) {
  Act act;
  act.agreement = AgreementId(agreement);
  act.action = std::string(odrl::iri::read);
  act.party = consumer;
  act.app = AppId("reader");
  act.purposes = {research};
  act.purpose_source = odrl::Source::registration;
  act.idempotency_key = key;
  return act;
}

audit::Genesis genesis() {
  audit::Genesis genesis;
  genesis.origin = "provider.example/log/1";
  genesis.actor = consumer;
  const Bytes key(32, 7);  // nobody signs with it here
  genesis.vkey = audit::make_verifier_key(genesis.origin, key).text();
  return genesis;
}

Rig::Rig(std::uint64_t seed, const Limits& with) : world(seed), limits(with) {}
Rig::~Rig() {
  destroy();
}

void Rig::agree(AgreementTerms terms) {
  if (enforcer) enforcer->activate(terms);
  agreements.push_back(std::move(terms));
}

Result<void> Rig::start_without_finish() {
  disk.power_on();
  ++starts;
  node = std::make_unique<sim::Node>(world, "connector");
  storage = reader();
  if (lying_disk) storage = std::make_unique<LyingStorage>(std::move(storage));
  if (starts == 1) {
    const audit::Genesis genesis = test::genesis();
    auto created = audit::create_log(*storage, genesis, node->clock(), node->random());
    if (!created) return created;
  }
  auto reopened = audit::reopen_log(*storage, LogMark{}, snapshot, make_parts());
  if (!reopened) return fail(std::move(reopened));
  enforcer = std::move(static_cast<LedgerPart&>(*reopened->parts).enforcer);
  started_from = reopened->from;
  refused = reopened->refused;
  log = std::make_unique<audit::LogWriter>(
      *storage, std::move(reopened->recovered), node->clock(), node->random(), limits
  );
  pump = std::make_unique<sim::LogPump>(*node, *log);
  enforcer->attach(*log);
  for (const auto& terms : agreements) enforcer->activate(terms);
  return {};
}

audit::MakeLogParts Rig::make_parts() {
  return [this] {
    return std::make_unique<LedgerPart>(
        std::make_unique<Enforcer>(node->clock(), node->random(), limits)
    );
  };
}

bool Rig::take_snapshot() {
  const LogMark mark = log->mark();
  if (!log->tree().sync_tiles(mark.size)) return false;
  const auto parts = make_parts()();
  auto made = audit::make_snapshot(*reader(), snapshot ? &*snapshot : nullptr, mark.size, *parts);
  if (!made || made->at != mark) return false;
  snapshot = *std::move(made);
  return true;
}

void Rig::start() {
  auto started = start_without_finish();
  if (!started) {
    throw std::runtime_error(
        "start: " + started.error().message.code + ", " +
        render(started.error().message, Lang::en) + " " + world.where()
    );
  }
  auto finished = await(enforcer->finish_replay());
  if (!finished) throw std::runtime_error("finish_replay: " + finished.error().message.code);
}

void Rig::commit_after(Nanos delay) {
  settle();  // no batch is under way any more
  pump->least_delay = pump->most_delay = delay;
}
std::unique_ptr<audit::LogStorage> Rig::reader() {
  return std::make_unique<sim::SimLogStorage>(disk);
}

void Rig::settle() {
  world.run_for(seconds(1));
}

void Rig::destroy() {
  if (node) node->power_off();
  pump.reset();
  log.reset();
  enforcer.reset();
  storage.reset();
  node.reset();
}

void Rig::stop() {
  enforcer->flush_completions(true);
  settle();
  auto closed = log->close();
  if (!closed) throw std::runtime_error("close: " + closed.error().message.code);
  destroy();
}

void Rig::kill() {
  destroy();
}

void Rig::cut_power() {
  disk.cut_power();
  destroy();
}

std::optional<Grant> Rig::use(const std::string& agreement, const std::string& key) {
  auto answer = authorise(act(agreement, key));
  if (!answer || !std::holds_alternative<Grant>(*answer)) return std::nullopt;
  return std::get<Grant>(*answer);
}

std::vector<Record> Rig::records() {
  std::vector<Record> found;
  auto storage_reader = reader();
  auto read = audit::for_each_record(*storage_reader, 0, [&](const audit::RecordView& view) {
    found.push_back(
        {std::string(view.type),
         std::string(view.event),
         view.agreement,
         view.json(),
         view.text.size()}
    );
  });
  if (!read) ADD_FAILURE() << "the log cannot be read: " << read.error().message.code;
  return found;
}

std::vector<Record> Rig::records(const std::string& type) {
  auto found = records();
  std::erase_if(found, [&](const Record& record) { return record.type != type; });
  return found;
}

Image image(const Enforcer& enforcer, const std::string& agreement) {
  Image image;
  const auto state = enforcer.state(AgreementId(agreement));
  if (!state) return image;
  image.closed = state->closed;
  image.uses = state->uses;
  image.first = state->first_use;
  image.last = state->last_use;
  for (const auto& limit : state->limits) image.used.push_back(limit.used);
  return image;
}

std::string outcome(const Result<Authorised>& answer) {
  if (!answer) return answer.error().message.code;
  if (const auto* refusal = std::get_if<Refusal>(&*answer)) return refusal->code.code;
  return std::get<Grant>(*answer).repeated ? "repeated" : "permitted";
}

audit::RecordDraft draft(Rig& rig, const std::string& type, const std::string& agreement) {
  audit::RecordDraft draft(type, new_event(rig.node->random(), rig.node->clock().read().at));
  draft.about(AgreementId(agreement)).set("reason", "test").set("pid", "urn:test:pid");
  draft.set("counterparty", provider).set("rule", rule_id);
  return draft;
}

}  // namespace tally::usage::test
