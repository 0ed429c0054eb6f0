#include "tally/events/event_feed.hpp"

#include <algorithm>
#include <atomic>
#include <utility>

#include <boost/asio/co_spawn.hpp>
#include <boost/asio/use_awaitable.hpp>

namespace tally::events {

namespace {

constexpr int most_followers = 64;
constexpr Nanos look = milliseconds(100);
constexpr Nanos heartbeat = seconds(15);

std::string field(std::string_view name, std::string_view value) {
  std::string line(name);
  line += ": ";
  line += value;
  line += '\n';
  return line;
}

// JSON on one line: no line of it could be taken for a field.
std::string in_one_line(const Json& data) {
  return data.dump(-1, ' ', false, Json::error_handler_t::replace);
}

}  // namespace

struct EventFeed::State {
  State(EventLog with, boost::asio::any_io_executor executor)
      : log(std::move(with)), home(std::move(executor)) {}

  const EventLog log;
  const boost::asio::any_io_executor home;
  std::atomic<bool> closed = false;
  std::atomic<int> followers = 0;
};

namespace {

// One follower. Read on the executor of its connection, filled at home.
struct Follower {
  explicit Follower(EventReader with) : reader(std::move(with)) {}

  EventReader reader;
  std::string asked;             // the id that was not one of this log; empty: nothing to say
  std::uint64_t told_up_to = 0;  // records before this one were looked at, as it was told
};

std::string gap(const Follower& follower, std::string code, std::uint64_t first) {
  Json params = {{"first", std::to_string(first)}};
  if (!follower.asked.empty()) params["id"] = follower.asked;
  const Json data = {
      {"type", "log.gap"}, {"reason", {{"code", std::move(code)}, {"params", std::move(params)}}}};
  return field("event", "log.gap") + field("data", in_one_line(data)) + "\n";
}

}  // namespace

// The text to send next; empty: the stream ends here.
template <class State>
awaitable<Result<std::string>> next_text(
    std::shared_ptr<State> state, std::shared_ptr<Follower> follower
) {
  std::string text;
  if (!follower->asked.empty()) {
    text = gap(*follower, "events.id-unknown", 0);
    follower->asked.clear();
  }
  for (Nanos waited = 0; !state->closed.load();) {
    if (follower->reader.behind() > 0) {
      auto batch = co_await follower->reader.read();
      if (!batch) co_return fail(std::move(batch));
      if (batch->skipped > 0) text += gap(*follower, "events.pruned", batch->skipped);
      for (const auto& event : batch->events) {
        text += field("id", event_id(state->log.number, event.seq));
        text += field("event", event.type) + field("data", in_one_line(event.data)) + "\n";
        follower->told_up_to = event.seq + 1;
      }
    }
    if (!text.empty()) break;
    if (waited >= heartbeat) {
      // The id alone is no event, but where a follower of few types goes on from.
      const auto next = state->log.durable() - follower->reader.behind();
      text = ": \n";
      if (next > follower->told_up_to) text += field("id", event_id(state->log.number, next - 1));
      text += "\n";
      follower->told_up_to = next;
      break;
    }
    if (follower->reader.behind() > 0) continue;
    co_await state->log.timers.sleep_for(look);
    waited += look;
  }
  co_return text;
}

namespace {

template <class State>
class EventStream final : public BodyReader {
 public:
  EventStream(std::shared_ptr<State> state, std::shared_ptr<Follower> follower)
      : state_(std::move(state)), follower_(std::move(follower)) {
    ++state_->followers;
  }
  ~EventStream() override { --state_->followers; }
  EventStream(const EventStream&) = delete;
  EventStream& operator=(const EventStream&) = delete;

  awaitable<Result<std::size_t>> read(std::span<std::uint8_t> out) override {
    if (sent_ == text_.size()) {
      auto filling = next_text(state_, follower_);
      auto text = co_await boost::asio::co_spawn(
          state_->home, std::move(filling), boost::asio::use_awaitable
      );
      if (!text) co_return fail(std::move(text));
      text_ = std::move(*text);
      sent_ = 0;
    }
    const auto size = std::min(out.size(), text_.size() - sent_);
    std::copy_n(text_.begin() + static_cast<std::ptrdiff_t>(sent_), size, out.begin());
    sent_ += size;
    co_return size;
  }

 private:
  std::shared_ptr<State> state_;
  std::shared_ptr<Follower> follower_;
  // The answer's header leaves with the first piece: whoever follows knows at once that it does.
  std::string text_ = ":\n\n";
  std::size_t sent_ = 0;
};

}  // namespace

EventFeed::EventFeed(EventLog log, boost::asio::any_io_executor home)
    : state_(std::make_shared<State>(std::move(log), std::move(home))) {}

EventFeed::~EventFeed() = default;

Result<std::unique_ptr<BodyReader>> EventFeed::follow(
    EventFilter filter, const std::string& after
) {
  if (state_->closed.load() || state_->followers.load() >= most_followers) {
    return fail(
        ErrorKind::unavailable,
        {"events.too-many-followers", {{"most", std::to_string(most_followers)}}}
    );
  }
  const auto durable = state_->log.durable();
  std::uint64_t next = durable;
  bool unknown = false;
  if (after == "0") {
    next = 0;
  } else if (!after.empty()) {
    const auto place = parse_event_id(after);
    unknown = !place || place->log_number != state_->log.number || place->seq >= durable;
    next = unknown ? 0 : place->seq + 1;
  }
  auto reader = EventReader::open(state_->log, next, std::move(filter));
  if (!reader) return fail(std::move(reader));
  auto follower = std::make_shared<Follower>(std::move(*reader));
  // What a follower sent is said again only as far as an id goes.
  if (unknown) follower->asked = after.substr(0, 64);
  follower->told_up_to = next;
  return std::make_unique<EventStream<State>>(state_, std::move(follower));
}

void EventFeed::close() {
  state_->closed.store(true);
}

}  // namespace tally::events
