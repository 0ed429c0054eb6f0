// An entry of the ledger as a snapshot holds it. Every member is there; what is not as it must be
// makes the whole of no use.
#include <algorithm>

#include <nlohmann/json.hpp>

#include "ledger.hpp"
#include "use_records.hpp"

namespace tally::usage {
namespace {

// Within this file only: a snapshot that is not one.
struct Malformed {};

void must(bool holds) {
  if (!holds) throw Malformed();
}

Json save_time(const std::optional<Instant>& at) {
  if (!at) return nullptr;
  return Json::array({at->seconds, at->nanos});
}

Instant read_time(const Json& saved) {
  must(saved.is_array() && saved.size() == 2);
  const Instant at{saved.at(0).get<std::int64_t>(), saved.at(1).get<std::int32_t>()};
  must(at.nanos >= 0 && at.nanos < nanos_per_second);
  return at;
}

std::optional<Instant> read_optional_time(const Json& saved) {
  if (saved.is_null()) return std::nullopt;
  return read_time(saved);
}

Json save_use(const Use& use) {
  Json adds = Json::array();
  for (const auto& add : use.adds) {
    adds.push_back({{"rule", add.rule.value}, {"n", add.n}, {"unit", add.unit}});
    if (add.window > 0) adds.back()["window"] = add.window;
    if (add.metered) adds.back()["metered"] = true;
  }
  return {
      {"id", use.id},
      {"at", save_time(use.at)},
      {"adds", std::move(adds)},
      {"key", use.key},
      {"seq", use.seq},
      {"leaf", to_hex(use.leaf)},
      {"continued", use.continued},
      {"ended", use.ended}};
}

UsePtr read_use(const Json& saved) {
  auto use = std::make_shared<Use>();
  use->id = saved.at("id").get<std::string>();
  use->at = read_time(saved.at("at"));
  for (const Json& one : saved.at("adds")) {
    odrl::Consume add;
    add.rule = RuleId(one.at("rule").get<std::string>());
    add.n = one.at("n").get<std::int64_t>();
    add.unit = one.at("unit").get<std::string>();
    add.window = one.value("window", std::int64_t{0});
    add.metered = one.value("metered", false);
    must(add.n > 0 && add.window >= 0);
    use->adds.push_back(std::move(add));
  }
  use->key = saved.at("key").get<std::string>();
  use->seq = saved.at("seq").get<std::uint64_t>();
  const auto leaf = from_hex(saved.at("leaf").get_ref<const std::string&>());
  must(leaf && leaf->size() == use->leaf.size());
  std::copy(leaf->begin(), leaf->end(), use->leaf.begin());
  use->continued = saved.at("continued").get<std::size_t>();
  use->ended = saved.at("ended").get<bool>();
  return use;
}

}  // namespace

Json Entry::Times::save() const {
  return Json::array({save_time(first), save_time(last), save_time(last_but_one)});
}

Entry::Times Entry::Times::restore(const Json& saved) {
  must(saved.is_array() && saved.size() == 3);
  return {
      read_optional_time(saved.at(0)),
      read_optional_time(saved.at(1)),
      read_optional_time(saved.at(2))};
}

Json Entry::save() const {
  const auto save_tally = [](const odrl::RuleUsage& usage, const Tally& tally) {
    return Json{{"count", usage.count}, {"all", tally.all.save()}, {"ended", tally.ended.save()}};
  };
  Json rules = Json::array();
  for (std::size_t i = 0; i < usage_.size(); ++i) {
    rules.push_back(save_tally(usage_[i].usage, tallies_[i]));
    rules.back()["rule"] = usage_[i].rule.value;
    save_times(tallies_[i], usage_[i].usage, rules.back());
  }
  std::vector<UsePtr> sorted;
  for (const auto& [id, use] : uses_) sorted.push_back(use);
  std::sort(sorted.begin(), sorted.end(), [](const UsePtr& a, const UsePtr& b) {
    return a->id < b->id;
  });
  Json uses = Json::array();
  for (const UsePtr& use : sorted) uses.push_back(save_use(*use));
  // In the order in which they are forgotten. One that has lost its key already still counts there.
  Json keys = Json::array();
  for (const auto& [at, use] : key_order_) {
    keys.push_back(Json::array({save_time(at), use->key.empty() ? std::string() : use->id}));
  }
  Json saved = {
      {"closed", to_string(closed)},
      {"closings", closings},
      {"closingDurable", closing_durable},
      {"total", save_tally(total_.usage, total_)},
      {"rules", std::move(rules)},
      {"uses", std::move(uses)},
      {"keys", std::move(keys)}};
  // Only of agreements that ask.
  if (Json said = duties.save(); !said.empty()) saved["duties"] = std::move(said);
  return saved;
}

// Only of rules that ask: few do.
void Entry::save_times(const Tally& tally, const odrl::RuleUsage& usage, Json& into) {
  if (tally.metered) into["micros"] = tally.micros;
  if (!usage.recent_uses) return;
  Json recent = Json::array();
  for (const Instant at : *usage.recent_uses) recent.push_back(save_time(at));
  into["window"] = tally.window;
  into["recent"] = std::move(recent);
}

void Entry::restore_times(const Json& saved, Tally& tally, odrl::RuleUsage& usage) {
  if (const auto micros = saved.find("micros"); micros != saved.end()) {
    tally.metered = true;
    tally.micros = micros->get<std::int64_t>();
    must(tally.micros >= 0);
  }
  const auto recent = saved.find("recent");
  if (recent == saved.end()) return;
  tally.window = saved.at("window").get<std::int64_t>();
  must(tally.window > 0);
  usage.recent_uses.emplace();
  for (const Json& at : *recent) usage.recent_uses->push_back(read_time(at));
  must(std::ranges::is_sorted(*usage.recent_uses));
}

std::optional<Entry> Entry::restore(const Json& saved) {
  try {
    return read(saved);
  } catch (const Json::exception&) {
  } catch (const Malformed&) {
  }
  return std::nullopt;
}

Entry Entry::read(const Json& saved) {
  Entry entry;
  const auto read_tally = [](const Json& from, odrl::RuleUsage& usage, Tally& tally) {
    usage.count = from.at("count").get<std::int64_t>();
    must(usage.count >= 0);
    tally.all = Times::restore(from.at("all"));
    tally.ended = Times::restore(from.at("ended"));
    tally.all.give(usage);
  };
  const auto closed = parse_closed(saved.at("closed").get_ref<const std::string&>());
  must(closed.has_value());
  entry.closed = *closed;
  entry.closings = saved.at("closings").get<std::uint64_t>();
  entry.closing_durable = saved.at("closingDurable").get<bool>();
  read_tally(saved.at("total"), entry.total_.usage, entry.total_);
  for (const Json& rule : saved.at("rules")) {
    const RuleId id(rule.at("rule").get<std::string>());
    must(entry.index_of(id) + 1 == entry.usage_.size());
    read_tally(rule, entry.usage_.back().usage, entry.tallies_.back());
    restore_times(rule, entry.tallies_.back(), entry.usage_.back().usage);
  }
  for (const Json& one : saved.at("uses")) {
    auto use = read_use(one);
    must(entry.uses_.emplace(use->id, use).second);
    if (!use->key.empty()) must(entry.keys_.emplace(use->key, use).second);
  }
  std::size_t keyed = 0;
  for (const Json& key : saved.at("keys")) {
    must(key.is_array() && key.size() == 2);
    const Instant at = read_time(key.at(0));
    const auto& id = key.at(1).get_ref<const std::string&>();
    UsePtr use = id.empty() ? std::make_shared<Use>() : entry.find(id);
    must(use != nullptr && use->key.empty() == id.empty());
    if (!id.empty()) ++keyed;
    entry.key_order_.emplace_back(at, std::move(use));
  }
  must(keyed == entry.keys_.size());
  if (const auto said = saved.find("duties"); said != saved.end()) {
    entry.duties = DutyBook::restore(*said);
  }
  return entry;
}

}  // namespace tally::usage
