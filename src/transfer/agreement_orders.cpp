#include "tally/transfer/agreement_orders.hpp"

#include <algorithm>
#include <utility>

#include <nlohmann/json.hpp>

#include "tally/core/json.hpp"
#include "tally/negotiation/exchange.hpp"

#include "transfer_state.hpp"

namespace tally::transfer {

using negotiation::Agreement;
using negotiation::AgreementStatus;
using usage::HoldBy;
using usage::HoldCommit;

namespace {

constexpr std::string_view sent_kind = "agreement-order";
constexpr std::string_view received_kind = "agreement-order-received";
constexpr std::size_t most_said_bytes = 400;
// A peer that does not know the order answers as one that is off; longer than that it is not told.
constexpr Nanos told_for = seconds(30L * 24 * 3600);
constexpr std::string_view suspended_with = "transfer.agreement-suspended";

std::string_view to_string(AgreementOrder order) {
  switch (order) {
    case AgreementOrder::suspension:
      return "suspension";
    case AgreementOrder::resumption:
      return "resumption";
    case AgreementOrder::termination:
      break;
  }
  return "termination";
}

bool is_over(const Agreement& agreement) {
  return agreement.status == AgreementStatus::expired ||
         agreement.status == AgreementStatus::terminated;
}

std::optional<std::uint64_t> number_in(const Json& json) {
  const auto found = json.find("number");
  if (found == json.end() || !found->is_number_unsigned()) return std::nullopt;
  return found->get<std::uint64_t>();
}

Result<std::uint64_t> number_in(const std::optional<Row>& row) {
  if (!row) return std::uint64_t{0};
  const auto json = negotiation::parse_row(*row);
  if (!json) return tl::unexpected(json.error());
  return number_in(*json).value_or(0);
}

usage::Hold suspension(std::string id, HoldBy by, std::string name, const AgreementId& agreement) {
  usage::Hold hold;
  hold.id = std::move(id);
  hold.by = by;
  hold.name = std::move(name);
  hold.on = {usage::HoldScope::agreement, agreement.value};
  return hold;
}

}  // namespace

AgreementOrders::AgreementOrders(AgreementOrderParts parts, Ended ended)
    : parts_(std::move(parts)), ended_(std::move(ended)) {
  parts_.delivery.serve(std::string(sent_kind), *this);
}
AgreementOrders::~AgreementOrders() = default;

Result<Agreement> AgreementOrders::agreement(const AgreementId& id) const {
  auto found = negotiation::find_agreement(parts_.store, id);
  if (!found) return fail(std::move(found));
  if (!*found) {
    return fail(ErrorKind::not_found, {"api.unknown-agreement", {{"agreement", id.value}}});
  }
  return std::move(**found);
}

Result<HoldCommit> AgreementOrders::told(
    const Agreement& agreement, AgreementOrder order, std::string said
) {
  HoldCommit with;
  with.said = said;
  const auto base = parts_.peers.tally_url(agreement.peer());
  if (!base) return with;
  auto before = parts_.store.row(sent_kind, agreement.id.value);
  if (!before) return fail(std::move(before));
  const auto last = number_in(*before);
  if (!last) return tl::unexpected(last.error());
  const Instant now = parts_.clock.read().at;
  // Also above what a database that was set back does not know any more.
  const auto micros =
      static_cast<std::uint64_t>(std::max<std::int64_t>(now.seconds, 0)) * 1'000'000U +
      static_cast<std::uint64_t>(now.nanos / 1000);
  const std::uint64_t number = std::max(*last + 1, micros);
  Row row = before->value_or(Row{});
  row.kind = sent_kind;
  row.id = agreement.id.value;
  row.owner = agreement.id.value;
  row.state = "sending";
  const Json kept = {{"number", number}, {"order", to_string(order)}};
  row.body = kept.dump();
  with.puts.push_back(std::move(row));
  Json body = {{"number", number}};
  if (!said.empty()) body["reason"] = said;
  HttpRequest request;
  request.method = "POST";
  request.body = body.dump(-1, ' ', false, Json::error_handler_t::replace);
  with.messages.push_back(negotiation::outgoing(
      new_pid(parts_.random).value,
      negotiation::process_key(sent_kind, agreement.id.value),
      agreement.peer(),
      *base + "/agreements/" + percent_encode_segment(agreement.id.value) + "/" +
          std::string(to_string(order)),
      request,
      now
  ));
  return with;
}

awaitable<Result<void>> AgreementOrders::suspend(AgreementId id, std::string said) {
  for (;;) {
    auto agreement = this->agreement(id);
    if (!agreement) co_return fail(std::move(agreement));
    if (is_over(*agreement)) co_return fail(ErrorKind::conflict, not_active(*agreement));
    if (parts_.holds.find(usage::own_suspension(id))) co_return Result<void>{};
    auto with = told(*agreement, AgreementOrder::suspension, said);
    if (!with) co_return fail(std::move(with));
    auto messages = with->messages;
    auto hold = suspension(usage::own_suspension(id), HoldBy::operator_, "", id);
    auto placed = co_await parts_.holds.place(std::move(hold), *std::move(with));
    if (!placed && placed.error().kind == ErrorKind::conflict) continue;
    if (!placed) co_return fail(std::move(placed));
    if (messages.empty()) co_await suspend_transfers(id);
    parts_.delivery.queue(std::move(messages));
    co_return Result<void>{};
  }
}

awaitable<Result<void>> AgreementOrders::resume(AgreementId id) {
  for (;;) {
    auto agreement = this->agreement(id);
    if (!agreement) co_return fail(std::move(agreement));
    if (!parts_.holds.find(usage::own_suspension(id))) co_return Result<void>{};
    const std::string none;
    auto with = told(*agreement, AgreementOrder::resumption, none);
    if (!with) co_return fail(std::move(with));
    auto messages = with->messages;
    auto lifted = co_await parts_.holds.lift(
        usage::own_suspension(id), HoldBy::operator_, none, *std::move(with)
    );
    if (!lifted && lifted.error().kind == ErrorKind::conflict) continue;
    if (!lifted) co_return fail(std::move(lifted));
    if (messages.empty()) co_await resume_transfers(id);
    parts_.delivery.queue(std::move(messages));
    co_return Result<void>{};
  }
}

awaitable<Result<void>> AgreementOrders::terminate(AgreementId id, std::string said) {
  for (;;) {
    auto agreement = this->agreement(id);
    if (!agreement) co_return fail(std::move(agreement));
    HoldCommit with;
    if (agreement->status != AgreementStatus::terminated) {
      auto telling = told(*agreement, AgreementOrder::termination, said);
      if (!telling) co_return fail(std::move(telling));
      with = *std::move(telling);
    }
    auto done = co_await end(*std::move(agreement), false, said, std::move(with));
    if (!done && done.error().kind == ErrorKind::conflict) continue;
    co_return done;
  }
}

// Errors: conflict: nothing happened, decide again.
awaitable<Result<void>> AgreementOrders::end(
    Agreement agreement, bool by_peer, std::string said, HoldCommit with
) {
  const AgreementId id = agreement.id;
  Message why{"daemon.agreement-ended", {{"agreement", id.value}, {"reason", std::move(said)}}};
  if (by_peer) {
    why.code = "transfer.agreement-ended-by-peer";
    why.params["peer"] = agreement.peer().uri;
  }
  if (agreement.status != AgreementStatus::terminated) {
    // Under the lock of authorise: no use is permitted from here on, so none after the record.
    parts_.enforcer.shut(id, usage::Closed::terminated);
    audit::RecordDraft draft(
        "contract.terminated", new_event(parts_.random, parts_.clock.read().at)
    );
    draft.about(id).set("counterparty", agreement.peer()).set("pid", agreement.negotiation.value);
    draft.set("reason", recorded(why)).set("by", by_peer ? "peer" : "self");
    usage::mark_ledger(draft, usage::Closed::terminated);
    agreement.status = AgreementStatus::terminated;
    Transaction transaction;
    transaction.puts = std::move(with.puts);
    transaction.puts.push_back(negotiation::to_row(agreement));
    transaction.messages = with.messages;
    std::vector<audit::RecordDraft> drafts;
    drafts.push_back(std::move(draft));
    auto done = co_await parts_.journal.commit(
        std::move(transaction), std::move(drafts), audit::Priority::reserved
    );
    if (!done) co_return fail(std::move(done));
    parts_.delivery.queue(std::move(with.messages));
  }
  co_return co_await ended_(id, std::move(why));
}

awaitable<void> AgreementOrders::finish() {
  const auto running = parts_.transfers.list();
  if (!running) co_return;  // said where it is needed
  std::set<std::string> open;
  for (const auto& process : *running) {
    const auto state = process.value("state", "");
    if (state != "TERMINATED" && state != "COMPLETED") open.insert(process.value("agreement", ""));
  }
  for (const auto& id : open) {
    const auto agreement = this->agreement(AgreementId(id));
    if (!agreement || agreement->status != AgreementStatus::terminated) continue;
    Message why{"daemon.agreement-ended", {{"agreement", id}, {"reason", ""}}};
    const auto done = co_await ended_(agreement->id, std::move(why));
    if (!done) parts_.notices.note(Severity::error, done.error().message);
  }
}

// --- peers that are not told of agreements ---

awaitable<void> AgreementOrders::suspend_transfers(AgreementId id) {
  const auto running = parts_.transfers.list();
  if (!running) co_return;  // the hold stands: nothing moves
  for (const auto& process : *running) {
    if (process.value("agreement", "") != id.value || process.value("state", "") != "STARTED") {
      continue;
    }
    Pid pid(process.value("id", ""));
    Message why{std::string(suspended_with), {{"agreement", id.value}}};
    const auto done = co_await parts_.transfers.suspend(std::move(pid), std::move(why));
    if (!done) parts_.notices.note(Severity::warning, done.error().message);
  }
}

awaitable<void> AgreementOrders::resume_transfers(AgreementId id) {
  const auto all = parts_.transfers.list();
  if (!all) co_return;
  for (const auto& process : *all) {
    const bool ours = process.value("endedBy", "") == "self" && process.contains("reason") &&
                      process["reason"].value("code", "") == suspended_with;
    if (process.value("agreement", "") != id.value || !ours ||
        process.value("state", "") != "SUSPENDED") {
      continue;
    }
    Pid pid(process.value("id", ""));
    const auto done = co_await parts_.transfers.restart(std::move(pid));
    if (!done) parts_.notices.note(Severity::warning, done.error().message);
  }
}

// --- by the other side ---

awaitable<HttpAnswer> AgreementOrders::receive(Received received, AgreementOrder order) {
  const auto body = negotiation::parse_body(received.request);
  if (!body) co_return refuse(body.error());
  const auto number = number_in(body->json);
  if (!number || *number == 0) {
    const Message missing{"core.member-missing", {{"member", "number"}}};
    co_return refuse(400, missing, "/number");
  }
  std::string said =
      negotiation::cut_text(negotiation::text_of(body->json, "reason"), most_said_bytes);
  const AgreementId id(received.own_pid);
  auto agreement = this->agreement(id);
  const bool theirs = agreement && agreement->peer() == received.caller.party;
  if (!agreement && agreement.error().kind != ErrorKind::not_found) {
    co_return refuse(agreement.error());
  }
  if (!theirs) {
    const Message unknown{"transfer.unknown-agreement", {}};
    co_return refuse(404, unknown, "");
  }
  const Message busy{"transfer.busy", {}};
  if (!receiving_.insert(id.value).second) co_return refuse(503, busy);
  const struct Leave {
    std::set<std::string>& receiving;
    const std::string& id;
    ~Leave() { receiving.erase(id); }
  } leave{receiving_, id.value};
  auto row = parts_.store.row(received_kind, id.value);
  if (!row) co_return refuse(row.error());
  const auto last = number_in(*row);
  if (!last) co_return refuse(last.error());
  // What is repeated, or was overtaken by a later order, has had its effect.
  if (*number > *last && !(is_over(*agreement) && order != AgreementOrder::termination)) {
    Row kept = row->value_or(Row{});
    kept.kind = received_kind;
    kept.id = id.value;
    kept.owner = id.value;
    kept.state = to_string(order);
    const Json numbered = {{"number", *number}};
    kept.body = numbered.dump();
    co_return co_await obey(*std::move(agreement), order, std::move(said), std::move(kept));
  }
  co_return negotiation::json_answer(200, Json{{"agreement", id.value}});
}

awaitable<HttpAnswer> AgreementOrders::obey(
    Agreement agreement, AgreementOrder order, std::string said, Row number
) {
  const AgreementId id = agreement.id;
  HoldCommit with;
  with.puts.push_back(std::move(number));
  with.said = said;
  Result<void> done;
  if (order == AgreementOrder::suspension) {
    auto hold = suspension(usage::peer_suspension(id), HoldBy::peer, agreement.peer().uri, id);
    auto placed = co_await parts_.holds.place(std::move(hold), std::move(with));
    if (!placed) done = fail(std::move(placed));
  } else if (order == AgreementOrder::resumption) {
    const std::string none;
    auto lifted =
        co_await parts_.holds.lift(usage::peer_suspension(id), HoldBy::peer, none, std::move(with));
    if (!lifted) done = fail(std::move(lifted));
  } else {
    done = co_await end(std::move(agreement), true, std::move(said), std::move(with));
  }
  if (done) co_return negotiation::json_answer(200, Json{{"agreement", id.value}});
  if (done.error().kind == ErrorKind::unavailable) co_return refuse(done.error());
  // Somebody else changed what it was decided on: it comes again.
  const Message busy{"transfer.busy", {}};
  co_return refuse(503, busy);
}

// --- our orders on their way ---

awaitable<Result<void>> AgreementOrders::settle(
    OutgoingMessage message, std::string state, std::string answer
) {
  const auto id = negotiation::parse_process_key(message.process).id;
  const auto sent = parse_json(message.body);
  const auto number = sent ? number_in(*sent) : std::nullopt;
  for (;;) {
    auto found = parts_.store.row(sent_kind, id);
    if (!found) co_return fail(std::move(found));
    Transaction transaction;
    transaction.delivered_messages.push_back(message.id);
    const auto last = number_in(*found);
    if (*found && last && number && *last == *number) {
      Row row = std::move(**found);
      row.state = state;
      if (auto json = negotiation::parse_row(row)) {
        (*json)["answer"] = answer.substr(0, 2000);
        row.body = json->dump(-1, ' ', false, Json::error_handler_t::replace);
      }
      transaction.puts.push_back(std::move(row));
    }
    auto done = co_await parts_.journal.commit(std::move(transaction), {});
    if (!done && done.error().kind == ErrorKind::conflict) continue;
    if (!done) co_return fail(std::move(done));
    co_return Result<void>{};
  }
}

awaitable<Result<void>> AgreementOrders::on_delivered(OutgoingMessage message, std::string body) {
  std::string state = "delivered";
  co_return co_await settle(std::move(message), std::move(state), std::move(body));
}

awaitable<Result<void>> AgreementOrders::on_refused(
    OutgoingMessage message, negotiation::Refused refused
) {
  const Message told{
      "transfer.agreement-order-refused",
      {{"agreement", negotiation::parse_process_key(message.process).id},
       {"peer", message.to.uri},
       {"status", std::to_string(refused.status)}}};
  parts_.notices.note(Severity::warning, told);
  std::string state = "refused";
  co_return co_await settle(std::move(message), std::move(state), std::move(refused.body));
}

std::string AgreementOrders::state_url(const OutgoingMessage&) {
  return {};  // an order has no state to ask for
}

negotiation::Standing AgreementOrders::compare(const OutgoingMessage&, const std::string&) {
  return negotiation::Standing::elsewhere;
}

std::optional<Nanos> AgreementOrders::deadline() const {
  return told_for;
}

}  // namespace tally::transfer
