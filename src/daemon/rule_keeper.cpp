#include "rule_keeper.hpp"

#include <utility>

#include <nlohmann/json.hpp>

#include "document_folder.hpp"

namespace tally::daemon {

namespace {

Json to_json(const negotiation::Rule& rule) {
  const auto& reaction = rule.reaction;
  Json out = {
      {"rule", reaction.rule},
      {"process", negotiation::to_string(rule.process)},
      {"role", dsp::to_string(rule.role)},
      {"state", rule.state},
      {"after",
       format_duration(
           {0,
            reaction.after / nanos_per_second,
            static_cast<std::int32_t>(reaction.after % nanos_per_second)}
       )},
      {"do", negotiation::to_string(reaction.act)}};
  if (rule.occurrence != 0) out["occurrence"] = rule.occurrence;
  if (rule.peer) {
    out["peer"] = {{"domain", rule.peer->domain}};
    if (!rule.peer->uri.empty()) out["peer"]["uri"] = rule.peer->uri;
  }
  if (!rule.asset.empty()) out["asset"] = rule.asset;
  if (!rule.agreement.empty()) out["agreement"] = rule.agreement;
  if (!rule.offer.empty()) out["offer"] = rule.offer;
  if (!reaction.reason.empty()) out["reason"] = reaction.reason;
  if (reaction.policy) out["policy"] = *reaction.policy;
  return out;
}

}  // namespace

RuleKeeper::RuleKeeper(
    RuleKeeperParts parts,
    std::filesystem::path folder,
    const Limits& limits,
    std::vector<std::string> domains
)
    : parts_(std::move(parts)),
      folder_(std::move(folder)),
      limits_(limits),
      domains_(std::move(domains)),
      current_(std::make_shared<const negotiation::RuleBook>()) {}

std::shared_ptr<const negotiation::RuleBook> RuleKeeper::current() const {
  const std::lock_guard lock(mutex_);
  return current_;
}

awaitable<RuleKeeper::Fresh> RuleKeeper::read() {
  std::vector<catalog::Document> documents;
  Digest seen{};
  std::string digest;
  auto job = [&] {
    // Before the files: one that changes while it is read is read again.
    seen = fingerprint({folder_});
    documents = read_folder(folder_, limits_.policy_bytes);
    Json digests = Json::object();
    for (const auto& document : documents) {
      digests[document.name] = digest_text(sha256(document.bytes));
    }
    if (!documents.empty()) digest = digest_text(sha256(to_jcs(digests)));
  };
  co_await parts_.worker.run(std::move(job));
  seen_ = seen;
  co_return Fresh{negotiation::read_rules(documents, limits_, domains_), std::move(digest)};
}

void RuleKeeper::put_in_force(Fresh fresh) {
  for (const auto& problem : fresh.read.problems) {
    parts_.notices.note(
        Severity::warning,
        {"daemon.document-refused",
         {{"file", problem.file},
          {"pointer", problem.pointer.empty() ? "/" : problem.pointer},
          {"code", problem.message.code},
          {"why", render(problem.message, Lang::en)}}}
    );
  }
  digest_ = std::move(fresh.digest);
  const std::lock_guard lock(mutex_);
  current_ = std::move(fresh.read.book);
  problems_ = std::move(fresh.read.problems);
}

awaitable<void> RuleKeeper::load() {
  put_in_force(co_await read());
}

awaitable<void> RuleKeeper::watch() {
  for (;;) {
    co_await parts_.timers.sleep_for(seconds(1));
    Digest now{};
    auto job = [this, &now] { now = fingerprint({folder_}); };
    co_await parts_.worker.run(std::move(job));
    if (now == seen_) continue;
    const auto reloaded = co_await reload();
    if (!reloaded) parts_.notices.note(Severity::error, reloaded.error().message);
  }
}

awaitable<Result<void>> RuleKeeper::reload() {
  auto fresh = co_await read();
  if (fresh.digest == digest_) co_return Result<void>{};  // touched, and nothing else
  auto recorded = co_await parts_.record(fresh.digest);
  if (!recorded) {
    seen_ = {};  // again in a second
    co_return recorded;
  }
  put_in_force(std::move(fresh));
  parts_.notices.note(
      Severity::info,
      {"daemon.rules-in-force", {{"rules", std::to_string(current()->rules().size())}}}
  );
  parts_.changed();
  co_return Result<void>{};
}

std::optional<negotiation::Reaction> RuleKeeper::find(const negotiation::Situation& situation
) const {
  return current()->find(situation);
}

std::vector<Json> RuleKeeper::rules() const {
  const auto book = current();
  std::vector<Json> out;
  out.reserve(book->rules().size());
  for (const auto& rule : book->rules()) out.push_back(to_json(rule));
  return out;
}

std::vector<Json> RuleKeeper::problems(Lang lang) const {
  const std::lock_guard lock(mutex_);
  return daemon::to_json(problems_, lang);
}

}  // namespace tally::daemon
