// What two Tallys tell each other beyond DSP: receipts, fresh tokens, deletion records
// (docs/peer-api.md).
#include <algorithm>
#include <utility>

#include <nlohmann/json.hpp>

#include "tally/dsp/binding.hpp"

#include "transfer_state.hpp"

namespace tally::transfer {

using dsp::Role;
using dsp::TransferState;
using negotiation::json_answer;
using negotiation::parse_body;
using negotiation::text_of;

namespace {

HttpAnswer not_here() {
  return refuse(404, {"transfer.unknown-process", {}});
}

}  // namespace

awaitable<Result<void>> TransferService::sent(Sent sent) {
  State& state = *state_;
  const Process::Measured measured{sent.content, sent.bytes};
  for (;;) {
    auto found = state.find(sent.process);
    if (!found) co_return fail(std::move(found));
    if (!*found || (*found)->role != Role::provider) {
      const Message unknown{"transfer.unknown-process", {}};
      co_return fail(ErrorKind::not_found, unknown);
    }
    Step step;
    step.process = std::move(**found);
    Process& process = step.process;
    const bool known = process.sent == measured && process.sealed == sent.sealed;
    if (known && !process.sent_receipt.empty()) co_return Result<void>{};
    if (!known) {
      process.sent = measured;
      process.sealed = sent.sealed;
      process.opens = sent.opens;
      process.form = sent.form;
      process.sent_receipt.clear();
      process.place.reset();
      auto record = state.draft("transfer.sent", process);
      record.set("content", measured.content).set("bytes", measured.bytes);
      if (process.opens) record.set_json("plain", plain_of(*process.opens));
      step.drafts.push_back(std::move(record));
      state.note(process, "local", "sent", "", measured.content);
      auto done = co_await state.commit(std::move(step));
      if (!done && done.error().kind == ErrorKind::conflict) continue;
      if (!done) co_return fail(std::move(done));
      state.sent_at[sent.process.value] = state.place_of(done->front());
      continue;  // the receipt names the record, so it comes after it
    }
    if (!state.parts.signer) {
      state.watch_soon(sent.process);
      co_return Result<void>{};
    }
    Receipt receipt;
    receipt.agreement = process.agreement;
    receipt.process = process.pid;
    receipt.content = measured.content;
    receipt.bytes = measured.bytes;
    receipt.sealed = process.sealed;
    receipt.time = format_micros(state.now());
    if (const auto place = state.sent_at.find(process.pid.value); place != state.sent_at.end()) {
      receipt.from = place->second;
      process.place = place->second;
    }
    auto note = sign_receipt(receipt, state.settings.self.uri, *state.parts.signer);
    if (!note) co_return fail(std::move(note));
    process.sent_receipt = *note;
    process.sent_receipt_at = receipt.time;
    auto record = state.draft("receipt.issued", process);
    record.set("receipt", sha256(*note));
    step.drafts.push_back(std::move(record));
    auto done = co_await state.commit(std::move(step));
    if (!done && done.error().kind == ErrorKind::conflict) continue;
    if (!done) co_return fail(std::move(done));
    state.sent_at.erase(sent.process.value);
    state.parts.tasks.spawn("receipt", state.await_receipt(sent.process));
    state.watch_soon(sent.process);
    co_return Result<void>{};
  }
}

// The consumer's receipt comes, or it is missing.
awaitable<void> TransferService::State::await_receipt(Pid pid) {
  for (;;) {
    auto found = find(pid);
    if (!found || !*found || !(*found)->owes_receipt()) co_return;
    const auto sent = parse_date_time((*found)->sent_receipt_at);
    if (!sent) co_return;
    const Instant due = sent->instant + settings.receipt_deadline;
    if (now() < due) {
      co_await parts.timers.sleep_until(due);
      continue;
    }
    Step step;
    step.process = std::move(**found);
    step.process.receipt_missing = true;
    step.drafts.push_back(draft("receipt.missing", step.process));
    const Message missing{
        "transfer.receipt-missing", {{"transfer", pid.value}, {"peer", step.process.peer.uri}}};
    const auto done = co_await commit(std::move(step));
    if (!done && done.error().kind == ErrorKind::conflict) continue;
    parts.notices.note(Severity::warning, done ? missing : done.error().message);
    if (done) watch_soon(pid);
    co_return;
  }
}

awaitable<HttpAnswer> TransferService::get_receipt(Received received) {
  const Pid pid(received.own_pid);
  auto found = state_->find(pid);
  if (!found) co_return refuse(found.error());
  if (!*found || (*found)->peer != received.caller.party || (*found)->role != Role::provider) {
    co_return not_here();
  }
  if (state_->unpublished.contains(pid.value) || (*found)->sent_receipt.empty()) {
    const Message missing{"transfer.no-receipt", {}};
    co_return refuse(404, missing);
  }
  Json body = {{"note", (*found)->sent_receipt}};
  if (!(*found)->form.is_null()) body["form"] = (*found)->form;
  co_return json_answer(200, body);
}

tl::expected<Receipt, HttpAnswer> TransferService::State::check_receipt(
    const Process& process, const std::string& note
) const {
  auto agreement = agreement_of(process);
  if (!agreement) return tl::unexpected(refuse(agreement.error()));
  const auto key = agreement->peer_key();
  if (!key) return tl::unexpected(refuse(400, {"transfer.no-key", {}}));
  const auto receipt = verify_receipt(note, process.peer.uri, *key);
  if (!receipt) return tl::unexpected(refuse(receipt.error()));
  if (receipt->agreement != process.agreement || receipt->process != process.pid) {
    return tl::unexpected(refuse(400, {"transfer.receipt-of-another", {}}, "/note"));
  }
  const Process::Measured measured{receipt->content, receipt->bytes};
  if (process.sent != measured || process.sealed != receipt->sealed) {
    const Message differs{
        "transfer.digest-mismatch",
        {{"sent", process.sent ? process.sent->content : std::string()},
         {"received", receipt->content}}};
    return tl::unexpected(refuse(400, negotiation::bounded(differs), "/note"));
  }
  return *receipt;
}

void TransferService::State::hold_receipt(
    Step& step, const std::string& note_text, const Receipt& receipt
) const {
  Process& process = step.process;
  process.received_receipt = note_text;
  auto record = draft("receipt.held", process);
  record.set("receipt", sha256(note_text));
  if (receipt.to) {
    const Json to = {
        {"origin", receipt.to->origin}, {"seq", receipt.to->seq}, {"leaf", receipt.to->leaf}};
    record.set_json("peer", to);
  }
  step.drafts.push_back(std::move(record));
  note(process, "in", "receipt", "", receipt.content);
}

Result<void> TransferService::State::issue_receipt(Step& step) const {
  Process& process = step.process;
  Receipt receipt;
  receipt.agreement = process.agreement;
  receipt.process = process.peer_pid;
  receipt.content = process.pulled->content;
  receipt.bytes = process.pulled->bytes;
  receipt.sealed = process.sealed;
  receipt.time = format_micros(now());
  if (const auto place = received_at.find(process.pid.value); place != received_at.end()) {
    receipt.to = place->second;
    process.place = place->second;
  }
  auto signed_note = sign_receipt(receipt, settings.self.uri, *parts.signer);
  if (!signed_note) return fail(std::move(signed_note));
  process.received_receipt = *signed_note;
  auto issued = draft("receipt.issued", process);
  issued.set("receipt", sha256(*signed_note));
  step.drafts.push_back(std::move(issued));
  return {};
}

awaitable<HttpAnswer> TransferService::receive_receipt(Received received) {
  State& state = *state_;
  const Pid pid(received.own_pid);
  const auto body = parse_body(received.request);
  for (;;) {
    auto found = state.find(pid);
    if (!found) co_return refuse(found.error());
    if (!*found || (*found)->peer != received.caller.party || (*found)->role != Role::provider) {
      co_return not_here();
    }
    if (!body) co_return refuse(body.error());
    Step step;
    step.process = std::move(**found);
    const auto note = text_of(body->json, "note");
    const auto receipt = state.check_receipt(step.process, note);
    if (!receipt) co_return receipt.error();
    const Json answer = {{"held", digest_text(sha256(note))}};
    if (step.process.received_receipt == note) {
      if (!state.unpublished.contains(pid.value)) co_return json_answer(200, answer);
      const Message busy{"transfer.busy", {}};
      co_return refuse(503, busy);
    }
    state.hold_receipt(step, note, *receipt);
    auto done = co_await state.commit(std::move(step));
    if (done) {
      state.watch_soon(pid);
      co_return json_answer(200, answer);
    }
    if (done.error().kind != ErrorKind::conflict) co_return refuse(done.error());
  }
}

awaitable<HttpAnswer> TransferService::fresh_token(Received received) {
  State& state = *state_;
  const Pid pid(received.own_pid);
  for (;;) {
    auto found = state.find(pid);
    if (!found) co_return refuse(found.error());
    if (!*found || (*found)->peer != received.caller.party || (*found)->role != Role::provider) {
      co_return not_here();
    }
    Step step;
    step.process = std::move(**found);
    Process& process = step.process;
    if (!process.is_running()) {
      const Message not_running{
          "transfer.not-running", {{"state", std::string(dsp::to_string(process.shown()))}}};
      co_return refuse(400, not_running);
    }
    // Of those before, only the newest stays until the fresh one is used.
    auto rows = state.parts.tokens.rows_of(state.parts.store, pid);
    if (!rows) co_return refuse(rows.error());
    if (rows->size() > 1) {
      std::sort(rows->begin(), rows->end(), [](const Row& a, const Row& b) {
        const auto issued = [](const Row& row) {
          const auto json = negotiation::parse_row(row);
          return json ? text_of(*json, "issued") : std::string();
        };
        return issued(a) < issued(b);
      });
      rows->pop_back();
      step.erases = std::move(*rows);
    }
    process.certificate = received.caller.certificate_sha256;
    const auto token = state.add_token(step, process.certificate);
    state.note(process, "in", "fresh-token", "", "");
    auto done = co_await state.commit(std::move(step));
    if (done) {
      const Json answer = {{"token", token}, {"authType", "bearer"}};
      co_return json_answer(200, answer);
    }
    if (done.error().kind != ErrorKind::conflict) co_return refuse(done.error());
  }
}

awaitable<HttpAnswer> TransferService::receive_deletion(Received received) {
  State& state = *state_;
  const auto body = parse_body(received.request);
  if (!body) co_return refuse(body.error());
  const AgreementId id(text_of(body->json, "agreement"));
  const auto note_text = text_of(body->json, "note");
  auto found = negotiation::find_agreement(state.parts.store, id);
  if (!found) co_return refuse(found.error());
  if (!*found || (*found)->our_side != odrl::Side::provider ||
      (*found)->consumer != received.caller.party) {
    const Message unknown{"transfer.unknown-agreement", {}};
    co_return refuse(404, unknown, "/agreement");
  }
  const Agreement& agreement = **found;
  const auto key = agreement.peer_key();
  if (!key) {
    const Message none{"transfer.no-key", {}};
    co_return refuse(400, none);
  }
  const auto note = verify_deletion(note_text, agreement.consumer.uri, *key);
  if (!note) co_return refuse(note.error());
  if (note->agreement != id) {
    const Message other{"transfer.receipt-of-another", {}};
    co_return refuse(400, other, "/note");
  }
  const Digest digest = sha256(note_text);
  const Json answer = {{"held", digest_text(digest)}};
  Row row;
  row.kind = deletion_record_kind;
  row.id = to_hex(digest);
  auto known = state.parts.store.row(row.kind, row.id);
  if (!known) co_return refuse(known.error());
  if (*known) {
    if (!state.deletions.contains(row.id)) co_return json_answer(200, answer);
    const Message busy{"transfer.busy", {}};
    co_return refuse(503, busy);
  }
  row.owner = id.value;
  row.state = "held";
  const Json stored = {
      {"note", note_text},
      {"content", note->content},
      {"bytes", note->bytes},
      {"method", note->method},
      {"time", note->time},
      {"received", format_micros(state.now())},
  };
  row.body = stored.dump();

  // The transfer that brought the data there, when it is one of ours.
  std::string pid = agreement.negotiation.value;
  Store::Query query;
  query.kind = process_kind;
  query.owner = id.value;
  auto transfers = state.parts.store.rows(query);
  if (!transfers) co_return refuse(transfers.error());
  for (const auto& one : *transfers) {
    const auto process = parse_process(one);
    if (process && process->brought(note->content)) pid = one.id;
  }
  audit::RecordDraft record("receipt.held", state.event());
  record.about(id).set("pid", pid).set("receipt", digest).set("of", "deletion");
  record.set("content", note->content).set("bytes", note->bytes).set("method", note->method);
  const Json place = {
      {"origin", note->log.origin}, {"seq", note->log.seq}, {"leaf", note->log.leaf}};
  record.set_json("peer", place);
  Transaction transaction;
  transaction.puts.push_back(row);
  std::vector<audit::RecordDraft> drafts;
  drafts.push_back(std::move(record));
  // An entry that stays belongs to a record that is not in the log: only a restart clears it.
  state.deletions.insert(row.id);
  auto done = co_await state.parts.journal.commit(
      std::move(transaction), std::move(drafts), audit::Priority::reserved
  );
  if (done || done.error().kind == ErrorKind::conflict) state.deletions.erase(row.id);
  if (done) co_return json_answer(200, answer);
  if (done.error().kind == ErrorKind::conflict) {
    const Message busy{"transfer.busy", {}};
    co_return refuse(503, busy);
  }
  co_return refuse(done.error());
}

}  // namespace tally::transfer
