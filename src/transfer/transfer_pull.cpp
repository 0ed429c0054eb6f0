// The consumer's side of a pull: it fetches, compares digests, makes the artefact visible, sends
// its receipt and completes.
#include <algorithm>
#include <utility>

#include <nlohmann/json.hpp>

#include "transfer_state.hpp"

namespace tally::transfer {

using dsp::Role;
using dsp::TransferState;

Result<Json> TransferService::data_address(const Pid& pid) const {
  const auto found = state_->find(pid);
  if (!found) return tl::unexpected(found.error());
  if (!*found) return fail(ErrorKind::not_found, {"transfer.unknown-process", {}});
  const Process& process = **found;
  const bool open = process.role == Role::consumer && process.state == TransferState::started &&
                    !process.pending && !process.objection && process.format == call_format;
  if (!open) {
    return fail(
        ErrorKind::conflict,
        {"transfer.cannot",
         {{"command", "call"}, {"state", std::string(dsp::to_string(process.shown()))}}}
    );
  }
  const bool bare = state_->parts.peers.data_dialect(process.peer).bare_token;
  return Json{
      {"endpoint", process.endpoint},
      {"authType", bare ? "bare" : "bearer"},
      {"authorization", process.token}};
}

Result<std::optional<Pid>> TransferService::running_call(const AgreementId& agreement) const {
  Store::Query query{std::string(process_kind), {}, agreement.value, {}, 100};
  for (;;) {
    const auto rows = state_->parts.store.rows(query);
    if (!rows) return tl::unexpected(rows.error());
    for (const auto& row : *rows) {
      if (data_address(Pid(row.id))) return Pid(row.id);
    }
    if (rows->size() < query.most) return std::optional<Pid>();
    query.after = rows->back().id;
  }
}

awaitable<void> TransferService::State::fetch(Pid pid) {
  if (!parts.executor) co_return;
  auto run = pulls.begin(pid.value);
  if (!run) co_return;
  co_await fetch_once(pid, *run);
}

// How often a fetch may be refused before the transfer ends: half a minute, with the pauses.
constexpr int most_refusals = 6;
// The same while the provider owes the start that was asked for: about an hour.
constexpr int most_refusals_while_asking = 64;

// How often something is fetched that the provider gives no receipt for.
constexpr int most_without_receipt = 3;

// A provider that is asked to go on answers with a start of its own, which names where the data is
// now. One that does not go by what it said before.
constexpr Nanos fresh_address_wait = seconds(5);
constexpr Nanos fresh_address_step = milliseconds(100);

// How often a fetch that is held looks whether it still is.
constexpr Nanos held_step = seconds(1);

// From STARTED to the completion message; every step looks at the row again.
awaitable<void> TransferService::State::fetch_once(Pid pid, Runs::Run& run) {
  Nanos pause = parts.limits.retry_first;
  int refusals = 0;
  Nanos waited = 0;
  std::string tried;  // the token that the refusals are of
  for (;;) {
    auto found = find(pid);
    if (!found || !*found) co_return;
    const Process process = std::move(**found);
    if (process.received) {
      const auto finished = co_await finish(pid);
      if (!finished) parts.notices.note(Severity::error, finished.error().message);
      co_return;
    }
    if (process.state != TransferState::started || process.pending) {
      if (dsp::is_final(process.state)) co_await parts.executor->discard(pid);
      co_return;
    }
    if (process.format == call_format || reaction_to(process)) co_return;
    if (parts.enforcer.held(process.agreement)) {
      co_await parts.timers.sleep_for(held_step);
      continue;
    }
    if (process.asked_to_resume && waited < fresh_address_wait) {
      co_await parts.timers.sleep_for(fresh_address_step);
      waited += fresh_address_step;
      continue;
    }
    if (process.token != tried) {
      tried = process.token;
      refusals = 0;
      pause = parts.limits.retry_first;
    }
    run.go_on();
    PullOrder order;
    order.process = pid;
    order.provider_pid = process.peer_pid;
    order.agreement = process.agreement;
    order.asset = process.asset;
    order.provider = process.peer;
    order.endpoint = process.endpoint;
    order.token = process.token;
    order.bare_token = parts.peers.data_dialect(process.peer).bare_token;
    order.wanted = run.wanted_flag();
    order.sealed = parts.enforcer.receipt_before_key(process.agreement);
    if (const auto base = parts.peers.tally_url(process.peer)) {
      order.fresh_token_url = *base + "/tokens/" + percent_encode_segment(process.peer_pid.value);
    }
    auto pulled = co_await parts.executor->pull(order);
    if (!pulled && !run.wanted()) continue;  // where it stands now says what comes next
    auto outcome = Fetched::again;
    // A refusal: the provider may have suspended or ended the transfer, and its message is on the
    // way.
    const bool follows = process.asked_to_resume || process.start_may_follow;
    const int most = follows ? most_refusals_while_asking : most_refusals;
    const auto may_heal = [&](const Error& error) {
      return error.kind == ErrorKind::unavailable ||
             (error.kind == ErrorKind::forbidden && ++refusals < most);
    };
    if (pulled) {
      outcome = co_await receive(pid, *pulled);
    } else if (may_heal(pulled.error())) {
      parts.notices.note(Severity::info, pulled.error().message);
    } else {
      // Trying again would not help: the reason goes to the peer and to the operator.
      auto again = find(pid);
      if (!again || !*again) co_return;
      if ((*again)->state == TransferState::started && !(*again)->pending) {
        Step step;
        step.process = std::move(**again);
        const Message reason{
            "transfer.pull-failed", {{"problem", render(pulled.error().message, Lang::en)}}};
        const auto ended = end(step, reason);
        if (!ended) co_return;
        const auto done = co_await commit(std::move(step));
        if (!done && done.error().kind != ErrorKind::conflict) co_return;
        if (done) {
          co_await parts.executor->discard(pid);
          co_return;
        }
      }
    }
    if (outcome == Fetched::stop) co_return;
    if (outcome == Fetched::done) continue;
    co_await parts.timers.sleep_for(pause);
    pause = std::min(pause * 2, parts.limits.retry_most);
  }
}

// What arrived is compared with what the provider signed that it sent.
awaitable<TransferService::State::Fetched> TransferService::State::receive(Pid pid, Pulled pulled) {
  auto before = find(pid);
  if (!before || !*before) co_return Fetched::stop;
  auto agreement = agreement_of(**before);
  if (!agreement) co_return Fetched::stop;
  const bool sealed = parts.enforcer.receipt_before_key((*before)->agreement);
  const bool is_signed = sealed || !agreement->provider_signature.empty();
  auto answered = co_await provider_receipt(**before);
  Result<std::string> note_text =
      answered ? Result<std::string>(std::move(answered->note)) : tl::unexpected(answered.error());

  auto found = find(pid);
  if (!found || !*found) co_return Fetched::stop;
  if ((*found)->state != TransferState::started || (*found)->pending) co_return Fetched::done;
  Step step;
  step.process = std::move(**found);
  Process& process = step.process;
  std::optional<Receipt> receipt;
  if (note_text) {
    const auto key = agreement->peer_key();
    auto verified = key ? verify_receipt(*note_text, process.peer.uri, *key)
                        : Result<Receipt>(fail(ErrorKind::invalid, {"transfer.no-key", {}}));
    if (!verified) {
      note_text = tl::unexpected(verified.error());
    } else if (verified->agreement != process.agreement || verified->process != process.peer_pid) {
      note_text = fail(ErrorKind::invalid, {"transfer.receipt-of-another", {}});
    } else {
      receipt = std::move(*verified);
    }
  }
  std::optional<Message> rejection;
  // A provider that cannot be reached has not said that there is none.
  if (!note_text && note_text.error().kind == ErrorKind::unavailable) co_return Fetched::again;
  const bool not_there = !note_text && note_text.error().kind == ErrorKind::not_found;
  if (not_there && is_signed && ++without_receipt[pid.value] < most_without_receipt) {
    // A provider that went down between the last byte and its record does not know that it sent
    // anything: what is sent again is recorded.
    co_await parts.executor->discard(pid);
    co_return Fetched::again;
  }
  without_receipt.erase(pid.value);
  if (!receipt) {
    step.drafts.push_back(draft("receipt.missing", process));
    process.receipt_missing = true;
    // Whoever signs agreements gives receipts. From others their word is all there is.
    if (is_signed) rejection = Message{"transfer.no-receipt", {}};
  } else if (receipt->content != pulled.content || receipt->bytes != pulled.bytes) {
    rejection = Message{
        "transfer.digest-mismatch", {{"sent", receipt->content}, {"received", pulled.content}}};
  } else if (sealed != receipt->sealed.has_value()) {
    rejection = Message{"transfer.key-not-promised", {}};
  }
  if (receipt) {
    process.sent_receipt = *note_text;
    auto held = draft("receipt.held", process);
    held.set("receipt", sha256(*note_text));
    if (receipt->from) {
      const Json from = {
          {"origin", receipt->from->origin},
          {"seq", receipt->from->seq},
          {"leaf", receipt->from->leaf},
      };
      held.set_json("peer", from);
    }
    step.drafts.push_back(std::move(held));
  }
  if (rejection) {
    auto record = draft("transfer.rejected", process);
    record.set("reason", *rejection);
    record.set("content", pulled.content).set("bytes", pulled.bytes);
    if (receipt) record.set("sent", receipt->content);
    step.drafts.push_back(std::move(record));
    const auto ended = end(step, *rejection);
    if (!ended) co_return Fetched::stop;
    // Nobody can read what is staged; it goes before anything else can want it.
    co_await parts.executor->discard(pid);
    const auto done = co_await commit(std::move(step));
    if (done) co_return Fetched::stop;
    co_return done.error().kind == ErrorKind::conflict ? Fetched::again : Fetched::stop;
  }
  process.received = true;
  process.pulled = Process::Measured{pulled.content, pulled.bytes};
  if (answered) process.form = std::move(answered->form);
  if (receipt) process.sealed = receipt->sealed;
  auto record = draft("transfer.received", process);
  record.set("content", pulled.content).set("bytes", pulled.bytes);
  if (receipt) record.set("receipt", sha256(process.sent_receipt));
  record.set("assurance", receipt ? "enforced" : "asserted");
  const std::size_t at = step.drafts.size();
  step.drafts.push_back(std::move(record));
  note(process, "local", "received", "", pulled.content);
  const auto done = co_await commit(std::move(step));
  if (!done) {
    co_return done.error().kind == ErrorKind::conflict ? Fetched::again : Fetched::stop;
  }
  // Where the record stands goes into our receipt; a crash here leaves a receipt without it.
  received_at[pid.value] = place_of((*done)[at]);
  co_return Fetched::done;
}

// Visible, receipt, completion: each once, whatever was lost before.
awaitable<Result<void>> TransferService::State::finish(Pid pid) {
  const auto received = find(pid);
  if (!received) co_return tl::unexpected(received.error());
  if (*received && (*received)->sealed) {
    const auto opened = co_await open_payload(pid);
    if (!opened) co_return tl::unexpected(opened.error());
    if (!*opened) co_return Result<void>{};
  }
  Json form = *received ? (*received)->form : Json();
  auto published = co_await parts.executor->publish(pid, std::move(form));
  if (!published) co_return published;
  for (;;) {
    auto found = find(pid);
    if (!found) co_return fail(std::move(found));
    if (!*found) co_return Result<void>{};
    Step step;
    step.process = std::move(**found);
    Process& process = step.process;
    if (dsp::is_final(process.state) || process.pending) co_return Result<void>{};
    process.published = true;
    const auto tally = parts.peers.tally_url(process.peer);
    if (process.received_receipt.empty() && parts.signer && process.pulled) {
      auto issued = issue_receipt(step);
      if (!issued) co_return issued;
      if (tally) {
        const Json body = {{"note", process.received_receipt}};
        HttpRequest request;
        request.method = "POST";
        request.body = body.dump();
        const auto url = *tally + "/receipts/" + percent_encode_segment(process.peer_pid.value);
        auto id = new_pid(parts.random).value;
        note(process, "out", "receipt", id, "queued");
        step.messages.push_back(
            negotiation::outgoing(std::move(id), process.key(), process.peer, url, request, now())
        );
      }
    }
    if (process.state == TransferState::started) {
      auto completed = complete(step);
      if (!completed) co_return completed;
    }
    auto done = co_await commit(std::move(step));
    if (!done && done.error().kind == ErrorKind::conflict) continue;
    if (!done) co_return fail(std::move(done));
    received_at.erase(pid.value);
    co_return Result<void>{};
  }
}

// The provider's signed "sent" receipt, asked for until it is there or the time is up. Errors: not
// there (not_found); no answer that says so (unavailable); not a receipt (invalid).
awaitable<Result<TransferService::State::ProviderReceipt>> TransferService::State::provider_receipt(
    Process process
) {
  const auto base = parts.peers.tally_url(process.peer);
  const Message missing{"transfer.no-receipt", {}};
  if (!base) co_return fail(ErrorKind::not_found, missing);
  const auto url = *base + "/receipts/" + percent_encode_segment(process.peer_pid.value);
  const Instant until = now() + settings.receipt_wait;
  // The provider makes it when the last byte has left: a few milliseconds later.
  Nanos pause = milliseconds(2);
  for (;;) {
    PeerRequest request;
    request.to = process.peer;
    request.url = url;
    request.http.method = "GET";
    auto answer = co_await parts.peer.send(std::move(request));
    if (answer && answer->status == 200) {
      const auto json = parse_json(answer->body);
      ProviderReceipt found;
      if (json) found.note = negotiation::text_of(*json, "note");
      if (found.note.empty()) co_return fail(ErrorKind::invalid, missing);
      found.form = json->value("form", Json());
      co_return found;
    }
    const bool says_no = answer && answer->status < 500 && answer->status != 429;
    if (now() >= until) {
      co_return fail(says_no ? ErrorKind::not_found : ErrorKind::unavailable, missing);
    }
    co_await parts.timers.sleep_for(pause);
    pause = std::min(pause * 2, parts.limits.retry_most);
  }
}

}  // namespace tally::transfer
