#include "compute.hpp"

#include <algorithm>
#include <map>
#include <optional>
#include <set>
#include <utility>

#include <nlohmann/json.hpp>

#include "tally/dataplane/shaped_rows.hpp"

#include "distance.hpp"
#include "suppression.hpp"

namespace tally::aggregates {

namespace {

// The rows of the source as they stand, by place.
struct Rows {
  std::vector<std::uint32_t> ordinals;
  std::vector<RowId> fresh;
  bool lost = false;  // some that the memory knows are not there
};

Rows find_ordinals(const std::vector<RowId>& places, const std::vector<RowId>& known) {
  std::map<RowId, std::uint32_t> by_id;
  for (std::size_t i = 0; i < known.size(); ++i) {
    by_id.emplace(known[i], static_cast<std::uint32_t>(i));
  }
  Rows out;
  out.ordinals.reserve(places.size());
  std::size_t met = 0;
  for (const auto& id : places) {
    const auto next = static_cast<std::uint32_t>(known.size() + out.fresh.size());
    const auto found = by_id.find(id);
    if (found != by_id.end()) {
      ++met;
      out.ordinals.push_back(found->second);
    } else {
      out.ordinals.push_back(next);
      out.fresh.push_back(id);
    }
  }
  out.lost = met < known.size();
  return out;
}

RowSet to_ordinals(const RowSet& places, const std::vector<std::uint32_t>& ordinals) {
  RowSet out;
  out.reserve(places.size());
  for (const auto place : places) out.push_back(ordinals[place]);
  std::ranges::sort(out);
  return out;
}

// Every set of rows of which the answer tells a number.
std::vector<RowSet> told_sets(const Grouping& groups, const std::vector<std::uint32_t>& ordinals) {
  std::set<RowSet> out;
  for (const auto& group : groups) {
    if (!group.shown) continue;
    out.insert(to_ordinals(group.rows, ordinals));
    for (std::size_t i = 0; i < group.present.size(); ++i) {
      if (!group.column_shown[i] || group.present[i].empty()) continue;
      out.insert(to_ordinals(group.present[i], ordinals));
    }
  }
  return {out.begin(), out.end()};
}

// Of the agreements that promise at least so much, together with what would be told now, each keeps
// what it promises; for those that promise less than `least` nothing changes but what they share.
std::optional<Message> check_distance(
    const std::vector<RowSet>& now, std::size_t least, const Memory& memory, std::size_t rows
) {
  std::set<std::size_t> promises{least};
  for (const auto& one : memory.told) {
    if (one.least < least) promises.insert(one.least);
  }
  for (const auto promise : promises) {
    std::set<RowSet> sets;
    for (const auto& one : memory.told) {
      if (one.least >= promise) sets.insert(one.sets.begin(), one.sets.end());
    }
    const auto before = sets.size();
    sets.insert(now.begin(), now.end());
    if (sets.size() == before) continue;
    const std::vector<RowSet> all(sets.begin(), sets.end());
    switch (distance_of(all, rows, promise)) {
      case Distance::kept:
        break;
      case Distance::broken:
        return Message{"aggregates.too-close", {{"size", std::to_string(promise)}}};
      case Distance::too_much:
        return Message{"aggregates.too-much-told", {}};
    }
  }
  return std::nullopt;
}

struct ToJson {
  Json operator()(std::monostate) const { return nullptr; }
  Json operator()(std::int64_t value) const { return value; }
  Json operator()(double value) const { return value; }
  Json operator()(const std::string& value) const { return value; }
};

Json suppressed() {
  return {{"suppressed", true}};
}

class AnswerWriter {
 public:
  explicit AnswerWriter(const BoundQuery& query) : query_(query) {}

