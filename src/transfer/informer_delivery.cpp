// Notices on their way: to the other side by Delivery, to others by a program; and who waits too
// long for one.
#include <algorithm>
#include <utility>

#include <nlohmann/json.hpp>

#include "tally/negotiation/agreement.hpp"
#include "tally/negotiation/exchange.hpp"

#include "informer_state.hpp"

namespace tally::transfer {

namespace {

// A receiver that said no may be repaired.
constexpr Nanos refused_again = seconds(3600);
constexpr Nanos address_again = seconds(60);

}  // namespace

// --- who is late ---

void Informer::State::refresh(const AgreementId& agreement) {
  std::vector<RuleId> duties;
  for (const auto& [id, one] : owed) {
    if (one.agreement == agreement && one.violated) duties.emplace_back(one.duty);
  }
  if (duties.empty() && overdue.erase(agreement.value) == 0) return;
  if (!duties.empty()) overdue.insert(agreement.value);
  parts.enforcer.set_overdue(agreement, std::move(duties), usage::Enforcer::OverdueBy::informer);
}

awaitable<Result<void>> Informer::State::mark_overdue(ClockReading reading) {
  if (!reading.reliable) co_return Result<void>{};
  std::vector<std::string> late;
  std::set<std::pair<std::string, std::string>> said;
  for (const auto& [id, one] : owed) {
    if (one.violated) said.emplace(one.agreement.value, one.duty);
    if (!one.violated && one.due && *one.due < reading.at) late.push_back(id);
  }
  for (const auto& id : late) {
    const auto found = owed.find(id);
    if (found == owed.end()) continue;
    // Once for a duty, however many of its notices wait.
    if (!said.emplace(found->second.agreement.value, found->second.duty).second) continue;
    auto row = parts.store.row(use_notice_kind, id);
    if (!row) co_return fail(std::move(row));
    if (!*row) continue;
    auto body = negotiation::parse_row(**row);
    if (!body) co_return fail(std::move(body));
    (*body)["violated"] = true;
    (*row)->body = body->dump();
    const Message reason{
        "transfer.not-informed",
        {{"party", found->second.party}, {"due", format_micros(*found->second.due)}}};
    audit::RecordDraft record("obligation.violated", new_event(parts.random, reading.at));
    record.about(found->second.agreement).set("action", "inform");
    record.set("rule", found->second.duty).set("reason", reason);
    parts.notices.note(Severity::warning, reason);
    Transaction transaction;
    transaction.puts.push_back(std::move(**row));
    std::vector<audit::RecordDraft> drafts;
    drafts.push_back(std::move(record));
    const AgreementId agreement = found->second.agreement;
    auto done = co_await parts.journal.commit(std::move(transaction), std::move(drafts));
    // Taken at this very moment: then it is owed no more, and the next look sees that.
    if (!done && done.error().kind == ErrorKind::conflict) continue;
    if (!done) co_return fail(std::move(done));
    if (const auto still = owed.find(id); still != owed.end()) still->second.violated = true;
    refresh(agreement);
  }
  co_return Result<void>{};
}

// --- who was told ---

// Nothing where there is nobody to send it to now, or nothing that could be sent.
std::optional<OutgoingMessage> Informer::State::message_of(const std::string& row, const Json& body)
    const {
  const AgreementId id(body.value("agreement", std::string()));
  const auto agreement = negotiation::find_agreement(parts.store, id);
  const std::string note = body.value("note", std::string());
  if (!agreement || !*agreement || note.empty()) return std::nullopt;
  const PartyId& peer = (*agreement)->peer();
  const auto base = parts.peers.tally_url(peer);
  if (!base) return std::nullopt;
  const Json said = {{"agreement", id.value}, {"note", note}};
  HttpRequest request;
  request.method = "POST";
  request.body = said.dump();
  return negotiation::outgoing(
      new_pid(parts.random).value,
      negotiation::process_key(use_notice_kind, row),
      peer,
      *base + "/use-notices",
      request,
      parts.clock.read().at
  );
}

std::vector<audit::RecordDraft> Informer::State::fulfilled(const Row& row) const {
  if (row.state != notice_state::delivered) return {};
  const auto body = negotiation::parse_row(row);
  if (!body) return {};
  audit::RecordDraft record("obligation.fulfilled", new_event(parts.random, parts.clock.read().at));
  Json uses = Json::array();
  for (const Json& use : body->value("uses", Json::array())) {
    uses.push_back(use.value("use", std::string()));
  }
  record.about(AgreementId(row.owner)).set("action", "inform");
  record.set("rule", body->value("duty", std::string()));
  record.set("party", body->value("party", std::string())).set_json("uses", uses);
  std::vector<audit::RecordDraft> drafts;
  drafts.push_back(std::move(record));
  return drafts;
}

void Informer::State::on_settled(const Row& row) {
  const auto found = owed.find(row.id);
  if (found == owed.end()) return;
  if (row.state == notice_state::delivered) {
    owed.erase(found);
    return refresh(AgreementId(row.owner));
  }
  found->second.queued = false;
  found->second.next_attempt = parts.clock.read().at + refused_again;
}

// To the other side, where there was no way to it before, or after it refused.
awaitable<Result<void>> Informer::State::queue_again(std::string id) {
  auto row = parts.store.row(use_notice_kind, id);
  if (!row) co_return fail(std::move(row));
  if (!*row) co_return Result<void>{};
  auto body = negotiation::parse_row(**row);
  if (!body) co_return fail(std::move(body));
  auto message = message_of(id, *body);
  if (!message) {
    if (const auto one = owed.find(id); one != owed.end()) {
      one->second.next_attempt = parts.clock.read().at + address_again;
    }
    co_return Result<void>{};
  }
  (*body)["queued"] = true;
  (*row)->state = notice_state::sending;
  (*row)->body = body->dump();
  Transaction transaction;
  transaction.puts.push_back(std::move(**row));
  transaction.messages.push_back(*message);
  auto done = co_await parts.journal.commit(std::move(transaction), {});
  if (!done && done.error().kind == ErrorKind::conflict) co_return Result<void>{};
  if (!done) co_return fail(std::move(done));
  if (const auto one = owed.find(id); one != owed.end()) one->second.queued = true;
  std::vector<OutgoingMessage> messages;
  messages.push_back(std::move(*message));
  parts.delivery.queue(std::move(messages));
  co_return Result<void>{};
}

awaitable<Result<void>> Informer::State::settle_other(std::string id) {
  for (;;) {
    auto row = parts.store.row(use_notice_kind, id);
    if (!row) co_return fail(std::move(row));
    if (!*row) co_return Result<void>{};
    (*row)->state = notice_state::delivered;
    Transaction transaction;
    transaction.puts.push_back(**row);
    auto drafts = fulfilled(**row);
    auto done = co_await parts.journal.commit(std::move(transaction), std::move(drafts));
    if (!done && done.error().kind == ErrorKind::conflict) continue;
    if (!done) co_return fail(std::move(done));
    on_settled(**row);
    co_return Result<void>{};
  }
}

// One attempt to tell somebody beside the two.
awaitable<void> Informer::State::tell_other(std::string id) {
  const auto self_alive = shared_from_this();
  const auto row = parts.store.row(use_notice_kind, id);
  const auto found = owed.find(id);
  if (found == owed.end()) co_return;
  const std::string party = found->second.party;
  Result<bool> taken = false;
  if (row && *row) {
    const auto body = negotiation::parse_row(**row);
    Json said = {{"type", "use.notice"}};
    for (const char* member : {"agreement", "duty", "note", "party", "uses"}) {
      if (body && body->contains(member)) said[member] = body->at(member);
    }
    const auto agreement = negotiation::find_agreement(parts.store, AgreementId((*row)->owner));
    if (agreement && *agreement) {
      said["asset"] = (*agreement)->asset.value;
      said["provider"] = negotiation::to_json((*agreement)->provider);
      said["consumer"] = negotiation::to_json((*agreement)->consumer);
    }
    std::string text = said.dump(-1, ' ', false, Json::error_handler_t::replace);
    taken = co_await parts.others.tell(party, id, std::move(text));
  }
  telling.erase(party);
  if (taken && *taken) {
    auto settled = co_await settle_other(id);
    if (!settled) parts.notices.note(Severity::error, settled.error().message);
    co_return;
  }
  const auto again = owed.find(id);
  if (again == owed.end()) co_return;
  Owed& one = again->second;
  if (one.failed == 0) {
    parts.notices.note(Severity::warning, {"transfer.party-not-told", {{"party", party}}});
  }
  const auto doubled = parts.limits.retry_first << std::min<std::uint32_t>(one.failed, 16);
  ++one.failed;
  one.next_attempt = parts.clock.read().at + std::min(doubled, parts.limits.retry_most);
}

awaitable<Result<void>> Informer::State::send_waiting(Instant now) {
  std::vector<std::string> to_peers;
  std::vector<std::string> to_others;
  for (const auto& [id, one] : owed) {
    if (one.next_attempt && *one.next_attempt > now) continue;
    if (one.is_peer && !one.queued) to_peers.push_back(id);
    if (!one.is_peer && telling.insert(one.party).second) to_others.push_back(id);
  }
  for (auto& id : to_others) parts.tasks.spawn("inform", tell_other(std::move(id)));
  for (auto& id : to_peers) {
    auto done = co_await queue_again(std::move(id));
    if (!done) co_return done;
  }
  co_return Result<void>{};
}

}  // namespace tally::transfer
