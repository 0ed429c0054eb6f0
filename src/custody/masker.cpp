#include "tally/custody/masker.hpp"

#include <utility>

#include <openssl/crypto.h>

#include "tally/core/digest.hpp"
#include "tally/dataplane/shaped_source.hpp"

namespace tally::custody {

namespace {

constexpr std::size_t piece_bytes = 64 << 10;

// What is in memory of the original goes with it.
struct Piece {
  std::vector<std::uint8_t> bytes = std::vector<std::uint8_t>(piece_bytes);
  ~Piece() { OPENSSL_cleanse(bytes.data(), bytes.size()); }
};

Json texts_of(const std::vector<RuleId>& duties) {
  Json out = Json::array();
  for (const auto& duty : duties) out.push_back(duty.value);
  return out;
}

}  // namespace

Masker::Masker(
    Custody& custody,
    Holdings& holdings,
    Clock& clock,
    Random& random,
    MasksAtRest& masks,
    std::size_t record_bytes
)
    : custody_(custody),
      holdings_(holdings),
      clock_(clock),
      random_(random),
      masks_(masks),
      record_bytes_(record_bytes) {}

awaitable<void> Masker::drop(ArtefactId copy) {
  // What fails here is a staged row without a use: the next start removes it.
  auto gone = co_await custody_.destroy(copy);
  auto row = holdings_.find(copy);
  if (!gone || !row || row->state != HoldingState::staged) co_return;
  co_await holdings_.erase(std::move(*row));
}

// The bytes of the copy; its row stays staged.
awaitable<Result<Holding>> Masker::write(Holding copy, Holding original, FormAtRest form) {
  auto opened = co_await custody_.open_to_check(original.id);
  if (!opened) co_return fail(std::move(opened));
  const auto body = dataplane::shaped_body(
      std::move(opened->body), original.bytes, std::move(form.shape), record_bytes_
  );
  auto writer = co_await custody_.begin(copy.id);
  if (!writer) co_return fail(std::move(writer));
  Piece piece;
  for (;;) {
    const auto n = co_await body->read(piece.bytes);
    if (!n) {
      co_await (*writer)->abandon();
      co_return tl::unexpected(n.error());
    }
    if (*n == 0) break;
    auto written = co_await (*writer)->write(std::span<const std::uint8_t>(piece.bytes).first(*n));
    if (!written) {
      co_await (*writer)->abandon();
      co_return fail(std::move(written));
    }
  }
  auto sealed = co_await (*writer)->finish();
  if (!sealed) {
    co_await (*writer)->abandon();
    co_return fail(std::move(sealed));
  }
  copy.content = sealed->content;
  copy.bytes = sealed->bytes;
  copy.form = std::move(form.form);
  co_return copy;
}

awaitable<Result<Masker::Masked>> Masker::rewrite(Holding original, std::vector<RuleId> duties) {
  auto form = masks_.form_of(original, duties);
  if (!form) co_return fail(std::move(form));
  Holding copy = original;
  copy.id = ArtefactId("masked-" + uuid_v4(random_));
  copy.instead_of = original.id;
  copy.state = HoldingState::staged;
  copy.content.clear();
  copy.bytes = 0;
  copy.checked.reset();
  copy.late = false;
  copy.version = 0;

  std::vector<audit::RecordDraft> due;
  for (const auto& duty : duties) {
    audit::RecordDraft record("obligation.due", new_event(random_, clock_.read().at));
    record.about(original.agreement).set("action", "mask").set("rule", duty.value);
    record.set("artefact", original.id.value).set("duty", true);
    due.push_back(std::move(record));
  }
  std::vector<Holding> staged{copy};
  auto begun = co_await holdings_.save(std::move(staged), std::move(due));
  if (!begun) co_return fail(std::move(begun));
  copy.version = 1;

  auto written = co_await write(copy, original, *std::move(form));
  if (!written) {
    co_await drop(copy.id);
    co_return fail(std::move(written));
  }
  audit::RecordDraft record("process.executed", new_event(random_, clock_.read().at));
  record.about(original.agreement)
      .set_json("inputs", Json::array({original.content}))
      .set_json("outputs", Json::array({written->content}))
      .set_json("artefacts", Json::array({original.id.value, copy.id.value}))
      .set_json("duties", texts_of(duties))
      .set("bytes", written->bytes);
  written->state = HoldingState::held;
  original.state = HoldingState::destroying;
  original.ended_under = original.agreement;
  original.reason = {"custody.masked", {{"artefact", copy.id.value}}};
  original.masked_by = std::move(duties);
  std::vector<Holding> changed;
  changed.push_back(std::move(*written));
  changed.push_back(std::move(original));
  std::vector<audit::RecordDraft> records;
  records.push_back(std::move(record));
  auto saved = co_await holdings_.save(std::move(changed), std::move(records));
  if (!saved) {
    co_await drop(copy.id);
    co_return fail(std::move(saved));
  }
  const auto published = co_await custody_.publish(copy.id);
  Masked out{copy.id, std::nullopt};
  if (!published) out.unreadable = published.error();
  co_return out;
}

awaitable<Result<void>> Masker::tidy() {
  for (Holding& one : holdings_.all()) {
    if (one.instead_of.empty() || one.state != HoldingState::staged) continue;
    auto gone = co_await custody_.destroy(one.id);
    if (!gone) co_return gone;
    auto erased = co_await holdings_.erase(std::move(one));
    if (!erased) co_return erased;
  }
  co_return Result<void>();
}

}  // namespace tally::custody
