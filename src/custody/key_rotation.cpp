#include "tally/custody/key_rotation.hpp"

#include <algorithm>
#include <utility>

#include <boost/asio/experimental/awaitable_operators.hpp>

#include <nlohmann/json.hpp>

#include "tally/core/bell.hpp"
#include "tally/core/json.hpp"

namespace tally::custody {

namespace {

constexpr Nanos try_again = seconds(60);
// So that the record stays far below what a record may hold.
constexpr std::size_t most_named = 64;

}  // namespace

struct KeyRotation::State {
  Bell bell;
  std::optional<KeyName> recorded;  // the rotation to this key is in the log
  mutable std::mutex mutex;
  std::optional<Message> problem;  // mutex

  void set(std::optional<Message> message) {
    const std::lock_guard guard(mutex);
    problem = std::move(message);
  }
};

KeyRotation::KeyRotation(KeyRotationParts parts)
    : parts_(std::move(parts)), state_(std::make_shared<State>()) {}
KeyRotation::~KeyRotation() = default;

Result<void> check_ring(const KeyRing& ring, const CustodyRecords& records) {
  const std::string& current = records.current_key();
  if (current.empty()) return {};
  for (const RingKey& key : ring.keys()) {
    if (to_text(key.name) == current) return {};
  }
  return fail(
      ErrorKind::invalid, {"custody.ring-older", {{"file", ring.place()}, {"key", current}}}
  );
}

awaitable<Result<void>> KeyRotation::start(const CustodyRecords& records) {
  const auto keys = parts_.ring.keys();
  if (keys.size() == 1) co_return Result<void>();
  // Everything lies under the newest already when the log says so: only its end is missing, or the
  // file is a copy from before that.
  const bool recorded = to_text(keys.front().name) == records.current_key() &&
                        std::all_of(keys.begin() + 1, keys.end(), [&](const auto& key) {
                          return records.replaced(to_text(key.name));
                        });
  if (!recorded) co_return Result<void>();  // `run` goes on with it
  Result<void> gone;
  std::function<void()> job = [this, &gone] { gone = parts_.ring.destroy_former(); };
  co_await parts_.worker.run(std::move(job));
  for (std::size_t i = 1; gone && i < keys.size(); ++i) {
    const std::map<std::string, std::string> which = {{"key", to_text(keys[i].name)}};
    parts_.notices.note(Severity::warning, {"custody.ring-key-destroyed", which});
  }
  co_return gone;
}

awaitable<Result<KeyName>> KeyRotation::begin() {
  if (is_unfinished()) {
    const std::map<std::string, std::string> which = {
        {"key", to_text(parts_.ring.keys().back().name)}};
    co_return fail(ErrorKind::conflict, Message{"custody.rotating", which});
  }
  const Instant now = parts_.clock.read().at;
  Result<KeyName> made;
  std::function<void()> job = [this, &made, now] { made = parts_.ring.add(parts_.random, now); };
  co_await parts_.worker.run(std::move(job));
  if (made) state_->bell.ring();
  co_return made;
}

awaitable<Result<void>> KeyRotation::finish() {
  const auto keys = parts_.ring.keys();
  if (keys.size() < 2) co_return Result<void>();
  std::uint64_t rewrapped = 0;
  std::vector<std::string> unopened;
  for (WrappedKeys* user : parts_.users) {
    Result<std::vector<std::string>> names;
    std::function<void()> look = [user, &names] { names = user->wrapped(); };
    co_await parts_.worker.run(std::move(look));
    if (!names) co_return fail(std::move(names));
    // File by file: whoever reads meanwhile waits for one of them at most.
    for (const std::string& name : *names) {
      Result<Rewrapped> done;
      std::function<void()> job = [user, &done, &name] { done = user->rewrap(name); };
      co_await parts_.worker.run(std::move(job));
      if (!done) co_return fail(std::move(done));
      if (*done == Rewrapped::done) ++rewrapped;
      if (*done == Rewrapped::unopened) unopened.push_back(name);
    }
  }
  // What does not open is lost already, and no reason to keep a key that is to go.
  for (const std::string& name : unopened) {
    const std::map<std::string, std::string> which = {{"file", name}};
    parts_.notices.note(Severity::warning, {"custody.not-rewrapped", which});
  }
  if (unopened.size() > most_named) unopened.resize(most_named);
  const bool said_already = state_->recorded == keys.front().name;
  for (std::size_t i = keys.size() - 1; i > 0 && !said_already; --i) {
    audit::RecordDraft draft("wrapping.rotated", new_event(parts_.random, parts_.clock.read().at));
    draft.set("key", to_text(keys.front().name)).set("before", to_text(keys[i].name));
    draft.set("rewrapped", rewrapped).set_json("unopened", Json(unopened));
    auto recorded = co_await audit::append(parts_.log, std::move(draft));
    if (!recorded) co_return fail(std::move(recorded));
  }
  state_->recorded = keys.front().name;
  Result<void> gone;
  std::function<void()> job = [this, &gone] { gone = parts_.ring.destroy_former(); };
  co_await parts_.worker.run(std::move(job));
  if (!gone) co_return gone;
  const std::map<std::string, std::string> said = {
      {"key", to_text(keys.front().name)}, {"count", std::to_string(rewrapped)}};
  parts_.notices.note(Severity::info, {"custody.rotated", said});
  co_return Result<void>();
}

awaitable<void> KeyRotation::run() {
  using boost::asio::experimental::awaitable_operators::operator||;
  for (;;) {
    auto done = co_await finish();
    if (done) {
      state_->set(std::nullopt);
      co_await state_->bell.wait();
      continue;
    }
    Message problem{"custody.rotation-failed", {{"reason", done.error().message.code}}};
    parts_.notices.note(Severity::error, problem);
    state_->set(std::move(problem));
    auto slept = parts_.timers.sleep_for(try_again);
    auto rung = state_->bell.wait();
    co_await (std::move(slept) || std::move(rung));
  }
}

std::optional<Message> KeyRotation::problem() const {
  const std::lock_guard guard(state_->mutex);
  return state_->problem;
}

}  // namespace tally::custody
