#include "tally/custody/keeper.hpp"

#include <algorithm>
#include <exception>
#include <map>
#include <mutex>
#include <set>
#include <utility>

#include <boost/asio/experimental/awaitable_operators.hpp>
#include <boost/asio/this_coro.hpp>

#include <nlohmann/json.hpp>

#include "tally/core/json.hpp"
#include "tally/core/runs.hpp"
#include "tally/core/wakeup.hpp"

#include "due.hpp"
#include "keeper_state.hpp"

namespace tally::custody {

namespace {

constexpr Nanos look_again = seconds(60);
constexpr Nanos reader_look_again = seconds(1);
constexpr std::string_view method = "key-shredded";
constexpr int most_attempts = 8;

Json contents_of(const std::vector<Holding>& holdings) {
  Json contents = Json::array();
  for (const Holding& one : holdings) contents.push_back(one.content);
  return contents;
}

Json ids_of(const std::vector<Holding>& holdings) {
  Json ids = Json::array();
  for (const Holding& one : holdings) ids.push_back(one.id.value);
  return ids;
}

void earliest(std::optional<Instant>& next, Instant at) {
  if (!next || at < *next) next = at;
}

}  // namespace

void Keeper::State::problem(const AgreementId& agreement, std::optional<Message> message) {
  bool fresh = false;
  {
    const std::lock_guard guard(mutex);
    if (!message) {
      problems.erase(agreement.value);
      return;
    }
    Message& kept = problems[agreement.value];
    fresh = kept != *message;
    kept = *message;
  }
  if (fresh) parts.notices.note(Severity::error, *message);
}

void Keeper::State::no_longer(const AgreementId& agreement, std::string_view code) {
  const std::lock_guard guard(mutex);
  const auto found = problems.find(agreement.value);
  if (found != problems.end() && found->second.code == code) problems.erase(found);
}

bool Keeper::State::is_failing(const AgreementId& agreement) const {
  const std::lock_guard guard(mutex);
  const auto found = problems.find(agreement.value);
  return found != problems.end() && found->second.code == "custody.destroy-failed";
}

// Once the end of an artefact has begun it is the matter of one agreement, whose terms came first.
std::vector<Holding> Keeper::State::of(const AgreementId& agreement, std::set<HoldingState> states)
    const {
  std::vector<Holding> found = parts.holdings.under(agreement);
  std::erase_if(found, [&](const Holding& one) {
    const bool of_another = !one.ended_under.empty() && one.ended_under != agreement;
    return of_another || !states.contains(one.state);
  });
  return found;
}

// Closes the ledger entry. True: closed and recorded.
awaitable<bool> Keeper::State::expire(AgreementId agreement, Due due) {
  const auto state = parts.enforcer.state(agreement);
  if (!state) co_return false;
  audit::RecordDraft record("policy.expired", event(parts.clock.read().at));
  record.about(agreement)
      .set("bound", "time")
      .set("reason", due.reason)
      .set("policy", state->terms.policy->digest());
  if (!due.rule.empty()) record.set("rule", due.rule.value);
  auto closed = co_await parts.enforcer.close(agreement, usage::Closed::expired, std::move(record));
  // A conflict: terminated meanwhile, which ends it as well.
  if (!closed && closed.error().kind != ErrorKind::conflict) {
    Message message{
        "custody.expiry-failed",
        {{"agreement", agreement.value}, {"reason", closed.error().message.code}}};
    problem(agreement, std::move(message));
    co_return false;
  }
  co_return true;
}

// The duty is due: durable before anything is touched.
awaitable<Result<void>> Keeper::State::begin(
    AgreementId agreement, Message reason, RuleId rule, bool is_duty
) {
  std::vector<Holding> due = of(agreement, {HoldingState::staged, HoldingState::held});
  if (due.empty()) co_return Result<void>();
  const Instant now = parts.clock.read().at;
  for (Holding& one : due) {
    one.state = HoldingState::destroying;
    one.ended_under = agreement;
    one.reason = reason;
  }
  audit::RecordDraft record("obligation.due", event(now));
  record.about(agreement)
      .set("action", "delete")
      .set("rule", rule.value)
      .set("duty", is_duty)
      .set("reason", reason)
      .set("artefacts", static_cast<std::uint64_t>(due.size()));
  std::vector<audit::RecordDraft> records{std::move(record)};
  auto saved =
      co_await parts.holdings.save(std::move(due), std::move(records), audit::Priority::reserved);
  if (!saved) co_return fail(std::move(saved));
  co_return Result<void>();
}

// The key goes, then the record that says so. Also of what a crash left between the two, and of
// what was destroyed without the provider's note being handed over: then the record is repeated,
// since its place in the log is known only to who wrote it.
awaitable<Result<void>> Keeper::State::shred(AgreementId agreement) {
  std::vector<Holding> due = of(agreement, {HoldingState::destroying});
  for (Holding& one : of(agreement, {HoldingState::destroyed})) {
    if (!one.told && !places.contains(one.id.value)) due.push_back(std::move(one));
  }
  while (!due.empty()) {
    const std::size_t count = std::min(due.size(), contents_per_record);
    std::vector<Holding> now_gone(due.begin(), due.begin() + static_cast<std::ptrdiff_t>(count));
    due.erase(due.begin(), due.begin() + static_cast<std::ptrdiff_t>(count));
    Result<void> gone;
    for (const Holding& one : now_gone) {
      gone = co_await parts.custody.destroy(one.id);
      if (!gone) break;
    }
    const Instant now = parts.clock.read().at;
    if (!gone) {
      audit::RecordDraft record("data.destroy_failed", event(now));
      record.about(agreement)
          .set_json("contents", contents_of(now_gone))
          .set("reason", gone.error().message);
      std::vector<Holding> unchanged;
      std::vector<audit::RecordDraft> records{std::move(record)};
      // Once for each run of failures, not once a minute.
      if (!is_failing(agreement)) {
        co_await parts.holdings.save(
            std::move(unchanged), std::move(records), audit::Priority::reserved
        );
      }
      co_return gone;
    }
    std::uint64_t bytes = 0;
    for (const Holding& one : now_gone) bytes += one.bytes;
    audit::RecordDraft record("data.destroyed", event(now));
    record.about(agreement)
        .set_json("contents", contents_of(now_gone))
        .set_json("artefacts", ids_of(now_gone))
        .set("bytes", bytes)
        .set("method", method)
        .set("reason", now_gone.front().reason)
        .set_json("kept", Json::array());
    std::vector<std::string> ids;
    std::vector<audit::RecordDraft> records{std::move(record)};
    for (Holding& one : now_gone) {
      // Once: also where the destruction is recorded again.
      const bool first = one.state == HoldingState::destroying;
      for (const RuleId& duty : first ? one.masked_by : std::vector<RuleId>()) {
        audit::RecordDraft fulfilled("obligation.fulfilled", event(now));
        fulfilled.about(agreement).set("action", "mask").set("rule", duty.value);
        fulfilled.set("artefact", one.id.value);
        records.push_back(std::move(fulfilled));
      }
      one.state = HoldingState::destroyed;
      one.destroyed = now;
      ids.push_back(one.id.value);
    }
    auto saved = co_await parts.holdings.save(
        std::move(now_gone), std::move(records), audit::Priority::reserved
    );
    if (!saved) co_return fail(std::move(saved));
    for (const std::string& id : ids) places[id] = saved->front();
  }
  co_return Result<void>();
}

// Hands the deletion records on, and remembers that.
awaitable<Result<void>> Keeper::State::tell(AgreementId agreement) {
  for (const Holding& one : of(agreement, {HoldingState::destroyed})) {
    const auto place = places.find(one.id.value);
    if (one.told || place == places.end()) continue;
    // Of what was derived here the provider knows nothing that it could compare.
    if (on_destroyed && !one.is_derived()) {
      DeletionRecord record;
      record.artefact = one.id;
      record.agreement = one.agreement;
      record.provider = one.provider;
      record.process = one.process;
      record.content = one.content;
      record.bytes = one.bytes;
      record.method = method;
      record.time = place->second.time;
      record.seq = place->second.seq;
      record.leaf = place->second.leaf;
      auto told = co_await on_destroyed(std::move(record));
      if (!told) co_return told;
    }
    auto current = parts.holdings.find(one.id);
    if (!current || current->told) continue;
    current->told = true;
    std::vector<Holding> changed{std::move(*current)};
    std::vector<audit::RecordDraft> none;
    auto saved = co_await parts.holdings.save(std::move(changed), std::move(none));
    if (!saved) co_return fail(std::move(saved));
    places.erase(one.id.value);
  }
  co_return Result<void>();
}

awaitable<Result<void>> Keeper::State::destroy(
    AgreementId agreement, Message reason, RuleId rule, bool is_duty
) {
  // One at a time for each agreement; who comes second finds it done by the next look.
  const auto run = destructions.begin(agreement.value);
  if (!run) co_return Result<void>();
  const bool anything = !of(agreement, {HoldingState::staged, HoldingState::held}).empty();
  const bool failing = is_failing(agreement);
  Result<void> done;
  // A row may have been changed in between, by a re-check or under another agreement: that is no
  // failure, it is looked at again.
  for (int attempt = 0; attempt < most_attempts; ++attempt) {
    // Without a reason: what was begun before is finished, and nothing else.
    done = Result<void>();
    if (!reason.code.empty()) done = co_await begin(agreement, reason, rule, is_duty);
    if (done) done = co_await shred(agreement);
    if (done || done.error().kind != ErrorKind::conflict) break;
  }
  if (!done && is_duty && !failing) {
    // Due and not done: said once, whatever a later try comes to.
    audit::RecordDraft record("obligation.violated", event(parts.clock.read().at));
    record.about(agreement).set("action", "delete").set("rule", rule.value);
    record.set("reason", done.error().message);
    std::vector<Holding> unchanged;
    std::vector<audit::RecordDraft> records{std::move(record)};
    co_await parts.holdings.save(
        std::move(unchanged), std::move(records), audit::Priority::reserved
    );
  }
  if (done && is_duty && anything) {
    audit::RecordDraft record("obligation.fulfilled", event(parts.clock.read().at));
    record.about(agreement).set("action", "delete").set("rule", rule.value);
    std::vector<Holding> unchanged;
    std::vector<audit::RecordDraft> records{std::move(record)};
    auto saved = co_await parts.holdings.save(
        std::move(unchanged), std::move(records), audit::Priority::reserved
    );
    if (!saved) done = fail(std::move(saved));
  }
  tell_overdue(agreement, done.has_value());
  if (done) done = co_await tell(agreement);
  if (done) {
    problem(agreement, std::nullopt);
  } else {
    Message message{
        "custody.destroy-failed",
        {{"agreement", agreement.value}, {"reason", done.error().message.code}}};
    problem(agreement, std::move(message));
  }
  co_return done;
}

// A duty to delete that is due and could not be carried out stops every use under its rule. Also
// after a restart, where only the state of the holdings says that one is being destroyed.
void Keeper::State::tell_overdue(const AgreementId& agreement, bool done) {
  if (done) {
    if (overdue.erase(agreement.value) > 0) parts.enforcer.set_overdue(agreement, {});
    return;
  }
  const auto state = parts.enforcer.state(agreement);
  if (!state) return;
  std::vector<RuleId> late;
  const Instant now = parts.clock.read().at;
  for (const Holding& one : of(agreement, {HoldingState::destroying})) {
    const auto due = destruction_of(*state, one.received);
    if (due && due->is_duty && due->at <= now) late.push_back(due->rule);
  }
  if (late.empty()) return;
  overdue.insert(agreement.value);
  parts.enforcer.set_overdue(agreement, std::move(late));
}

awaitable<void> Keeper::State::look_after(
    AgreementId id, ClockReading reading, std::optional<Instant>& next
) {
  auto state = parts.enforcer.state(id);
  if (!state) co_return;
  using usage::Closed;
  if (reading.reliable) no_longer(id, "custody.clock-held");

  // The ledger entry, on both sides of the agreement.
  const auto expiry = expiry_of(*state);
  const bool open = state->closed == Closed::open || state->closed == Closed::suspended;
  if (expiry && open) {
    if (expiry->at > reading.at) {
      earliest(next, expiry->at);
    } else if (reading.reliable) {
      if (!co_await expire(id, *expiry)) co_return;
      state = parts.enforcer.state(id);
      if (!state) co_return;
    } else {
      Message message{"custody.clock-held", {{"agreement", id.value}}};
      problem(id, std::move(message));
    }
  }
  if (state->closed == Closed::expired && on_expired && !followed.contains(id.value)) {
    auto followed_now = co_await on_expired(id);
    if (followed_now) followed.insert(id.value);
  }
  if (!open || state->closed != Closed::open) no_longer(id, "custody.expiry-failed");

  // What is held under it.
  for (const Holding& one : of(id, {HoldingState::staged, HoldingState::held})) {
    const auto due = destruction_of(*state, one.received);
    if (!due) continue;
    if (due->at > reading.at) {
      earliest(next, due->at);
      continue;
    }
    const bool by_time = state->closed == Closed::open || state->closed == Closed::suspended;
    if (by_time && !reading.reliable) {
      Message message{"custody.clock-held", {{"agreement", id.value}}};
      problem(id, std::move(message));
      continue;
    }
    // A use that still reads what its own end destroys: the end comes first. Nothing else waits.
    if (by_time && due->is_duty && parts.custody.in_use(one.id) && due->after_use) {
      earliest(next, reading.at + reader_look_again);
      continue;
    }
    co_await destroy(id, due->reason, due->rule, due->is_duty);
    co_return;
  }
  co_await mask_what_is_due(*state, reading, &next);
  // What was left half done: failed, or a note that could not be handed over.
  bool unfinished = !of(id, {HoldingState::destroying}).empty();
  for (const Holding& one : of(id, {HoldingState::destroyed})) unfinished |= !one.told;
  if (unfinished) co_await destroy(id, Message(), RuleId(), false);
}

awaitable<std::optional<Instant>> Keeper::State::look() {
  const ClockReading reading = parts.clock.read();
  std::optional<Instant> next;
  std::set<std::string> seen;
  for (const AgreementId& id : parts.enforcer.agreements()) {
    seen.insert(id.value);
    co_await look_after(id, reading, next);
  }
  // Under an agreement that the ledger does not know nothing may stay unfinished either.
  for (const Holding& one : parts.holdings.all()) {
    if (!seen.insert(one.ends_under().value).second) continue;
    const bool unfinished = one.state == HoldingState::destroying ||
                            (one.state == HoldingState::destroyed && !one.told);
    if (unfinished) co_await destroy(one.ends_under(), Message(), RuleId(), false);
  }
  co_return next;
}

Keeper::Keeper(KeeperParts parts, OnDestroyed on_destroyed, OnExpired on_expired)
    : state_(std::make_shared<State>(parts, std::move(on_destroyed), std::move(on_expired))) {}

// A coroutine of `run` that still waits is held by its wakeup, and holds the state: cut here.
Keeper::~Keeper() {
  std::shared_ptr<Wakeup> sleeper;
  const std::lock_guard guard(state_->mutex);
  sleeper.swap(state_->sleeper);
}

awaitable<std::optional<Instant>> Keeper::check() {
  auto state = state_;
  co_return co_await state->look();
}

awaitable<void> Keeper::run() {
  using boost::asio::experimental::awaitable_operators::operator||;
  auto state = state_;
  while (true) {
    const std::optional<Instant> next = co_await state->look();
    // A minute of the clock at most: it may be moved, and not every change says that it happened.
    Instant wake = state->parts.clock.read().at + look_again;
    if (next && *next < wake) wake = *next;
    auto kicked = [state]() -> awaitable<void> {
      auto started = [state](std::shared_ptr<Wakeup> wakeup) {
        const std::lock_guard guard(state->mutex);
        if (std::exchange(state->kicked, false)) {
          wakeup->wake();
        } else {
          state->sleeper = std::move(wakeup);
        }
      };
      co_await suspend(std::move(started));
    };
    auto slept = state->parts.timers.sleep_until(wake);
    auto woken = kicked();
    co_await (std::move(slept) || std::move(woken));
    const std::lock_guard guard(state->mutex);
    state->sleeper.reset();
  }
}

void Keeper::kick() {
  std::shared_ptr<Wakeup> sleeper;
  {
    const std::lock_guard guard(state_->mutex);
    sleeper = std::exchange(state_->sleeper, nullptr);
    if (!sleeper) state_->kicked = true;
  }
  if (sleeper) sleeper->wake();
}

awaitable<Result<void>> Keeper::destroy(AgreementId agreement, Message reason) {
  auto state = state_;
  RuleId rule;
  bool is_duty = false;
  if (const auto known = state->parts.enforcer.state(agreement)) {
    if (const auto due = destruction_of(*known, Instant())) {
      rule = due->rule;
      is_duty = due->is_duty;
    }
    if (rule.empty() && !known->terms.policy->rules().empty()) {
      rule = known->terms.policy->rules().front().id;
    }
  }
  co_return co_await state->destroy(std::move(agreement), std::move(reason), rule, is_duty);
}

std::vector<Message> Keeper::problems() const {
  std::vector<Message> found;
  const std::lock_guard guard(state_->mutex);
  for (const auto& [agreement, message] : state_->problems) found.push_back(message);
  return found;
}

}  // namespace tally::custody
