// Fetches contracted data into custody. custody implements it; transfer says when.
#pragma once

#include <cstdint>
#include <memory>
#include <string>

#include "tally/core/clock.hpp"
#include "tally/core/ids.hpp"
#include "tally/core/json.hpp"
#include "tally/core/result.hpp"
#include "tally/transfer/data_keys.hpp"

namespace tally::transfer {

struct PullOrder {
  Pid process;  // our own pid
  Pid provider_pid;
  AgreementId agreement;
  AssetId asset;
  PartyId provider;
  std::string endpoint;
  std::string token;            // empty: the endpoint asks for none
  bool bare_token = false;      // it goes as it is, without "Bearer "
  std::string fresh_token_url;  // where a new one is had after 401 certificate-changed; or empty
  bool sealed = false;          // what comes is encrypted, and opened later
  std::shared_ptr<const bool> wanted;  // false: the pull ends with the next piece; null: it is
};

struct OpenOrder {
  Pid process;
  Pid provider_pid;
  DataKey key;
  OpenedContent opens;
};

struct Pulled {
  std::string content;  // "sha256:…" of what arrived
  std::uint64_t bytes = 0;
};

// Home executor. Every step may be repeated after a crash: pull begins anew or resumes, publish and
// discard of what is published or discarded already do nothing.
class PullExecutor {
 public:
  virtual ~PullExecutor() = default;
  // Fetches all of it into a staging place that nobody can read. Errors: unavailable (worth another
  // try), forbidden or invalid (it is not), conflict (custody.pull-stopped: it is wanted no more;
  // custody.already-destroyed).
  virtual awaitable<Result<Pulled>> pull(PullOrder order) = 0;
  // Opens what was pulled sealed into the staging place: durable on return, and what was pulled
  // stays until `publish` or `discard`. Errors: invalid (custody.payload-not-opened: it opens to
  // something else or not at all), conflict (custody.already-destroyed), unavailable.
  virtual awaitable<Result<void>> open(OpenOrder order) = 0;
  // Makes it an artefact that may be read. Called after `transfer.received` is durable, and
  // `key.received` where that is needed. `form`: what the provider said of its rows and columns, or
  // null; kept with the artefact.
  virtual awaitable<Result<void>> publish(Pid process, Json form) = 0;
  virtual awaitable<Result<void>> discard(Pid process) = 0;
};

}  // namespace tally::transfer
