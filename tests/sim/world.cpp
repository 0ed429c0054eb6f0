#include "sim/world.hpp"

#include <algorithm>

namespace tally::sim {

std::uint64_t Chance::draw() {
  state_ += 0x9e3779b97f4a7c15U;
  std::uint64_t z = state_;
  z = (z ^ (z >> 30)) * 0xbf58476d1ce4e5b9U;
  z = (z ^ (z >> 27)) * 0x94d049bb133111ebU;
  return z ^ (z >> 31);
}

std::uint64_t Chance::below(std::uint64_t bound) {
  return draw() % bound;
}

bool Chance::happens(double probability) {
  if (probability <= 0) return false;
  if (probability >= 1) return true;
  return static_cast<double>(draw() >> 11) * 0x1p-53 < probability;
}

Nanos Chance::span(Nanos least, Nanos most) {
  if (most <= least) return least;
  return least + static_cast<Nanos>(below(static_cast<std::uint64_t>(most - least) + 1));
}

World::World(std::uint64_t seed, Instant start) : seed_(seed), now_(start), chance_(seed) {}

std::string World::where() const {
  return "seed " + std::to_string(seed_) + ", event " + std::to_string(steps_) + ", at " +
         format_micros(now_);
}

void World::after(Nanos span, const void* owner, std::function<void()> action) {
  at(now_ + std::max<Nanos>(span, 0), owner, std::move(action));
}

void World::at(Instant when, const void* owner, std::function<void()> action) {
  const auto key = std::make_pair(std::max(when, now_), next_event_++);
  events_.emplace(key, Event{owner, std::move(action)});
}

void World::forget(const void* owner) {
  // The actions go only after the queue is whole again: what they own may schedule or forget.
  std::vector<std::function<void()>> dropped;
  for (auto it = events_.begin(); it != events_.end();) {
    if (it->second.owner == owner) {
      dropped.push_back(std::move(it->second.action));
      it = events_.erase(it);
    } else {
      ++it;
    }
  }
}

void World::attach(boost::asio::io_context& context) {
  contexts_.push_back({&context, next_context_++});
}

void World::detach(boost::asio::io_context& context) {
  std::erase_if(contexts_, [&](const Context& entry) { return entry.context == &context; });
}

void World::happened(std::uint64_t what) {
  ++steps_;
  for (const std::uint64_t part :
       {what, static_cast<std::uint64_t>(now_.seconds), static_cast<std::uint64_t>(now_.nanos)}) {
    fingerprint_ = (fingerprint_ ^ part) * 1'099'511'628'211U;
  }
  look_again();
}

bool World::poll_one_context() {
  for (;;) {
    std::vector<std::size_t> ready;
    for (std::size_t i = 0; i < contexts_.size(); ++i) {
      if (!contexts_[i].idle) ready.push_back(i);
    }
    if (ready.empty()) return false;
    const std::size_t chosen = ready[ready.size() == 1 ? 0 : chance_.below(ready.size())];
    const std::uint64_t number = contexts_[chosen].number;
    boost::asio::io_context& context = *contexts_[chosen].context;
    // Marked first: a handler may attach and detach contexts.
    contexts_[chosen].idle = true;
    context.restart();
    if (context.poll_one() == 0) continue;
    happened(number * 2);
    return true;
  }
}

void World::look_again() {
  for (Context& entry : contexts_) entry.idle = false;
}

bool World::step() {
  look_again();
  return step_before({INT64_MAX, 0});
}

bool World::step_before(Instant end) {
  if (poll_one_context()) return true;
  if (events_.empty() || events_.begin()->first.first > end) return false;
  auto next = events_.extract(events_.begin());
  now_ = std::max(now_, next.key().first);
  next.mapped().action();
  happened(next.key().second * 2 + 1);
  return true;
}

bool World::run_until(const std::function<bool()>& condition, Nanos within) {
  const Instant end = now_ + within;
  constexpr int most_steps = 10'000'000;
  look_again();
  for (int i = 0; i < most_steps; ++i) {
    if (condition()) return true;
    if (!step_before(end)) return condition();
  }
  return false;
}

void World::run_for(Nanos span) {
  const Instant end = now_ + span;
  look_again();
  while (step_before(end)) {
  }
  now_ = std::max(now_, end);
}

}  // namespace tally::sim
