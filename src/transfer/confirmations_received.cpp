// The consumer asks and takes the provider's notes; the provider takes requests.
#include <algorithm>

#include <nlohmann/json.hpp>

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
using usage::DutyState;

namespace {

// A sender that says the wrong thing again and again, or asks and asks, does not fill the log.
constexpr Nanos allowance_window = seconds(3600);
constexpr int most_taken = 100;
// More confirmations than any period asks for: who sends more fills the ledger.
constexpr std::size_t most_confirmations = 10'000;

}  // namespace

bool Confirmations::may_record(const PartyId& from) {
  const Instant now = parts_.clock.read().at;
  std::erase_if(taken_, [now](const auto& each) {
    return now - each.second.since >= allowance_window || now < each.second.since;
  });
  auto& of_sender = taken_[to_string(from)];
  if (of_sender.count == 0) of_sender.since = now;
  return ++of_sender.count <= most_taken;
}

awaitable<HttpAnswer> Confirmations::refuse_note(
    int status, Message why, const PartyId& from, AgreementId about, std::string text
) {
  auto answer = refuse(status, why, "/note");
  if (!may_record(from)) co_return answer;
  audit::RecordDraft record("duty.refused", new_event(parts_.random, parts_.clock.read().at));
  if (!about.empty()) record.about(about);
  record.set("content", sha256(text)).set("reason", negotiation::bounded(std::move(why)));
  record.set("counterparty", from);
  std::vector<audit::RecordDraft> records;
  records.push_back(std::move(record));
  // Whether it could be recorded changes nothing for who sent it.
  co_await parts_.journal.commit(Transaction{}, std::move(records));
  co_return answer;
}

awaitable<HttpAnswer> Confirmations::receive_note(Received received) {
  const auto body = negotiation::parse_body(received.request);
  if (!body) co_return refuse(body.error());
  const PartyId from = received.caller.party;
  const AgreementId id(received.own_pid);
  std::string text = negotiation::text_of(body->json, "note");
  const Busy busy(busy_, id.value);
  const Message is_busy{"transfer.duty-busy", {}};
  if (!busy.mine()) co_return refuse(503, is_busy);
  auto found = negotiation::find_agreement(parts_.store, id);
  if (!found) co_return refuse(found.error());
  const bool theirs =
      *found && (*found)->our_side == odrl::Side::consumer && (*found)->provider == from;
  const AgreementId nothing;
  if (!theirs) {
    Message unknown{"transfer.unknown-agreement", {}};
    co_return co_await refuse_note(404, std::move(unknown), from, nothing, std::move(text));
  }
  Agreement agreement = std::move(**found);
  const auto key = agreement.peer_key();
  if (!key) {
    Message none{"transfer.no-key", {}};
    co_return co_await refuse_note(400, std::move(none), from, id, std::move(text));
  }
  auto note = verify_duty_note(text, from.uri, *key);
  if (!note) {
    Message why = note.error().message;
    co_return co_await refuse_note(400, std::move(why), from, id, std::move(text));
  }
  if (note->agreement != id || note->to != self_.uri) {
    Message other{"transfer.duty-note-of-another", {{"agreement", id.value}}};
    co_return co_await refuse_note(400, std::move(other), from, id, std::move(text));
  }
  auto row = parts_.store.row(number_kind, id.value);
  if (!row) co_return refuse(row.error());
  Row number = row->value_or(Row{});
  const std::string content = digest_text(sha256(text));
  if (*row) {
    const auto last = negotiation::parse_row(number);
    if (!last) co_return refuse(last.error());
    const auto answer = negotiation::json_answer(200, Json{{"held", content}});
    if (negotiation::text_of(*last, "content") == content) co_return answer;
    if (note->number <= last->value("number", std::uint64_t{0})) {
      Message older{"transfer.duty-note-older", {{"agreement", id.value}}};
      co_return co_await refuse_note(409, std::move(older), from, id, std::move(text));
    }
  }
  number.kind = number_kind;
  number.id = id.value;
  number.owner = id.value;
  number.state = "taken";
  const Json kept = {{"number", note->number}, {"content", content}};
  number.body = kept.dump();
  auto taken = *std::move(note);
  co_return co_await take(
      std::move(agreement), std::move(taken), std::move(text), std::move(number)
  );
}

