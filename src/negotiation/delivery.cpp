#include "tally/negotiation/delivery.hpp"

#include <algorithm>
#include <deque>
#include <map>
#include <utility>

#include <nlohmann/json.hpp>

#include "tally/core/json.hpp"
#include "tally/dsp/error_body.hpp"
#include "tally/negotiation/attempts.hpp"
#include "tally/negotiation/exchange.hpp"

namespace tally::negotiation {

std::string process_key(std::string_view kind, std::string_view id) {
  return std::string(kind) + "/" + std::string(id);
}

ProcessKey parse_process_key(std::string_view key) {
  const auto slash = key.find('/');
  if (slash == std::string_view::npos) return {"", std::string(key)};
  return {std::string(key.substr(0, slash)), std::string(key.substr(slash + 1))};
}

namespace {

// The messages of one process, the first of which is being sent or waits for its next attempt.
struct Line {
  std::deque<OutgoingMessage> waiting;
  std::uint64_t runner = 0;  // which run of send_line owns it; an older one ends when it wakes
  bool running = false;
  bool sleeping = false;
  bool in_flight = false;
};

Nanos pause_after(std::uint32_t attempts, const Limits& limits) {
  Nanos pause = limits.retry_first;
  for (std::uint32_t n = 1; n < attempts && pause < limits.retry_most; ++n) pause *= 2;
  return std::min(pause, limits.retry_most);
}

// Whether the answer says nothing about the message itself.
bool is_passing(int status) {
  return status == 404 || status == 408 || status == 425 || status == 429 || status >= 500;
}

constexpr std::size_t longest_answer = 300;

// An answer as people read it: the status, and what the peer says of it.
std::string answer_text(const Result<PeerAnswer>& answer) {
  if (!answer) return answer.error().message.code;
  std::string text = std::to_string(answer->status);
  const auto json = answer->status >= 400 ? parse_json(answer->body) : Result<Json>(Json());
  if (!json || !json->is_object()) return text;
  const auto reason = json->find("reason");
  if (reason == json->end() || !reason->is_array()) return text;
  const auto said = dsp::reason_text(reason->get<std::vector<Json>>());
  return said.empty() ? text : cut_text(text + " " + said, longest_answer);
}

PeerRequest request_for(const OutgoingMessage& message, const Limits& limits) {
  PeerRequest request;
  request.answer_within = limits.message_answer;
  request.to = message.to;
  request.url = message.url;
  request.http.method = message.method;
  request.http.body = message.body;
  if (!message.body.empty()) request.http.headers.set("Content-Type", "application/json");
  if (!message.headers.empty()) {
    const auto headers = Json::parse(message.headers, nullptr, false);
    for (const auto& [name, value] : headers.items()) {
      if (value.is_string()) request.http.headers.set(name, value.get<std::string>());
    }
  }
  return request;
}

}  // namespace

struct Delivery::State {
  Store& store;
  Peer& peer;
  Clock& clock;
  Timers& timers;
  TaskGroup& tasks;
  Notices& notices;
  Limits limits;
  std::map<std::string, ProcessOwner*> owners;
  std::map<std::string, Line> lines;
  std::uint64_t runners = 0;

  Line* find(const std::string& process) {
    const auto found = lines.find(process);
    return found == lines.end() ? nullptr : &found->second;
  }

  // The line, if `runner` still owns it and `message` is still its first.
  Line* still(const std::string& process, std::uint64_t runner, const std::string& message) {
    Line* line = find(process);
    if (!line || line->runner != runner || line->waiting.empty()) return nullptr;
    return line->waiting.front().id == message ? line : nullptr;
  }

  void start(const std::string& process, Line& line) {
    line.runner = ++runners;
    line.running = true;
    line.sleeping = false;
    tasks.spawn("delivery", send_line(process, line.runner));
  }

  void retire(const std::string& process, const std::string& message) {
    Line* line = find(process);
    if (!line) return;
    std::erase_if(line->waiting, [&](const OutgoingMessage& one) { return one.id == message; });
  }

