// The inside of TransferService, shared by its source files: messages, rules, evidence, commands.
#pragma once

#include <cstdint>
#include <functional>
#include <map>
#include <memory>
#include <optional>
#include <set>
#include <string>
#include <vector>

#include "tally/core/runs.hpp"
#include "tally/negotiation/agreement.hpp"
#include "tally/negotiation/exchange.hpp"
#include "tally/transfer/transfer_service.hpp"

#include "transfer_process.hpp"

namespace tally::transfer {

// Answers on /tally/v1, which has no pids of its own.
inline HttpAnswer refuse(int status, const Message& message, std::string_view pointer = {}) {
  return negotiation::error_answer(dsp::Family::transfer, status, message, {}, pointer);
}
inline HttpAnswer refuse(const Error& error) {
  return negotiation::error_answer(dsp::Family::transfer, error, {});
}

using negotiation::Agreement;
using negotiation::ParsedBody;

// What one decision changes, made durable as a whole by State::commit.
struct Step {
  Process process;
  std::vector<Row> rows;
  std::vector<Row> erases;
  std::vector<audit::RecordDraft> drafts;
  std::vector<OutgoingMessage> messages;
  std::vector<std::string> dropped;
  std::optional<StoredAnswer> answer;
  audit::Priority priority = audit::Priority::ordinary;

  // What is published once it is durable.
  enum class Tokens { keep, rest, wake, revoke };
  Tokens tokens = Tokens::keep;
  std::optional<Row> new_token;
};

// Why nothing moves under an agreement that is ours and the other side's, and not in force.
inline Message not_active(const Agreement& agreement) {
  return {
      "transfer.agreement-not-active",
      {{"state", std::string(negotiation::to_string(agreement.status))}}};
}

// What operators type may name a person: it is told and shown, and stays out of the log.
Message recorded(Message reason);

struct TransferService::State {
  State(TransferParts with, TransferSettings options)
      : parts(std::move(with)), settings(std::move(options)) {}

  TransferParts parts;
  TransferSettings settings;
  struct Unpublished {
    dsp::TransferState shown = dsp::TransferState::none;
    int steps = 0;
  };
  std::map<std::string, Unpublished> unpublished;
  // Messages whose answer is being made durable: "<process key> <@id>". A repeat of one must not
  // get its answer before the record is in the log.
  std::set<std::string> unanswered;
  [[nodiscard]] bool is_unanswered(const Process& process, const std::string& message_id) const {
    return unanswered.contains(process.key() + " " + message_id);
  }
  // The start message of each running transfer, for a repeat of its request. Holds a token, hence
  // not in the store once the peer has it.
  std::map<std::string, OutgoingMessage> starts;
  Runs pulls;      // one for each transfer
  Runs watches;    // the newest of each transfer
  Runs reactions;  // rules whose delay runs, one for each process and entry into a state
  std::map<std::string, int> without_receipt;   // fetches that came to nothing
  std::map<std::string, LogPlace> received_at;  // of transfer.received, until the receipt is signed
  std::map<std::string, LogPlace> sent_at;      // of transfer.sent, likewise
  std::set<std::string> told_uses;              // likewise
  std::set<std::string> deletions;              // being made durable
  std::set<std::string> statements;             // likewise
  std::set<std::string> receipts_missing;       // transfers whose other side owes its receipt

  // --- reading and making durable (transfer_service.cpp) ---
  Result<std::optional<Process>> find(const Pid& pid) const;
  Result<std::optional<Process>> find_by_peer(const PartyId& peer, const Pid& peer_pid) const;
  Result<Agreement> agreement_of(const Process& process) const;
  // The records as they stand in the log. Errors: conflict: decide again.
  awaitable<Result<std::vector<audit::Appended>>> commit(Step step);
  Instant now() const { return parts.clock.read().at; }
  EventId event() const { return new_event(parts.random, now()); }
  audit::RecordDraft draft(std::string_view type, const Process& process) const;
  LogPlace place_of(const audit::Appended& appended) const;
  void note(
      Process& process, std::string direction, std::string type, std::string id, std::string note
  ) const;

  // --- parts of steps ---
  void send(
      Step& step,
      dsp::TransferEvent event,
      dsp::TransferState target,
      std::string_view step_path,
      const Json& body,
      std::string_view type
  ) const;
  // Ends by our own will, telling the peer.
  Result<void> end(Step& step, const Message& reason) const;
  // What every end has in common: record, tokens.
  Result<void> close_with(Step& step, const Message& reason, bool by_peer) const;
  Result<void> drop_tokens(Step& step) const;
  // The provider's start with a fresh token. Those before end with the commit, or once the fresh
  // one is used.
  enum class Former { ends, stays };
  Result<void> announce(Step& step, Former former) const;
  dsp::DataAddress address_of(const Process& process, const std::string& token) const;
  // Moves by our own will (transfer_steps.cpp). Errors: conflict (transfer.cannot,
  // transfer.message-under-way, and why the agreement does not permit it).
  Result<void> suspend(Step& step, const Message& reason) const;
  Result<void> resume(Step& step) const;  // as consumer: asks the provider to
  Result<void> complete(Step& step) const;
  Result<void> terminate(Step& step, const Message& reason) const;
  // A fresh token for the transfer, as the start message and the fresh-token answer carry it.
  std::string add_token(Step& step, const std::string& certificate_sha256) const;

