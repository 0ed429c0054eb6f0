// Events as a stream of text/event-stream (WHATWG HTML, "Server-sent events"), for as many as
// follow. Nothing is kept for a follower but the piece it is being sent: each reads the log for
// itself, and one that takes nothing for the time limit of writing is cut.
#pragma once

#include <memory>
#include <string>

#include <boost/asio/any_io_executor.hpp>

#include "tally/core/http.hpp"
#include "tally/events/event_reader.hpp"

namespace tally::events {

class EventFeed {
 public:
  EventFeed(EventLog log, boost::asio::any_io_executor home);
  ~EventFeed();
  EventFeed(const EventFeed&) = delete;
  EventFeed& operator=(const EventFeed&) = delete;

  // `after`: the id of the last event that the follower has, "0" for everything that the log has;
  // empty: what comes from now on. An id that is not of this log begins with an event that says so,
  // and goes on with the oldest record there is. Home executor; the stream may be read on any.
  // Errors: unavailable events.too-many-followers {most}; those of EventReader::open.
  Result<std::unique_ptr<BodyReader>> follow(EventFilter filter, const std::string& after);

  // Ends all streams, soon, and refuses new ones. Any thread.
  void close();

 private:
  struct State;
  std::shared_ptr<State> state_;
};

}  // namespace tally::events
