#include "tally/transfer/end_all.hpp"

#include <set>
#include <utility>

#include <nlohmann/json.hpp>

#include "tally/dsp/binding.hpp"
#include "tally/transfer/token_registry.hpp"

#include "transfer_process.hpp"

namespace tally::transfer {

namespace {

using dsp::TransferState;

class Ending {
 public:
  Ending(Store& store, const negotiation::EndAll& how, Transaction& change)
      : store_(store), how_(how), change_(change), now_(how.clock.read().at) {}

  Result<std::size_t> run() {
    auto rows = all_rows(store_, process_kind);
    if (!rows) return fail(std::move(rows));
    for (const Row& row : *rows) {
      if (auto done = end(row); !done) return fail(std::move(done));
    }
    auto messages = store_.messages();
    if (!messages) return fail(std::move(messages));
    for (const OutgoingMessage& message : *messages) {
      if (ended_.contains(message.process)) change_.delivered_messages.push_back(message.id);
    }
    return ended_.size();
  }

 private:
  Result<void> end(const Row& row) {
    auto process = parse_process(row);
    if (!process) return fail(std::move(process));
    if (dsp::is_final(process->state)) return {};
    ended_.insert(process->key());
    process->pending.reset();
    process->enter(TransferState::terminated, now_);
    process->reason = how_.reason;
    process->ended_by_peer = false;
    process->token.clear();
    process->history.add({format_micros(now_), "local", "terminate", "", how_.reason.code});
    audit::RecordDraft draft("transfer.terminated", new_event(how_.random, now_));
    draft.about(process->agreement).set("actor", how_.self).set("counterparty", process->peer);
    draft.set("pid", process->pid.value).set("role", dsp::to_string(process->role));
    draft.set("reason", how_.reason).set("by", "self");
    change_.drafts.push_back({draft.event().value, how_.log_size, draft.to_text()});
    auto tokens = TokenRegistry::rows_of(store_, process->pid);
    if (!tokens) return fail(std::move(tokens));
    for (Row& token : *tokens) change_.erases.push_back(std::move(token));
    if (!process->peer_pid.empty()) tell(*process);
    change_.puts.push_back(to_row(*process));
    return {};
  }

  // The process is at its end already, whatever the peer answers.
  void tell(const Process& process) {
    auto message =
        negotiation::addressed<dsp::TransferTerminationMessage>(process.pids(), how_.random);
    message.code = how_.reason.code;
    message.reason = negotiation::reason_list(how_.reason);
    const auto url =
        dsp::join_url(process.peer_base, dsp::transfer_path(process.peer_pid, "termination"));
    change_.messages.push_back(
        negotiation::outgoing(process.key(), process.peer, url, dsp::to_json(message), now_)
    );
  }

  Store& store_;
  const negotiation::EndAll& how_;
  Transaction& change_;
  const Instant now_;
  std::set<std::string> ended_;  // keys of processes
};

}  // namespace

Result<std::size_t> end_all(Store& store, const negotiation::EndAll& how, Transaction& change) {
  return Ending(store, how, change).run();
}

}  // namespace tally::transfer
