#include "tally/transfer/confirmations.hpp"

#include <algorithm>
#include <array>

#include <nlohmann/json.hpp>

#include "tally/audit/commitment.hpp"
#include "tally/core/digest.hpp"
#include "tally/negotiation/exchange.hpp"
#include "tally/odrl/terms.hpp"

#include "confirmations_state.hpp"
#include "transfer_process.hpp"
#include "transfer_state.hpp"

namespace tally::transfer {

using negotiation::Agreement;
using usage::DutyChange;
using usage::DutyEvent;
using usage::DutyStanding;
using usage::DutyState;

namespace {

constexpr std::size_t most_reference_bytes = 64;

std::string pointers_of(const std::vector<DutyState>& all) {
  std::string text;
  for (const auto& one : all) {
    if (!text.empty()) text += ", ";
    text += one.duty.pointer + " " + std::string(odrl::local_name(one.duty.action));
  }
  return text.empty() ? "–" : text;
}

DutyEvent event_in(const Row& row, const Json& json, DutyChange what, std::string_view at) {
  DutyEvent event;
  event.what = what;
  event.duty = RuleId(negotiation::text_of(json, "duty"));
  event.permission = RuleId(negotiation::text_of(json, "permission"));
  if (row.kind == confirmation_kind) {
    event.confirmation = negotiation::text_of(json, "confirmation");
  }
  event.at = time_of(json, at).value_or(Instant());
  return event;
}

}  // namespace

bool is_reference(std::string_view text) {
  return !text.empty() && text.size() <= most_reference_bytes &&
         std::all_of(text.begin(), text.end(), [](char c) {
           return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') ||
                  std::string_view("._-/:#").find(c) != std::string_view::npos;
         });
}

Confirmations::Confirmations(ConfirmationParts parts, PartyId self)
    : parts_(std::move(parts)), self_(std::move(self)) {
  parts_.delivery.serve(std::string(message_kind), *this);
}
Confirmations::~Confirmations() = default;

Result<void> Confirmations::load() {
  for (const auto kind : {confirmation_kind, request_kind}) {
    auto rows = all_rows(parts_.store, kind);
    if (!rows) return fail(std::move(rows));
    for (const Row& row : *rows) {
      const auto json = negotiation::parse_row(row);
      if (!json) return tl::unexpected(json.error());
      const AgreementId id(row.owner);
      if (kind == confirmation_kind) {
        // What the log says was withdrawn stays so: the ledger had it first.
        parts_.enforcer.change(id, event_in(row, *json, DutyChange::confirmed, "at"));
        if (row.state == "withdrawn") {
          parts_.enforcer.change(id, event_in(row, *json, DutyChange::withdrawn, "withdrawn"));
        }
      } else if (row.state == "waiting" || row.state == "asked") {
        parts_.enforcer.change(id, event_in(row, *json, DutyChange::asked, "since"));
      }
    }
  }
  return {};
}

awaitable<void> Confirmations::run() {
  for (;;) {
    co_await parts_.timers.sleep_for(seconds(1));
    co_await look();
  }
}

awaitable<void> Confirmations::look() {
  for (auto& late : parts_.enforcer.newly_overdue()) {
    const Busy busy(busy_, late.agreement.value);
    if (!busy.mine()) continue;  // at the next look
    const Instant since = late.duty.since.value_or(parts_.clock.read().at);
    Change change = begin(late.agreement, late.duty, DutyChange::violated, since);
    const Message why{
        "transfer.duty-overdue",
        {{"agreement", late.agreement.value},
         {"action", std::string(odrl::local_name(late.duty.duty.action))},
         {"since", format_seconds(since)}}};
    change.drafts.front().set("reason", why);
    change.priority = audit::Priority::reserved;
    auto done = co_await commit(std::move(change));
    parts_.notices.note(Severity::warning, done ? why : done.error().message);
    if (!done) co_return;
  }
}

// --- what all decisions have in common ---

Result<Agreement> Confirmations::agreement(const AgreementId& id, odrl::Side side) const {
  auto found = negotiation::find_agreement(parts_.store, id);
  if (!found) return fail(std::move(found));
  if (!*found) {
    return fail(ErrorKind::not_found, {"api.unknown-agreement", {{"agreement", id.value}}});
  }
  if ((*found)->our_side == side) return std::move(**found);
  const bool provides = side == odrl::Side::provider;
  return fail(
      ErrorKind::forbidden,
      {provides ? "transfer.confirmed-by-provider" : "transfer.asked-by-consumer",
       {{"agreement", id.value}, {"provider", (*found)->provider.uri}}}
  );
}

// `consent`: only those that are consents.
Result<DutyState> Confirmations::duty(const AgreementId& id, const std::string& name, bool consent)
    const {
  auto all = parts_.enforcer.duties(id);
  if (consent) {
    std::erase_if(all, [](const DutyState& one) {
      return one.duty.action != odrl::iri::obtain_consent;
    });
  }
  std::vector<DutyState> fit;
  for (const auto& one : all) {
    const bool named = name.empty() || name == one.duty.pointer || name == one.duty.duty.value ||
                       name == one.duty.action || name == odrl::local_name(one.duty.action);
    if (named) fit.push_back(one);
  }
  if (fit.size() == 1) return std::move(fit.front());
  const bool none = fit.empty();
  return fail(
      none ? ErrorKind::not_found : ErrorKind::invalid,
      {none ? "usage.unknown-duty" : "usage.duty-ambiguous",
       {{"agreement", id.value},
        {"duty", negotiation::cut_text(name, 200)},
        {"known", pointers_of(none ? all : fit)}}},
      "/duty"
  );
}

Result<std::vector<Row>> Confirmations::rows_of(std::string_view kind, const AgreementId& agreement)
    const {
  std::vector<Row> all;
  Store::Query query;
  query.kind = kind;
  query.owner = agreement.value;
  for (;;) {
    auto page = parts_.store.rows(query);
    if (!page) return page;
    if (page->empty()) return all;
    query.after = page->back().id;
    std::move(page->begin(), page->end(), std::back_inserter(all));
  }
}

Confirmations::Change Confirmations::begin(
    const AgreementId& id, const DutyState& duty, DutyChange what, Instant at
) const {
  Change change;
  change.agreement = id;
  DutyEvent event;
  event.what = what;
  event.duty = duty.duty.duty;
  event.permission = duty.duty.permission;
  event.at = in_micros(at);
  change.drafts.push_back(
      usage::draft_of(id, event, duty.duty.action, new_event(parts_.random, parts_.clock.read().at))
  );
  change.events.push_back(std::move(event));
  return change;
}

Result<void> Confirmations::tell(Change& change, const Agreement& agreement, DutyNote note) const {
  const auto base = parts_.peers.tally_url(agreement.consumer);
  if (!base || !parts_.signer) return {};
  auto before = parts_.store.row(number_kind, agreement.id.value);
  if (!before) return fail(std::move(before));
  std::uint64_t last = 0;
  if (*before) {
    const auto json = negotiation::parse_row(**before);
    if (!json) return tl::unexpected(json.error());
    last = json->value("number", std::uint64_t{0});
  }
  const Instant now = parts_.clock.read().at;
  // Also above what a database that was set back does not know any more.
  const auto micros =
      static_cast<std::uint64_t>(std::max<std::int64_t>(now.seconds, 0)) * 1'000'000U +
      static_cast<std::uint64_t>(now.nanos / 1000);
  note.agreement = agreement.id;
  note.to = agreement.consumer.uri;
  note.number = std::max(last + 1, micros);
  note.time = in_micros(now);
  auto text = sign_duty_note(note, self_.uri, *parts_.signer);
  if (!text) return fail(std::move(text));
  Row row = before->value_or(Row{});
  row.kind = number_kind;
  row.id = agreement.id.value;
  row.owner = agreement.id.value;
  row.state = "sent";
  row.body = Json{{"number", note.number}, {"content", digest_text(sha256(*text))}}.dump();
  change.transaction.puts.push_back(std::move(row));
  change.transaction.puts.push_back(signed_note_row(agreement.id, *text));
  change.drafts.front().set("content", sha256(*text));
  HttpRequest request;
  request.method = "POST";
  request.body = Json{{"note", *text}}.dump();
  change.transaction.messages.push_back(negotiation::outgoing(
      new_pid(parts_.random).value,
      negotiation::process_key(message_kind, agreement.id.value),
      agreement.consumer,
      *base + "/agreements/" + percent_encode_segment(agreement.id.value) + "/confirmations",
      request,
      now
  ));
  return {};
}

// A confirmation answers whoever asked for it, however it came about.
Result<void> Confirmations::settle_requests(
    Change& change, const DutyState& duty, std::string_view state
) const {
  auto rows = rows_of(request_kind, change.agreement);
  if (!rows) return fail(std::move(rows));
  for (Row& row : *rows) {
    if (row.state != "waiting" && row.state != "asked") continue;
    const auto json = negotiation::parse_row(row);
    if (!json) return tl::unexpected(json.error());
    if (negotiation::text_of(*json, "duty") != duty.duty.duty.value) continue;
    row.state = state;
    change.transaction.puts.push_back(std::move(row));
  }
  return {};
}

awaitable<Result<void>> Confirmations::commit(Change change) {
  // No permit that it stops is queued behind the record.
  const auto apply = [&](bool stops) {
    for (const auto& event : change.events) {
      if ((event.what == DutyChange::withdrawn) == stops) {
        parts_.enforcer.change(change.agreement, event);
      }
    }
  };
  apply(true);
  auto messages = change.transaction.messages;
  auto done = co_await parts_.journal.commit(
      std::move(change.transaction), std::move(change.drafts), change.priority
  );
  if (!done) co_return fail(std::move(done));
  apply(false);
  parts_.delivery.queue(std::move(messages));
  co_return Result<void>{};
}

// --- what is on its way ---

awaitable<Result<void>> Confirmations::on_delivered(OutgoingMessage message, std::string) {
  Transaction transaction;
  transaction.delivered_messages.push_back(message.id);
  auto done = co_await parts_.journal.commit(std::move(transaction), {});
  if (!done) co_return fail(std::move(done));
  co_return Result<void>{};
}

awaitable<Result<void>> Confirmations::on_refused(
    OutgoingMessage message, negotiation::Refused refused
) {
  const auto id = negotiation::parse_process_key(message.process).id;
  const Message why{
      "transfer.duty-note-refused",
      {{"agreement", id}, {"peer", message.to.uri}, {"status", std::to_string(refused.status)}}};
  parts_.notices.note(Severity::warning, why);
  // A request that is not taken waits for no answer.
  const auto sent = parse_json(message.body);
  const auto request = sent ? negotiation::text_of(*sent, "request") : std::string();
  auto row = request.empty() ? std::optional<Row>()
                             : parts_.store.row(request_kind, request).value_or(std::nullopt);
  if (row && row->state == "asked") {
    const auto json = negotiation::parse_row(*row);
    const Busy busy(busy_, id);
    if (!json || !busy.mine()) co_return Busy::elsewhere();
    auto duty = this->duty(AgreementId(id), negotiation::text_of(*json, "duty"), true);
    if (duty) {
      Change change = begin(AgreementId(id), *duty, DutyChange::rejected, parts_.clock.read().at);
      change.drafts.front().set("request", request).set("counterparty", message.to);
      change.drafts.front().set("reason", why);
      row->state = "refused";
      change.transaction.puts.push_back(std::move(*row));
      change.transaction.delivered_messages.push_back(message.id);
      co_return co_await commit(std::move(change));
    }
  }
  std::string none;
  co_return co_await on_delivered(std::move(message), std::move(none));
}

std::string Confirmations::state_url(const OutgoingMessage&) {
  return {};  // a note has no state to ask for
}

negotiation::Standing Confirmations::compare(const OutgoingMessage&, const std::string&) {
  return negotiation::Standing::elsewhere;
}

std::optional<Nanos> Confirmations::deadline() const {
  return std::nullopt;
}

}  // namespace tally::transfer
