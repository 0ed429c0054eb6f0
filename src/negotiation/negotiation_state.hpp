// The inside of NegotiationService, shared by its source files: messages, rules, commands.
#pragma once

#include <functional>
#include <map>
#include <optional>
#include <set>
#include <string>
#include <vector>

#include "tally/core/runs.hpp"
#include "tally/identity/message_signature.hpp"
#include "tally/negotiation/exchange.hpp"
#include "tally/negotiation/negotiation_service.hpp"

#include "negotiation_process.hpp"
#include "under_way.hpp"

namespace tally::negotiation {

// What one decision changes, made durable as a whole by State::commit.
struct Step {
  Process process;
  std::optional<Agreement> agreement;  // as it is from now on, where the step changes it
  std::vector<Row> rows;               // beside these: an index
  std::vector<audit::RecordDraft> drafts;
  std::vector<OutgoingMessage> messages;
  std::vector<std::string> dropped;  // messages of ours that have become pointless
  std::optional<StoredAnswer> answer;
  std::optional<usage::AgreementTerms> activate;  // once the records are durable
  AgreementId close;                              // shut in the ledger before the commit
  std::string decided = "lapsed";                 // what became of an approval that this ends
  audit::Priority priority = audit::Priority::ordinary;
};

// How often a negotiation may come back to one state: two connectors that counter by rule would
// never end it.
inline constexpr int most_rounds = 64;

// Whether data goes out encrypted under this policy, and the key only for a receipt.
bool asks_for_key_exchange(const odrl::CompiledPolicy& policy);

struct NegotiationService::State {
  State(NegotiationParts with, NegotiationSettings options)
      : parts(std::move(with)), settings(std::move(options)) {}

  NegotiationParts parts;
  NegotiationSettings settings;
  PartnerLogs partners;
  // While a step is being made durable: what GET shows meanwhile. An entry that stays belongs to a
  // step whose record is not in the log; only a restart clears it.
  struct Unpublished {
    dsp::NegotiationState shown = dsp::NegotiationState::none;
    int steps = 0;
    bool crossed = false;  // there were two at once: which was later, the store knows
  };
  std::map<std::string, Unpublished> unpublished;
  UnderWay under_way;
  // Messages whose answer is being made durable: "<process key> <@id>". A repeat of one must not
  // get its answer before the record is in the log.
  std::set<std::string> unanswered;
  [[nodiscard]] bool is_unanswered(const Process& process, const std::string& message_id) const {
    return unanswered.contains(process.key() + " " + message_id);
  }

  // Who waits for the delay of a rule, and until when: "<pid> <state> <occurrence>".
  std::map<std::string, Instant> sleepers;
  Runs asking;  // questions to hooks: "<pid> <occurrence>"

  // --- reading (negotiation_service.cpp) ---
  Result<std::optional<Process>> find(const Pid& pid) const;
  Result<std::optional<Process>> find_by_peer(const PartyId& peer, const Pid& peer_pid) const;
  // What the store has of it now.
  Result<Process::AsRead> as_stored(const Process& process) const;
  // The one that it has come to. Errors: internal negotiation.agreement-lost.
  Result<Agreement> agreement_of(const Process& process) const;

  // --- making a step durable ---
  // Errors: conflict: the row has moved on, decide again. Others: nothing was published.
  awaitable<Result<void>> commit(Step step);
  // What a step has made of it, once that is durable.
  void keep(Process process, std::optional<Agreement> agreement);
  // `was`: where the negotiation went to before the step.
  void note_move(Step& step, dsp::NegotiationState was) const;
  Instant now() const { return parts.clock.read().at; }
  EventId event() const { return new_event(parts.random, now()); }
  void note_in(Process& process, std::string type, std::string id, std::string note) const;
  void note_out(Process& process, std::string type, std::string id, std::string note) const;
  void note_local(Process& process, std::string command, std::string note) const;

  // --- parts of steps ---
  // Queues a message of ours; the state moves when the peer has it. Takes the place of a pending
  // one.
  void send(
      Step& step,
      dsp::NegotiationEvent event,
      dsp::NegotiationState target,
      std::string_view path,
      const Json& body,
      std::string_view type
  ) const;
  // The same for a request that has more than a body.
  void send(
      Step& step,
      dsp::NegotiationEvent event,
      dsp::NegotiationState target,
      std::string_view path,
      HttpRequest request,
      std::string message_id,
      std::string_view type
  ) const;
  void send_event(Step& step, dsp::EventType event) const;
  // The step that ends a negotiation by our own will. `step.process` may have a pending message.
  Result<void> end(Step& step, const Message& reason) const;
  // What every end has in common: the state, the record, the agreement.
  Result<void> close_with(Step& step, const Message& reason, bool by_peer) const;
  audit::RecordDraft draft(std::string_view type, const Process& process) const;
  // contract.offered: what is on the table now, whoever said it.
  audit::RecordDraft offered(const Process& process) const;

  // --- commands (negotiation_commands.cpp) ---
  // Where a new negotiation with `peer` goes to: `wanted`, or as configured. Errors: those of
  // NegotiationService::negotiate that say that there can be none.
  Result<std::string> base_for_new(const PartyId& peer, const std::string& wanted) const;
  // What an order asks for, as the offer of a request. Errors: invalid: as of offer_message; it has
  // no rule, and that is not said to mean anything.
  Result<Json> wanted_by(const NegotiateOrder& order) const;
  Result<Agreement> imported(const ImportOrder& order) const;  // import_agreement.cpp

