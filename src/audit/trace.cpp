#include "tally/audit/trace.hpp"

#include <algorithm>
#include <deque>
#include <set>
#include <unordered_map>
#include <utility>

#include <nlohmann/json.hpp>

#include "contract_facts.hpp"
#include "record_scan.hpp"

namespace tally::audit {
namespace {

using Nodes = std::vector<LineageNode>;

void add(Nodes& nodes, LineageNode node) {
  if (node.empty() || std::find(nodes.begin(), nodes.end(), node) != nodes.end()) return;
  nodes.push_back(std::move(node));
}

void add_texts(Nodes& nodes, const RecordView& record, std::string_view member) {
  const auto raw = record.raw(member);
  if (raw.empty()) return;
  const Json list = Json::parse(raw, nullptr, false);
  if (!list.is_array()) return;
  for (const Json& one : list) {
    if (one.is_string()) add(nodes, one.get<std::string>());
  }
}

// Everything that the logs say about data, and which record leads where.
class Lineage {
 public:
  Result<void> read(const RecordSource& log) {
    const std::size_t index = trace.logs.size();
    trace.logs.emplace_back();
    received_.clear();
    auto each = [this, index](const RecordView& record) { take(index, record); };
    return log(0, each);
  }

  [[nodiscard]] bool knows(const LineageNode& node) const {
    return incoming_.contains(node) || outgoing_.contains(node);
  }

  // Breadth first, so that a record stands at its shortest distance.
  void walk(const LineageNode& start, Direction direction) {
    const bool up = direction == Direction::up;
    std::set<LineageNode> visited{start};
    std::deque<std::pair<LineageNode, unsigned>> waiting{{start, 0}};
    while (!waiting.empty()) {
      const auto [node, depth] = waiting.front();
      waiting.pop_front();
      const auto& by_node = up ? incoming_ : outgoing_;
      const auto found = by_node.find(node);
      if (found == by_node.end()) continue;
      for (const std::size_t at : found->second) {
        const Hop& known = records_[at];
        if (shown_.insert(at).second) {
          Hop hop = known;
          hop.direction = direction;
          hop.depth = depth + 1;
          trace.hops.push_back(std::move(hop));
        }
        for (const auto& next : up ? known.from : known.to) {
          if (visited.insert(next).second) waiting.emplace_back(next, depth + 1);
        }
      }
    }
  }

  // Of the agreements that the hops name.
  void keep_contracts() {
    for (const Hop& hop : trace.hops) {
      const auto found = contracts_.find(hop.agreement);
      if (found != contracts_.end()) trace.contracts.emplace(*found);
    }
  }

  Trace trace;

 private:
  void take(std::size_t log, const RecordView& record) {
    if (record.seq == 0) {
      const Json genesis = record.json();
      trace.logs[log].origin = genesis.value("log", "");
      trace.logs[log].actor = party_of(genesis.value("actor", Json()));
      return;
    }
    Hop hop;
    const std::string_view type = record.type;
    if (type == "offer.published" || type == "offer.updated") {
      add(hop.to, asset_node(unquote(record.raw("asset"))));
    } else if (type == "offer.withdrawn") {
      add(hop.from, asset_node(unquote(record.raw("asset"))));
    } else if (type == "contract.finalized") {
      const Json json = record.json();
      const ContractFacts facts = contract_facts(json, record.seq);
      const bool provides = facts.role == "provider";
      const std::string& self = trace.logs[log].actor.uri;
      const std::string& other = facts.counterparty.uri;
      contracts_.try_emplace(
          record.agreement,
          TracedContract{
              facts.asset, facts.policy, provides ? self : other, provides ? other : self}
      );
      add(hop.from, asset_node(facts.asset));
      add(hop.to, agreement_node(record.agreement));
    } else if (type == "transfer.sent" || type == "transfer.received") {
      const std::string content = unquote(record.raw("content"));
      add(hop.from, agreement_node(record.agreement));
      // The receiver's record is also a step of what was sent, on the way down.
      if (type == "transfer.received") {
        add(hop.from, content);
        add(received_[record.agreement], content);
      }
      add(hop.to, content);
    } else if (type == "key.received") {
      // What had come encrypted, and what it opened to: that is held from here on.
      const Json plain = Json::parse(record.raw("plain"), nullptr, false);
      const std::string opened = plain.is_object() ? plain.value("content", "") : std::string();
      add(hop.from, unquote(record.raw("content")));
      add(hop.to, opened);
      add(received_[record.agreement], opened);
    } else if (type == "use.executed") {
      take_uses(record, hop);
    } else if (type == "process.executed") {
      add_texts(hop.from, record, "inputs");
      add_texts(hop.to, record, "outputs");
    } else if (type == "data.destroyed") {
      add_texts(hop.from, record, "contents");
    }
    if (hop.from.empty() && hop.to.empty()) return;
    hop.log = log;
    hop.seq = record.seq;
    hop.leaf = record.leaf;
    hop.time = record.time;
    hop.type = record.type;
    hop.event = record.event;
    hop.agreement = record.agreement;
    hop.policy = unquote(record.raw("policy"));
    const std::size_t at = records_.size();
    for (const auto& node : hop.from) outgoing_[node].push_back(at);
    for (const auto& node : hop.to) incoming_[node].push_back(at);
    records_.push_back(std::move(hop));
  }

