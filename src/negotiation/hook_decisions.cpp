// Decisions by a program of the operator: what it is asked, and what follows from its answer. A row
// that waits is all that is kept of a question, so that a restart asks it again.
#include <utility>

#include <nlohmann/json.hpp>

#include "tally/odrl/compare.hpp"

#include "negotiation_state.hpp"

namespace tally::negotiation {

namespace {

Json as_json(const std::optional<odrl::Widening>& wide) {
  if (!wide) return nullptr;
  Json act = Json::array();
  for (const auto& one : wide->witness) {
    act.push_back({{"operand", one.operand}, {"value", one.value}});
  }
  return {
      {"constraint", wide->left_operand},
      {"pointer", wide->pointer},
      {"required", wide->required},
      {"found", wide->found},
      {"act", std::move(act)}};
}

using MakeStep = std::function<Result<Step>(Process)>;

// An answer is to one question: the request that came later is another one.
MakeStep to_question(int occurrence, MakeStep make) {
  return [occurrence, make = std::move(make)](Process process) -> Result<Step> {
    if (process.occurrence() == occurrence) return make(std::move(process));
    return fail(
        ErrorKind::conflict,
        {"negotiation.nothing-to-decide", {{"state", std::string(dsp::to_string(process.state))}}}
    );
  };
}

}  // namespace

Question NegotiationService::State::question_for(const VisibleOffer& offer, const Process& process)
    const {
  // The program knows no context of the peer's: it gets the words as IRIs.
  const Json request = dsp::with_words(*process.offer, process.reading);
  return {
      offer.hook,
      process.pid,
      situation_of(process),
      offer.policy,
      request,
      as_json(odrl::widens(offer.policy, dsp::as_read(*process.offer, process.reading)))};
}

void NegotiationService::State::ask_soon(Question question) {
  auto run = asking.begin(question.pid.value + " " + std::to_string(question.situation.occurrence));
  if (!run) return;  // it is being asked
  parts.tasks.spawn("hook", ask(std::move(question), std::move(*run)));
}

awaitable<void> NegotiationService::State::ask(Question question, Runs::Run run) {
  (void)run;  // its name is taken until this ends
  const Pid pid = question.pid;
  const int occurrence = question.situation.occurrence;
  const std::string hook = question.hook;
  auto answer = co_await parts.hook->ask(std::move(question));
  auto done = co_await follow(pid, occurrence, hook, std::move(answer));
  // Somebody decided meanwhile, or the peer moved on: what the hook says is of no use any more.
  if (done || done.error().message.code == "negotiation.nothing-to-decide") co_return;
  parts.notices.note(Severity::warning, done.error().message);
}

awaitable<Result<void>> NegotiationService::State::follow(
    Pid pid, int occurrence, std::string hook, HookAnswer answer
) {
  using Decision = HookAnswer::Decision;
  const Decider by{"hook", answer.key};
  if (answer.decision == Decision::wait) {
    co_return co_await leave_to_person(pid, occurrence, std::move(hook));
  }
  if (answer.decision == Decision::agree) {
    auto make = [this](Process process) { return approved(std::move(process)); };
    auto done = co_await decide(pid, by, "approved", to_question(occurrence, std::move(make)));
    const bool refused = !done && done.error().kind == ErrorKind::conflict &&
                         done.error().message.code != "negotiation.nothing-to-decide";
    if (!refused) co_return done;
    // Nobody can agree to it, and there is no person who could do something else.
    co_return co_await end_by_hook(pid, occurrence, by, done.error().message);
  }
  if (answer.decision == Decision::reject) {
    Message why{"negotiation.rejected", {}};
    if (!answer.reason.empty()) why = {"negotiation.rejected-saying", {{"reason", answer.reason}}};
    co_return co_await end_by_hook(pid, occurrence, by, std::move(why));
  }
  if (answer.decision == Decision::counter) {
    auto make = [this, policy = answer.policy](Process process) {
      return offer(std::move(process), policy);
    };
    auto done = co_await decide(pid, by, "countered", to_question(occurrence, std::move(make)));
    if (done || done.error().kind != ErrorKind::invalid) co_return done;
    answer.fault = done.error().message;
  }
  parts.notices.note(
      Severity::warning,
      {"negotiation.hook-failed",
       {{"hook", hook},
        {"process", pid.value},
        {"code", answer.fault.code},
        {"why", render(answer.fault, Lang::en)}}}
  );
  co_return co_await end_by_hook(pid, occurrence, by, {"negotiation.hook-silent", {}});
}

awaitable<Result<void>> NegotiationService::State::end_by_hook(
    Pid pid, int occurrence, Decider by, Message why
) {
  auto make = [this, why](Process process) { return ended(std::move(process), why); };
  co_return co_await decide(pid, by, "rejected", to_question(occurrence, std::move(make)));
}

awaitable<Result<void>> NegotiationService::State::leave_to_person(
    Pid pid, int occurrence, std::string hook
) {
  for (;;) {
    auto found = find(pid);
    if (!found) co_return fail(std::move(found));
    if (!*found || !(*found)->approval || (*found)->occurrence() != occurrence) {
      co_return Result<void>{};
    }
    Step step;
    step.process = std::move(**found);
    const Message left{"negotiation.waits-by-hook", {{"hook", hook}}};
    auto& approval = *step.process.approval;
    approval.person = true;
    // In which way a request goes beyond the offer says more.
    if (approval.why.code == "negotiation.waits-for-hook") approval.why = left;
    note_local(step.process, "left to a person", "hook");
    step.drafts.push_back(approval_requested(step.process, left));
    auto done = co_await commit(std::move(step));
    if (!done && done.error().kind == ErrorKind::conflict) continue;
    co_return done;
  }
}

}  // namespace tally::negotiation
