// Decisions: what waits for one, and what follows from it.
#include <utility>

#include <nlohmann/json.hpp>

#include "tally/odrl/compare.hpp"

#include "negotiation_state.hpp"

namespace tally::negotiation {

using dsp::NegotiationState;
using dsp::Role;

audit::RecordDraft NegotiationService::State::approval_requested(
    const Process& process, const Message& why
) const {
  auto record = draft("approval.requested", process);
  record.set("asset", process.asset.value).set("offer", process.offer_id.value);
  record.set("policy", sha256(to_jcs(*process.offer)));
  record.set("reason", bounded(why));
  return record;
}

// The step that makes a decision necessary; once made, nothing more happens by itself.
Result<NegotiationService::State::Next> NegotiationService::State::wait_for_decision(
    Process process, Message why
) const {
  if (process.approval) return Next{};
  Step step;
  step.process = std::move(process);
  step.process.approval = Process::Approval{now(), bounded(std::move(why))};
  step.drafts.push_back(approval_requested(step.process, step.process.approval->why));
  return Next{std::move(step)};
}

// The row by which what waits is found; in the transaction of the step that begins or ends it.
Result<void> NegotiationService::State::note_approval(Step& step, bool waited) const {
  const bool waits = step.process.approval.has_value();
  if (waited == waits) return {};
  auto known = parts.store.row(approval_kind, step.process.pid.value);
  if (!known) return fail(std::move(known));
  Row row;
  if (*known) row = std::move(**known);
  row.kind = approval_kind;
  row.id = step.process.pid.value;
  row.state = waits ? "waiting" : step.decided;
  row.owner = to_string(step.process.peer);
  row.body = "{}";
  step.rows.push_back(std::move(row));
  return {};
}

awaitable<Result<void>> NegotiationService::State::decide(
    Pid pid, Decider by, std::string decision, std::function<Result<Step>(Process)> make
) {
  for (;;) {
    auto found = find(pid);
    if (!found) co_return fail(std::move(found));
    if (!*found) co_return fail(ErrorKind::not_found, {"negotiation.unknown-process", {}});
    Process process = std::move(**found);
    if (!process.approval) {
      const Message nothing{
          "negotiation.nothing-to-decide",
          {{"state", std::string(dsp::to_string(process.shown()))}}};
      co_return fail(ErrorKind::conflict, nothing);
    }
    process.approval.reset();
    note_local(process, decision, by.role);
    const bool approved = decision == "approved";
    auto record = draft(approved ? "approval.approved" : "approval.rejected", process);
    record.set("decision", decision);
    record.set_json("decidedBy", Json{{"role", by.role}, {"token", by.token}});
    auto step = make(std::move(process));
    if (!step) co_return fail(std::move(step));
    step->decided = decision;
    // The decision stands before what follows from it.
    step->drafts.insert(step->drafts.begin(), std::move(record));
    auto taken = std::move(*step);
    auto done = co_await commit(std::move(taken));
    if (!done && done.error().kind == ErrorKind::conflict) continue;
    if (done) advance_soon(pid);
    co_return done;
  }
}

// What would follow by itself if nothing had to be decided.
Result<Step> NegotiationService::State::approved(Process process) const {
  // An approval is no way round what is wrong with what the peer sent.
  if (process.objection) return fail(ErrorKind::conflict, *process.objection);
  auto against = objection_to(process.peer);
  if (!against) return fail(std::move(against));
  if (*against) return fail(ErrorKind::conflict, **against);
  if (auto waits = waits_for(process.peer)) return fail(ErrorKind::unavailable, *std::move(waits));
  if (process.role == Role::consumer) {
    if (process.state == NegotiationState::offered) return accept_offer(std::move(process));
    if (process.state == NegotiationState::agreed) return verify(std::move(process));
  } else if (process.state == NegotiationState::verified) {
    return finalise(std::move(process));
  } else if (process.state == NegotiationState::accepted) {
    return agree(std::move(process));
  } else if (process.state == NegotiationState::requested) {
    const auto offer = parts.offers.find(process.offer_id, process.asset, process.viewer());
    auto beyond = offer ? goes_beyond(*offer, process) : std::nullopt;
    if (beyond) return fail(ErrorKind::conflict, *std::move(beyond));
    return agree(std::move(process));
  }
  const Message nothing{
      "negotiation.nothing-to-decide", {{"state", std::string(dsp::to_string(process.state))}}};
  return fail(ErrorKind::conflict, nothing);
}

awaitable<Result<void>> NegotiationService::approve(Pid pid, Decider by) {
  auto make = [this](Process process) { return state_->approved(std::move(process)); };
  co_return co_await state_->decide(std::move(pid), std::move(by), "approved", std::move(make));
}

awaitable<Result<void>> NegotiationService::reject(Pid pid, Decider by, std::string reason) {
  Message why{"negotiation.rejected", {}};
  if (!reason.empty()) why = {"negotiation.rejected-saying", {{"reason", std::move(reason)}}};
  auto make = [this, why](Process process) { return state_->ended(std::move(process), why); };
  co_return co_await state_->decide(std::move(pid), std::move(by), "rejected", std::move(make));
}

awaitable<Result<void>> NegotiationService::counter(Pid pid, Decider by, Json policy) {
  auto make = [this, policy = std::move(policy)](Process process) -> Result<Step> {
    if (process.role == Role::provider && process.state == NegotiationState::requested) {
      return state_->offer(std::move(process), policy);
    }
    if (process.role == Role::consumer && process.state == NegotiationState::offered) {
      return state_->counter(std::move(process), policy);
    }
    const Message cannot{
        "negotiation.cannot-counter", {{"state", std::string(dsp::to_string(process.state))}}};
    return fail(ErrorKind::conflict, cannot);
  };
  co_return co_await state_->decide(std::move(pid), std::move(by), "countered", std::move(make));
}

Result<std::vector<Json>> NegotiationService::approvals() const {
  auto rows = all_rows(state_->parts.store, approval_kind, "waiting");
  if (!rows) return fail(std::move(rows));
  std::vector<Json> all;
  for (const auto& row : *rows) {
    auto found = state_->find(Pid(row.id));
    if (!found) return fail(std::move(found));
    if (!*found || !(*found)->approval) continue;
    const Process& process = **found;
    Json item = {
        {"id", process.pid.value},
        {"role", dsp::to_string(process.role)},
        {"peer", to_json(process.peer)},
        {"state", dsp::to_string(process.shown())},
        {"offer", process.offer_id.value},
        {"asset", process.asset.value},
        {"since", format_micros(process.approval->since)},
        {"why", to_json(process.approval->why)},
        {"policy", *process.offer}};
    if (!process.reading.is_plain()) item["reading"] = dsp::to_json(process.reading);
    if (!process.asked->is_null()) item["asked"] = *process.asked;
    if (process.objection) item["objection"] = to_json(*process.objection);
    if (process.approval->person) item["leftByHook"] = true;
    all.push_back(std::move(item));
  }
  return all;
}

}  // namespace tally::negotiation
