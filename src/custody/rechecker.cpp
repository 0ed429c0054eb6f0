#include "tally/custody/rechecker.hpp"

#include <algorithm>
#include <deque>
#include <map>
#include <mutex>
#include <set>
#include <utility>

#include <boost/asio/experimental/awaitable_operators.hpp>

#include "tally/core/aead.hpp"
#include "tally/core/bell.hpp"

namespace tally::custody {

namespace {

constexpr std::size_t piece_bytes = 256 << 10;
constexpr Nanos look_again = seconds(60);
// One whose bytes could not be read is not tried over and over.
constexpr Nanos after_failure = seconds(3600);

bool is_altered(const Holding& holding) {
  return !holding.altered.code.empty();
}

// What an error of a read says about the bytes; nullopt: nothing.
std::optional<Message> verdict_of(const Error& error, const ArtefactId& id) {
  if (error.kind == ErrorKind::unavailable) return std::nullopt;
  if (error.message.code == "custody.destroyed") return std::nullopt;
  if (error.kind == ErrorKind::not_found) {
    return Message{"custody.missing", {{"artefact", id.value}}};
  }
  return error.message;
}

}  // namespace

std::optional<Holding> to_read(const Holdings& holdings, const AgreementId& agreement) {
  std::optional<Holding> best;
  for (Holding& one : holdings.of(agreement)) {
    if (one.state != HoldingState::held) continue;
    const bool better = !best || (is_altered(*best) && !is_altered(one)) ||
                        (is_altered(*best) == is_altered(one) && best->received < one.received);
    if (better) best = std::move(one);
  }
  return best;
}

std::vector<Holding> unreadable(const Holdings& holdings) {
  // nullopt: another one is whole. What was derived has nothing that stands for it.
  std::map<std::string, std::optional<Holding>> by_agreement;
  holdings.each([&](const Holding& one) {
    if (one.state != HoldingState::held) return;
    const auto& key = one.is_derived() ? one.id.value : one.agreement.value;
    const auto [entry, fresh] = by_agreement.try_emplace(key, one);
    if (!is_altered(one)) entry->second = std::nullopt;
  });
  std::vector<Holding> found;
  for (auto& [agreement, holding] : by_agreement) {
    if (holding) found.push_back(*std::move(holding));
  }
  return found;
}

struct Rechecker::Inner {
  Inner(RecheckerParts parts_, RecheckSettings settings_) : parts(parts_), settings(settings_) {}

  RecheckerParts parts;
  const RecheckSettings settings;
  Bell bell;
  mutable std::mutex mutex;
  std::deque<ArtefactId> ordered;         // mutex
  State shown;                            // mutex
  std::map<std::string, Instant> failed;  // when it could not be read

