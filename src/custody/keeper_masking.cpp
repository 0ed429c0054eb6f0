// Masks that come due on what is held.
#include <algorithm>
#include <utility>

#include "keeper_state.hpp"

namespace tally::custody {

namespace {

constexpr Nanos reader_look_again = seconds(1);
// Whoever reads longer than that after its end is due is cut off.
constexpr Nanos longest_reader = seconds(60);
constexpr Nanos failed_look_again = seconds(60);

}  // namespace

awaitable<Result<void>> Keeper::State::mask(Holding holding, MaskDue due) {
  const AgreementId agreement = holding.agreement;
  const bool said = holding.late;
  auto masked = co_await parts.masker->rewrite(holding, due.duties);
  if (masked) {
    if (masked->unreadable) {
      Message message{
          "custody.masked-unreadable",
          {{"artefact", masked->copy.value}, {"reason", masked->unreadable->message.code}}};
      problem(agreement, std::move(message));
    }
    // The original goes as everything does that is destroyed.
    auto done = co_await destroy(agreement, Message(), RuleId(), false);
    if (unmasked.erase(agreement.value) > 0) {
      parts.enforcer.set_overdue(agreement, {}, usage::Enforcer::OverdueBy::masking);
    }
    co_return done;
  }
  if (masked.error().kind == ErrorKind::conflict)
    co_return fail(std::move(masked));  // looked at again
  unmasked.insert(agreement.value);
  const RuleId first = due.duties.front();
  parts.enforcer.set_overdue(agreement, std::move(due.duties), usage::Enforcer::OverdueBy::masking);
  Message message{
      "custody.mask-failed",
      {{"agreement", agreement.value}, {"reason", masked.error().message.code}}};
  problem(agreement, std::move(message));
  if (said) co_return fail(std::move(masked));
  audit::RecordDraft record("obligation.violated", event(parts.clock.read().at));
  record.about(agreement).set("action", "mask").set("rule", first.value);
  record.set("artefact", holding.id.value).set("reason", masked.error().message);
  holding.late = true;
  std::vector<Holding> changed{std::move(holding)};
  std::vector<audit::RecordDraft> records{std::move(record)};
  co_await parts.holdings.save(std::move(changed), std::move(records));
  co_return fail(std::move(masked));
}

awaitable<void> Keeper::State::mask_what_is_due(
    usage::AgreementState agreement, ClockReading reading, std::optional<Instant>* next
) {
  if (parts.masker == nullptr) co_return;
  const auto later = [next](Instant at) {
    if (next != nullptr && (!*next || at < **next)) *next = at;
  };
  for (Holding& one : of(agreement.terms.id, {HoldingState::held})) {
    if (one.is_derived()) continue;
    const auto masks = parts.masker->masks_of(one);
    const auto due = masking_of(agreement, one.received, masks);
    if (!due) continue;
    if (due->at > reading.at) {
      later(due->at);
      continue;
    }
    // Early by a clock that is wrong hides what may still be seen.
    if (!reading.reliable) {
      Message message{"custody.clock-held", {{"agreement", agreement.terms.id.value}}};
      problem(agreement.terms.id, std::move(message));
      continue;
    }
    // The use that it follows comes to its end first.
    if (parts.custody.in_use(one.id) && reading.at - due->at < longest_reader) {
      later(reading.at + reader_look_again);
      continue;
    }
    auto done = co_await mask(std::move(one), std::move(*due));
    if (!done) later(reading.at + failed_look_again);
  }
}

}  // namespace tally::custody
