// The uses that the other side tells us of (docs/peer-api.md, "Notices of uses").
#include <utility>

#include <nlohmann/json.hpp>

#include "tally/transfer/use_notice.hpp"

#include "peer_signed.hpp"
#include "transfer_process.hpp"
#include "transfer_state.hpp"

namespace tally::transfer {

using negotiation::json_answer;
using negotiation::parse_body;
using negotiation::text_of;

namespace {

// A use is told once, whichever notes say it: by the place of its record.
std::string told_id(const AgreementId& agreement, const UseNotice& notice, const ToldUse& use) {
  return to_hex(sha256(
      agreement.value + "\n" + notice.origin + "\n" + std::to_string(use.seq) + "\n" +
      notice.duty.value
  ));
}

}  // namespace

awaitable<HttpAnswer> TransferService::receive_use_notice(Received received) {
  State& state = *state_;
  const auto body = parse_body(received.request);
  if (!body) co_return refuse(body.error());
  const AgreementId id(text_of(body->json, "agreement"));
  const auto note = text_of(body->json, "note");
  const PartyId& from = received.caller.party;
  const auto ground = with_peer_key(state.parts.store, id, from);
  if (!ground) co_return refuse(ground.error());
  const auto notice = verify_use_notice(note, ground->key);
  if (!notice) co_return refuse(notice.error());
  if (notice->agreement != id || !is_log_of_peer(ground->agreement, notice->origin)) {
    const Message other{"transfer.receipt-of-another", {}};
    co_return refuse(400, other, "/note");
  }

  const Digest digest = sha256(note);
  Transaction transaction;
  std::vector<audit::RecordDraft> drafts;
  for (const auto& use : notice->uses) {
    Row row;
    row.kind = told_use_kind;
    row.id = told_id(id, *notice, use);
    const auto known = state.parts.store.row(row.kind, row.id);
    if (!known) co_return refuse(known.error());
    const Message busy{"transfer.busy", {}};
    if (state.told_uses.contains(row.id)) co_return refuse(503, busy);
    if (*known) {
      const auto held = negotiation::parse_row(**known);
      if (held && text_of(*held, "leaf") == use.leaf) continue;
      const Message other{
          "transfer.use-told-otherwise",
          {{"agreement", id.value}, {"seq", std::to_string(use.seq)}}};
      state.parts.notices.note(Severity::warning, other);
      co_return refuse(409, other, "/note");
    }
    row.owner = id.value;
    row.state = "held";
    Json stored = to_json(use);
    stored["origin"] = notice->origin;
    stored["duty"] = notice->duty.value;
    stored["received"] = format_micros(state.now());
    row.body = stored.dump();
    audit::RecordDraft record("inform.held", state.event());
    record.about(id).set("content", digest).set("use", use.use.value).set("action", use.action);
    record.set("rule", notice->duty.value).set("at", use.time);
    const Json place = {{"origin", notice->origin}, {"seq", use.seq}, {"leaf", use.leaf}};
    record.set_json("peer", place);
    drafts.push_back(std::move(record));
    transaction.puts.push_back(std::move(row));
  }
  const Json answer = {{"held", digest_text(digest)}};
  if (drafts.empty()) co_return json_answer(200, answer);
  std::vector<std::string> ids;
  for (const auto& row : transaction.puts) ids.push_back(row.id);
  // An entry that stays belongs to a record that is not in the log: only a restart clears it.
  state.told_uses.insert(ids.begin(), ids.end());
  transaction.puts.push_back(signed_note_row(id, note));
  auto done = co_await state.parts.journal.commit(std::move(transaction), std::move(drafts));
  if (done || done.error().kind == ErrorKind::conflict) {
    for (const auto& one : ids) state.told_uses.erase(one);
  }
  if (done) co_return json_answer(200, answer);
  if (done.error().kind == ErrorKind::conflict) {
    const Message busy{"transfer.busy", {}};
    co_return refuse(503, busy);
  }
  co_return refuse(done.error());
}

}  // namespace tally::transfer
