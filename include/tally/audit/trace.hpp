// Where data came from and where it went, across the logs of several connectors: from the asset of
// an offer over contract and transfer to uses, what was made of it, and its destruction. Joined on
// content digests, agreements and assets. Reads only, without a lock, also beside running writers;
// what it says is as good as the logs, so callers verify them first.
#pragma once

#include <cstdint>
#include <map>
#include <string>
#include <string_view>
#include <vector>

#include "tally/audit/record_source.hpp"
#include "tally/core/digest.hpp"
#include "tally/core/ids.hpp"
#include "tally/core/json.hpp"
#include "tally/core/result.hpp"

namespace tally::audit {

// What a trace goes from one to the next of, as texts: "sha256:<hex>" a content, "agreement:<id>",
// "asset:<id>".
using LineageNode = std::string;
LineageNode agreement_node(std::string_view agreement);
LineageNode asset_node(std::string_view asset);

enum class Direction { up, down, both };  // to the origin, to the fate

// One record on the way.
struct Hop {
  Direction direction = Direction::down;  // up or down
  unsigned depth = 0;                     // steps from the start, from 1 on
  std::size_t log = 0;                    // index into Trace::logs
  std::uint64_t seq = 0;
  Digest leaf{};
  std::string time;
  std::string type;
  std::string event;
  std::string agreement;
  std::string policy;  // as the record names one
  std::vector<LineageNode> from;
  std::vector<LineageNode> to;  // empty: it ends here (data.destroyed)
};

struct TracedLog {
  std::string origin;
  PartyId actor;
};

struct TracedContract {
  std::string asset;
  std::string policy;    // "sha256:<hex>"
  std::string provider;  // URIs
  std::string consumer;
};

struct Trace {
  std::vector<TracedLog> logs;
  LineageNode start;
  std::vector<Hop> hops;  // breadth first; upwards first. Each record once
  std::map<std::string, TracedContract> contracts;  // of the agreements on the way, by id
};

// Errors: not_found audit.trace-unknown {start} when no log names it; those of the source. Memory
// grows with the records about data in all of the logs.
Result<Trace> trace_lineage(
    const std::vector<RecordSource>& logs, const LineageNode& start, Direction direction
);

// {"start", "logs": [{origin, actor}], "hops": [{direction, depth, log, seq, leaf, time, type,
// from, to, agreement}]}, as docs/audit-commands.md has it.
Json to_json(const Trace& trace);

// The trace in the terms of W3C PROV-O, as JSON-LD with a context of its own inside: nothing has to
// be fetched to read it. Entities are contents (urn:sha256:…), the copies of them that a receiver
// held (with the agreement as fragment) and assets; activities are records, by their event, each
// with its place in its log; agents are the participants; the plan is the agreed policy.
Json to_prov(const Trace& trace);

}  // namespace tally::audit