  awaitable<void> send_line(std::string process, std::uint64_t runner);
  // Durable on return, unless the store failed: then nothing here goes on anyway.
  awaitable<void> keep_attempt(OutgoingMessage message);
  awaitable<bool> settle(OutgoingMessage message, ProcessOwner& owner, PeerAnswer answer);
  awaitable<bool> ask_state(OutgoingMessage message, ProcessOwner& owner, PeerAnswer answer);
};

// Sends the first message of the line until it is settled, then the next. Ends when the line is
// empty, belongs to another run, or its owner cannot go on.
awaitable<void> Delivery::State::send_line(std::string process, std::uint64_t runner) {
  const auto owner_of = owners.find(parse_process_key(process).kind);
  for (;;) {
    Line* line = find(process);
    if (!line || line->runner != runner) co_return;
    if (line->waiting.empty()) {
      lines.erase(process);
      co_return;
    }
    if (owner_of == owners.end()) {
      line->running = false;
      co_return;
    }
    ProcessOwner& owner = *owner_of->second;
    const OutgoingMessage message = line->waiting.front();

    if (message.attempts > 0) {
      line->sleeping = true;
      co_await timers.sleep_for(pause_after(message.attempts, limits));
      line = find(process);
      if (!line || line->runner != runner) co_return;
      line->sleeping = false;
      if (!still(process, runner, message.id)) continue;
    }
    const auto deadline = owner.deadline();
    if (deadline && message.attempts > 0 && clock.read().at - message.created > *deadline) {
      Refused expired;
      expired.why = Refused::Why::expired;
      const auto settled = co_await owner.on_refused(message, expired);
      if (!settled) co_return;
      retire(process, message.id);
      continue;
    }

    line = find(process);
    line->in_flight = true;
    auto request = request_for(message, limits);
    auto answer = co_await peer.send(std::move(request));
    line = still(process, runner, message.id);
    if (Line* any = find(process)) any->in_flight = false;
    if (!line) continue;  // an incoming message made this one pointless meanwhile

    OutgoingMessage& first = line->waiting.front();
    ++first.attempts;
    first.last_answer = answer_text(answer);
    first.next_attempt = clock.read().at + pause_after(first.attempts, limits);
    if (!answer || is_passing(answer->status)) {
      const Message note{
          "negotiation.delivery-retry",
          {{"process", process}, {"message", message.id}, {"answer", first.last_answer}}};
      notices.note(Severity::info, note);
      line->in_flight = true;
      co_await keep_attempt(first);
      if (Line* any = find(process)) any->in_flight = false;
      continue;
    }
    line->in_flight = true;  // a nudge must not start it again while its answer is worked on
    auto worked = std::move(*answer);
    const OutgoingMessage tried = first;
    // One that arrives at once is told by the history of its process alone.
    if (worked.status >= 300 || tried.attempts > 1) co_await keep_attempt(tried);
    const bool settled = co_await settle(tried, owner, std::move(worked));
    if (Line* any = find(process)) any->in_flight = false;
    if (settled) retire(process, message.id);
    // Not settled and an owner that failed look alike here: both try again after the pause. A store
    // or a log that failed stays failed, so that such a line only waits for the restart.
  }
}

awaitable<void> Delivery::State::keep_attempt(OutgoingMessage message) {
  auto attempts = Attempts::of(store, message.id);
  attempts.add({format_micros(clock.read().at), message.last_answer});
  Transaction transaction;
  transaction.puts.push_back(attempts.to_row(message.id, message.process));
  const auto kept = co_await store.commit(std::move(transaction));
  if (!kept) notices.note(Severity::error, kept.error().message);
}

// True when the message needs no further attempt.
awaitable<bool> Delivery::State::settle(
    OutgoingMessage message, ProcessOwner& owner, PeerAnswer answer
) {
  if (answer.status >= 200 && answer.status < 300) {
    const auto done = co_await owner.on_delivered(message, answer.body);
    co_return done.has_value();
  }
  co_return co_await ask_state(std::move(message), owner, std::move(answer));
}

awaitable<bool> Delivery::State::ask_state(
    OutgoingMessage message, ProcessOwner& owner, PeerAnswer answer
) {
  Refused refused;
  refused.status = answer.status;
  refused.body = answer.body;
  const auto url = owner.state_url(message);
  if (url.empty()) {
    const auto done = co_await owner.on_refused(message, refused);
    co_return done.has_value();
  }
  PeerRequest question;
  question.to = message.to;
  question.url = url;
  question.http.method = "GET";
  question.answer_within = limits.message_answer;
  const auto state = co_await peer.send(std::move(question));
  if (!state || state->status != 200) co_return false;  // a question that fails means: again
  switch (owner.compare(message, state->body)) {
    case Standing::unchanged:
      co_return false;
    case Standing::delivered: {
      const auto done = co_await owner.on_delivered(message, std::string());
      co_return done.has_value();
    }
    case Standing::elsewhere:
      break;
  }
  refused.why = Refused::Why::diverged;
  refused.peer_state = state->body;
  const auto done = co_await owner.on_refused(message, refused);
  co_return done.has_value();
}

Delivery::Delivery(
    Store& store,
    Peer& peer,
    Clock& clock,
    Timers& timers,
    TaskGroup& tasks,
    Notices& notices,
    const Limits& limits
)
    : state_(new State{store, peer, clock, timers, tasks, notices, limits, {}, {}, 0}) {}

Delivery::~Delivery() = default;

void Delivery::serve(std::string kind, ProcessOwner& owner) {
  state_->owners[std::move(kind)] = &owner;
}

Result<void> Delivery::resume() {
  auto messages = state_->store.messages();
  if (!messages) return fail(std::move(messages));
  queue(std::move(*messages));
  return {};
}

void Delivery::queue(std::vector<OutgoingMessage> messages) {
  for (auto& message : messages) {
    Line& line = state_->lines[message.process];
    const bool known =
        std::any_of(line.waiting.begin(), line.waiting.end(), [&](const OutgoingMessage& one) {
          return one.id == message.id;
        });
    if (known) continue;
    const auto process = message.process;
    line.waiting.push_back(std::move(message));
    // A line that rests between two attempts of a message that was dropped must not hold this one.
    const bool rests = line.sleeping && line.waiting.size() == 1;
    if (!line.running || rests) state_->start(process, line);
  }
}

void Delivery::drop(const std::string& process, const std::string& message_id) {
  state_->retire(process, message_id);
}

void Delivery::nudge(const PartyId& party) {
  for (auto& [process, line] : state_->lines) {
    if (line.in_flight || line.waiting.empty() || line.waiting.front().to != party) continue;
    if (line.waiting.front().attempts == 0) continue;  // it is on its way already
    line.waiting.front().attempts = 0;
    state_->start(process, line);
  }
}

Message not_delivered(std::string code, Store& store, const OutgoingMessage& message) {
  const auto attempts = Attempts::of(store, message.id);
  const auto& answer = message.last_answer;
  return bounded(
      {std::move(code),
       {{"message", answer.empty() ? attempts.last_answer() : answer},
        {"attempts", std::to_string(attempts.count())},
        {"url", message.url},
        {"peer", message.to.uri}}}
  );
}

std::vector<OutgoingMessage> Delivery::waiting(const std::string& process) const {
  const Line* line = state_->find(process);
  if (!line) return {};
  return {line->waiting.begin(), line->waiting.end()};
}

Delivery::Queued Delivery::queued() const {
  Queued out;
  for (const auto& [kind, owner] : state_->owners) out.by_kind[kind] = 0;
  for (const auto& [process, line] : state_->lines) {
    out.by_kind[parse_process_key(process).kind] += line.waiting.size();
    for (const auto& message : line.waiting) {
      if (!out.oldest || message.created < *out.oldest) out.oldest = message.created;
    }
  }
  return out;
}

}  // namespace tally::negotiation