  // --- commands (transfer_commands.cpp) ---
  using Change = std::function<Result<void>(Step& step)>;
  awaitable<Result<void>> command(Pid pid, Change change);

  // --- received messages (transfer_messages.cpp) ---
  struct Verdict {
    std::optional<Step> step;
    HttpAnswer answer;
  };
  using Decide = std::function<Result<Verdict>(Process process)>;
  awaitable<HttpAnswer> take(
      Received received, ParsedBody body, dsp::KnownPids pids, dsp::Role role, Decide decide
  );
  // A message about a transfer that exists, as what it is read as; `id` is its own. `expected`: our
  // role as far as the message alone tells, for the answer where there is no such transfer.
  template <class M>
  using DecideOn =
      std::function<Result<Verdict>(const M& message, const std::string& id, Process process)>;
  template <class M>
  awaitable<HttpAnswer> receive(Received received, dsp::Role expected, DecideOn<M> decide);
  std::optional<dsp::TransferState> accept(Step& step, dsp::TransferEvent event) const;
  HttpAnswer answer_of(const Process& process, int status = 200) const;
  Verdict illegal(const Process& process, dsp::TransferEvent event) const;
  Result<std::optional<Message>> take_up(Step& step) const;
  void take_address(Process& process, const std::optional<dsp::DataAddress>& address) const;

  // --- what follows by rule (transfer_rules.cpp) ---
  void advance_soon(const Pid& pid);
  awaitable<void> advance(Pid pid);
  // Until nothing is missing under an agreement that says `strict`, or too long. What is missing
  // then.
  awaitable<std::optional<Message>> wait_for_witnesses(AgreementId agreement);
  Result<Step> begin(Process process) const;
  // Whether data may be handed out under the agreement now, as the provider decides it.
  struct Permit {
    std::optional<Message> refusal;
    Json decided;  // what the record of a start says of it
  };
  Result<Permit> permits(const Process& process, const Agreement& agreement) const;

  // --- what a rule says comes next (transfer_reactions.cpp) ---
  [[nodiscard]] std::optional<negotiation::Reaction> reaction_to(const Process& process) const;
  void react_soon(const Process& process);
  awaitable<void> react(Pid pid, dsp::TransferState state, int occurrence, Runs::Run run);
  Result<Step> act(Process process, const negotiation::Reaction& reaction) const;

  // --- what the provider ends by itself (transfer_idle.cpp) ---
  // Begins to count the quiet time anew; an earlier watch of this transfer ends.
  void watch_soon(const Pid& pid);
  awaitable<void> watch(Pid pid, Runs::Run run);
  [[nodiscard]] std::optional<Nanos> quiet_until_end(const Process& process) const;

  // --- the consumer's side (transfer_pull.cpp) ---
  awaitable<void> fetch(Pid pid);
  awaitable<void> fetch_once(Pid pid, Runs::Run& run);
  enum class Fetched { done, again, stop };
  awaitable<Fetched> receive(Pid pid, Pulled pulled);
  awaitable<Result<void>> finish(Pid pid);
  struct ProviderReceipt {
    std::string note;
    Json form;  // of what it is about, or null
  };
  awaitable<Result<ProviderReceipt>> provider_receipt(Process process);

  // --- evidence (transfer_evidence.cpp) ---
  awaitable<void> await_receipt(Pid pid);
  // The consumer's receipt of what was sent under `process`, or the answer that says why it is
  // none.
  tl::expected<Receipt, HttpAnswer> check_receipt(const Process& process, const std::string& note)
      const;
  void hold_receipt(Step& step, const std::string& note, const Receipt& receipt) const;
  // Our own receipt of what was received.
  Result<void> issue_receipt(Step& step) const;

  // --- receipt before key (key_release.cpp) ---
  // The answer when no key may leave under an agreement: it is over, or it ends at a time and the
  // time is in doubt.
  [[nodiscard]] std::optional<HttpAnswer> no_key_now(const AgreementId& agreement) const;
  // The key that the receipts speak of. Errors: not_found (transfer.key-gone).
  awaitable<Result<DataKey>> key_of(Process process) const;
  // A provider's key ends with its transfer.
  void drop_key(const Pid& pid);
  // The consumer's: receipt, key, and what it opens to. False: not now, or never.
  awaitable<Result<bool>> open_payload(Pid pid);
  struct AnsweredKey {
    DataKey key;
    OpenedContent opens;
  };
  awaitable<Result<AnsweredKey>> ask_key(Process process) const;
};

}  // namespace tally::transfer
