// The secret from which pseudonyms are made (docs/shapes.md): one line of a file, 32 bytes in
// base64. Made by `tally init`, or by any good source of chance; never by the daemon, since another
// secret would be other pseudonyms.
#pragma once

#include <filesystem>
#include <memory>

#include "tally/core/ids.hpp"
#include "tally/core/result.hpp"
#include "tally/custody/key_source.hpp"
#include "tally/dataplane/shape.hpp"

namespace tally::daemon {

class PseudonymSecret {
 public:
  // None: no policy of this connector can ask for pseudonyms.
  PseudonymSecret() = default;
  // Errors: invalid (daemon.pseudonym-key-malformed, daemon.pseudonym-key-readable-by-others),
  // unavailable (daemon.file-unreadable).
  static Result<PseudonymSecret> read(const std::filesystem::path& file);

  [[nodiscard]] bool is_there() const { return key_ != nullptr; }
  // What binds idempotency keys to the parameters of calls: of the secret, or, where there is none,
  // of this run of the daemon alone.
  [[nodiscard]] Digest call_secret(Random& random) const;
  // Null: there is none.
  [[nodiscard]] std::unique_ptr<dataplane::PseudonymKeys> keys_of(const AgreementId& agreement
  ) const;

 private:
  std::shared_ptr<const custody::SecretKey> key_;
};

}  // namespace tally::daemon
