// Whom one believes about a log (C2SP tlog-policy): the keys of logs and of witnesses, and which of
// the witnesses have to agree. A file that a regulator or a partner writes for itself.
//
// Pure; values and free functions, safe from any thread.
#pragma once

#include <cstddef>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "tally/audit/checkpoint.hpp"

namespace tally::audit {

constexpr std::size_t most_policy_bytes = 256 << 10;
constexpr std::size_t most_policy_members = 256;  // of logs, of witnesses, of groups each

struct LogPolicy {
  struct Log {
    VerifierKey key;  // its name is the origin
    std::string url;  // may be empty
    bool operator==(const Log&) const = default;
  };
  struct Witness {
    std::string name;  // within this file
    VerifierKey key;
    std::string url;  // may be empty
    bool operator==(const Witness&) const = default;
  };
  // Holds when at least `least` of its members do.
  struct Group {
    std::string name;
    std::size_t least = 1;             // 1 … members.size()
    std::vector<std::string> members;  // witnesses and groups before it
    bool operator==(const Group&) const = default;
  };

  std::vector<Log> logs;
  std::vector<Witness> witnesses;
  std::vector<Group> groups;
  std::string quorum;  // a witness or a group; empty: none is needed

  // The file, without comments; `any` and `all` are written as their numbers.
  [[nodiscard]] std::string print() const;
  // Of all logs and witnesses, as verify_checkpoint wants them.
  [[nodiscard]] std::vector<VerifierKey> keys() const;
  // Whether the cosignatures among `good` make the quorum. Each key counts once.
  [[nodiscard]] bool quorum_of(std::span<const GoodSignature> good) const;
  bool operator==(const LogPolicy&) const = default;
};

// Strict, and more so than the standard where a mistake would weaken the quorum: names are used
// once, keys are of the type of their line, no member counts twice. Errors: invalid
// audit.log-policy-*, with the line.
Result<LogPolicy> parse_log_policy(std::string_view text);

// A checkpoint that one of the policy's logs signed and a quorum cosigned. Errors: invalid; those
// of verify_checkpoint, audit.quorum-missed.
Result<VerifiedCheckpoint> verify_checkpoint(std::string_view note, const LogPolicy& policy);

}  // namespace tally::audit
