// Brings the outgoing messages of the store to their peers: same `@id` over all retries, one at a
// time and in order of creation for each process, until the peer has it, will not take it, or the
// deadline passes. What follows from that is decided by the service that owns the process.
//
// No connection, time-out, 404, 429, 5xx: again after retry_first · 2ⁿ, at most retry_most. 2xx:
// delivered. Any other answer: ask for the peer's state first, since what looks like a refusal may
// be a repeat or a message that came too early (DSP digest 1.5). Home executor only; nothing here
// is lost in a crash, since the store keeps each message until its owner takes it out.
#pragma once

#include <map>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "tally/core/clock.hpp"
#include "tally/core/limits.hpp"
#include "tally/core/notices.hpp"
#include "tally/core/peer.hpp"
#include "tally/core/store.hpp"
#include "tally/core/task_group.hpp"

namespace tally::negotiation {

// OutgoingMessage::process of a process row: "negotiation/urn:uuid:…".
std::string process_key(std::string_view kind, std::string_view id);
struct ProcessKey {
  std::string kind;
  std::string id;
};
ProcessKey parse_process_key(std::string_view key);

// Why a message ends without being delivered.
struct Refused {
  enum class Why {
    refused,   // the peer will not take it, and there is no state to ask for
    diverged,  // the peer is in a state from which this message leads nowhere
    expired,   // the deadline passed
  };
  Why why = Why::refused;
  int status = 0;          // of the last answer; 0: none came
  std::string body;        // of the last answer
  std::string peer_state;  // when diverged: the body of its state
};

// Where the peer stands, seen from a message that it answered with an error.
enum class Standing {
  delivered,  // it has the message
  unchanged,  // it has not and may still take it
  elsewhere,  // it never will
};

// What Delivery asks of the service that owns the processes of one kind. An Error of the two first
// means that the store or the log cannot go on: the process rests until a restart.
class ProcessOwner {
 public:
  virtual ~ProcessOwner() = default;
  // The peer has it. Commits what follows and takes the message out of the store. `body` is that of
  // the 2xx; empty when only the peer's state showed it.
  virtual awaitable<Result<void>> on_delivered(OutgoingMessage message, std::string body) = 0;
  // It never will be. Likewise takes it out of the store.
  virtual awaitable<Result<void>> on_refused(OutgoingMessage message, Refused refused) = 0;
  // Where the peer tells its state of the process; empty: nowhere (yet).
  virtual std::string state_url(const OutgoingMessage& message) = 0;
  virtual Standing compare(const OutgoingMessage& message, const std::string& state) = 0;
  // From the creation of a message to giving up; nullopt: never.
  [[nodiscard]] virtual std::optional<Nanos> deadline() const = 0;
};

class Delivery {
 public:
  Delivery(
      Store& store,
      Peer& peer,
      Clock& clock,
      Timers& timers,
      TaskGroup& tasks,
      Notices& notices,
      const Limits& limits
  );
  ~Delivery();

  void serve(std::string kind, ProcessOwner& owner);
  // At start, after every `serve`: takes up what the store still holds.
  Result<void> resume();

  // Sends messages that are committed, with their records durable. Ids known already are ignored.
  void queue(std::vector<OutgoingMessage> messages);
  // Stops sending a message that a commit took out of the store.
  void drop(const std::string& process, const std::string& message_id);
  // `party` was just heard of: what waits for it is tried at once.
  void nudge(const PartyId& party);
  // What waits for a process, with attempts and the last answer. For people.
  [[nodiscard]] std::vector<OutgoingMessage> waiting(const std::string& process) const;
  // How many wait, by kind of process; and since when the one does that waits longest.
  struct Queued {
    std::map<std::string, std::size_t> by_kind;
    std::optional<Instant> oldest;
  };
  [[nodiscard]] Queued queued() const;

 private:
  struct State;
  std::unique_ptr<State> state_;
};

// Why a process ends whose message never arrived, so that a person can act on it: `code` with
// message (the last answer), attempts, url and peer.
Message not_delivered(std::string code, Store& store, const OutgoingMessage& message);

}  // namespace tally::negotiation
