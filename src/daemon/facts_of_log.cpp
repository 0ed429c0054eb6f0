#include "facts_of_log.hpp"

#include <algorithm>
#include <utility>

#include <nlohmann/json.hpp>

#include "tally/audit/recovery.hpp"

namespace tally::daemon {

namespace {

// So that the record stays far below what a record may hold.
constexpr std::size_t targets_per_record = 500;

std::optional<Digest> commitment_in(const audit::RecordView& record) {
  if (record.commitment.empty()) return std::nullopt;
  return parse_digest_text(record.commitment);
}

tl::unexpected<Error> no_fact() {
  return fail(ErrorKind::not_found, {"api.no-private-fact", {}});
}

}  // namespace

std::set<Digest> CommittedFacts::all() const {
  std::set<Digest> found;
  for (const auto& [seq, commitment] : by_record_) found.insert(commitment);
  return found;
}

Result<void> CommittedFacts::replay(const audit::RecordView& record) {
  if (const auto commitment = commitment_in(record)) by_record_[record.seq] = *commitment;
  if (record.type != "private.erased") return {};
  const Json targets = Json::parse(record.raw("target"), nullptr, false);
  if (!targets.is_array()) return {};
  for (const auto& target : targets) {
    if (target.is_number_unsigned()) by_record_.erase(target.get<std::uint64_t>());
  }
  return {};
}

void CommittedFacts::save(const Item& item) const {
  for (const auto& [seq, commitment] : by_record_) {
    item({{"seq", seq}, {"private", digest_text(commitment)}});
  }
}

Result<void> CommittedFacts::restore(const Json& item) {
  const auto text = string_member(item, "private", "");
  const auto commitment = text ? parse_digest_text(*text) : std::nullopt;
  const auto seq = text ? item.find("seq") : item.end();
  if (!commitment || seq == item.end() || !seq->is_number_unsigned() ||
      !by_record_.emplace(seq->get<std::uint64_t>(), *commitment).second) {
    return audit::malformed_item(part_name());
  }
  return {};
}

FactsOfLog::FactsOfLog(
    custody::PrivateFacts& facts,
    audit::LogAppender& log,
    Clock& clock,
    Random& random,
    Worker& worker,
    OpenLog open_log
)
    : facts_(facts),
      log_(log),
      clock_(clock),
      random_(random),
      worker_(worker),
      open_log_(std::move(open_log)) {}

template <class Job>
auto FactsOfLog::off_loop(Job job) -> awaitable<decltype(job())> {
  decltype(job()) result = fail(ErrorKind::unavailable, {"api.internal", {}});
  std::function<void()> wrapped = [&job, &result] { result = job(); };
  co_await worker_.run(std::move(wrapped));
  co_return result;
}

Result<void> FactsOfLog::tidy(const CommittedFacts& committed, const std::set<Digest>& former) {
  if (auto recovered = facts_.recover(); !recovered) return recovered;
  const auto there = facts_.list();
  if (!there) return tl::unexpected(there.error());
  if (there->empty()) return {};
  const std::set<Digest> stay = committed.all();
  for (const Digest& commitment : *there) {
    if (stay.contains(commitment) || former.contains(commitment)) continue;
    if (auto gone = facts_.destroy(commitment); !gone) return gone;
  }
  return {};
}

awaitable<Result<Digest>> FactsOfLog::keep_fact(std::string subject, Json fact) {
  auto job = [this, &subject, &fact] { return facts_.keep(subject, to_jcs(fact)); };
  co_return co_await off_loop(job);
}

awaitable<void> FactsOfLog::forget_fact(Digest commitment) {
  // What stays behind by a failure here, the next start removes.
  auto job = [this, &commitment] { return facts_.destroy(commitment); };
  co_await off_loop(job);
}

Result<std::vector<FactsOfLog::Found>> FactsOfLog::records_of(const std::set<Digest>& commitments) {
  auto storage = open_log_();
  if (!storage) return fail(std::move(storage));
  std::vector<Found> found;
  const auto take = [&](const audit::RecordView& record) {
    const auto commitment = commitment_in(record);
    if (commitment && commitments.contains(*commitment)) {
      found.push_back({record.seq, *commitment, std::string(record.text)});
    }
  };
  auto read = audit::for_each_record(**storage, 0, take);
  if (!read) return fail(std::move(read));
  return found;
}

Result<FactsOfLog::Found> FactsOfLog::record_at(std::uint64_t seq) {
  auto storage = open_log_();
  if (!storage) return fail(std::move(storage));
  std::optional<Found> found;
  const auto take = [&](const audit::RecordView& record) {
    if (record.seq != seq) return;
    if (const auto commitment = commitment_in(record)) {
      found = Found{seq, *commitment, std::string(record.text)};
    }
  };
  auto read = audit::for_each_record(**storage, seq, take);
  if (!read) return fail(std::move(read));
  if (!found) return no_fact();
  return *std::move(found);
}

awaitable<Result<std::vector<std::uint64_t>>> FactsOfLog::erase(api::Erasure erasure) {
  const bool of_person = !erasure.record;
  std::uint64_t former = 0;  // facts that only records of a log before this one name
  auto look = [&]() -> Result<std::vector<Found>> {
    if (!of_person) {
      auto one = record_at(*erasure.record);
      if (!one) return fail(std::move(one));
      // Erased before: nothing to open any more.
      if (auto open = facts_.open(one->commitment); !open) {
        if (open.error().kind == ErrorKind::not_found) return no_fact();
      }
      return std::vector<Found>{*std::move(one)};
    }
    const auto all = facts_.about(erasure.subject);
    if (!all) return tl::unexpected(all.error());
    std::set<Digest> left(all->begin(), all->end());
    auto here = records_of(left);
    if (!here) return here;
    for (const Found& one : *here) left.erase(one.commitment);
    former = left.size();
    return here;
  };
  auto found = co_await off_loop(look);
  if (!found) co_return tl::unexpected(found.error());

  std::vector<std::uint64_t> targets;
  for (const Found& one : *found) targets.push_back(one.seq);
  for (std::size_t from = 0; from < targets.size() || (from == 0 && former > 0);
       from += targets_per_record) {
    const auto end = std::min(targets.size(), from + targets_per_record);
    Json part(std::vector<std::uint64_t>(
        targets.begin() + static_cast<std::ptrdiff_t>(from),
        targets.begin() + static_cast<std::ptrdiff_t>(end)
    ));
    audit::RecordDraft draft("private.erased", new_event(random_, clock_.read().at));
    draft.set_json("target", part).set("basis", erasure.basis);
    if (from == 0 && former > 0) draft.set("former", former);
    auto recorded = co_await audit::append(log_, std::move(draft), audit::Priority::reserved);
    if (!recorded) co_return tl::unexpected(recorded.error());
  }

  auto destroy = [&]() -> Result<void> {
    if (of_person) return facts_.destroy_subject(erasure.subject);
    return facts_.destroy(found->front().commitment);
  };
  auto gone = co_await off_loop(destroy);
  if (!gone) co_return tl::unexpected(gone.error());
  co_return targets;
}

awaitable<Result<Json>> FactsOfLog::opening(std::uint64_t seq) {
  auto look = [&]() -> Result<Json> {
    const auto found = record_at(seq);
    if (!found) return tl::unexpected(found.error());
    const auto opened = facts_.open(found->commitment);
    if (!opened) {
      if (opened.error().kind == ErrorKind::not_found) return no_fact();
      return tl::unexpected(opened.error());
    }
    return Json{{"seq", seq}, {"record", found->record}, {"opening", audit::print(*opened)}};
  };
  co_return co_await off_loop(look);
}

}  // namespace tally::daemon
