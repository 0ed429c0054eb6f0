// The map of heads: for each agreement of a log the last of its records, under one root that a
// `log.heads` record carries. With it a party shows that it left nothing out (k records of an
// agreement, and k is the last), or that there is nothing (no such agreement here), and no other
// agreement is named: only hashes appear. docs/audit-log-format.md, "The map of heads", has the
// bytes.
//
// What it does not show: that the owner filled the map honestly. The root is a signed statement,
// and any record that contradicts it convicts; whoever holds the whole log recomputes it.
//
// Pure; values and free functions, safe from any thread. A HeadsMap that follows is one caller's.
#pragma once

#include <cstddef>
#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <unordered_map>
#include <utility>
#include <vector>

#include "tally/audit/tree.hpp"
#include "tally/core/ids.hpp"

namespace tally::audit {

// Where an agreement stands.
struct AgreementHead {
  std::uint64_t aseq = 0;  // of its last record: so many records it has
  Digest leaf{};           // the leaf hash of that record
  std::uint64_t size = 0;  // of the log with that record as the last: its seq plus one
  bool operator==(const AgreementHead&) const = default;
};

// SHA-256 of the agreement's id: the order of the map, and all that a proof says of other
// agreements.
Digest heads_key(const AgreementId& agreement);

// One entry of the map with its inclusion proof.
struct ProvenHead {
  Digest key{};
  AgreementHead head;
  std::uint64_t index = 0;
  Proof path;
  bool operator==(const ProvenHead&) const = default;
};

// That an agreement has this head: its entry. That it has none: its two neighbours, or the first or
// the last entry of all where it would stand before or behind it, or no entry where the map has
// none.
struct HeadsProof {
  std::uint64_t count = 0;  // of agreements in the map
  std::vector<ProvenHead> entries;

  [[nodiscard]] std::string print() const;
  bool operator==(const HeadsProof&) const = default;
};
// Strict: `print()` gives back the same bytes. Errors: invalid audit.heads-proof-malformed.
Result<HeadsProof> parse_heads_proof(std::string_view text);

class HeadsMap {
 public:
  // Errors: invalid audit.heads-twice (an agreement twice), audit.heads-empty (a head with aseq or
  // size 0).
  static Result<HeadsMap> make(const std::vector<std::pair<AgreementId, AgreementHead>>& heads);

  HeadsMap();  // of no agreement

  // Of the heads that a log's writer and its readers keep, by the agreement's id. Hashes every
  // agreement of the log. Errors: as above.
  static Result<HeadsMap> of(const std::unordered_map<std::string, AgreementHead>& agreements);
  // Brings the map of earlier heads of the same log to these. Hashes the agreements that have a new
  // record since, and what is above them and behind the first new agreement. Errors:
  // audit.heads-empty; the map is to be made anew then.
  Result<void> follow(const std::unordered_map<std::string, AgreementHead>& agreements);

  [[nodiscard]] std::size_t count() const { return entries_.size(); }
  [[nodiscard]] const Digest& root() const { return root_; }
  [[nodiscard]] std::optional<AgreementHead> find(const AgreementId& agreement) const;
  // Of the head or of its absence.
  [[nodiscard]] HeadsProof prove(const AgreementId& agreement) const;

 private:
  using Entry = std::pair<Digest, AgreementHead>;
  // Of the first entry whose key is not below this one.
  [[nodiscard]] std::size_t place_of(const Digest& key) const;
  [[nodiscard]] ProvenHead proven(std::size_t index) const;

  // Entries whose keys are not there yet; gives the place of the first of them, from which on all
  // others have moved.
  std::size_t add(std::vector<Entry> fresh);
  // The nodes above these leaves (ascending) and above all from `from` on, and the root.
  void hash_nodes(std::vector<std::size_t> changed, std::size_t from);

  std::vector<Entry> entries_;                  // by key
  std::vector<std::vector<Digest>> levels_{1};  // [level][index]: perfect subtrees; leaves first
  Digest root_{};
  std::uint64_t seen_ = 0;  // the largest size of a head
};

// The head of `agreement` in the map with this root, or nullopt when the proof shows that there is
// none. Errors: invalid audit.heads-proof-wrong (the proof shows neither).
Result<std::optional<AgreementHead>> verify_heads_proof(
    const Digest& root, const AgreementId& agreement, const HeadsProof& proof
);

}  // namespace tally::audit