  // What was read out of a held copy comes from it, all of it or a part; where nothing was received
  // under the agreement, this side served its own asset.
  void take_uses(const RecordView& record, Hop& hop) {
    const Json uses = Json::parse(record.raw("uses"), nullptr, false);
    if (!uses.is_array()) return;
    const auto held = received_.find(record.agreement);
    for (const Json& use : uses) {
      if (!use.is_object() || !use.contains("content") || !use["content"].is_string()) continue;
      const std::string content = use["content"];
      if (held == received_.end()) {
        add(hop.from, agreement_node(record.agreement));
        add(hop.to, content);
      } else if (std::find(held->second.begin(), held->second.end(), content) != held->second.end()) {
        add(hop.from, content);
      } else {
        for (const auto& copy : held->second) add(hop.from, copy);
        add(hop.to, content);
      }
    }
  }

  std::vector<Hop> records_;
  std::unordered_map<LineageNode, std::vector<std::size_t>> incoming_;  // records that lead to it
  std::unordered_map<LineageNode, std::vector<std::size_t>> outgoing_;  // and away from it
  std::map<std::string, TracedContract> contracts_;
  std::map<std::string, Nodes> received_;  // by agreement, of the log that is read
  std::set<std::size_t> shown_;
};

std::string_view word(Direction direction) {
  return direction == Direction::up ? "up" : "down";
}

}  // namespace

LineageNode agreement_node(std::string_view agreement) {
  return "agreement:" + std::string(agreement);
}

LineageNode asset_node(std::string_view asset) {
  return "asset:" + std::string(asset);
}

Result<Trace> trace_lineage(
    const std::vector<RecordSource>& logs, const LineageNode& start, Direction direction
) {
  Lineage lineage;
  for (const RecordSource& log : logs) {
    auto read = lineage.read(log);
    if (!read) return fail(std::move(read));
  }
  if (!lineage.knows(start)) {
    return fail(ErrorKind::not_found, {"audit.trace-unknown", {{"start", start}}});
  }
  lineage.trace.start = start;
  if (direction != Direction::down) lineage.walk(start, Direction::up);
  if (direction != Direction::up) lineage.walk(start, Direction::down);
  lineage.keep_contracts();
  return std::move(lineage.trace);
}

Json to_json(const Trace& trace) {
  Json out = {{"start", trace.start}, {"logs", Json::array()}, {"hops", Json::array()}};
  for (const auto& log : trace.logs) {
    out["logs"].push_back(
        {{"origin", log.origin}, {"actor", {{"domain", log.actor.domain}, {"uri", log.actor.uri}}}}
    );
  }
  for (const auto& hop : trace.hops) {
    Json one = {
        {"direction", word(hop.direction)},
        {"depth", hop.depth},
        {"log", trace.logs[hop.log].origin},
        {"seq", hop.seq},
        {"leaf", to_hex(hop.leaf)},
        {"time", hop.time},
        {"type", hop.type},
        {"from", hop.from},
        {"to", hop.to}};
    if (!hop.agreement.empty()) one["agreement"] = hop.agreement;
    out["hops"].push_back(std::move(one));
  }
  return out;
}

}  // namespace tally::audit
