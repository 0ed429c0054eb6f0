#include "sim/node.hpp"

#include <algorithm>

#include "tally/core/message.hpp"

namespace tally::sim {

struct Waiting::Room {
  std::map<std::uint64_t, std::shared_ptr<Wakeup>> waiting;
  std::uint64_t next = 1;
  bool closed = false;
};

void Waiting::wake(boost::system::error_code result) const {
  const auto room = room_.lock();
  if (!room) return;
  auto entry = room->waiting.extract(number_);
  if (!entry.empty()) entry.mapped()->wake(result);
}

bool Waiting::pending() const {
  const auto room = room_.lock();
  return room && room->waiting.contains(number_);
}

void SimClock::step(Nanos by) {
  offset_ += by;
  for (const Waiting& sleeper : std::exchange(sleepers_, {})) sleeper.wake();
}

awaitable<void> SimTimers::sleep_until(Instant at) {
  do {
    auto started = [this, at](Waiting waiting) {
      SimClock& clock = node_.clock();
      // A step of the clock wakes them all; those that have ended go now and then.
      if (clock.sleepers_.size() >= clock.prune_at_) {
        std::erase_if(clock.sleepers_, [](const Waiting& sleeper) { return !sleeper.pending(); });
        clock.prune_at_ = 2 * clock.sleepers_.size() + 256;
      }
      clock.sleepers_.push_back(waiting);
      node_.world().at(at + -clock.offset_, &node_, [waiting] { waiting.wake(); });
    };
    co_await node_.wait(std::move(started));
  } while (node_.clock().read().at < at);
}

awaitable<void> SimTimers::sleep_for(Nanos span) {
  auto started = [this, span](Waiting waiting) {
    node_.world().after(span, &node_, [waiting] { waiting.wake(); });
  };
  co_await node_.wait(std::move(started));
}

awaitable<void> SimWorker::run(std::function<void()> job) {
  std::exception_ptr failure;
  auto started = [this, &job, &failure](Waiting waiting) {
    auto work = [&job, &failure, waiting] {
      try {
        job();
      } catch (...) {
        failure = std::current_exception();
      }
      waiting.wake();
    };
    node_.world().after(node_.world().chance().span(least, most), &node_, std::move(work));
  };
  // The job uses what the caller owns: a cancellation has to wait for it.
  co_await node_.wait_to_the_end(std::move(started));
  if (failure) std::rethrow_exception(failure);
}

void SimRandom::fill(std::span<std::uint8_t> out) {
  for (std::size_t i = 0; i < out.size();) {
    std::uint64_t word = chance_.draw();
    for (int k = 0; k < 8 && i < out.size(); ++k, word >>= 8) {
      out[i++] = static_cast<std::uint8_t>(word);
    }
  }
}

void SimNotices::note(Severity severity, const Message& message) {
  notes_.emplace_back(severity, message);
}

std::size_t SimNotices::count(std::string_view code) const {
  return static_cast<std::size_t>(std::count_if(notes_.begin(), notes_.end(), [&](const auto& n) {
    return n.second.code == code;
  }));
}

std::string SimNotices::print() const {
  std::string text;
  for (const auto& [severity, message] : notes_) {
    constexpr const char* names[] = {"debug", "info", "warning", "error"};
    text += names[static_cast<std::size_t>(severity)];
    text += " " + message.code + ": " + render(message, Lang::en) + "\n";
  }
  return text;
}

Node::Node(World& world, std::string name)
    : world_(world),
      name_(std::move(name)),
      room_(std::make_shared<Waiting::Room>()),
      clock_(world),
      timers_(*this),
      worker_(*this),
      random_(world.chance().draw()) {
  world_.attach(context_);
}

Node::~Node() {
  power_off();
  // Frames that services still hold have gone with them; the rest goes with the context.
}

void Node::power_off() {
  if (!on_) return;
  on_ = false;
  world_.detach(context_);
  for (const auto& action : std::exchange(at_power_off_, {})) action();
  world_.forget(this);
  room_->closed = true;
  // Dropping a waiter posts the unwinding of its coroutine; unwinding may drop others.
  constexpr int most_handlers = 1'000'000;
  for (int i = 0; i < most_handlers; ++i) {
    std::exchange(room_->waiting, {}).clear();
    context_.restart();
    if (context_.poll_one() == 0 && room_->waiting.empty()) break;
  }
  world_.forget(this);
}

std::function<void(std::shared_ptr<Wakeup>)> Node::into_room(std::function<void(Waiting)> started) {
  return [this, started = std::move(started)](std::shared_ptr<Wakeup> wakeup) {
    Waiting waiting;
    waiting.room_ = room_;
    waiting.number_ = room_->next++;
    room_->waiting.emplace(waiting.number_, std::move(wakeup));
    if (!room_->closed) started(waiting);
  };
}

awaitable<void> Node::wait(std::function<void(Waiting)> started) {
  co_await suspend(into_room(std::move(started)));
}

awaitable<void> Node::wait_to_the_end(std::function<void(Waiting)> started) {
  co_await suspend_to_the_end(into_room(std::move(started)));
}

}  // namespace tally::sim
