// Key and certificate files of a connector, read at start and on reload.
#pragma once

#include <filesystem>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "tally/core/secret.hpp"
#include "tally/identity/contract_key.hpp"
#include "tally/identity/enrolment.hpp"
#include "tally/identity/trust.hpp"

#include "config.hpp"

namespace tally::daemon {

// What the certificates of this connector say, for readiness and `--check`.
struct Credentials {
  std::string tls_certificate_pem;
  Secret tls_key_pem;  // until it is loaded
  identity::CertificateFacts tls;
  identity::CertificateFacts contract;
  std::shared_ptr<const identity::ContractSigner> signer;
};

// Errors: invalid (daemon.file-unreadable, daemon.file-readable-by-others,
// daemon.certificate-other-uri, identity.*), each naming the file.
Result<std::string> read_file(const std::filesystem::path& file);
// Read past every buffer that would keep a copy; of a key file none may be readable by others.
Result<Secret> read_secret(const std::filesystem::path& file);
Result<Secret> read_key_file(const std::filesystem::path& file);
Result<Credentials> load_credentials(const Config& config);
Result<std::shared_ptr<const identity::TrustStore>> load_trust(const Config& config);

// What the listener for credentials shows: its own pair, or that of `tls`. Of a pair of its own
// neither participant nor use is asked for: whoever connects there judges a host name. Errors: as
// above, and invalid (identity.key-not-of-certificate).
struct CredentialPair {
  std::string certificate;  // PEM
  Secret key;
};
Result<CredentialPair> load_credential_pair(const Config& config, const Credentials& credentials);

// Opens everything that the configuration names and says all that is wrong: `tallyd --check`.
std::vector<ConfigProblem> check(const Config& config);

}  // namespace tally::daemon