// A note that the provider signed for us under this agreement, and no older one. The agreement is
// ours alone now.
awaitable<HttpAnswer> Confirmations::take(
    Agreement agreement, DutyNote note, std::string text, Row number
) {
  const AgreementId id = agreement.id;
  const PartyId from = agreement.provider;
  auto duty = this->duty(id, note.duty.value, note.what == DutyChange::rejected);
  if (!duty) {
    Message unknown = duty.error().message;
    co_return co_await refuse_note(400, std::move(unknown), from, id, std::move(text));
  }
  const auto* known = duty->find(note.confirmation);
  if (note.what == DutyChange::confirmed && known != nullptr && known->withdrawn) {
    Message withdrawn{"transfer.duty-note-withdrawn", {{"agreement", id.value}}};
    co_return co_await refuse_note(409, std::move(withdrawn), from, id, std::move(text));
  }
  if (known == nullptr && duty->confirmations.size() >= most_confirmations) {
    Message many{"transfer.confirmations-full", {{"most", std::to_string(most_confirmations)}}};
    co_return co_await refuse_note(400, std::move(many), from, id, std::move(text));
  }
  // Their clock may be ahead of ours; a period that began later than now has not begun.
  const Instant now = parts_.clock.read().at;
  Change change = begin(id, *duty, note.what, std::min(note.at, now));
  DutyEvent& event = change.events.front();
  event.confirmation = note.confirmation;
  auto& record = change.drafts.front();
  record.set("counterparty", from).set("content", sha256(text));
  if (!note.confirmation.empty()) record.set("confirmation", note.confirmation);
  if (!note.request.empty()) record.set("request", note.request);
  change.transaction.puts.push_back(std::move(number));
  change.transaction.puts.push_back(signed_note_row(id, text));
  if (note.what == DutyChange::rejected) {
    auto asked = parts_.store.row(request_kind, note.request);
    if (!asked) co_return refuse(asked.error());
    if (*asked && (*asked)->owner == id.value && (*asked)->state == "asked") {
      auto json = negotiation::parse_row(**asked);
      if (!json) co_return refuse(json.error());
      (*asked)->state = "rejected";
      (*json)["answer"] = note.said;
      (*asked)->body = json->dump(-1, ' ', false, Json::error_handler_t::replace);
      change.transaction.puts.push_back(std::move(**asked));
    }
  } else {
    const bool withdrawn = note.what == DutyChange::withdrawn;
    if (withdrawn) change.priority = audit::Priority::reserved;
    const auto hex = to_hex(*parse_digest_text(note.confirmation));
    auto before = parts_.store.row(confirmation_kind, hex);
    if (!before) co_return refuse(before.error());
    Row row = before->value_or(Row{});
    Json body = {
        {"duty", event.duty.value},
        {"permission", event.permission.value},
        {"action", duty->duty.action},
        {"at", format_micros(event.at)},
        {"confirmation", event.confirmation}};
    if (*before) {
      auto json = negotiation::parse_row(row);
      if (!json) co_return refuse(json.error());
      body = *std::move(json);
    }
    if (withdrawn) body["withdrawn"] = format_micros(event.at);
    row.kind = confirmation_kind;
    row.id = hex;
    row.owner = id.value;
    row.state = withdrawn ? "withdrawn" : "confirmed";
    row.body = body.dump();
    change.transaction.puts.push_back(std::move(row));
    if (!withdrawn) {
      if (auto settled = settle_requests(change, *duty, "approved"); !settled) {
        co_return refuse(settled.error());
      }
      if (duty->recorded) {
        Change late = begin(id, *duty, DutyChange::fulfilled, event.at);
        change.drafts.push_back(std::move(late.drafts.front()));
        change.events.push_back(std::move(late.events.front()));
      }
    }
  }
  auto done = co_await commit(std::move(change));
  const Message busy{"transfer.duty-busy", {}};
  if (!done && done.error().kind == ErrorKind::conflict) co_return refuse(503, busy);
  if (!done) co_return refuse(done.error());
  co_return negotiation::json_answer(200, Json{{"held", digest_text(sha256(text))}});
}

// --- requests ---

