#include "log_side.hpp"

#include <cstdlib>
#include <utility>

#include <nlohmann/json.hpp>

#include "record_scan.hpp"

namespace tally::audit {
namespace {

bool is_evidence(std::string_view type) {
  return type.starts_with("transfer.") || type == "receipt.issued" || type == "receipt.held";
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
