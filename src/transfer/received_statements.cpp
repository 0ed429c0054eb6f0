// What the other side states of the uses that it served (docs/peer-api.md).
#include <utility>

#include <nlohmann/json.hpp>

#include "tally/audit/statement.hpp"

#include "peer_signed.hpp"
#include "transfer_process.hpp"
#include "transfer_state.hpp"

namespace tally::transfer {

using negotiation::json_answer;
using negotiation::parse_body;
using negotiation::text_of;

awaitable<HttpAnswer> TransferService::receive_statement(Received received) {
  const auto body = parse_body(received.request);
  if (!body) co_return refuse(body.error());
  AgreementId id(text_of(body->json, "agreement"));
  auto note = text_of(body->json, "note");
  co_return co_await take_statement(received.caller.party, std::move(id), std::move(note));
}

awaitable<HttpAnswer> TransferService::take_statement(
    PartyId from, AgreementId id, std::string note
) {
  State& state = *state_;
  const auto ground = with_peer_key(state.parts.store, id, from);
  if (!ground) co_return refuse(ground.error());
  const auto statement = audit::verify_statement(note, ground->key);
  if (!statement) co_return refuse(statement.error());
  if (statement->agreement != id || !is_log_of_peer(ground->agreement, statement->origin)) {
    const Message other{"transfer.receipt-of-another", {}};
    co_return refuse(400, other, "/note");
  }
  const Digest digest = sha256(note);
  const Json answer = {{"held", digest_text(digest)}};
  Row row;
  row.kind = statement_record_kind;
  row.id = statement_row_id(id, statement->origin, statement->number);
  const auto known = state.parts.store.row(row.kind, row.id);
  if (!known) co_return refuse(known.error());
  const Message busy{"transfer.busy", {}};
  if (state.statements.contains(row.id)) co_return refuse(503, busy);
  if (*known) {
    const auto held = negotiation::parse_row(**known);
    if (held && text_of(*held, "note") == note) co_return json_answer(200, answer);
    // The first one stands; two under one number are the sender's contradiction.
    const Message other{
        "transfer.statement-other",
        {{"agreement", id.value}, {"number", std::to_string(statement->number)}}};
    state.parts.notices.note(Severity::warning, other);
    co_return refuse(409, other, "/note");
  }
  row.owner = id.value;
  row.state = "held";
  const Json sums = statement->sums.to_json();
  const Json stored = {
      {"note", note},
      {"number", statement->number},
      {"sums", sums},
      {"received", format_micros(state.now())},
  };
  row.body = stored.dump();
  audit::RecordDraft record("statement.held", state.event());
  record.about(id).set("content", digest).set("number", statement->number);
  record.set_json("sums", sums);
  const Json log = {
      {"origin", statement->origin},
      {"root", digest_text(statement->root)},
      {"size", statement->size}};
  record.set_json("peer", log);
  Transaction transaction;
  transaction.puts.push_back(row);
  std::vector<audit::RecordDraft> drafts;
  drafts.push_back(std::move(record));
  // An entry that stays belongs to a record that is not in the log: only a restart clears it.
  state.statements.insert(row.id);
  auto done = co_await state.parts.journal.commit(std::move(transaction), std::move(drafts));
  if (done || done.error().kind == ErrorKind::conflict) state.statements.erase(row.id);
  if (done) co_return json_answer(200, answer);
  if (done.error().kind == ErrorKind::conflict) co_return refuse(503, busy);
  co_return refuse(done.error());
}

}  // namespace tally::transfer
