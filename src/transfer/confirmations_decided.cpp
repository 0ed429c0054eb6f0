// What is decided at the provider: confirmations, their withdrawal, and consents that were asked
// for.
#include <algorithm>
#include <utility>

#include <nlohmann/json.hpp>

#include "tally/audit/commitment.hpp"
#include "tally/core/digest.hpp"

#include "confirmations_state.hpp"
#include "transfer_state.hpp"

namespace tally::transfer {

using negotiation::Agreement;
using usage::DutyChange;
using usage::DutyEvent;
using usage::DutyStanding;
using usage::DutyState;

namespace {

Json decided_json(const DecidedBy& by) {
  return {{"role", by.role}, {"token", by.token}};
}

Confirmed confirmed_in(const Json& json) {
  Confirmed out;
  out.duty = RuleId(negotiation::text_of(json, "duty"));
  out.confirmation = negotiation::text_of(json, "confirmation");
  out.at = time_of(json, "at").value_or(Instant());
  return out;
}

struct Waiting {
  Row row;
  AgreementId agreement;
  RuleId duty;
};

Result<Waiting> waiting_request(Store& store, const std::string& request) {
  auto row = store.row(request_kind, request);
  if (!row) return fail(std::move(row));
  if (!*row) return fail(ErrorKind::not_found, {"transfer.unknown-request", {}});
  const auto json = negotiation::parse_row(**row);
  if (!json) return tl::unexpected(json.error());
  if ((*row)->state != "waiting") {
    return fail(ErrorKind::conflict, {"transfer.consent-decided", {{"state", (*row)->state}}});
  }
  Waiting found;
  found.agreement = AgreementId((*row)->owner);
  found.duty = RuleId(negotiation::text_of(*json, "duty"));
  found.row = std::move(**row);
  return found;
}

}  // namespace

awaitable<Result<Confirmed>> Confirmations::confirm(
    AgreementId id, Confirming given, DecidedBy by
) {
  const Busy busy(busy_, id.value);
  if (!busy.mine()) co_return Busy::elsewhere();
  auto agreement = this->agreement(id, odrl::Side::provider);
  if (!agreement) co_return fail(std::move(agreement));
  if (is_over(*agreement)) co_return fail(ErrorKind::conflict, not_active(*agreement));
  auto duty = this->duty(id, given.duty, false);
  if (!duty) co_return fail(std::move(duty));
  if (!is_reference(given.reference)) {
    co_return fail(ErrorKind::invalid, {"transfer.reference-malformed", {}}, "/reference");
  }
  const Instant now = parts_.clock.read().at;
  if (given.at && *given.at > now) {
    const Message ahead{"transfer.confirmed-ahead", {{"at", format_seconds(*given.at)}}};
    co_return fail(ErrorKind::invalid, ahead, "/at");
  }
  std::string none;
  co_return co_await confirm_duty(
      *std::move(agreement),
      *std::move(duty),
      std::move(given.reference),
      given.at.value_or(now),
      std::move(none),
      std::move(by)
  );
}

// The agreement is ours alone now.
awaitable<Result<Confirmed>> Confirmations::confirm_duty(
    Agreement agreement,
    DutyState duty,
    std::string reference,
    Instant at,
    std::string request,
    DecidedBy by
) {
  const auto rows = rows_of(confirmation_kind, agreement.id);
  if (!rows) co_return tl::unexpected(rows.error());
  for (const Row& row : *rows) {
    const auto json = negotiation::parse_row(row);
    if (!json) co_return tl::unexpected(json.error());
    const bool same = negotiation::text_of(*json, "duty") == duty.duty.duty.value &&
                      negotiation::text_of(*json, "reference") == reference;
    if (!same) continue;
    if (row.state != "withdrawn") co_return confirmed_in(*json);
    const Message withdrawn{"transfer.reference-withdrawn", {{"reference", reference}}};
    co_return fail(ErrorKind::conflict, withdrawn, "/reference");
  }
  // Nobody who reads the log finds out by trying which reference it was.
  Bytes salt(32);
  parts_.random.fill(salt);
  const std::string fact = to_jcs(Json{{"reference", reference}});
  const Digest commitment = audit::commitment_to(salt, fact);

  Change change = begin(agreement.id, duty, DutyChange::confirmed, at);
  DutyEvent& event = change.events.front();
  event.confirmation = digest_text(commitment);
  auto& record = change.drafts.front();
  record.set("confirmation", event.confirmation).set("counterparty", agreement.consumer);
  record.set_json("decidedBy", decided_json(by));
  if (!request.empty()) record.set("request", request);
  DutyNote note;
  note.what = DutyChange::confirmed;
  note.duty = event.duty;
  note.at = event.at;
  note.confirmation = event.confirmation;
  note.request = request;
  if (auto told = tell(change, agreement, std::move(note)); !told) co_return fail(std::move(told));
  if (auto settled = settle_requests(change, duty, "approved"); !settled) {
    co_return fail(std::move(settled));
  }
  Row row;
  row.kind = confirmation_kind;
  row.id = to_hex(commitment);
  row.owner = agreement.id.value;
  row.state = "confirmed";
  const Json body = {
      {"duty", event.duty.value},
      {"permission", event.permission.value},
      {"action", duty.duty.action},
      {"at", format_micros(event.at)},
      {"confirmation", event.confirmation},
      {"reference", reference},
      {"salt", to_base64(salt)}};
  row.body = body.dump();
  change.transaction.puts.push_back(std::move(row));
  Confirmed out{event.duty, event.confirmation, event.at, !change.transaction.messages.empty()};
  if (duty.recorded) {
    Change late = begin(agreement.id, duty, DutyChange::fulfilled, at);
    change.drafts.push_back(std::move(late.drafts.front()));
    change.events.push_back(std::move(late.events.front()));
  }
  auto done = co_await commit(std::move(change));
  if (!done) co_return fail(std::move(done));
  co_return out;
}

awaitable<Result<std::vector<Confirmed>>> Confirmations::withdraw(
    AgreementId id, std::string confirmation, DecidedBy by
) {
  const Busy busy(busy_, id.value);
  if (!busy.mine()) co_return Busy::elsewhere();
  auto agreement = this->agreement(id, odrl::Side::provider);
  if (!agreement) co_return fail(std::move(agreement));
  auto rows = rows_of(confirmation_kind, id);
  if (!rows) co_return fail(std::move(rows));
  std::set<std::string> meant{confirmation};
  std::vector<Row> found;
  for (Row& row : *rows) {
    const auto json = negotiation::parse_row(row);
    if (!json) co_return tl::unexpected(json.error());
    const auto known_as = negotiation::text_of(*json, "confirmation");
    if (negotiation::text_of(*json, "reference") == confirmation) meant.insert(known_as);
    if (meant.contains(known_as)) found.push_back(std::move(row));
  }
  std::vector<Confirmed> out;
  bool known = !found.empty();
  const Instant now = in_micros(parts_.clock.read().at);
  // The ledger is asked, not the rows: they may be those of an older copy.
  for (const auto& duty : parts_.enforcer.duties(id)) {
    for (const auto& one : duty.confirmations) {
      if (!meant.contains(one.id)) continue;
      known = true;
      if (one.withdrawn) continue;
      Change change = begin(id, duty, DutyChange::withdrawn, now);
      DutyEvent& event = change.events.front();
      event.confirmation = one.id;
      auto& record = change.drafts.front();
      record.set("confirmation", one.id).set("counterparty", agreement->consumer);
      record.set_json("decidedBy", decided_json(by));
      change.priority = audit::Priority::reserved;
      DutyNote note;
      note.what = DutyChange::withdrawn;
      note.duty = event.duty;
      note.at = event.at;
      note.confirmation = one.id;
      auto told = tell(change, *agreement, std::move(note));
      if (!told) co_return fail(std::move(told));
      for (const Row& row : found) {
        auto json = negotiation::parse_row(row);
        if (!json || negotiation::text_of(*json, "confirmation") != one.id) continue;
        Row changed = row;
        changed.state = "withdrawn";
        (*json)["withdrawn"] = format_micros(now);
        changed.body = json->dump();
        change.transaction.puts.push_back(std::move(changed));
      }
      out.push_back({duty.duty.duty, one.id, one.at, !change.transaction.messages.empty()});
      auto done = co_await commit(std::move(change));
      if (!done) co_return fail(std::move(done));
    }
  }
  if (known) co_return out;
  const Message unknown{
      "transfer.unknown-confirmation",
      {{"agreement", id.value}, {"reference", negotiation::cut_text(confirmation, 100)}}};
  co_return fail(ErrorKind::not_found, unknown, "/reference");
}

Result<Json> Confirmations::references(const AgreementId& agreement) const {
  const auto rows = rows_of(confirmation_kind, agreement);
  if (!rows) return tl::unexpected(rows.error());
  Json all = Json::array();
  for (const Row& row : *rows) {
    const auto json = negotiation::parse_row(row);
    if (!json) return tl::unexpected(json.error());
    const auto salt = from_base64(negotiation::text_of(*json, "salt"));
    const auto reference = negotiation::text_of(*json, "reference");
    if (reference.empty() || !salt) continue;
    const audit::Opening opening{*salt, to_jcs(Json{{"reference", reference}})};
    all.push_back(
        {{"id", negotiation::text_of(*json, "confirmation")},
         {"reference", reference},
         {"opening", audit::print(opening)}}
    );
  }
  return all;
}

// --- requests, as the provider answers them ---

Result<std::vector<Json>> Confirmations::waiting() const {
  const auto rows = all_rows(parts_.store, request_kind, "waiting");
  if (!rows) return tl::unexpected(rows.error());
  std::vector<Json> all;
  for (const Row& row : *rows) {
    const auto json = negotiation::parse_row(row);
    if (!json) return tl::unexpected(json.error());
    const auto agreement = negotiation::find_agreement(parts_.store, AgreementId(row.owner));
    if (!agreement) return tl::unexpected(agreement.error());
    if (!*agreement) continue;
    const auto said = negotiation::text_of(*json, "said");
    const Message why{
        said.empty() ? "transfer.consent-asked" : "transfer.consent-asked-saying",
        {{"agreement", row.owner}, {"said", said}}};
    all.push_back(
        {{"id", row.id},
         {"kind", "consent"},
         {"role", "provider"},
         {"peer", negotiation::to_json((*agreement)->consumer)},
         {"state", "waiting"},
         {"agreement", row.owner},
         {"asset", (*agreement)->asset.value},
         {"duty", negotiation::text_of(*json, "duty")},
         {"since", negotiation::text_of(*json, "since")},
         {"why", negotiation::to_json(why)}}
    );
  }
  return all;
}

Result<bool> Confirmations::knows(const std::string& request) const {
  const auto row = parts_.store.row(request_kind, request);
  if (!row) return tl::unexpected(row.error());
  return row->has_value() && (*row)->state != "asked";
}

awaitable<Result<void>> Confirmations::approve(std::string request, DecidedBy by) {
  auto waits = waiting_request(parts_.store, request);
  if (!waits) co_return fail(std::move(waits));
  const AgreementId id = waits->agreement;
  const Busy busy(busy_, id.value);
  if (!busy.mine()) co_return Busy::elsewhere();
  auto agreement = this->agreement(id, odrl::Side::provider);
  if (!agreement) co_return fail(std::move(agreement));
  if (is_over(*agreement)) co_return fail(ErrorKind::conflict, not_active(*agreement));
  auto duty = this->duty(id, waits->duty.value, true);
  if (!duty) co_return fail(std::move(duty));
  // The request is what the consent is known by.
  auto done = co_await confirm_duty(
      *std::move(agreement),
      *std::move(duty),
      request,
      parts_.clock.read().at,
      request,
      std::move(by)
  );
  if (!done) co_return fail(std::move(done));
  co_return Result<void>{};
}

awaitable<Result<void>> Confirmations::reject(std::string request, DecidedBy by, std::string said) {
  auto waits = waiting_request(parts_.store, request);
  if (!waits) co_return fail(std::move(waits));
  const AgreementId id = waits->agreement;
  const Busy busy(busy_, id.value);
  if (!busy.mine()) co_return Busy::elsewhere();
  auto agreement = this->agreement(id, odrl::Side::provider);
  if (!agreement) co_return fail(std::move(agreement));
  auto duty = this->duty(id, waits->duty.value, true);
  if (!duty) co_return fail(std::move(duty));
  Change change = begin(id, *duty, DutyChange::rejected, parts_.clock.read().at);
  auto& record = change.drafts.front();
  record.set("request", request).set("counterparty", agreement->consumer);
  record.set_json("decidedBy", decided_json(by));
  DutyNote note;
  note.what = DutyChange::rejected;
  note.duty = duty->duty.duty;
  note.at = change.events.front().at;
  note.request = request;
  note.said = negotiation::cut_text(std::move(said), most_duty_said_bytes);
  auto told = tell(change, *agreement, std::move(note));
  if (!told) co_return fail(std::move(told));
  Row row = waits->row;
  row.state = "rejected";
  change.transaction.puts.push_back(std::move(row));
  co_return co_await commit(std::move(change));
}

}  // namespace tally::transfer
