#include <nlohmann/json.hpp>

#include "tally/audit/story.hpp"
#include "tally/audit/trace.hpp"

#include "inquiry_commands.hpp"
#include "log_folder.hpp"

namespace tally::cli {
namespace {

// --json has the digests whole.
std::string cell(const std::vector<audit::LineageNode>& nodes) {
  if (nodes.empty()) return "-";
  std::string text = audit::short_digest(nodes.front());
  if (nodes.size() > 1) text += " +" + std::to_string(nodes.size() - 1);
  return text;
}

}  // namespace

int audit_trace(const Console& console, const TraceOptions& options) {
  if (options.content.empty() && options.agreement.empty()) {
    return console.fail(Message{"cli.trace-start", {}}, usage);
  }
  if (!options.content.empty() && !parse_digest_text(options.content)) {
    return console.fail(Message{"cli.content-malformed", {{"text", options.content}}}, usage);
  }
  int code = done;
  std::vector<CheckedLog> logs;
  std::vector<audit::LogStorage*> storages;
  for (const auto& folder : options.folders) {
    auto log = open_checked(console, folder, code);
    if (!log) return code;
    storages.push_back(log->storage.get());
    logs.push_back(std::move(*log));
  }
  const auto start = options.content.empty() ? audit::agreement_node(options.agreement)
                                             : audit::LineageNode(options.content);
  const auto direction = options.up == options.down ? audit::Direction::both
                         : options.up               ? audit::Direction::up
                                                    : audit::Direction::down;
  const auto trace = audit::trace_lineage(storages, start, direction);
  if (!trace) {
    const bool unknown = trace.error().kind == ErrorKind::not_found;
    return console.fail(trace.error(), unknown ? refused : incomplete);
  }
  if (options.prov) {
    console.print(audit::to_prov(*trace).dump(2));
    return done;
  }
  if (console.json) {
    console.print(audit::to_json(*trace).dump(2));
    return done;
  }
  std::vector<std::vector<std::string>> rows;
  for (const auto& hop : trace->hops) {
    rows.push_back(
        {(hop.direction == audit::Direction::up ? "-" : "+") + std::to_string(hop.depth),
         hop.time,
         hop.type,
         cell(hop.from),
         cell(hop.to),
         trace->logs[hop.log].origin,
         std::to_string(hop.seq),
         to_hex(hop.leaf).substr(0, 12) + "…"}
    );
  }
  console.table({"step", "time", "type", "from", "to", "log", "seq", "leaf"}, rows);
  for (const auto& log : logs) {
    if (!log.whole) console.say({"cli.log-unfinished", {{"folder", log.folder}}});
  }
  console.say({"cli.trace-count", {{"count", std::to_string(rows.size())}, {"start", start}}});
  return done;
}

}  // namespace tally::cli
