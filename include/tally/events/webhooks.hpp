// Programs that are told of events (docs/events.md): one signed POST an event, in order, each at
// least once. What is to be told is read from the log, so nothing grows while a receiver is down: a
// webhook has one row in the store, and at most one piece of the log in memory. Home executor only.
#pragma once

#include <memory>
#include <string>
#include <vector>

#include "tally/audit/journal.hpp"
#include "tally/core/ids.hpp"
#include "tally/core/message.hpp"
#include "tally/core/notices.hpp"
#include "tally/core/peer.hpp"
#include "tally/core/task_group.hpp"
#include "tally/events/event_reader.hpp"
#include "tally/events/program.hpp"

namespace tally::events {

struct WebhookPlace;

struct Webhook : Program {
  std::vector<std::string> events;   // types and areas; empty: all
  Nanos max_age = seconds(259'200);  // what is older is dropped once an attempt failed
};

// The name under which `Peer` knows one.
PartyId webhook_party(const std::string& name);

// Outlive it.
struct WebhookParts {
  Peer& programs;
  audit::Journal& journal;
  Clock& clock;
  TaskGroup& tasks;
  Notices& notices;
};

class Webhooks {
 public:
  Webhooks(WebhookParts parts, EventLog log, std::vector<Webhook> webhooks);
  ~Webhooks();
  Webhooks(const Webhooks&) = delete;
  Webhooks& operator=(const Webhooks&) = delete;

  // Takes up where each one was, durable on return, and begins to tell. One that is new begins with
  // what comes from now on; one that is not configured any more is forgotten. Errors: those of the
  // store, invalid events.webhook-row {webhook}.
  awaitable<Result<void>> start();

  // Of each, in order of the configuration: name, events, how far it is and how that goes. Without
  // its address, which may hold a secret.
  [[nodiscard]] std::vector<Json> list(Lang lang) const;

 private:
  struct Line;  // one webhook
  awaitable<void> run(Line& line);
  awaitable<Result<void>> follow(Line& line);
  awaitable<Result<void>> tell(Line& line, const Event& event);
  awaitable<Result<bool>> tell_gap(Line& line);
  awaitable<Result<bool>> attempt(Line& line, std::string id, std::string body);
  awaitable<Result<void>> save(Line& line, WebhookPlace place);
  [[nodiscard]] bool too_old(const Line& line, const Event& event) const;

  WebhookParts parts_;
  EventLog log_;
  std::vector<std::unique_ptr<Line>> lines_;
};

}  // namespace tally::events
