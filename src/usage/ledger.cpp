#include "ledger.hpp"

#include <algorithm>

namespace tally::usage {
namespace {

void widen(std::optional<Instant>& first, std::optional<Instant>& last, Instant at) {
  if (!first || at < *first) first = at;
  if (!last || at > *last) last = at;
}

}  // namespace

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

std::vector<odrl::UsageEntry> Entry::usage_without(const Use& use) const {
  auto without = usage_;
  for (const auto& add : use.adds) {
    for (auto& entry : without) {
      if (entry.rule == add.rule) entry.usage.count -= add.n;
    }
  }
  return without;
}

void Entry::permit(const UsePtr& use) {
  for (const auto& add : use->adds) {
    auto& usage = usage_[index_of(add.rule)].usage;
    usage.count += add.n;
    widen(usage.first_use, usage.last_use, use->at);
  }
  total_.usage.count += 1;
  widen(total_.usage.first_use, total_.usage.last_use, use->at);
  uses_.emplace(use->id, use);
}

void Entry::give_back(const UsePtr& use) {
  forget_key(use);
  uses_.erase(use->id);
  for (const auto& add : use->adds) usage_[index_of(add.rule)].usage.count -= add.n;
  total_.usage.count -= 1;
  refresh();
}

void Entry::end(const UsePtr& use) {
  if (use->ended) return;
  use->ended = true;
  for (const auto& add : use->adds) {
    auto& tally = tallies_[index_of(add.rule)];
    widen(tally.ended_first, tally.ended_last, use->at);
  }
  widen(total_.ended_first, total_.ended_last, use->at);
  forget_if_done(use);
}

void Entry::refresh() {
  for (std::size_t i = 0; i < usage_.size(); ++i) {
    usage_[i].usage.first_use = tallies_[i].ended_first;
    usage_[i].usage.last_use = tallies_[i].ended_last;
  }
  total_.usage.first_use = total_.ended_first;
  total_.usage.last_use = total_.ended_last;
  for (const auto& [id, use] : uses_) {
    if (use->ended) continue;
    for (const auto& add : use->adds) {
      auto& usage = usage_[index_of(add.rule)].usage;
      widen(usage.first_use, usage.last_use, use->at);
    }
    widen(total_.usage.first_use, total_.usage.last_use, use->at);
  }
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