awaitable<Result<Confirmations::Asked>> Confirmations::ask(
    AgreementId id, std::string name, std::string said, AppId app
) {
  const Busy busy(busy_, id.value);
  if (!busy.mine()) co_return Busy::elsewhere();
  auto agreement = this->agreement(id, odrl::Side::consumer);
  if (!agreement) co_return fail(std::move(agreement));
  if (is_over(*agreement)) co_return fail(ErrorKind::conflict, not_active(*agreement));
  auto duty = this->duty(id, name, true);
  if (!duty) co_return fail(std::move(duty));
  if (duty->standing == usage::DutyStanding::confirmed) {
    const Message given{"transfer.consent-given", {{"agreement", id.value}}};
    co_return fail(ErrorKind::conflict, given, "/duty");
  }
  const auto requests = rows_of(request_kind, id);
  if (!requests) co_return tl::unexpected(requests.error());
  for (const Row& row : *requests) {
    const auto json = negotiation::parse_row(row);
    if (!json) co_return tl::unexpected(json.error());
    if (row.state != "asked" || negotiation::text_of(*json, "duty") != duty->duty.duty.value) {
      continue;
    }
    const auto since = parse_date_time(negotiation::text_of(*json, "since"));
    co_return Asked{row.id, duty->duty.duty, since ? since->instant : Instant()};
  }
  const auto base = parts_.peers.tally_url(agreement->provider);
  if (!base) {
    const Message nowhere{"transfer.consent-nowhere", {{"provider", agreement->provider.uri}}};
    co_return fail(ErrorKind::conflict, nowhere);
  }
  const Instant now = parts_.clock.read().at;
  Change change = begin(id, *duty, DutyChange::asked, now);
  Asked out{new_pid(parts_.random).value, duty->duty.duty, change.events.front().at};
  auto& record = change.drafts.front();
  record.set("request", out.request).set("counterparty", agreement->provider);
  if (!app.empty()) record.set("app", app.value);
  said = negotiation::cut_text(std::move(said), most_duty_said_bytes);
  Row row;
  row.kind = request_kind;
  row.id = out.request;
  row.owner = id.value;
  row.state = "asked";
  const Json body = {
      {"duty", out.duty.value},
      {"permission", duty->duty.permission.value},
      {"action", duty->duty.action},
      {"since", format_micros(out.since)},
      {"said", said}};
  row.body = body.dump(-1, ' ', false, Json::error_handler_t::replace);
  change.transaction.puts.push_back(std::move(row));
  Json message = {{"request", out.request}, {"duty", out.duty.value}};
  if (!said.empty()) message["said"] = said;
  HttpRequest request;
  request.method = "POST";
  request.body = message.dump(-1, ' ', false, Json::error_handler_t::replace);
  change.transaction.messages.push_back(negotiation::outgoing(
      out.request,
      negotiation::process_key(message_kind, id.value),
      agreement->provider,
      *base + "/agreements/" + percent_encode_segment(id.value) + "/consent-requests",
      request,
      now
  ));
  auto done = co_await commit(std::move(change));
  if (!done) co_return fail(std::move(done));
  co_return out;
}

awaitable<HttpAnswer> Confirmations::receive_request(Received received) {
  const auto body = negotiation::parse_body(received.request);
  if (!body) co_return refuse(body.error());
  const PartyId from = received.caller.party;
  const AgreementId id(received.own_pid);
  const std::string request = negotiation::text_of(body->json, "request");
  if (auto fits = negotiation::check_id(request, "/request"); !fits) co_return refuse(fits.error());
  const Busy busy(busy_, id.value);
  const Message is_busy{"transfer.duty-busy", {}};
  if (!busy.mine()) co_return refuse(503, is_busy);
  auto found = negotiation::find_agreement(parts_.store, id);
  if (!found) co_return refuse(found.error());
  const bool theirs =
      *found && (*found)->our_side == odrl::Side::provider && (*found)->consumer == from;
  if (!theirs) {
    const Message unknown{"transfer.unknown-agreement", {}};
    co_return refuse(404, unknown);
  }
  if (is_over(**found)) co_return refuse(409, not_active(**found));
  const auto duty = this->duty(id, negotiation::text_of(body->json, "duty"), true);
  if (!duty) {
    const Message unknown = negotiation::bounded(duty.error().message);
    co_return refuse(400, unknown, "/duty");
  }
  const auto answer = negotiation::json_answer(200, Json{{"request", request}});
  const auto known = parts_.store.row(request_kind, request);
  if (!known) co_return refuse(known.error());
  if (*known && (*known)->owner != id.value) {
    const Message taken{"transfer.request-malformed", {}};
    co_return refuse(400, taken, "/request");
  }
  // A repeat; or one waits already, and its answer answers both.
  if (*known || duty->asked) co_return answer;
  if (!is_reference(request)) {
    const Message malformed{"transfer.request-malformed", {}};
    co_return refuse(400, malformed, "/request");
  }
  if (!may_record(from)) {
    const Message often{"transfer.requests-too-many", {}};
    co_return refuse(429, often);
  }
  Change change = begin(id, *duty, DutyChange::asked, parts_.clock.read().at);
  change.drafts.front().set("request", request).set("counterparty", from);
  const std::string said =
      negotiation::cut_text(negotiation::text_of(body->json, "said"), most_duty_said_bytes);
  Row row;
  row.kind = request_kind;
  row.id = request;
  row.owner = id.value;
  row.state = "waiting";
  const Json kept = {
      {"duty", duty->duty.duty.value},
      {"permission", duty->duty.permission.value},
      {"action", duty->duty.action},
      {"since", format_micros(change.events.front().at)},
      {"said", said}};
  row.body = kept.dump(-1, ' ', false, Json::error_handler_t::replace);
  change.transaction.puts.push_back(std::move(row));
  auto done = co_await commit(std::move(change));
  if (!done && done.error().kind == ErrorKind::conflict) co_return refuse(503, is_busy);
  if (!done) co_return refuse(done.error());
  co_return answer;
}

}  // namespace tally::transfer