  Json write(const Grouping& groups) {
    Json deepest = Json::array();
    Json totals = Json::array();
    for (const auto& group : groups) {
      // That there is a group of this key is told of those alone that are large enough. The group
      // of all rows has no key, and is always said of.
      if (!group.shown && group.level > 0) continue;
      auto& list = group.level == query_.keys.size() ? deepest : totals;
      list.push_back(write(group));
    }
    Json out{{"groups", std::move(deepest)}};
    if (query_.totals) out["totals"] = std::move(totals);
    return out;
  }
  [[nodiscard]] std::size_t cells() const { return cells_; }

 private:
  Json write(const Group& group) {
    Json key = Json::array();
    for (const auto& one : group.key) key.push_back(std::visit(ToJson{}, one));
    Json values = Json::array();
    for (std::size_t i = 0; i < query_.measures.size(); ++i) {
      const auto slot = query_.measures[i].slot;
      const bool shown = group.shown && (slot == BoundMeasure::rows || group.column_shown[slot]);
      if (shown) ++cells_;
      values.push_back(shown ? std::visit(ToJson{}, group.values[i]) : suppressed());
    }
    return {{"key", std::move(key)}, {"values", std::move(values)}};
  }

  const BoundQuery& query_;
  std::size_t cells_ = 0;
};

}  // namespace

Result<Computation> compute(
    std::span<const std::uint8_t> bytes,
    const dataplane::ShapePtr& shape,
    const BoundQuery& query,
    std::size_t least,
    const Memory& memory,
    const ComputeLimits& limits,
    const Protection& protection
) {
  Engine engine(query, limits.engine);
  std::vector<RowId> places;
  std::map<Digest, std::uint64_t> alike;
  dataplane::ShapedRows rows(bytes, shape, limits.record_bytes);
  dataplane::ShapedRow row;
  for (;;) {
    const auto more = rows.next(row);
    if (!more) return tl::unexpected(more.error());
    if (!*more) break;
    if (places.size() == limits.rows) {
      const Message message{"aggregates.too-many-rows", {{"most", std::to_string(limits.rows)}}};
      return fail(ErrorKind::forbidden, message);
    }
    const auto place = static_cast<std::uint32_t>(places.size());
    places.push_back(row_id(row.content, alike[row.content]++));
    if (!row.chosen) continue;
    if (auto added = engine.add(place, row.values); !added) return fail(std::move(added));
  }
  auto groups = engine.run();
  if (!groups) return fail(std::move(groups));
  suppress(*groups, {least, protection.secondary});

  Computation out;
  auto found = find_ordinals(places, memory.rows);
  const auto known = memory.rows.size() + found.fresh.size();
  // A row that is gone and one that is new may be the same one, edited: which they are nobody can
  // say, so what was told of the one and what would be told of the other cannot be held against
  // each other.
  if (protection.distance && !memory.rows.empty() && found.lost && !found.fresh.empty()) {
    out.refused = Message{"aggregates.source-edited", {}};
    return out;
  }
  auto now = told_sets(*groups, found.ordinals);
  if (protection.distance) {
    out.refused = check_distance(now, least, memory, known);
    if (out.refused) return out;
  }
  std::size_t sets = 0;
  for (const auto& one : memory.told) {
    sets += one.sets.size();
    if (one.least < least) continue;
    std::erase_if(now, [&](const RowSet& set) {
      return std::ranges::find(one.sets, set) != one.sets.end();
    });
  }
  if (sets + now.size() > limits.sets || known > limits.rows) {
    out.refused = Message{"aggregates.memory-full", {{"most", std::to_string(limits.sets)}}};
    return out;
  }
  AnswerWriter writer(query);
  out.computed.answer = writer.write(*groups);
  out.computed.cells = writer.cells();
  if (out.computed.cells > limits.cells) {
    const Message message{"aggregates.too-many-cells", {{"most", std::to_string(limits.cells)}}};
    return fail(ErrorKind::forbidden, message);
  }
  out.computed.fresh = std::move(found.fresh);
  out.computed.told = std::move(now);
  return out;
}

}  // namespace tally::aggregates
