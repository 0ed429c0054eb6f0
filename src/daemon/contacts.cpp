#include "contacts.hpp"

#include <utility>

#include <nlohmann/json.hpp>

#include "tally/core/json.hpp"

namespace tally::daemon {

namespace {

constexpr const char* kind = "contact";

Row to_row(const PartyId& party, Instant at, std::uint64_t version) {
  Row row;
  row.kind = kind;
  row.id = to_string(party);
  row.version = version;
  row.state = "heard";
  row.body = to_jcs(Json{{"at", format_micros(at)}, {"domain", party.domain}, {"uri", party.uri}});
  return row;
}

}  // namespace

LastContacts::LastContacts(Store& store, audit::Journal& journal, Clock& clock)
    : store_(store), journal_(journal), clock_(clock) {}

Result<void> LastContacts::load() {
  Store::Query query;
  query.kind = kind;
  for (;;) {
    const auto rows = store_.rows(query);
    if (!rows) return tl::unexpected(rows.error());
    for (const Row& row : *rows) {
      query.after = row.id;
      const auto body = Json::parse(row.body, nullptr, false);
      const auto at = body.is_object() ? parse_date_time(body.value("at", "")) : std::nullopt;
      // One that cannot be read is none, and the party has to be heard again.
      if (!at) continue;
      const PartyId party{body.value("domain", ""), body.value("uri", "")};
      const std::lock_guard lock(mutex_);
      contacts_[party] = {at->instant, at->instant, row.version};
    }
    if (rows->size() < query.most) return {};
  }
}

void LastContacts::heard(const PartyId& party) {
  const ClockReading now = clock_.read();
  if (!now.reliable) return;
  const std::lock_guard lock(mutex_);
  auto& contact = contacts_[party];
  if (contact.last < now.at) contact.last = now.at;
}

std::optional<Instant> LastContacts::last_contact(const PartyId& party) const {
  const std::lock_guard lock(mutex_);
  const auto found = contacts_.find(party);
  if (found == contacts_.end()) return std::nullopt;
  return found->second.last;
}

awaitable<Result<void>> LastContacts::keep(Nanos step) {
  Transaction transaction;
  std::vector<std::pair<PartyId, Instant>> kept;
  {
    const std::lock_guard lock(mutex_);
    for (const auto& [party, contact] : contacts_) {
      if (contact.stored && contact.last - *contact.stored < step) continue;
      if (contact.stored == contact.last) continue;
      transaction.puts.push_back(to_row(party, contact.last, contact.version));
      kept.emplace_back(party, contact.last);
    }
  }
  if (kept.empty()) co_return Result<void>{};
  auto committed = co_await journal_.commit(std::move(transaction), {});
  if (!committed) co_return fail(std::move(committed));
  const std::lock_guard lock(mutex_);
  for (const auto& [party, at] : kept) {
    auto& contact = contacts_[party];
    contact.stored = at;
    ++contact.version;
  }
  co_return Result<void>{};
}

awaitable<Result<PeerAnswer>> HeardPeer::send(PeerRequest request) {
  const PartyId party = request.to;
  auto answer = co_await peer_.send(std::move(request));
  if (answer) contacts_.heard(party);
  co_return answer;
}

awaitable<Result<PeerStream>> HeardPeer::open(PeerRequest request) {
  const PartyId party = request.to;
  auto stream = co_await peer_.open(std::move(request));
  if (stream) contacts_.heard(party);
  co_return stream;
}

}  // namespace tally::daemon
