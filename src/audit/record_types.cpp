#include "tally/audit/record_types.hpp"

#include <algorithm>

namespace tally::audit {

const std::vector<RecordType>& record_types() {
  // What an agreement fixes stands once, in contract.finalized; records under it name the agreement
  // and what is their own.
  static const std::vector<RecordType> types = {
      {"admin.action", {}, {"action"}},
      {"aggregate.answered", {"agreement", "cells", "content", "query", "use"}},
      {"aggregate.refused", {"agreement", "query", "reason", "use"}},
      {"approval.approved", {"pid"}},
      {"approval.rejected", {"pid"}},
      {"approval.requested", {"pid"}},
      {"calls.limited", {"count", "listener", "reason"}},
      {"checkpoint.witnessed", {"peer"}},
      {"config.changed", {"change"}, {"changed", "digests"}},
      {"consent.asked", {"action", "agreement", "request", "rule"}},
      {"consent.rejected", {"action", "agreement", "request", "rule"}},
      {"contract.agreed", {"agreement", "counterparty", "pid", "policy"}},
      {"contract.finalized",
       {"actor", "agreement", "asset", "counterparty", "pid", "policy", "role"},
       {"assurance", "signatures", "statements"}},
      {"contract.moved", {"counterparty", "pid", "state"}},
      {"contract.offered", {"asset", "counterparty", "pid", "policy"}},
      {"contract.terminated", {"counterparty", "pid", "reason"}},
      {"contract.verified",
       {"agreement", "counterparty", "pid", "policy"},
       {"assurance", "enforces"}},
      {"data.altered", {"agreement", "artefact", "content", "reason"}},
      {"data.destroy_failed", {"agreement", "contents", "reason"}},
      {"data.destroyed", {"agreement", "contents", "method"}, {"artefacts"}},
      {"data.intact", {"agreement", "artefact", "content"}},
      {"data.unknown", {"artefacts"}},
      {"duty.confirmed", {"action", "agreement", "confirmation", "rule"}},
      {"duty.refused", {"content", "reason"}},
      {"duty.withdrawn", {"action", "agreement", "confirmation", "rule"}},
      {"equivocation.found", {"peer"}},
      {"equivocation.lifted", {"contents", "peer", "reason"}},
      {"export.made", {"content"}},
      {"hold.lifted", {"by", "hold"}},
      {"hold.placed", {"by", "hold", "scope"}},
      {"hold.refused", {"content", "reason"}},
      {"inform.held", {"agreement", "content", "peer", "use"}},
      {"inform.issued", {"agreement", "content", "party", "rule", "uses"}},
      {"key.received", {"agreement", "content", "pid", "plain"}},
      {"key.released", {"agreement", "content", "pid", "receipt"}},
      {"key.rotated", {"note", "vkey"}},
      {"log.genesis", {"actor", "suite", "test", "vkey"}},
      {"log.heads", {"root"}},
      {"log.heartbeat", {}},
      {"log.opened", {}},
      {"log.recovered", {"bytes", "content"}},
      {"obligation.due", {"agreement", "rule"}},
      {"obligation.fulfilled", {"agreement", "rule"}},
      {"obligation.violated", {"agreement", "rule", "reason"}},
      {"offer.published", {"asset", "offer", "policy"}},
      {"offer.updated", {"asset", "offer", "policy"}},
      {"offer.withdrawn", {"asset", "offer"}},
      {"peer.enrolled", {"counterparty"}, {"certificate"}},
      {"peer.refused", {"reason"}},
      {"policy.expired", {"agreement", "reason"}},
      {"policy.loaded", {"policy"}},
      {"policy.refused", {"reason"}},
      {"policy.revoked", {"agreement", "reason"}},
      {"private.erased", {"target"}, {"basis"}},
      {"process.executed", {"agreement", "inputs", "outputs"}},
      {"receipt.held", {"agreement", "pid", "receipt"}},
      {"receipt.issued", {"agreement", "pid", "receipt"}},
      {"receipt.missing", {"agreement", "pid"}},
      {"retention.pruned", {"from", "to", "root", "snapshot"}},
      {"statement.held", {"agreement", "content", "number", "sums"}},
      {"statement.issued", {"agreement", "content", "number", "sums"}},
      {"time.anchored", {"content"}},
      {"time.compared", {"apart", "counterparty", "seconds"}},
      {"transfer.completed", {"agreement", "pid"}},
      {"transfer.received", {"agreement", "bytes", "content", "pid"}},
      {"transfer.rejected", {"agreement", "pid", "reason"}},
      {"transfer.requested", {"agreement", "pid"}},
      {"transfer.sent", {"agreement", "bytes", "content", "pid"}},
      {"transfer.started", {"agreement", "pid"}},
      {"transfer.suspended", {"agreement", "pid", "reason"}},
      {"transfer.terminated", {"agreement", "pid", "reason"}},
      {"use.aborted", {"agreement", "use"}},
      {"use.denied", {"action", "agreement", "decision", "reason"}},
      {"use.executed", {"agreement", "uses"}},
      {"use.interrupted", {"agreement", "use"}},
      {"use.permitted", {"action", "agreement", "decision", "rules"}},
      {"witness.missing", {"counterparty"}},
      {"witness.rekeyed", {"peer", "vkey"}},
      {"wrapping.rotated", {"before", "key"}, {"rewrapped", "unopened"}},
  };
  return types;
}

const RecordType* find_record_type(std::string_view name) {
  const auto& types = record_types();
  const auto found = std::lower_bound(
      types.begin(),
      types.end(),
      name,
      [](const RecordType& type, std::string_view wanted) { return type.name < wanted; }
  );
  return found != types.end() && found->name == name ? &*found : nullptr;
}

bool heads_due_after(std::string_view type, bool due_before) {
  if (type == "log.heads") return false;
  return due_before || type != "checkpoint.witnessed";
}

bool is_stamped(std::string_view key) {
  switch (key.size()) {
    case 1:
      return key == "v";
    case 3:
      return key == "log" || key == "seq";
    case 4:
      return key == "prev" || key == "time" || key == "aseq";
    case 5:
      return key == "aprev" || key == "clock";
    default:
      return false;
  }
}

}  // namespace tally::audit
