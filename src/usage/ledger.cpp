#include "ledger.hpp"

#include <algorithm>

namespace tally::usage {

void Entry::Times::add(Instant at) {
  if (!first || at < *first) first = at;
  if (!last || at >= *last) {
    last_but_one = last;
    last = at;
  } else if (!last_but_one || at > *last_but_one) {
    last_but_one = at;
  }
}

void Entry::Times::give(odrl::RuleUsage& usage) const {
  usage.first_use = first;
  usage.last_use = last;
}

std::size_t Entry::index_of(const RuleId& rule) {
  for (std::size_t i = 0; i < usage_.size(); ++i) {
    if (usage_[i].rule == rule) return i;
  }
  usage_.push_back({rule, {}});
  tallies_.emplace_back();
  return usage_.size() - 1;
}

std::int64_t Entry::count(const RuleId& rule) const {
  for (const auto& entry : usage_) {
    if (entry.rule == rule) return entry.usage.count;
  }
  return 0;
}

DutyBook::Uses Entry::uses_of(const RuleId& permission) const {
  if (permission.empty()) return {total_.usage.first_use, total_.usage.last_use};
  for (const auto& entry : usage_) {
    if (entry.rule == permission) return {entry.usage.first_use, entry.usage.last_use};
  }
  return {};
}

std::int64_t Entry::count_within(const RuleId& rule, const XsdDuration& window, Instant now) const {
  for (const auto& entry : usage_) {
    if (entry.rule != rule || !entry.usage.recent_uses) continue;
    return std::ranges::count_if(*entry.usage.recent_uses, [&](Instant at) {
      return add(at, window) > now;
    });
  }
  return 0;
}

std::vector<odrl::UsageEntry> Entry::usage_at(Instant now, const Use* without) const {
  auto usage = without ? usage_without(*without) : usage_;
  for (std::size_t i = 0; i < usage.size(); ++i) {
    if (!tallies_[i].metered) continue;
    std::int64_t micros = tallies_[i].micros;
    for (const auto& [id, use] : uses_) {
      const auto adds_to = [&](const odrl::Consume& add) { return add.rule == usage[i].rule; };
      if (std::ranges::none_of(use->adds, adds_to)) continue;
      for (const Instant began : use->sessions) {
        micros += std::max<Nanos>(0, now - began) / 1000;
      }
    }
    XsdDuration metered;
    metered.seconds = micros / 1'000'000;
    metered.nanos = static_cast<std::int32_t>(micros % 1'000'000 * 1000);
    usage[i].usage.metered = metered;
  }
  return usage;
}

std::vector<odrl::UsageEntry> Entry::usage_without(const Use& use) const {
  auto without = usage_;
  for (const auto& add : use.adds) {
    for (std::size_t i = 0; i < without.size(); ++i) {
      if (without[i].rule != add.rule) continue;
      auto& usage = without[i].usage;
      usage.count -= add.n;
      if (usage.last_use == use.at) usage.last_use = tallies_[i].all.last_but_one;
      if (usage.first_use == use.at && usage.count == 0) usage.first_use.reset();
      if (usage.recent_uses) {
        const auto found = std::ranges::find(*usage.recent_uses, use.at);
        if (found != usage.recent_uses->end()) usage.recent_uses->erase(found);
      }
    }
  }
  return without;
}

void Entry::permit(const UsePtr& use) {
  for (const auto& add : use->adds) {
    const auto i = index_of(add.rule);
    usage_[i].usage.count += add.n;
    tallies_[i].all.add(use->at);
    tallies_[i].all.give(usage_[i].usage);
    tallies_[i].metered = tallies_[i].metered || add.metered;
    if (add.window > 0) remember_time(i, use->at, add.window);
  }
  total_.usage.count += 1;
  total_.all.add(use->at);
  total_.all.give(total_.usage);
  uses_.emplace(use->id, use);
  std::vector<RuleId> rules;
  rules.reserve(use->adds.size());
  for (const auto& add : use->adds) rules.push_back(add.rule);
  duties.used(rules, use->at);
}

void Entry::give_back(const UsePtr& use) {
  forget_key(use);
  uses_.erase(use->id);
  for (const auto& add : use->adds) {
    const auto i = index_of(add.rule);
    usage_[i].usage.count -= add.n;
    forget_time(i, use->at);
  }
  total_.usage.count -= 1;
  refresh();
  duties.given_back(use->at, *this);
}

// What has left the longest window before the latest use is asked for by nobody.
void Entry::remember_time(std::size_t index, Instant at, std::int64_t window) {
  auto& tally = tallies_[index];
  tally.window = std::max(tally.window, window);
  auto& recent = usage_[index].usage.recent_uses;
  if (!recent) recent.emplace();
  recent->insert(std::ranges::upper_bound(*recent, at), at);
  const auto left = std::ranges::find_if(*recent, [&](Instant one) {
    return recent->back().seconds - one.seconds <= tally.window;
  });
  recent->erase(recent->begin(), left);
}

void Entry::forget_time(std::size_t index, Instant at) {
  auto& recent = usage_[index].usage.recent_uses;
  if (!recent) return;
  const auto found = std::ranges::find(*recent, at);
  if (found != recent->end()) recent->erase(found);
}

void Entry::open_session(const UsePtr& use, Instant now) {
  const auto metered = [](const odrl::Consume& add) { return add.metered; };
  if (std::ranges::any_of(use->adds, metered)) use->sessions.push_back(now);
}

Session Entry::close_session(const UsePtr& use, Instant began, Instant now) {
  Session session;
  const auto found = std::ranges::find(use->sessions, began);
  if (found == use->sessions.end()) return session;
  use->sessions.erase(found);
  session.micros = std::max<Nanos>(0, now - began) / 1000;
  for (const auto& add : use->adds) {
    if (add.metered) session.rules.push_back(add.rule);
  }
  return session;
}

void Entry::add_session(const Session& session) {
  for (const auto& rule : session.rules) {
    auto& tally = tallies_[index_of(rule)];
    tally.metered = true;
    tally.micros += session.micros;
  }
}

void Entry::end(const UsePtr& use) {
  if (use->ended) return;
  use->ended = true;
  for (const auto& add : use->adds) {
    tallies_[index_of(add.rule)].ended.add(use->at);
  }
  total_.ended.add(use->at);
  forget_if_done(use);
}

void Entry::refresh() {
  for (auto& tally : tallies_) tally.all = tally.ended;
  total_.all = total_.ended;
  for (const auto& [id, use] : uses_) {
    if (use->ended) continue;
    for (const auto& add : use->adds) tallies_[index_of(add.rule)].all.add(use->at);
    total_.all.add(use->at);
  }
  for (std::size_t i = 0; i < usage_.size(); ++i) tallies_[i].all.give(usage_[i].usage);
  total_.all.give(total_.usage);
}

UsePtr Entry::find(const std::string& use) const {
  const auto found = uses_.find(use);
  return found == uses_.end() ? nullptr : found->second;
}

void Entry::release(const UsePtr& use) {
  if (use->holders > 0) --use->holders;
  forget_if_done(use);
}

void Entry::forget_if_done(const UsePtr& use) {
  if (use->ended && use->holders == 0 && use->key.empty()) uses_.erase(use->id);
}

std::vector<UsePtr> Entry::without_end() const {
  std::vector<UsePtr> found;
  for (const auto& [id, use] : uses_) {
    if (!use->ended) found.push_back(use);
  }
  std::sort(found.begin(), found.end(), [](const UsePtr& a, const UsePtr& b) {
    return a->id < b->id;
  });
  return found;
}

UsePtr Entry::continues(const std::string& key, Instant now, const Limits& limits) {
  const auto found = keys_.find(key);
  if (found == keys_.end()) return nullptr;
  UsePtr use = found->second;
  if (now - use->at > limits.stream_resume_window || use->continued >= limits.stream_resumes) {
    return nullptr;
  }
  return use;
}

void Entry::remember_key(const UsePtr& use, Instant now, const Limits& limits) {
  if (const auto old = keys_.find(use->key); old != keys_.end()) forget_key(old->second);
  keys_[use->key] = use;
  key_order_.emplace_back(use->at, use);
  // Forgetting early is the safe direction: a repeat is a new use then, and counts.
  while (!key_order_.empty() && (key_order_.size() > limits.use_keys ||
                                 now - key_order_.front().first > limits.stream_resume_window)) {
    const UsePtr oldest = key_order_.front().second;
    key_order_.pop_front();
    forget_key(oldest);
  }
}

void Entry::forget_key(UsePtr use) {
  if (use->key.empty()) return;
  const auto found = keys_.find(use->key);
  if (found != keys_.end() && found->second == use) keys_.erase(found);
  use->key.clear();
  forget_if_done(use);
}

}  // namespace tally::usage
