#include "tally/negotiation/end_all.hpp"

#include <set>
#include <utility>

#include <nlohmann/json.hpp>

#include "tally/dsp/binding.hpp"
#include "tally/negotiation/agreement.hpp"
#include "tally/negotiation/delivery.hpp"

#include "negotiation_process.hpp"

namespace tally::negotiation {

namespace {

using dsp::NegotiationState;

class Ending {
 public:
  Ending(Store& store, const EndAll& how, Transaction& change)
      : store_(store), how_(how), change_(change), now_(how.clock.read().at) {}

  Result<Ended> run() {
    const auto agreement = [this](const Row& row) { return end_agreement(row); };
    const auto process = [this](const Row& row) { return end_process(row); };
    if (auto done = each("agreement", agreement); !done) return fail(std::move(done));
    if (auto done = each(process_kind, process); !done) return fail(std::move(done));
    auto messages = store_.messages();
    if (!messages) return fail(std::move(messages));
    for (const OutgoingMessage& message : *messages) {
      if (ended_.contains(message.process)) change_.delivered_messages.push_back(message.id);
    }
    return count_;
  }

 private:
  template <class End>
  Result<void> each(std::string_view kind, End end) {
    auto rows = all_rows(store_, kind);
    if (!rows) return fail(std::move(rows));
    for (const Row& row : *rows) {
      if (auto done = end(row); !done) return done;
    }
    return {};
  }

  void record(const AgreementId& agreement, const PartyId& peer, const Pid& pid) {
    audit::RecordDraft draft("contract.terminated", new_event(how_.random, now_));
    if (!agreement.empty()) draft.about(agreement);
    draft.set("actor", how_.self).set("counterparty", peer).set("pid", pid.value);
    draft.set("reason", how_.reason).set("by", "self");
    change_.drafts.push_back({draft.event().value, how_.log_size, draft.to_text()});
  }

  Result<void> end_agreement(const Row& row) {
    auto agreement = parse_agreement(row);
    if (!agreement) return fail(std::move(agreement));
    if (agreement->status == AgreementStatus::terminated ||
        agreement->status == AgreementStatus::expired) {
      return {};
    }
    agreement->status = AgreementStatus::terminated;
    change_.puts.push_back(to_row(*agreement));
    record(agreement->id, agreement->peer(), agreement->negotiation);
    recorded_.insert(agreement->id.value);
    ++count_.agreements;
    return {};
  }

  Result<void> end_process(const Row& row) {
    auto process = parse_process(row);
    if (!process) return fail(std::move(process));
    if (dsp::is_final(process->state)) return {};
    ended_.insert(process->key());
    process->pending.reset();
    process->enter(NegotiationState::terminated, now_);
    process->reason = how_.reason;
    process->ended_by_peer = false;
    process->history.add({format_micros(now_), "local", "terminate", "", how_.reason.code});
    if (!recorded_.contains(process->agreement.value)) {
      record(process->agreement, process->peer, process->pid);
    }
    if (!process->peer_pid.empty()) tell(*process);
    change_.puts.push_back(to_row(*process));
    ++count_.processes;
    return {};
  }

  // The process is at its end already, whatever the peer answers.
  void tell(const Process& process) {
    auto message =
        addressed<dsp::ContractNegotiationTerminationMessage>(process.pids(), how_.random);
    message.code = how_.reason.code;
    message.reason = reason_list(how_.reason);
    const auto url =
        dsp::join_url(process.peer_base, dsp::negotiation_path(process.peer_pid, "termination"));
    change_.messages.push_back(
        outgoing(process.key(), process.peer, url, dsp::to_json(message), now_)
    );
  }

  Store& store_;
  const EndAll& how_;
  Transaction& change_;
  const Instant now_;
  Ended count_;
  std::set<std::string> recorded_;  // agreements
  std::set<std::string> ended_;     // keys of processes
};

}  // namespace

Result<Ended> end_all(Store& store, const EndAll& how, Transaction& change) {
  return Ending(store, how, change).run();
}

}  // namespace tally::negotiation
