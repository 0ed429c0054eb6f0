// Data held under contract, encrypted at rest (docs/custody-format.md). Each artefact has a random
// key in a file of its own, wrapped under the KeySource's key; destroying that file is the
// deletion.
//
// The life of an artefact: being written (`.part`, not survived by a restart) → sealed (complete
// and durable, still readable by nobody) → held (`publish`) → destroyed. Nothing here decides who
// may read: usage does, before `open` is called. Any thread; one writer for an artefact.
#pragma once

#include <cstdint>
#include <memory>
#include <span>
#include <string>
#include <vector>

#include "tally/core/http.hpp"
#include "tally/core/ids.hpp"
#include "tally/core/notices.hpp"
#include "tally/custody/blob_store.hpp"
#include "tally/custody/key_source.hpp"
#include "tally/custody/wrapped_keys.hpp"

namespace tally::custody {

struct Sealed {
  std::string content;  // "sha256:…" of the plain bytes
  std::uint64_t bytes = 0;
};

class ArtefactWriter {
 public:
  virtual ~ArtefactWriter() = default;  // unfinished: what is there is removed at the next start
  // After an error nothing more can be written.
  virtual awaitable<Result<void>> write(std::span<const std::uint8_t> bytes) = 0;
  [[nodiscard]] virtual std::uint64_t bytes() const = 0;  // taken so far: where a resume begins
  // Durable on return, and not visible yet.
  virtual awaitable<Result<Sealed>> finish() = 0;
  // Key and bytes are gone on return.
  virtual awaitable<Result<void>> abandon() = 0;
};

struct OpenedArtefact {
  std::unique_ptr<BodyReader> body;  // from the asked offset on; cut when the artefact is destroyed
  std::uint64_t length = 0;          // of the whole
};

// What a start found and put right.
struct Recovered {
  std::vector<std::string> incomplete;  // writes that a stop cut short: removed
  std::vector<std::string> shredded;    // bytes without a key: an interrupted destruction, removed
  std::vector<std::string> stray_keys;  // keys without bytes: destroyed
  std::vector<std::string> unknown;     // files that are none of a custody: left as they are
  std::vector<ArtefactId> there;        // key and bytes, sealed or held
};

class Custody final : public WrappedKeys {
 public:
  Custody(BlobStore& blobs, KeySource& keys, Worker& worker, Random& random);
  ~Custody() override;
  Custody(const Custody&) = delete;
  Custody& operator=(const Custody&) = delete;

  // Once, before anything else.
  awaitable<Result<Recovered>> recover();

  // Errors: conflict (custody.exists), invalid (custody.bad-id), unavailable.
  awaitable<Result<std::unique_ptr<ArtefactWriter>>> begin(ArtefactId id);
  // A sealed artefact becomes one that can be opened. Of one that is held already: nothing. Errors:
  // not_found (custody.unknown-artefact).
  awaitable<Result<void>> publish(ArtefactId id);
  // Overwrites and removes the key, then the bytes, whatever state the artefact is in; durable on
  // return. Readers that are open get custody.destroyed with their next piece. Idempotent.
  awaitable<Result<void>> destroy(ArtefactId id);
  // Only what is held. Errors: not_found (custody.unknown-artefact), internal (custody.damaged: the
  // bytes are not what was written), invalid (custody.wrong-key: under a wrapping key that is not
  // in the ring; custody.file-foreign).
  awaitable<Result<OpenedArtefact>> open(ArtefactId id, std::uint64_t offset = 0);
  // The same to look whether it is what was written: no use, so nothing waits for its end.
  awaitable<Result<OpenedArtefact>> open_to_check(ArtefactId id);
  // What is sealed and not held: for whoever wrote it, to go on with. Errors: as of `open`.
  awaitable<Result<OpenedArtefact>> open_sealed(ArtefactId id);

  // Whether its key is there, in whatever state it is: what must not be after a destruction.
  awaitable<Result<bool>> key_exists(ArtefactId id);
  awaitable<Result<bool>> held(ArtefactId id);
  awaitable<Result<std::vector<ArtefactId>>> list();      // what is held
  [[nodiscard]] bool in_use(const ArtefactId& id) const;  // a reader is open that is no check

  // --- WrappedKeys ---
  Result<std::vector<std::string>> wrapped() override;
  Result<Rewrapped> rewrap(const std::string& name) override;

  struct State;

 private:
  std::shared_ptr<State> state_;
};

// Letters, digits, '-', '_' and '.', at most 100, not beginning with '.': the id is a file name.
bool is_valid_id(const ArtefactId& id);

}  // namespace tally::custody
