#include "log_side.hpp"

#include <cstdlib>
#include <utility>

#include <nlohmann/json.hpp>

#include "tally/audit/statement.hpp"
#include "tally/core/json.hpp"

#include "record_scan.hpp"

namespace tally::audit {
namespace {

bool is_evidence(std::string_view type) {
  return type.starts_with("transfer.") || type == "receipt.issued" || type == "receipt.held" ||
         type == "key.released" || type == "key.received";
}

void add_seen(LogSide& side, const RecordView& record, const Event& event) {
  const auto raw = record.raw("peer");
  if (raw.empty()) return;
  const Json peer = Json::parse(raw, nullptr, false);
  if (!peer.is_object() || !peer.contains("seq") || !peer["seq"].is_number_unsigned()) return;
  const auto text = [&peer](const char* key) {
    const auto found = peer.find(key);
    return found != peer.end() && found->is_string() ? found->get<std::string>() : std::string();
  };
  side.seen[text("origin")].push_back(
      {peer["seq"].get<std::uint64_t>(), text("leaf"), record.agreement, event.pid}
  );
}

}  // namespace

Result<LogSide> read_side(const RecordSource& log) {
  LogSide side;
  const auto each = [&side](const RecordView& record) {
    if (record.seq == 0) {
      const Json genesis = record.json();
      side.origin = genesis.value("log", "");
      side.uri = genesis.value("/actor/uri"_json_pointer, "");
    }
    if (record.agreement.empty()) return;
    std::uint64_t& last = side.aseq[record.agreement];
    const std::string aseq(record.raw("aseq"));
    if (aseq != std::to_string(last + 1)) {
      side.gaps[record.agreement].push_back(std::to_string(last) + " " + aseq);
    }
    last = std::strtoull(aseq.c_str(), nullptr, 10);
    if (record.type == "contract.finalized") {
      side.contracts.try_emplace(record.agreement, contract_facts(record.json(), record.seq));
    }
    if (record.type.starts_with("statement.")) {
      StatementEvent event;
      event.held = record.type == "statement.held";
      event.number = std::strtoull(std::string(record.raw("number")).c_str(), nullptr, 10);
      event.content = unquote(record.raw("content"));
      event.sums = record.raw("sums");
      side.statements[record.agreement].push_back(std::move(event));
    }
    if (!is_evidence(record.type)) return;
    Event event;
    event.type = record.type;
    event.seq = record.seq;
    event.time = record.time;
    event.pid = unquote(record.raw("pid"));
    event.peer_pid = unquote(record.raw("peerPid"));
    event.content = unquote(record.raw("content"));
    event.bytes = record.raw("bytes");
    event.receipt = unquote(record.raw("receipt"));
    event.of_deletion = unquote(record.raw("of")) == "deletion";
    add_seen(side, record, event);
    side.events[record.agreement].push_back(std::move(event));
  };
  auto read = log(0, each);
  if (!read) return fail(std::move(read));
  return side;
}

Result<std::map<std::string, std::map<std::uint64_t, std::string>>> sums_of_statements(
    const RecordSource& log, const LogSide& side
) {
  struct Range {
    std::uint64_t number = 0;
    std::uint64_t from = 0;
    std::uint64_t to = 0;
    UseSums sums;
  };
  std::map<std::string, std::vector<Range>> ranges;
  for (const auto& [agreement, events] : side.statements) {
    for (const StatementEvent& event : events) {
      const auto stated = parse_use_sums(Json::parse(event.sums, nullptr, false));
      if (event.held || !stated) continue;
      ranges[agreement].push_back({event.number, stated->from, stated->to, {}});
    }
  }
  std::map<std::string, std::map<std::uint64_t, std::string>> found;
  if (ranges.empty()) return found;
  const auto each = [&ranges](const RecordView& record) {
    if (!record.type.starts_with("use.")) return;
    const auto of = ranges.find(record.agreement);
    if (of == ranges.end()) return;
    const std::uint64_t aseq = std::strtoull(std::string(record.raw("aseq")).c_str(), nullptr, 10);
    for (Range& range : of->second) {
      if (aseq >= range.from && aseq <= range.to) range.sums.add(record);
    }
  };
  auto read = log(0, each);
  if (!read) return fail(std::move(read));
  for (auto& [agreement, all] : ranges) {
    for (Range& range : all) {
      range.sums.from = range.from;
      found[agreement][range.number] = to_jcs(range.sums.to_json());
    }
  }
  return found;
}

Result<std::map<std::uint64_t, std::string>> leaves_at(
    const RecordSource& log, const std::vector<Seen>& seen
) {
  std::map<std::uint64_t, std::string> leaves;
  for (const Seen& one : seen) leaves.emplace(one.seq, std::string());
  if (leaves.empty()) return leaves;
  const auto each = [&leaves](const RecordView& record) {
    const auto found = leaves.find(record.seq);
    if (found != leaves.end()) found->second = to_hex(record.leaf);
  };
  auto read = log(leaves.begin()->first, each);
  if (!read) return fail(std::move(read));
  return leaves;
}

}  // namespace tally::audit
