#include "tally/custody/deriver.hpp"

#include <utility>

#include <nlohmann/json.hpp>

#include "tally/core/digest.hpp"

namespace tally::custody {

namespace {

// One use makes one artefact.
ArtefactId derived_id(const Derivation& derivation) {
  return ArtefactId("derived-" + derivation.inputs.front().use.value);
}

Holding staged_row(const Derivation& derivation, Instant now) {
  Holding out;
  const auto& first = derivation.inputs.front();
  out.id = derived_id(derivation);
  out.agreement = first.agreement;
  out.asset = first.asset;
  out.provider = first.provider;
  out.media_type = derivation.media_type;
  out.received = now;
  out.state = HoldingState::staged;
  for (const auto& input : derivation.inputs) out.bound_by.push_back(input.agreement);
  return out;
}

}  // namespace

Deriver::Deriver(Custody& custody, Holdings& holdings, Clock& clock, Random& random)
    : custody_(custody), holdings_(holdings), clock_(clock), random_(random) {}

awaitable<Deriver::Kept> Deriver::make_readable(Holding row) {
  const auto published = co_await custody_.publish(row.id);
  Kept out{std::move(row), std::nullopt};
  if (!published) out.unreadable = published.error();
  co_return out;
}

awaitable<Result<Deriver::Kept>> Deriver::keep(Derivation derivation) {
  const std::string content = digest_text(sha256(derivation.bytes));
  Holding row = staged_row(derivation, clock_.read().at);
  const ArtefactId id = row.id;
  if (const auto known = holdings_.find(id); known && known->state != HoldingState::staged) {
    const bool held = known->state == HoldingState::held;
    if (held && known->content == content) co_return co_await make_readable(*known);
    Message message{
        held ? "custody.derived-other" : "custody.already-destroyed", {{"artefact", id.value}}};
    co_return fail(ErrorKind::conflict, std::move(message));
  } else if (known) {
    row.version = known->version;  // of an attempt that failed
  }
  auto cleared = co_await custody_.destroy(id);
  if (!cleared) co_return fail(std::move(cleared));
  std::vector<Holding> staged{row};
  std::vector<audit::RecordDraft> none;
  auto saved = co_await holdings_.save(std::move(staged), std::move(none));
  if (!saved) co_return fail(std::move(saved));

  auto writer = co_await custody_.begin(id);
  if (!writer) co_return fail(std::move(writer));
  auto written = co_await (*writer)->write(as_bytes(derivation.bytes));
  Result<Sealed> sealed = written ? co_await (*writer)->finish() : tl::unexpected(written.error());
  if (!sealed) {
    co_await (*writer)->abandon();
    co_return fail(std::move(sealed));
  }
  auto current = holdings_.find(id);
  if (!current || current->state != HoldingState::staged) {
    co_await custody_.destroy(id);
    Message message{"custody.already-destroyed", {{"artefact", id.value}}};
    co_return fail(ErrorKind::conflict, std::move(message));
  }
  current->content = sealed->content;
  current->bytes = sealed->bytes;
  current->state = HoldingState::held;
  Json inputs = Json::array();
  for (const auto& input : derivation.inputs) inputs.push_back(input.content);
  std::vector<audit::RecordDraft> records;
  for (const auto& input : derivation.inputs) {
    audit::RecordDraft record("process.executed", new_event(random_, clock_.read().at));
    record.about(input.agreement)
        .set_json("inputs", inputs)
        .set_json("outputs", Json::array({sealed->content}))
        .set("bytes", sealed->bytes)
        .set("use", input.use.value);
    if (!derivation.app.empty()) record.set("app", derivation.app.value);
    records.push_back(std::move(record));
  }
  std::vector<Holding> changed{*current};
  auto held = co_await holdings_.save(std::move(changed), std::move(records));
  if (!held) {
    co_await custody_.destroy(id);
    co_return fail(std::move(held));
  }
  ++current->version;
  co_return co_await make_readable(*std::move(current));
}

awaitable<Result<void>> Deriver::tidy() {
  for (Holding& one : holdings_.all()) {
    if (!one.is_derived() || one.state != HoldingState::staged) continue;
    auto gone = co_await custody_.destroy(one.id);
    if (!gone) co_return gone;
    auto erased = co_await holdings_.erase(std::move(one));
    if (!erased) co_return erased;
  }
  co_return Result<void>();
}

}  // namespace tally::custody
