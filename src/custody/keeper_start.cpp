// What a start finds: a destruction that was cut short, an older copy of the database or of the
// files, and what nobody knows.
#include <utility>

#include <nlohmann/json.hpp>

#include "tally/core/json.hpp"

#include "keeper_state.hpp"

namespace tally::custody {

awaitable<Result<void>> Keeper::State::set_destroying(Holding holding, Message reason) {
  holding.state = HoldingState::destroying;
  holding.reason = std::move(reason);
  std::vector<Holding> changed{std::move(holding)};
  std::vector<audit::RecordDraft> none;
  auto saved = co_await parts.holdings.save(std::move(changed), std::move(none));
  if (!saved) co_return fail(std::move(saved));
  co_return Result<void>();
}

// A fetch that a stop cut short before its row, an older copy of the database, or something that
// somebody put there: no end of an agreement would ever reach it.
awaitable<Result<void>> Keeper::State::destroy_unknown(std::vector<ArtefactId> there) {
  std::erase_if(there, [this](const ArtefactId& id) {
    return parts.holdings.find(id).has_value();
  });
  while (!there.empty()) {
    Json ids = Json::array();
    std::vector<ArtefactId> now_gone;
    while (!there.empty() && now_gone.size() < contents_per_record) {
      ids.push_back(there.back().value);
      now_gone.push_back(std::move(there.back()));
      there.pop_back();
    }
    audit::RecordDraft record("data.unknown", event(parts.clock.read().at));
    record.set_json("artefacts", ids);
    std::vector<Holding> unchanged;
    std::vector<audit::RecordDraft> records{std::move(record)};
    auto saved = co_await parts.holdings.save(
        std::move(unchanged), std::move(records), audit::Priority::reserved
    );
    if (!saved) co_return fail(std::move(saved));
    for (const ArtefactId& id : now_gone) {
      auto gone = co_await parts.custody.destroy(id);
      if (!gone) co_return gone;
      parts.notices.note(
          Severity::warning, {"custody.unknown-destroyed", {{"artefact", id.value}}}
      );
    }
  }
  co_return Result<void>();
}

awaitable<Result<void>> Keeper::start() {
  State& state = *state_;
  Notices& notices = state.parts.notices;
  const auto note = [&notices](Severity severity, const char* code, const std::string& id) {
    notices.note(severity, {code, {{"artefact", id}}});
  };
  auto recovered = co_await state.parts.custody.recover();
  if (!recovered) co_return fail(std::move(recovered));
  for (const std::string& id : recovered->incomplete) {
    note(Severity::info, "custody.incomplete-removed", id);
  }
  for (const std::string& id : recovered->shredded) {
    note(Severity::warning, "custody.shred-finished", id);
  }
  for (const std::string& id : recovered->stray_keys) {
    note(Severity::warning, "custody.stray-key-destroyed", id);
  }
  for (const std::string& name : recovered->unknown) {
    notices.note(Severity::warning, {"custody.file-unknown", {{"file", name}}});
  }
  auto unknown = co_await state.destroy_unknown(std::move(recovered->there));
  if (!unknown) co_return unknown;
  for (Holding& one : state.parts.holdings.all()) {
    const bool kept = one.state == HoldingState::held || one.state == HoldingState::staged;
    if (kept && state.parts.log.destroyed(one)) {
      // The log is the authority: the row is an older copy.
      const Message reason{"custody.destroyed-by-log", {{"artefact", one.id.value}}};
      notices.note(Severity::warning, reason);
      auto saved = co_await state.set_destroying(std::move(one), reason);
      if (!saved) co_return saved;
    } else if (one.state == HoldingState::destroyed) {
      auto key = co_await state.parts.custody.key_exists(one.id);
      if (!key) co_return fail(std::move(key));
      if (!*key) continue;
      // A restored copy, or a destruction that the disk forgot: again, and said again.
      note(Severity::warning, "custody.stray-key-destroyed", one.id.value);
      Message reason = one.reason;
      auto saved = co_await state.set_destroying(std::move(one), std::move(reason));
      if (!saved) co_return saved;
    } else if (one.state == HoldingState::held) {
      // Its row was stored, and the machine stopped before the bytes were made visible.
      auto published = co_await state.parts.custody.publish(one.id);
      if (published) continue;
      if (published.error().kind != ErrorKind::not_found) co_return published;
      note(Severity::error, "custody.missing", one.id.value);
    }
  }
  std::set<std::string> unfinished;
  for (const Holding& one : state.parts.holdings.all()) {
    const bool half = one.state == HoldingState::destroying ||
                      (one.state == HoldingState::destroyed && !one.told);
    if (half) unfinished.insert(one.ends_under().value);
  }
  for (const std::string& agreement : unfinished) {
    // What fails here is tried again by `run`, and red until then.
    co_await state.destroy(AgreementId(agreement), Message(), RuleId(), false);
  }
  if (state.parts.masker == nullptr) co_return Result<void>();
  auto tidied = co_await state.parts.masker->tidy();
  if (!tidied) co_return tidied;
  // Before anything is served: nobody reads once more what had to be masked.
  const ClockReading reading = state.parts.clock.read();
  for (const AgreementId& agreement : state.parts.enforcer.agreements()) {
    auto known = state.parts.enforcer.state(agreement);
    if (!known) continue;
    co_await state.mask_what_is_due(std::move(*known), reading, nullptr);
  }
  co_return Result<void>();
}

}  // namespace tally::custody
