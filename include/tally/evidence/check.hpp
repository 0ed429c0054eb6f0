// Checking a bundle, with nothing else: no daemon, network, database, and no look at the present
// time. What certificates and revocation lists are worth is judged as of the time of signing.
//
// Pure; any thread.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "tally/audit/log_policy.hpp"
#include "tally/audit/record_source.hpp"
#include "tally/audit/verify.hpp"
#include "tally/evidence/bundle.hpp"

namespace tally::evidence {

// Whom the reader believes. With neither the bundle is held against itself alone.
struct Belief {
  std::string anchors_pem;  // of the trust domains; empty: certificates are not judged
  std::optional<audit::LogPolicy> policy;  // for the log's checkpoint
};

// The first thing that is not as it must be.
struct BundleFinding {
  std::string file;
  std::string link;  // archive, manifest, policy, record, log, proof, checkpoint, aseq, aprev,
                     // time, heads, agreement, signature, key, chain, rules, receipt, witness,
                     // lineage, file
  Message message;
};

struct BundleReport {
  audit::Verdict verdict = audit::Verdict::incomplete;
  std::optional<BundleFinding> finding;  // at `changed`
  std::vector<Message> missing;          // at `incomplete`: what is not shown, and why
  std::vector<Message> shown;            // what the bundle shows, one sentence each
  std::vector<Message> trusted;          // what that rests on beside mathematics
  std::string agreement;
  std::string origin;
  std::uint64_t size = 0;
  std::uint64_t records = 0;  // of the agreement
};

// Whatever the bytes are. Precondition: anchors that identity::check_anchors takes.
BundleReport check_bundle(std::string_view archive, const Belief& belief);

// The records of a bundle that was checked, for reconcile and trace.
audit::RecordSource records_of(const Bundle& bundle);

}  // namespace tally::evidence
