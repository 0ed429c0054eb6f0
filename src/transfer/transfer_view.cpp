// What the operator of this connector is shown of a transfer.
#include <utility>

#include <nlohmann/json.hpp>

#include "tally/negotiation/attempts.hpp"

#include "transfer_state.hpp"

namespace tally::transfer {

using dsp::Role;

namespace {

Json describe_process(const Process& process) {
  Json json = {
      {"id", process.pid.value},
      {"peerPid", process.peer_pid.value},
      {"role", dsp::to_string(process.role)},
      {"peer", negotiation::to_json(process.peer)},
      {"state", dsp::to_string(process.shown())},
      {"agreement", process.agreement.value},
      {"asset", process.asset.value},
      {"format", process.format},
      {"began", process.began_at},
  };
  if (process.pending) json["sending"] = dsp::to_string(process.pending->event);
  const auto& measured = process.role == Role::provider ? process.sent : process.pulled;
  if (measured) {
    json["content"] = measured->content;
    json["bytes"] = measured->bytes;
  }
  if (process.sealed) json["sealed"] = true;
  if (process.opens) json["opens"] = plain_of(*process.opens);
  if (process.role == Role::consumer) json["received"] = process.received;
  if (process.published) json["published"] = true;
  json["receipts"] = {
      {"sent", !process.sent_receipt.empty()},
      {"received", !process.received_receipt.empty()},
      {"missing", process.receipt_missing},
  };
  if (process.reason) {
    json["reason"] = negotiation::to_json(*process.reason);
    json["endedBy"] = process.ended_by_peer ? "peer" : "self";
  }
  return json;
}

}  // namespace

Result<Json> TransferService::describe(const Pid& pid) const {
  auto found = state_->find(pid);
  if (!found) return fail(std::move(found));
  if (!*found) return fail(ErrorKind::not_found, {"transfer.unknown-process", {}});
  const Process& process = **found;
  Json json = describe_process(process);
  json["history"] = negotiation::history_with_attempts(process.history.json(), state_->parts.store);
  if (!process.sent_receipt.empty()) json["sentReceipt"] = process.sent_receipt;
  if (!process.received_receipt.empty()) json["receivedReceipt"] = process.received_receipt;
  json["waiting"] = negotiation::to_json(state_->parts.delivery.waiting(process.key()));
  return json;
}

namespace {

Result<std::vector<Json>> described(Result<std::vector<Row>> rows) {
  if (!rows) return fail(std::move(rows));
  std::vector<Json> all;
  for (const auto& row : *rows) {
    auto process = parse_process(row);
    if (!process) return fail(std::move(process));
    all.push_back(describe_process(*process));
  }
  return all;
}

}  // namespace

Result<std::vector<Json>> TransferService::list() const {
  return described(all_rows(state_->parts.store, process_kind));
}

Result<std::vector<Json>> TransferService::list(const std::string& after, std::size_t most) const {
  return described(state_->parts.store.rows({std::string(process_kind), {}, {}, after, most}));
}

}  // namespace tally::transfer
