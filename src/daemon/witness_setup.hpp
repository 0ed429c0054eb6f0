// The witness that this connector is for the logs of others: its key, and which logs it watches.
#pragma once

#include <mutex>
#include <optional>
#include <vector>

#include "tally/audit/checkpoint_sender.hpp"
#include "tally/audit/log_policy.hpp"
#include "tally/audit/log_tree.hpp"
#include "tally/audit/witness.hpp"
#include "tally/negotiation/partner_logs.hpp"
#include "tally/negotiation/peers.hpp"

#include "config.hpp"

namespace tally::daemon {

struct WitnessKey {
  audit::VerifierKey key;  // "<participant>/witness", type 0x04
  audit::Signer signer;
};
// nullopt: none is configured, and this connector witnesses nobody. Errors: invalid, each naming
// the file (daemon.file-*, daemon.witness-key-malformed, daemon.witness-key-shared: it is the key
// of the log or of contracts too).
Result<std::optional<WitnessKey>> load_witness_key(const Config& config);

// Whose cosignatures an agreement that says `strict` waits for. nullopt: none is configured.
// Errors: invalid, each naming the file (daemon.config-unreadable, daemon.witness-quorum: not a
// policy, or one without a quorum).
Result<std::optional<audit::LogPolicy>> load_witness_quorum(const Config& config);

// The partners' logs, each for its owner, and those of the configuration for every peer. Home
// executor only.
class WatchedLogs final : public audit::WatchList {
 public:
  WatchedLogs(const negotiation::PartnerLogs& partners, std::vector<audit::VerifierKey> named)
      : partners_(partners), named_(std::move(named)) {}

  [[nodiscard]] std::optional<audit::Watched> find(std::string_view origin, const PartyId& from)
      const override;
  // For the operator: every one of them.
  [[nodiscard]] std::vector<audit::WatchedName> all() const;

 private:
  const negotiation::PartnerLogs& partners_;
  const std::vector<audit::VerifierKey> named_;
};

// Our log's tree as its sender of checkpoints wants it. Blocks; any thread.
class LogCheckpoints final : public audit::CheckpointSource {
 public:
  LogCheckpoints(audit::LogTree& tree, audit::LogStorage& storage)
      : tree_(tree), storage_(storage) {}
  Result<std::string> checkpoint() override {
    auto released = tree_.checkpoint();
    if (!released) return fail(std::move(released));
    return std::move(released->note);
  }
  Result<audit::Proof> consistency(std::uint64_t from, std::uint64_t to) override {
    return tree_.consistency_proof(from, to);
  }
  Result<Digest> root(std::uint64_t size) override { return tree_.root(size); }
  Result<void> keep_cosigned(
      const audit::Note& note, const std::function<bool(const audit::Note& kept)>& is_better
  ) override {
    return tree_.keep_cosigned(note, is_better);
  }
  Result<void> keep_proof(const audit::ProofOfLoss& proof) override {
    const std::scoped_lock one_at_a_time(proof_mutex_);
    return audit::keep_proof(storage_, proof);
  }

 private:
  audit::LogTree& tree_;
  audit::LogStorage& storage_;
  std::mutex proof_mutex_;  // two partners may bring the same one
};

// By whom our own log is to be cosigned: partners with a witness that speak /tally/v1, and those of
// the configuration. Home executor only.
std::vector<audit::WitnessTarget> witness_targets(
    const negotiation::PartnerLogs& partners,
    const negotiation::PeerDirectory& peers,
    const std::vector<WitnessEntry>& named
);

}  // namespace tally::daemon
