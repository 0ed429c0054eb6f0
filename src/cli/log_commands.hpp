// `tally audit key|tiles|prove|check-proof|heads|check-heads|check-receipt`: the log as others can
// check it, from files alone. A folder is a log folder or a connector's folder with `log` in it.
#pragma once

#include <cstdint>
#include <filesystem>
#include <string>

#include "tally/audit/log_policy.hpp"

#include "console.hpp"

namespace tally::cli {

// The current verifier key; as JSON all of them, with the record from which each counts.
int audit_key(const Console& console, const std::filesystem::path& folder);

// The static files of C2SP tlog-tiles, into a folder that is empty or not there yet.
int audit_tiles(
    const Console& console, const std::filesystem::path& folder, const std::filesystem::path& out
);

struct ProveOptions {
  std::filesystem::path folder;
  std::uint64_t seq = 0;
  std::filesystem::path out;     // empty: standard output
  std::filesystem::path record;  // where the record's bytes go; empty: nowhere
};
// A C2SP tlog-proof of one record.
int audit_prove(const Console& console, const ProveOptions& options);

struct CheckProofOptions {
  std::filesystem::path proof;
  std::filesystem::path record;
  std::string vkey;              // one of these two
  std::filesystem::path policy;  // C2SP tlog-policy
};
// Exit: 0 the record is where the proof says, 1 that is not shown, 3 usage.
int audit_check_proof(const Console& console, const CheckProofOptions& options);

struct HeadsOptions {
  std::filesystem::path folder;
  std::string agreement;
  std::filesystem::path out;  // empty: standard output
};
// How many records the log has of an agreement, or that it has none, as one file.
int audit_heads(const Console& console, const HeadsOptions& options);

struct CheckHeadsOptions {
  std::filesystem::path file;
  std::string agreement;
  std::string vkey;              // one of these two
  std::filesystem::path policy;  // C2SP tlog-policy
};
// Exit: 0 the file shows a head or its absence, 1 neither is shown, 3 usage.
int audit_check_heads(const Console& console, const CheckHeadsOptions& options);

// Whom the caller believes: a log's key alone, or a file (C2SP tlog-policy).
Result<audit::LogPolicy> believed(const std::string& vkey, const std::filesystem::path& file);

struct CheckReceiptOptions {
  std::filesystem::path file;    // the header's value, the note, or the file with the proof
  std::string key;               // of the contract key that signed
  std::string vkey;              // of the log; for a file with a proof one of these two
  std::filesystem::path policy;  // C2SP tlog-policy
};
// Exit: 0 the receipt of a use is good, 1 that is not shown, 3 usage.
int audit_check_receipt(const Console& console, const CheckReceiptOptions& options);

}  // namespace tally::cli
