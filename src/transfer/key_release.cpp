// Receipt before key: what went out encrypted is opened with a key that the provider gives for the
// consumer's receipt, and not before (docs/peer-api.md, "Keys"). Both sides.
#include <algorithm>
#include <utility>

#include <nlohmann/json.hpp>

#include "tally/core/aead.hpp"

#include "transfer_state.hpp"

namespace tally::transfer {

using dsp::Role;
using dsp::TransferState;
using negotiation::json_answer;
using negotiation::parse_body;
using negotiation::text_of;

namespace {

// How often a key may be refused before the transfer ends: the provider may have suspended it, and
// its message is on the way.
constexpr int most_refusals = 6;

// It becomes a header of ours.
bool is_media_type(std::string_view text) {
  return text.size() <= 255 &&
         std::all_of(text.begin(), text.end(), [](char c) { return c >= 0x20 && c < 0x7f; });
}

tl::unexpected<Error> refused_key(std::string reason) {
  return fail(
      ErrorKind::forbidden,
      negotiation::bounded({"transfer.key-refused", {{"reason", std::move(reason)}}})
  );
}

}  // namespace

// --- the provider --------------------------------------------------------------------------------

std::optional<HttpAnswer> TransferService::State::no_key_now(const AgreementId& agreement) const {
  const auto over = [](std::string_view what) {
    return refuse(403, {"transfer.agreement-not-active", {{"state", std::string(what)}}});
  };
  const auto entry = parts.enforcer.state(agreement);
  if (!entry) return over("unknown");
  if (entry->closed != usage::Closed::open) return over(usage::to_string(entry->closed));
  if (const auto hold = parts.enforcer.held(agreement)) {
    return refuse(503, usage::explain(*hold, agreement));  // it ends nothing
  }
  const auto until = entry->terms.policy->not_after();
  if (!until) return std::nullopt;
  const ClockReading reading = parts.clock.read();
  if (!reading.reliable) {
    return refuse(503, {"usage.clock-unreliable", {{"agreement", agreement.value}}});
  }
  if (reading.at >= *until) return over(usage::to_string(usage::Closed::expired));
  return std::nullopt;
}

awaitable<Result<DataKey>> TransferService::State::key_of(Process process) const {
  auto key = co_await parts.keys->find(process.pid);
  if (!key) co_return key;
  // The source has changed since, and is being sent again: this is the key of that.
  if (key_commitment(*key, *process.opens) != process.sealed->key) {
    const Message gone{"transfer.key-gone", {}};
    co_return fail(ErrorKind::not_found, gone);
  }
  co_return key;
}

void TransferService::State::drop_key(const Pid& pid) {
  if (parts.keys == nullptr || !parts.keys->holds(pid)) return;
  auto destroy = [](State* state, Pid process) -> awaitable<void> {
    auto gone = co_await state->parts.keys->destroy(process);
    if (!gone) state->parts.notices.note(Severity::error, gone.error().message);
  };
  parts.tasks.spawn("data-key", destroy(this, pid));
}

// Receipt, record, key: each durable before the next. A repeat finds what was done and goes on.
awaitable<HttpAnswer> TransferService::release_key(Received received) {
  State& state = *state_;
  const Pid pid(received.own_pid);
  const auto body = parse_body(received.request);
  const Message busy{"transfer.busy", {}};
  for (;;) {
    auto found = state.find(pid);
    if (!found) co_return refuse(found.error());
    if (!*found || (*found)->peer != received.caller.party || (*found)->role != Role::provider) {
      const Message unknown{"transfer.unknown-process", {}};
      co_return refuse(404, unknown);
    }
    if (!body) co_return refuse(body.error());
    Step step;
    step.process = std::move(**found);
    Process& process = step.process;
    if (!process.is_running()) {
      const Message not_running{
          "transfer.not-running", {{"state", std::string(dsp::to_string(process.shown()))}}};
      co_return refuse(400, not_running);
    }
    if (auto no = state.no_key_now(process.agreement)) co_return *std::move(no);
    if (state.parts.keys == nullptr || !process.sealed || !process.opens) {
      const Message none{"transfer.no-key-owed", {}};
      co_return refuse(404, none);
    }
    const auto note = text_of(body->json, "note");
    const auto receipt = state.check_receipt(process, note);
    if (!receipt) co_return receipt.error();
    if (process.received_receipt != note) {
      state.hold_receipt(step, note, *receipt);
      auto held = co_await state.commit(std::move(step));
      if (held || held.error().kind == ErrorKind::conflict) continue;
      co_return refuse(held.error());
    }
    // What the row says is in the log once its step is no longer on its way.
    if (state.unpublished.contains(pid.value)) co_return refuse(503, busy);

    auto key = co_await state.key_of(process);
    if (!key) co_return refuse(key.error());
    const auto digest = digest_text(sha256(note));
    if (process.key_released_for != digest) {
      process.key_released_for = digest;
      auto record = state.draft("key.released", process);
      record.set("content", process.sent->content).set("receipt", sha256(note));
      step.drafts.push_back(std::move(record));
      state.note(process, "out", "key", "", process.sent->content);
      auto released = co_await state.commit(std::move(step));
      if (released || released.error().kind == ErrorKind::conflict) continue;
      co_return refuse(released.error());
    }
    // Across the wait for the key the transfer may have ended.
    auto again = state.find(pid);
    if (!again) co_return refuse(again.error());
    if (!*again || (*again)->version != process.version) continue;
    if (auto no = state.no_key_now(process.agreement)) co_return *std::move(no);
    const Json answer = {
        {"key", to_base64(key->bytes)},
        {"content", process.opens->content},
        {"bytes", process.opens->bytes},
        {"mediaType", process.opens->media_type},
    };
    co_return json_answer(200, answer);
  }
}

// --- the consumer --------------------------------------------------------------------------------

awaitable<Result<TransferService::State::AnsweredKey>> TransferService::State::ask_key(
    Process process
) const {
  const auto base = parts.peers.tally_url(process.peer);
  if (!base) co_return refused_key("no /tally/v1");
  const Json body = {{"note", process.received_receipt}};
  PeerRequest request;
  request.to = process.peer;
  request.url = *base + "/keys/" + percent_encode_segment(process.peer_pid.value);
  request.http.method = "POST";
  request.http.headers.set("Content-Type", "application/json");
  request.http.body = body.dump();
  auto answer = co_await parts.peer.send(std::move(request));
  if (!answer) co_return fail(std::move(answer));
  const int status = answer->status;
  if (status == 408 || status == 429 || status >= 500) {
    const Message later{"transfer.key-refused", {{"reason", std::to_string(status)}}};
    co_return fail(ErrorKind::unavailable, later);
  }
  const auto json = parse_json(answer->body);
  if (status != 200 || !json) {
    const auto error = json ? dsp::from_json<dsp::TransferError>(*json)
                            : Result<dsp::TransferError>(tl::unexpected(json.error()));
    co_return refused_key(error ? error->code : std::to_string(status));
  }
  auto key = from_base64(text_of(*json, "key"));
  AnsweredKey found;
  found.opens.content = text_of(*json, "content");
  found.opens.media_type = text_of(*json, "mediaType");
  const auto bytes = json->find("bytes");
  const bool good = key && key->size() == found.key.bytes.size() && bytes != json->end() &&
                    bytes->is_number_unsigned() && parse_digest_text(found.opens.content) &&
                    is_media_type(found.opens.media_type);
  if (!good) co_return refused_key("malformed");
  std::copy(key->begin(), key->end(), found.key.bytes.begin());
  wipe(*key);
  found.opens.bytes = bytes->get<std::uint64_t>();
  co_return found;
}

awaitable<Result<bool>> TransferService::State::open_payload(Pid pid) {
  Nanos pause = parts.limits.retry_first;
  int refusals = 0;
  for (;;) {
    auto found = find(pid);
    if (!found) co_return tl::unexpected(found.error());
    if (!*found) co_return false;
    if ((*found)->opened) co_return true;
    Step step;
    step.process = std::move(**found);
    Process& process = step.process;
    if (process.state != TransferState::started || process.pending) {
      if (dsp::is_final(process.state)) co_await parts.executor->discard(pid);
      co_return false;
    }
    if (process.received_receipt.empty()) {
      auto issued = issue_receipt(step);
      if (!issued) co_return tl::unexpected(issued.error());
      note(process, "out", "receipt", "", process.pulled->content);
      auto done = co_await commit(std::move(step));
      if (done || done.error().kind == ErrorKind::conflict) continue;
      co_return tl::unexpected(done.error());
    }
    auto answered = co_await ask_key(process);
    Result<void> opened;
    if (!answered) {
      opened = tl::unexpected(answered.error());
    } else if (key_commitment(answered->key, answered->opens) != process.sealed->key) {
      opened = fail(ErrorKind::invalid, {"transfer.key-not-owed", {}});
    } else {
      OpenOrder order;
      order.process = pid;
      order.provider_pid = process.peer_pid;
      order.key = answered->key;
      order.opens = answered->opens;
      opened = co_await parts.executor->open(std::move(order));
    }
    if (opened) {
      process.opened = true;
      process.opens = answered->opens;
      auto record = draft("key.received", process);
      record.set("content", process.pulled->content);
      record.set_json("plain", plain_of(*process.opens));
      step.drafts.push_back(std::move(record));
      note(process, "in", "key", "", process.opens->content);
      auto done = co_await commit(std::move(step));
      if (done) co_return true;
      if (done.error().kind == ErrorKind::conflict) continue;
      co_return tl::unexpected(done.error());
    }
    const auto kind = opened.error().kind;
    const bool may_heal = kind == ErrorKind::unavailable ||
                          (kind == ErrorKind::forbidden && ++refusals < most_refusals);
    parts.notices.note(may_heal ? Severity::info : Severity::warning, opened.error().message);
    if (may_heal) {
      co_await parts.timers.sleep_for(pause);
      pause = std::min(pause * 2, parts.limits.retry_most);
      continue;
    }
    // The receipt is given, and no key that fits comes for it: both logs say so.
    auto ended = end(step, negotiation::bounded(opened.error().message));
    if (!ended) co_return tl::unexpected(ended.error());
    auto done = co_await commit(std::move(step));
    if (!done && done.error().kind == ErrorKind::conflict) continue;
    if (!done) co_return tl::unexpected(done.error());
    co_await parts.executor->discard(pid);
    co_return false;
  }
}

}  // namespace tally::transfer
