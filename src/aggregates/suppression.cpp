#include "suppression.hpp"

#include <algorithm>
#include <vector>

namespace tally::aggregates {

namespace {

using Places = std::vector<std::size_t>;

// Groups as a forest, by place.
struct Forest {
  explicit Forest(const Grouping& groups) : within(groups.size()) {
    for (std::size_t i = 0; i < groups.size(); ++i) {
      if (groups[i].parent != Group::none) within[groups[i].parent].push_back(i);
    }
  }
  std::vector<Places> within;
};

// One kind of number that is told of groups: how many rows there are, or what is told of one
// column. Of such a family every group is a set of rows, and those within it are parts of the set.
class Family {
 public:
  Family(const Grouping& groups, const Forest& forest, std::size_t least)
      : forest_(forest), least_(least), shown_(groups.size(), true) {}
  virtual ~Family() = default;

  void run(bool secondary) {
    for (std::size_t i = 0; i < shown_.size(); ++i) shown_[i] = may_be_shown(i);
    if (!secondary) return;
    // Those within come behind what holds them.
    for (std::size_t i = shown_.size(); i-- > 0;) cover(i);
  }
  [[nodiscard]] bool shown(std::size_t group) const { return shown_[group]; }

 protected:
  // How many rows of it each weight counts: of a column, those with a value and those without.
  [[nodiscard]] virtual std::vector<std::size_t> weights(std::size_t group) const = 0;
  [[nodiscard]] virtual bool may_be_shown(std::size_t group) const {
    return std::ranges::all_of(weights(group), [&](std::size_t rows) { return is_safe(rows); });
  }
  [[nodiscard]] bool is_safe(std::size_t rows) const { return rows == 0 || rows >= least_; }
  [[nodiscard]] std::size_t least() const { return least_; }

 private:
  // What of the group no group shown within it covers: anybody can compute it by subtraction.
  [[nodiscard]] std::vector<std::size_t> uncovered(std::size_t group) const {
    auto out = weights(group);
    if (forest_.within[group].empty()) return out;
    std::fill(out.begin(), out.end(), 0);
    for (const auto one : forest_.within[group]) {
      if (shown_[one]) continue;
      const auto rest = uncovered(one);
      for (std::size_t i = 0; i < out.size(); ++i) out[i] += rest[i];
    }
    return out;
  }

  [[nodiscard]] bool is_covered_well(std::size_t group) const {
    return std::ranges::all_of(uncovered(group), [&](std::size_t rows) { return is_safe(rows); });
  }

  void hide_whole(std::size_t group) {
    shown_[group] = false;
    for (const auto one : forest_.within[group]) hide_whole(one);
  }

  [[nodiscard]] bool hidden_whole(std::size_t group) const {
    return !shown_[group] && std::ranges::all_of(forest_.within[group], [&](std::size_t one) {
      return hidden_whole(one);
    });
  }

  // Hides the smallest of what is within until what is left uncovered is large enough.
  void cover(std::size_t group) {
    if (!shown_[group] || forest_.within[group].empty()) return;
    auto rest = forest_.within[group];
    std::ranges::stable_sort(rest, {}, [&](std::size_t one) { return weights(one); });
    for (const auto one : rest) {
      if (is_covered_well(group)) return;
      if (!hidden_whole(one)) hide_whole(one);
    }
  }

  const Forest& forest_;
  const std::size_t least_;
  std::vector<bool> shown_;
};

class RowFamily final : public Family {
 public:
  RowFamily(const Grouping& groups, const Forest& forest, std::size_t least)
      : Family(groups, forest, least), groups_(groups) {}

 private:
  [[nodiscard]] std::vector<std::size_t> weights(std::size_t group) const override {
    return {groups_[group].rows.size()};
  }
  // That there is no row is not told either: none and a few look the same.
  [[nodiscard]] bool may_be_shown(std::size_t group) const override {
    return groups_[group].rows.size() >= least();
  }

  const Grouping& groups_;
};

class ColumnFamily final : public Family {
 public:
  ColumnFamily(const Grouping& groups, const Forest& forest, std::size_t least, std::size_t slot)
      : Family(groups, forest, least), groups_(groups), slot_(slot) {}

 private:
  [[nodiscard]] std::vector<std::size_t> weights(std::size_t group) const override {
    const auto& one = groups_[group];
    const auto present = one.present[slot_].size();
    return {present, one.rows.size() - present};
  }
  [[nodiscard]] bool may_be_shown(std::size_t group) const override {
    return groups_[group].shown && Family::may_be_shown(group);
  }

  const Grouping& groups_;
  const std::size_t slot_;
};

}  // namespace

void suppress(Grouping& groups, const Suppression& how) {
  const Forest forest(groups);
  RowFamily rows(groups, forest, how.least);
  rows.run(how.secondary);
  for (std::size_t i = 0; i < groups.size(); ++i) groups[i].shown = rows.shown(i);
  const auto slots = groups.empty() ? 0 : groups.front().present.size();
  for (std::size_t slot = 0; slot < slots; ++slot) {
    ColumnFamily column(groups, forest, how.least, slot);
    column.run(how.secondary);
    for (std::size_t i = 0; i < groups.size(); ++i) {
      groups[i].column_shown[slot] = column.shown(i);
    }
  }
}

}  // namespace tally::aggregates