  // --- received messages (negotiation_messages.cpp) ---
  struct Verdict {
    std::optional<Step> step;  // else refused
    HttpAnswer answer;
  };
  using Judge = std::function<Result<Verdict>(Process process)>;
  // What differs between the two messages that begin a negotiation.
  struct Beginning {
    dsp::Role role;  // ours
    dsp::NegotiationEvent event;
    dsp::NegotiationState state;
    std::string_view type;
    Pid peer_pid;
    std::optional<std::string> callback_address;
    Json offer;
    dsp::Contexts contexts;  // of the message
    // An answer: it does not begin.
    std::function<std::optional<HttpAnswer>(const Process& process)> objection;
  };
  // Everything that they have in common: nothing begins twice.
  awaitable<HttpAnswer> begin(
      Received received, ParsedBody body, dsp::KnownPids pids, Beginning beginning
  );
  // Everything that messages to an existing process have in common.
  awaitable<HttpAnswer> take(
      Received received, ParsedBody body, dsp::KnownPids pids, dsp::Role sender_role, Judge judge
  );
  // How policies of `peer` are read by us in this role. As a provider we take none without rules:
  // what is asked for has to be said.
  dsp::PolicyDialect dialect_of(const PartyId& peer, dsp::Role role) const;
  // The peer's signature on a message, by what is trusted now. Errors: unauthenticated
  // (negotiation.not-signed), and those of identity::verify_message.
  Result<identity::MessageSignature> signature_on(const Received& received) const;
  // The state after `event` by the peer; nullopt: illegal now. Clears a pending message that this
  // shows to be known to the peer or to have lost against it, and names it in `step.dropped`.
  std::optional<dsp::NegotiationState> accept(Step& step, dsp::NegotiationEvent event) const;
  HttpAnswer answer_of(const Process& process, int status = 200) const;
  Verdict illegal(const Process& process, dsp::NegotiationEvent event) const;

  // --- what follows without a person (negotiation_rules.cpp) ---
  // Why no contract is made with `peer` now: what its log was caught at.
  Result<std::optional<Message>> objection_to(const PartyId& peer) const;
  // Why contracts with `peer` wait.
  std::optional<Message> waits_for(const PartyId& peer) const;
  void advance_soon(const Pid& pid);
  awaitable<void> advance(Pid pid);
  // Again after `pause`, if the process is still where it is.
  void advance_later(const Pid& pid, dsp::NegotiationState state, int occurrence, Nanos pause);
  awaitable<void> wake(Pid pid, std::string key, Instant due, Nanos pause);
  struct Next {
    std::optional<Step> step;            // none: nothing now
    Nanos pause = 0;                     // not 0: look again then
    std::optional<Question> question{};  // for the hook
  };
  Result<Next> next_step(Process process) const;
  Result<Next> next_by_itself(Process process) const;
  Result<Next> next_of_request(Process process) const;
  Result<Next> next_of_offer(Process process) const;
  Situation situation_of(const Process& process) const;

  // --- decisions (approvals.cpp) ---
  Result<Next> wait_for_decision(Process process, Message why) const;
  audit::RecordDraft approval_requested(const Process& process, const Message& why) const;
  // `waited`: whether a decision was asked for before the step.
  Result<void> note_approval(Step& step, bool waited) const;
  awaitable<Result<void>> decide(
      Pid pid, Decider by, std::string decision, std::function<Result<Step>(Process)> make
  );
  Result<Step> approved(Process process) const;

  // --- decisions by a program (hook_decisions.cpp) ---
  Question question_for(const VisibleOffer& offer, const Process& process) const;
  // Unless it is being asked.
  void ask_soon(Question question);
  awaitable<void> ask(Question question, Runs::Run run);
  awaitable<Result<void>> follow(Pid pid, int occurrence, std::string hook, HookAnswer answer);
  awaitable<Result<void>> end_by_hook(Pid pid, int occurrence, Decider by, Message why);
  // The hook is not asked again.
  awaitable<Result<void>> leave_to_person(Pid pid, int occurrence, std::string hook);

  // --- acts (negotiation_acts.cpp): what is sent, as a step. An act that cannot be done ends the
  // --- negotiation with the reason; an Error leaves it where it is.
  // Why nothing can go out under this policy to `peer`, or come from it: there are no two that sign
  // and answer `/tally/v1`.
  std::optional<Message> lacks_key_exchange(const odrl::CompiledPolicy& policy, const PartyId& peer)
      const;
  // Why somebody whom this policy wants told of uses here could not be.
  std::optional<Message> lacks_informing(const odrl::CompiledPolicy& policy, const PartyId& peer)
      const;
  // In which way what the consumer asks for goes beyond `offer`; nullopt: it stays within.
  std::optional<Message> goes_beyond(const VisibleOffer& offer, const Process& process) const;
  // What a message with the policy on the table says in `@context` beside the protocol's.
  dsp::Contexts contexts_to(const Process& process) const;
  Result<Step> act(Process process, const Reaction& reaction) const;
  Result<Step> ended(Process process, const Message& reason) const;
  // An offer: `policy`, or what the catalogue offers. Errors: invalid, as of own_offer.
  Result<Step> offer(Process process, const std::optional<Json>& policy) const;
  // Asks for `policy`, or for the same as before.
  Result<Step> counter(Process process, const std::optional<Json>& policy) const;
  Result<Step> agree(Process process) const;
  Result<Step> accept_offer(Process process) const;
  Result<Step> verify(Process process) const;
  Result<Step> finalise(Process process) const;
  // Puts the agreement in force with the step: its row and its record contract.finalized
  // (put_in_force.cpp).
  Result<void> put_in_force(Step& step, Agreement agreement) const;
};

}  // namespace tally::negotiation
