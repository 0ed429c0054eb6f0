// The keys of payloads that go out encrypted and are opened after their receipt
// (docs/peer-api.md, "Keys"). transfer says when one may leave; custody keeps them, wrapped.
#pragma once

#include <cstdint>
#include <string>

#include "tally/core/clock.hpp"
#include "tally/core/ids.hpp"
#include "tally/core/result.hpp"
#include "tally/core/secret.hpp"

namespace tally::transfer {

using DataKey = FixedSecret<16>;  // AES-128

// The provider's keys, one for each transfer. Any executor. Errors of every call: unavailable
// (custody.*), invalid (custody.wrong-key), internal (custody.damaged).
class DataKeys {
 public:
  virtual ~DataKeys() = default;
  // The key under which this version of the source goes out; durable before it is given. A key of
  // another version is destroyed first: two versions are never sealed under one key.
  virtual awaitable<Result<DataKey>> key_for(Pid process, std::string version) = 0;
  // Errors: also not_found (transfer.key-gone).
  virtual awaitable<Result<DataKey>> find(Pid process) = 0;
  // Overwritten and removed, durably. Idempotent.
  virtual awaitable<Result<void>> destroy(Pid process) = 0;
  [[nodiscard]] virtual bool holds(const Pid& process) const = 0;  // any thread, no I/O
};

// How both receipts describe a payload that is encrypted: their digest and length are those of the
// ciphertext.
struct SealedContent {
  std::uint64_t chunks = 0;
  std::string key;  // key_commitment
  bool operator==(const SealedContent&) const = default;
};

// What such a payload opens to.
struct OpenedContent {
  std::string content;  // "sha256:…"
  std::uint64_t bytes = 0;
  std::string media_type;
  bool operator==(const OpenedContent&) const = default;
};

// "sha256:…" over a key and what it opens to: says nothing of either, and fits no others. It stands
// in both receipts, so that the key that is owed is known before it is released.
std::string key_commitment(const DataKey& key, const OpenedContent& opens);

}  // namespace tally::transfer
