#include "tally/audit/witnessing.hpp"

#include <algorithm>
#include <limits>

#include <nlohmann/json.hpp>

namespace tally::audit {

bool is_milestone(std::string_view type) {
  static constexpr std::string_view types[] = {
      "contract.finalized",
      "contract.terminated",
      "data.destroyed",
      "policy.expired",
      "policy.revoked",
      "retention.pruned",
      "transfer.completed"};
  return std::find(std::begin(types), std::end(types), type) != std::end(types);
}

Result<void> Witnessing::replay(const RecordView& record) {
  if (record.agreement.empty() || !is_milestone(record.type)) return {};
  const auto at = parse_date_time(record.time);
  const std::scoped_lock lock(mutex_);
  Milestone& milestone = milestones_[record.agreement];
  milestone.size = record.seq + 1;
  if (at) milestone.at = at->instant;
  return {};
}

void Witnessing::save(const Item& item) const {
  const std::scoped_lock lock(mutex_);
  const std::map<std::string, Milestone> sorted(milestones_.begin(), milestones_.end());
  for (const auto& [agreement, milestone] : sorted) {
    item({{"agreement", agreement}, {"size", milestone.size}, {"at", format_micros(milestone.at)}});
  }
}

Result<void> Witnessing::restore(const Json& item) {
  const auto agreement = string_member(item, "agreement", "");
  const auto time = string_member(item, "at", "");
  const auto at = time ? parse_date_time(*time) : std::nullopt;
  const auto size = agreement ? item.find("size") : item.end();
  if (!at || size == item.end() || !size->is_number_unsigned()) return malformed_item(part_name());
  const std::scoped_lock lock(mutex_);
  const Milestone milestone{size->get<std::uint64_t>(), at->instant, 0};
  if (!milestones_.emplace(*agreement, milestone).second) return malformed_item(part_name());
  return {};
}

void Witnessing::queued(const std::string& agreement, Instant at) {
  const std::scoped_lock lock(mutex_);
  Milestone& milestone = milestones_[agreement];
  ++milestone.queued;
  milestone.at = at;
}

void Witnessing::settled(const std::string& agreement, std::optional<std::uint64_t> size) {
  const std::scoped_lock lock(mutex_);
  Milestone& milestone = milestones_[agreement];
  if (milestone.queued > 0) --milestone.queued;
  if (size) milestone.size = std::max(milestone.size, *size);
}

void Witnessing::cosigned(const Cosigned& by) {
  Witnessed witnessed{by.party, by.size, {}};
  if (quorum_ && !by.note.empty()) {
    if (auto note = verify_note(by.note, quorum_->keys())) witnessed.good = std::move(note->good);
  }
  const std::scoped_lock lock(mutex_);
  witnesses_[by.id] = std::move(witnessed);
}

bool Witnessing::makes_quorum(const Note& note) const {
  if (!quorum_) return false;
  const auto verified = verify_note(note, quorum_->keys());
  return verified && quorum_->quorum_of(verified->good);
}

std::vector<GoodSignature> Witnessing::good_at(std::uint64_t size) const {
  std::vector<GoodSignature> good;
  for (const auto& [id, witness] : witnesses_) {
    if (witness.size >= size) good.insert(good.end(), witness.good.begin(), witness.good.end());
  }
  return good;
}

std::optional<QuorumState> Witnessing::quorum() const {
  if (!quorum_) return std::nullopt;
  const std::scoped_lock lock(mutex_);
  QuorumState state;
  state.name = quorum_->quorum;
  for (const auto& [id, witness] : witnesses_) {
    if (witness.size <= state.size) continue;
    if (quorum_->quorum_of(good_at(witness.size))) state.size = witness.size;
  }
  state.reached =
      std::all_of(milestones_.begin(), milestones_.end(), [&state](const auto& milestone) {
        return milestone.second.queued == 0 && milestone.second.size <= state.size;
      });
  return state;
}

std::optional<Unwitnessed> Witnessing::missing(const std::string& agreement, const PartyId& other)
    const {
  const std::scoped_lock lock(mutex_);
  const auto found = milestones_.find(agreement);
  if (found == milestones_.end()) return std::nullopt;
  const Milestone& milestone = found->second;
  const std::uint64_t wanted =
      milestone.queued > 0 ? std::numeric_limits<std::uint64_t>::max() : milestone.size;
  if (!quorum_) {
    for (const auto& [id, witness] : witnesses_) {
      if (witness.party == other && witness.size >= wanted) return std::nullopt;
    }
    return Unwitnessed{other.uri, milestone.at, other, {}};
  }
  const auto good = good_at(wanted);
  if (quorum_->quorum_of(good)) return std::nullopt;
  Unwitnessed out{{}, milestone.at, {}, {}};
  for (const auto& witness : quorum_->witnesses) {
    const auto same = [&](const GoodSignature& one) { return one.key == witness.key; };
    if (std::any_of(good.begin(), good.end(), same)) continue;
    if (!out.witnesses.empty()) out.witnesses += ", ";
    out.witnesses += witness.name;
    out.keys.push_back(witness.key);
  }
  return out;
}

}  // namespace tally::audit
