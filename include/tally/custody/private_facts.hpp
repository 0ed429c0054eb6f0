// Facts about persons, kept beside the log (docs/audit-log-format.md, "Facts beside the log"). Each
// is sealed with its salt under a key of its own, and that key under the key of the person it is
// about, which lies under the KeySource's, as does what their names are made with. A fact is known
// by its commitment, the member `private` of the record that it belongs to.
//
// All calls block, so they are made through Worker; any thread. Errors of every call: unavailable
// and not_found of BlobStore, invalid (custody.wrong-key), internal (custody.damaged).
#pragma once

#include <mutex>
#include <string>
#include <string_view>
#include <vector>

#include "tally/audit/commitment.hpp"
#include "tally/core/clock.hpp"
#include "tally/core/digest.hpp"
#include "tally/core/result.hpp"
#include "tally/custody/blob_store.hpp"
#include "tally/custody/key_source.hpp"
#include "tally/custody/wrapped_keys.hpp"

namespace tally::custody {

class KeyedHash;

// A name of a person, as an application or an operator gives it.
constexpr std::size_t subject_most_bytes = 256;

class PrivateFacts final : public WrappedKeys {
 public:
  PrivateFacts(BlobStore& blobs, KeySource& keys, Random& random);

  // Once, before anything else: ends what a crash cut short, a fact half written or half destroyed.
  Result<void> recover();

  // Durable on return; the commitment is what the record has to hold. `fact` is canonical JSON.
  Result<Digest> keep(std::string_view subject, std::string_view fact);
  // Errors: not_found (custody.no-fact: never kept here, or destroyed).
  Result<audit::Opening> open(const Digest& commitment);
  Result<std::vector<Digest>> list();
  Result<std::vector<Digest>> about(std::string_view subject);
  // Key, salt and bytes are overwritten and gone on return. Of one that is gone already: nothing.
  Result<void> destroy(const Digest& commitment);
  // The person's key, and with it every fact that lies under it.
  Result<void> destroy_subject(std::string_view subject);

  Result<std::vector<std::string>> wrapped() override;
  Result<Rewrapped> rewrap(const std::string& name) override;

 private:
  enum class Missing { make, pass };
  Result<KeyedHash> person_names(Missing missing);
  Result<std::string> subject_id(std::string_view subject, Missing missing);
  Result<SecretKey> subject_key(const std::string& id, bool make);
  Result<SecretKey> read_key(const std::string& id, const SecretKey& above);
  Result<void> write_key(const std::string& id, const SecretKey& key, const SecretKey& wrapping);
  Result<void> put(const std::string& name, std::span<const std::uint8_t> bytes);
  Result<Bytes> read(const std::string& name);
  Result<void> destroy_fact(const std::string& id);
  Result<std::vector<Digest>> list_now();

  std::mutex mutex_;  // one call at a time
  BlobStore& blobs_;
  KeySource& keys_;
  Random& random_;
};

}  // namespace tally::custody
