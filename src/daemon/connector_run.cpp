// A connector from its start to its end: threads, signals, what is done by itself.
#include <csignal>
#include <string_view>
#include <utility>

#include <boost/asio/co_spawn.hpp>
#include <boost/asio/signal_set.hpp>

#include "connector.hpp"
#include "in_force.hpp"
#include "program_pages.hpp"
#include "service_manager.hpp"
#include "serving.hpp"

namespace tally::daemon {

namespace {

// As a shell takes it for one word.
std::string shell_word(const std::string& text) {
  constexpr std::string_view plain =
      "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789_./:-@%+=,";
  if (!text.empty() && text.find_first_not_of(plain) == std::string::npos) return text;
  std::string word = "'";
  for (const char c : text) {
    if (c == '\'') {
      word += "'\\''";
    } else {
      word += c;
    }
  }
  return word + "'";
}

std::string address_of(const Listener& listener) {
  if (!listener.socket.empty()) return listener.socket;
  const bool v6 = listener.address.find(':') != std::string::npos;
  return (v6 ? "[" + listener.address + "]" : listener.address) + ":" +
         std::to_string(listener.port);
}

}  // namespace

int Connector::run() {
  store_thread_ = std::make_unique<store::StoreThread>(*store_);
  log_thread_ = std::make_unique<audit::LogThread>(*log_);

  std::vector<std::thread> threads;
  std::vector<boost::asio::executor_work_guard<boost::asio::io_context::executor_type>> guards;
  for (auto& context : contexts_) {
    guards.emplace_back(context->get_executor());
    threads.emplace_back([&context] { context->run(); });
  }

  boost::asio::signal_set signals(home_, SIGTERM, SIGINT, SIGHUP);
  std::function<void()> wait = [&] {
    signals.async_wait([&](boost::system::error_code failed, int signal) {
      if (failed) return;
      if (signal == SIGHUP) {
        if (serving_) reload_in_background();
        reload_after_start_ = !serving_;
        return wait();
      }
      // A second signal ends what the first one left to finish.
      if (std::exchange(stopping_, true)) return home_.stop();
      boost::asio::co_spawn(home_, stop(), [&](std::exception_ptr) { signals.cancel(); });
      wait();
    });
  };
  wait();
  boost::asio::co_spawn(home_, start_and_report(), [&](std::exception_ptr fault) {
    if (!fault && exit_code_ == 0) return;
    if (fault) exit_code_ = 1;
    signals.cancel();
    home_.stop();
  });
  home_.run();

  for (auto& guard : guards) guard.reset();
  for (auto& context : contexts_) context->stop();
  for (auto& thread : threads) thread.join();
  query_worker_.reset();
  worker_.reset();  // joins its threads: nothing completes after this
  log_thread_.reset();
  if (log_->failed()) {
    exit_code_ = 1;
  } else if (auto closed = log_->close(); !closed) {
    notices_.note(Severity::error, closed.error().message);
    exit_code_ = 1;
  }
  store_thread_.reset();
  // One more signal from an impatient service manager must not turn a clean stop into a kill: this
  // is the last thread, and from here on only memory is given back.
  sigset_t late;
  sigemptyset(&late);
  for (const int signal : {SIGTERM, SIGINT, SIGHUP}) sigaddset(&late, signal);
  pthread_sigmask(SIG_BLOCK, &late, nullptr);
  return exit_code_;
}

awaitable<void> Connector::start_and_report() {
  auto started = co_await start();
  if (started && !stopping_) started = listen();
  starting_ = false;
  if (started && stopping_) co_return;
  if (!started) {
    notices_.note(Severity::error, started.error().message);
    exit_code_ = 1;
    co_return;
  }
  if (genesis_.test) notices_.note(Severity::warning, {"daemon.test-log", {}});
  if (config_.peers && config_.credential_peers) {
    notices_.note(
        Severity::info,
        {"daemon.serving-by-credential", {{"peers", config_.credential_peers->public_url}}}
    );
  }
  if (config_.former_form) notices_.note(Severity::warning, {"daemon.config-former-form", {}});
  say_insecure();
  say_ending();
  say_serving();
  tell_service_manager("READY=1");
  give_back_program_pages();
  if (std::exchange(reload_after_start_, false)) reload_in_background();
}

// The last line of a start: what a person wants to know first, and what to do next.
void Connector::say_serving() const {
  std::vector<PartyId> known;
  known.reserve(config_.known_peers.size());
  for (const auto& peer : config_.known_peers) known.push_back(peer.party);
  const auto reach = catalog_->reach(known);
  const auto folder = shell_word(config_.folder.string());
  const auto next = known.empty() ? "tally peer " + folder + " DOMAIN:URI https://HOST:PORT"
                                  : "tally --connector " + folder + " catalog " +
                                        shell_word(known.front().domain + ":" + known.front().uri);
  notices_.note(
      Severity::info,
      {"daemon.serving",
       {{"uri", config_.participant.uri},
        {"peers", (config_.peers ? config_.peers : config_.credential_peers)->public_url},
        {"listens", address_of(config_.peers ? *config_.peers : *config_.credential_peers)},
        {"apps", address_of(config_.apps)},
        {"management", address_of(config_.management)},
        {"offers", std::to_string(reach.offers)},
        {"assets", std::to_string(reach.assets)},
        {"readers", std::to_string(reach.parties)},
        {"known", std::to_string(known.size())},
        {"agreements", std::to_string(enforcer_->agreements().size())},
        {"next", next}}}
  );
}

awaitable<Result<void>> Connector::start() {
  // First what the log lacks, then everything that is the sum of log and store.
  auto search = std::move(*outbox_);
  outbox_.reset();
  if (auto done = contacts_->load(); !done) co_return done;
  if (auto done = negotiations_->load(); !done) co_return done;
  // Before anything is appended: has this log been set back?
  auto silent = co_await sender_->ask_first();
  if (!silent) co_return fail(std::move(silent));
  if (auto done = co_await journal_->replay(std::move(search)); !done) co_return done;
  if (!silent->empty()) {
    Json unwitnessed = Json::array();
    for (const auto& party : *silent) {
      unwitnessed.push_back({{"domain", party.domain}, {"uri", party.uri}});
    }
    audit::RecordDraft draft("log.opened", new_event(random_, clock_.read().at));
    draft.set_json("unwitnessed", unwitnessed);
    auto opened = co_await audit::append(*log_, std::move(draft));
    if (!opened) co_return fail(std::move(opened));
  }
  if (auto done = co_await webhooks_->start(); !done) co_return done;
  // Also of what was changed while nothing ran.
  auto digests = digests_in_force(config_, credentials_);
  if (!digests) co_return fail(std::move(digests));
  at_start_ = *digests;
  co_await rules_->load();
  *digests = with_rules(*std::move(digests), rules_->digest());
  if (!differing(from_log_->configuration.digests(), *digests).empty()) {
    auto changed = co_await record_configuration("start", *std::move(digests));
    if (!changed) co_return changed;
  }
  if (auto done = transfers_->load(); !done) co_return done;
  if (auto done = apps_->load(); !done) co_return done;
  if (auto done = holds_->load(); !done) co_return done;
  if (auto done = confirmations_->load(); !done) co_return done;
  if (auto done = co_await enforcer_->finish_replay(); !done) co_return done;
  if (keeper_) {
    if (auto done = co_await key_rotation_->start(from_log_->custody); !done) co_return done;
    if (auto done = holdings_->load(); !done) co_return done;
    if (auto done = co_await keeper_->start(); !done) co_return done;
    if (auto done = co_await derived_->tidy(); !done) co_return done;
    tasks_->spawn("keeper", keeper_->run());
    tasks_->spawn("key rotation", key_rotation_->run());
    tasks_->spawn("re-check", rechecker_->run());
  }
  if (auto done = co_await catalog_->reload(); !done) co_return fail(std::move(done));
  tasks_->spawn("catalogue", catalog_->watch());
  tasks_->spawn("rules", rules_->watch());
  tasks_->spawn("housekeeping", housekeeping());
  if (spans_) tasks_->spawn("spans", spans_->run());
  tasks_->spawn("snapshots", keep_snapshots());
  if (pruning_) tasks_->spawn("retention", keep_pruned());
  tasks_->spawn("checkpoints", sender_->run());
  for (const auto& id : enforcer_->agreements()) {
    const auto state = enforcer_->state(id);
    // A stop between an agreement's end and its statement.
    if (state && state->closed >= usage::Closed::expired) statements_->ended(id);
  }
  tasks_->spawn("statements", statements_->run());
  if (auto done = co_await informer_->start(); !done) co_return done;
  tasks_->spawn("informer", informer_->run());
  tasks_->spawn("duties", confirmations_->run());
  if (auto done = delivery_->resume(); !done) co_return done;
  if (auto done = negotiations_->resume(); !done) co_return done;
  if (auto done = transfers_->resume(); !done) co_return done;
  tasks_->spawn("ended agreements", agreement_orders_->finish());
  co_return Result<void>{};
}

awaitable<void> Connector::housekeeping() {
  constexpr Nanos look = milliseconds(500);
  std::uint64_t hours = 0;
  for (Nanos since_flush = 0, since_said = 0;; since_flush += look, since_said += look) {
    co_await timers_.sleep_for(look);
    if (since_said >= seconds(3600)) {
      say_insecure();
      if (++hours % 24 == 0) say_ending();
      since_said = 0;
    }
    peer_->recheck();
    enforcer_->flush_completions(false);
    // Duties that come due with a use: the keeper looks once for all uses of this half second.
    if (used_.exchange(false, std::memory_order_relaxed)) keeper_->kick();
    // Whether there is room again shows when something ordinary is written.
    if (log_->on_reserve()) {
      audit::RecordDraft draft("log.heartbeat", new_event(random_, clock_.read().at));
      log_->enqueue(std::move(draft));
    }
    co_await log_key_->end_overlap();
    co_await contacts_->keep(seconds(30));
    if (since_flush >= seconds(60)) {
      refusals_->flush();
      limited_->flush();
      since_flush = 0;
    }
  }
}

void Connector::say_insecure() const {
  if (config_.insecure_loopback) notices_.note(Severity::warning, {"daemon.insecure-loopback", {}});
}

void Connector::say_ending() const {
  auto state = certificate_state(clock_.read().at);
  if (state.code != "daemon.certificate-good") notices_.note(Severity::warning, std::move(state));
}

awaitable<void> Connector::keep_snapshots() {
  for (;;) {
    co_await timers_.sleep_for(seconds(1));
    if (!snapshots_->due()) continue;
    auto taken = co_await snapshots_->take();
    if (taken) continue;
    notices_.note(Severity::warning, taken.error().message);
    co_await timers_.sleep_for(seconds(60));
  }
}

awaitable<void> Connector::keep_pruned() {
  // Not while a start has everything else to do, and each day from then on.
  for (Nanos until = seconds(3600);; until = seconds(24L * 3600)) {
    co_await timers_.sleep_for(until);
    auto outcome = co_await pruning_->prune();
    if (!outcome) {
      notices_.note(Severity::warning, outcome.error().message);
    } else if (outcome->pruned) {
      notices_.note(
          Severity::info, {"daemon.pruned", {{"first", std::to_string(outcome->pruned->to)}}}
      );
    }
  }
}

awaitable<void> Connector::stop() {
  notices_.note(Severity::info, {"daemon.stopping", {}});
  tell_service_manager("STOPPING=1");
  // A start that is under way comes to its end first: what it spawns has to be ended too.
  while (starting_) co_await timers_.sleep_for(milliseconds(10));
  event_feed_->close();
  if (serving_) {
    for (auto* server :
         {&serving_->peers, &serving_->credential_peers, &serving_->apps, &serving_->management}) {
      if (*server) co_await (*server)->shutdown();
    }
  }
  enforcer_->flush_completions(true);
  refusals_->flush();
  limited_->flush();
  co_await contacts_->keep(0);
  tasks_->cancel();
  co_await tasks_->drained();
  // So that the next start has little to read. Where that would take reading more than a segment,
  // it is left to the next run.
  if (snapshots_->due()) co_return;
  auto taken = co_await snapshots_->take();
  if (!taken) notices_.note(Severity::warning, taken.error().message);
}

awaitable<Result<void>> Connector::record_configuration(std::string change, Json digests) {
  audit::RecordDraft draft("config.changed", new_event(random_, clock_.read().at));
  draft.set("change", change)
      .set_json("changed", differing(from_log_->configuration.digests(), digests));
  draft.set_json("digests", digests);
  auto recorded = co_await audit::append(*log_, std::move(draft));
  if (!recorded) co_return fail(std::move(recorded));
  from_log_->configuration.set(std::move(digests));
  co_return Result<void>{};
}

}  // namespace tally::daemon
