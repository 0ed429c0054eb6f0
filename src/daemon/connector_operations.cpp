// What an operator, an auditor or a local application asks of the connector.
#include <utility>

#include <nlohmann/json.hpp>

#include "tally/audit/story.hpp"
#include "tally/audit/trace.hpp"
#include "tally/negotiation/agreement.hpp"

#include "connector.hpp"

namespace tally::daemon {

std::string Connector::log_folder() const {
  return (config_.folder / "log").string();
}

awaitable<Result<Json>> Connector::history(AgreementId agreement, Lang lang) {
  Result<audit::Story> story = fail(ErrorKind::unavailable, {"api.internal", {}});
  auto job = [this, &story, &agreement] {
    auto storage = audit::open_log_folder(log_folder(), audit::FolderAccess::read_only);
    if (!storage) {
      story = fail(std::move(storage));
      return;
    }
    story = audit::tell_story({storage->get()}, agreement);
  };
  co_await worker_->run(std::move(job));
  if (!story) co_return fail(std::move(story));
  Json rows = Json::array();
  for (const auto& row : story->rows) {
    rows.push_back(
        {{"time", row.time},
         {"seq", row.seq},
         {"type", row.type},
         {"summary",
          {{"code", row.summary.code},
           {"params", row.summary.params},
           {"text", render(row.summary, lang)}}}}
    );
  }
  co_return Json{{"agreement", agreement.value}, {"rows", std::move(rows)}};
}

awaitable<Result<Json>> Connector::lineage(std::string artefact) {
  std::string content = artefact;
  if (!parse_digest_text(artefact)) {
    const auto row = store_->row("artefact", artefact);
    if (!row) co_return tl::unexpected(row.error());
    const auto body = *row ? Json::parse((*row)->body, nullptr, false) : Json();
    content = body.is_object() ? body.value("content", std::string()) : std::string();
  }
  Result<audit::Trace> trace = fail(ErrorKind::unavailable, {"api.internal", {}});
  auto job = [this, &trace, &content] {
    auto storage = audit::open_log_folder(log_folder(), audit::FolderAccess::read_only);
    if (!storage) {
      trace = fail(std::move(storage));
      return;
    }
    trace = audit::trace_lineage({audit::records_of(**storage)}, content, audit::Direction::both);
  };
  if (content.empty()) {
    const Message unknown{"audit.trace-unknown", {{"start", artefact}}};
    co_return fail(ErrorKind::not_found, unknown);
  }
  co_await worker_->run(std::move(job));
  if (!trace) co_return fail(std::move(trace));
  co_return audit::to_json(*trace);
}

awaitable<Result<void>> Connector::set_status(AgreementId id, negotiation::AgreementStatus status) {
  for (;;) {
    auto found = negotiation::find_agreement(*store_, id);
    if (!found) co_return fail(std::move(found));
    if (!*found || (*found)->status == status) co_return Result<void>{};
    (*found)->status = status;
    Transaction transaction;
    transaction.puts.push_back(negotiation::to_row(**found));
    auto committed = co_await journal_->commit(std::move(transaction), {});
    if (committed) co_return Result<void>{};
    if (committed.error().kind != ErrorKind::conflict) co_return fail(std::move(committed));
  }
}

awaitable<Result<void>> Connector::after_end(AgreementId id, Message why) {
  statements_->ended(id);
  auto running = transfers_->list();
  if (!running) co_return fail(std::move(running));
  for (const auto& process : *running) {
    const auto state = process.value("state", "");
    if (process.value("agreement", "") != id.value || state == "TERMINATED" ||
        state == "COMPLETED") {
      continue;
    }
    Pid pid(process.value("id", ""));
    Message told = why;
    // A transfer that ended meanwhile needs no ending.
    auto ended = co_await transfers_->terminate(std::move(pid), std::move(told));
    if (!ended && ended.error().kind == ErrorKind::unavailable) co_return ended;
  }
  // Free text stays out of the log: what somebody typed may name a person.
  why.params.erase("reason");
  if (keeper_) co_return co_await keeper_->destroy(id, why);
  co_return Result<void>{};
}

awaitable<Result<Json>> Connector::rotate_log_key(Nanos overlap) {
  auto told = [this](const audit::LogKeys& keys) { sender_->rotated(keys); };
  co_return co_await log_key_->rotate(overlap, std::move(told));
}

awaitable<Result<Json>> Connector::prune_log(Lang lang) {
  if (!pruning_) co_return fail(ErrorKind::conflict, {"daemon.no-retention", {}});
  auto outcome = co_await pruning_->prune();
  if (!outcome) co_return fail(std::move(outcome));
  const auto first = audit::first_kept(*log_storage_);
  if (!first) co_return tl::unexpected(first.error());
  Json body = {
      {"pruned", nullptr},
      {"first", *first},
      {"why",
       {{"code", outcome->why.code},
        {"params", outcome->why.params},
        {"text", render(outcome->why, lang)}}}};
  if (const auto& pruned = outcome->pruned) {
    body["pruned"] = {
        {"from", pruned->from},
        {"to", pruned->to},
        {"root", digest_text(pruned->root)},
        {"snapshot", digest_text(pruned->snapshot)}};
  }
  co_return body;
}

awaitable<Result<Json>> Connector::back_up() {
  co_return co_await backups_->make();
}

awaitable<Result<Instant>> Connector::advance_clock(Nanos span) {
  if (!clock_.is_test()) co_return fail(ErrorKind::conflict, {"daemon.clock-not-test", {}});
  audit::RecordDraft draft("admin.action", new_event(random_, clock_.read().at));
  draft.set("action", "clock.advanced").set("seconds", span / nanos_per_second);
  auto recorded = co_await audit::append(*log_, std::move(draft));
  if (!recorded) co_return fail(std::move(recorded));
  auto moved = clock_.advance(span);
  if (!moved) co_return fail(std::move(moved));
  if (keeper_) keeper_->kick();
  statements_->kick();
  co_return clock_.read().at;
}

awaitable<Result<void>> Connector::ordered(api::AdminOrder order) {
  audit::RecordDraft draft("admin.action", new_event(random_, clock_.read().at));
  draft.set("action", order.action).set("role", api::to_string(order.role));
  draft.set("token", order.credential);
  if (!order.target.empty()) draft.set("target", order.target);
  if (facts_of_log_) {
    // Who that was may be a person.
    auto fact = co_await facts_of_log_->keep_fact(order.principal, {{"token", order.principal}});
    if (fact) draft.set("private", *fact);
    if (!fact && !order.ends) co_return fail(std::move(fact));
  }
  const auto priority = order.ends ? audit::Priority::reserved : audit::Priority::ordinary;
  auto recorded = co_await audit::append(*log_, std::move(draft), priority);
  if (!recorded) co_return fail(std::move(recorded));
  co_return Result<void>{};
}

awaitable<Result<std::vector<std::uint64_t>>> Connector::erase(api::Erasure erasure) {
  if (!facts_of_log_) co_return fail(ErrorKind::conflict, {"api.no-private-store", {}});
  co_return co_await facts_of_log_->erase(std::move(erasure));
}

awaitable<Result<Json>> Connector::opening(std::uint64_t seq) {
  if (!facts_of_log_) co_return fail(ErrorKind::conflict, {"api.no-private-store", {}});
  co_return co_await facts_of_log_->opening(seq);
}

// --- what custody holds ---

}  // namespace tally::daemon