  void put(const ArtefactId& id) {
    const std::lock_guard guard(mutex);
    if (std::ranges::find(ordered, id) == ordered.end()) ordered.push_back(id);
  }
  std::optional<ArtefactId> take() {
    const std::lock_guard guard(mutex);
    if (ordered.empty()) return std::nullopt;
    ArtefactId id = std::move(ordered.front());
    ordered.pop_front();
    return id;
  }
  // The one that was looked at longest ago, and when it is due.
  [[nodiscard]] std::optional<std::pair<Instant, ArtefactId>> next() const;
  awaitable<Result<std::optional<Message>>> look(ArtefactId id, bool paced);
  awaitable<Result<void>> note(ArtefactId id, std::optional<Message> verdict);
  awaitable<Result<void>> check(ArtefactId id, bool paced);
};

std::optional<std::pair<Instant, ArtefactId>> Rechecker::Inner::next() const {
  if (settings.every == 0) return std::nullopt;
  std::optional<std::pair<Instant, ArtefactId>> first;
  parts.holdings.each([&](const Holding& one) {
    if (one.state != HoldingState::held) return;
    Instant due = one.checked.value_or(one.received) + settings.every;
    if (const auto found = failed.find(one.id.value); found != failed.end()) {
      due = std::max(due, found->second + after_failure);
    }
    if (!first || due < first->first) first = {due, one.id};
  });
  return first;
}

// Reads it through. nullopt: it is what was received. Errors: nothing is known of its bytes.
awaitable<Result<std::optional<Message>>> Rechecker::Inner::look(ArtefactId id, bool paced) {
  const auto holding = parts.holdings.find(id);
  if (!holding || holding->state != HoldingState::held) {
    co_return fail(
        ErrorKind::not_found, Message{"custody.unknown-artefact", {{"artefact", id.value}}}
    );
  }
  auto opened = co_await parts.custody.open_to_check(id);
  if (!opened) {
    if (auto verdict = verdict_of(opened.error(), id)) co_return verdict;
    co_return fail(std::move(opened));
  }
  Sha256 sha;
  std::uint64_t bytes = 0;
  std::vector<std::uint8_t> piece(piece_bytes);
  for (;;) {
    const auto n = co_await opened->body->read(piece);
    if (!n) {
      wipe(piece);
      if (auto verdict = verdict_of(n.error(), id)) co_return verdict;
      co_return tl::unexpected(n.error());
    }
    if (*n == 0) break;
    sha.update(std::span<const std::uint8_t>(piece).first(*n));
    bytes += *n;
    if (paced) {
      const auto span = static_cast<double>(*n) / static_cast<double>(settings.bytes_per_second);
      co_await parts.timers.sleep_for(
          static_cast<Nanos>(span * static_cast<double>(nanos_per_second))
      );
    }
  }
  wipe(piece);
  const std::string content = digest_text(sha.finish());
  if (content == holding->content && bytes == holding->bytes) co_return std::nullopt;
  co_return Message{
      "custody.digest-differs",
      {{"artefact", id.value}, {"expected", holding->content}, {"found", content}}};
}

awaitable<Result<void>> Rechecker::Inner::note(ArtefactId id, std::optional<Message> verdict) {
  for (;;) {
    auto holding = parts.holdings.find(id);
    if (!holding || holding->state != HoldingState::held) co_return Result<void>();
    const bool before = is_altered(*holding);
    const Instant now = parts.clock.read().at;
    std::vector<audit::RecordDraft> records;
    if (verdict && holding->altered != *verdict) {
      audit::RecordDraft record("data.altered", new_event(parts.random, now));
      record.about(holding->agreement)
          .set("content", holding->content)
          .set("artefact", id.value)
          .set("reason", *verdict);
      records.push_back(std::move(record));
    } else if (!verdict && before) {
      audit::RecordDraft record("data.intact", new_event(parts.random, now));
      record.about(holding->agreement).set("content", holding->content).set("artefact", id.value);
      records.push_back(std::move(record));
    }
    const bool fresh = verdict && holding->altered != *verdict;
    holding->checked = now;
    holding->altered = verdict.value_or(Message());
    std::vector<Holding> changed{*std::move(holding)};
    auto saved = co_await parts.holdings.save(
        std::move(changed), std::move(records), audit::Priority::reserved
    );
    // Something else changed the row meanwhile: once more upon what it says now.
    if (!saved && saved.error().kind == ErrorKind::conflict) continue;
    if (!saved) co_return fail(std::move(saved));
    if (fresh) parts.notices.note(Severity::error, *verdict);
    co_return Result<void>();
  }
}

awaitable<Result<void>> Rechecker::Inner::check(ArtefactId id, bool paced) {
  {
    const std::lock_guard guard(mutex);
    shown.checking = id;
    shown.started = parts.clock.read().at;
  }
  auto verdict = co_await look(id, paced);
  Result<void> done;
  if (verdict) {
    failed.erase(id.value);
    done = co_await note(id, *std::move(verdict));
  } else {
    done = fail(std::move(verdict));
  }
  const auto still = parts.holdings.find(id);
  if (!done && still && still->state == HoldingState::held) {
    failed[id.value] = parts.clock.read().at;
    parts.notices.note(Severity::warning, done.error().message);
  }
  const std::lock_guard guard(mutex);
  shown.checking.reset();
  shown.started.reset();
  co_return done;
}

Rechecker::Rechecker(RecheckerParts parts, RecheckSettings settings)
    : inner_(std::make_shared<Inner>(parts, settings)) {}
Rechecker::~Rechecker() = default;

Result<void> Rechecker::order(const ArtefactId& id) {
  const auto holding = inner_->parts.holdings.find(id);
  if (!holding || holding->state != HoldingState::held) {
    return fail(ErrorKind::not_found, {"custody.unknown-artefact", {{"artefact", id.value}}});
  }
  inner_->put(id);
  inner_->bell.ring();
  return {};
}

void Rechecker::order_all() {
  std::vector<ArtefactId> ids;
  inner_->parts.holdings.each([&ids](const Holding& one) {
    if (one.state == HoldingState::held) ids.push_back(one.id);
  });
  for (const ArtefactId& id : ids) inner_->put(id);
  inner_->bell.ring();
}

awaitable<Result<void>> Rechecker::check(ArtefactId id, bool paced) {
  auto inner = inner_;
  co_return co_await inner->check(std::move(id), paced);
}

void Rechecker::suspect(const ArtefactId& id) {
  inner_->put(id);
  inner_->bell.ring();
}

awaitable<void> Rechecker::run() {
  using boost::asio::experimental::awaitable_operators::operator||;
  for (;;) {
    if (auto id = inner_->take()) {
      co_await inner_->check(*std::move(id), false);
      continue;
    }
    const ClockReading now = inner_->parts.clock.read();
    const auto next = inner_->next();
    if (next && now.reliable && next->first <= now.at) {
      co_await inner_->check(next->second, true);
      continue;
    }
    // A minute of the clock at most: it may be moved.
    Instant wake = now.at + look_again;
    if (next && now.reliable) wake = std::min(wake, next->first);
    auto slept = inner_->parts.timers.sleep_until(wake);
    auto rung = inner_->bell.wait();
    co_await (std::move(slept) || std::move(rung));
  }
}

Rechecker::State Rechecker::state() const {
  const std::lock_guard guard(inner_->mutex);
  State state = inner_->shown;
  state.ordered = inner_->ordered.size();
  return state;
}

}  // namespace tally::custody
