#include "keys.hpp"

#include <array>
#include <cerrno>
#include <fstream>
#include <sstream>

#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#include "tally/core/descriptor.hpp"

namespace tally::daemon {

namespace {

// Names the file in an error about what stands in it.
template <class T>
tl::unexpected<Error> in_file(const Result<T>& result, const std::filesystem::path& file) {
  Error error = result.error();
  error.message.params.emplace("file", file.string());
  if (error.pointer.empty()) error.pointer = file.string();
  return tl::unexpected(std::move(error));
}

Result<void> check_party(
    const identity::CertificateFacts& facts, const Config& config, const std::filesystem::path& file
) {
  if (facts.uris == std::vector<std::string>{config.participant.uri}) return {};
  return fail(
      ErrorKind::invalid,
      {"daemon.certificate-other-uri",
       {{"file", file.string()},
        {"expected", config.participant.uri},
        {"found", facts.uris.empty() ? "-" : facts.uris.front()}}}
  );
}

}  // namespace

Result<std::string> read_file(const std::filesystem::path& file) {
  std::ifstream in(file, std::ios::binary);
  if (!in) return fail(ErrorKind::invalid, {"daemon.file-unreadable", {{"file", file.string()}}});
  std::ostringstream text;
  text << in.rdbuf();
  return text.str();
}

Result<Secret> read_secret(const std::filesystem::path& file) {
  const auto unreadable = [&file] {
    return fail(ErrorKind::invalid, {"daemon.file-unreadable", {{"file", file.string()}}});
  };
  const Descriptor opened(::open(file.c_str(), O_RDONLY | O_CLOEXEC));
  struct stat facts {};
  if (!opened || ::fstat(opened.get(), &facts) != 0 || !S_ISREG(facts.st_mode)) return unreadable();
  Secret text(static_cast<std::size_t>(facts.st_size));
  std::size_t filled = 0;
  while (filled < text.size()) {
    const ssize_t n = ::read(opened.get(), text.data() + filled, text.size() - filled);
    if (n < 0 && errno == EINTR) continue;
    if (n < 0) return unreadable();
    if (n == 0) break;
    filled += static_cast<std::size_t>(n);
  }
  text.shorten(filled);
  return text;
}

Result<Secret> read_key_file(const std::filesystem::path& file) {
  struct stat facts {};
  if (::stat(file.c_str(), &facts) == 0 && (facts.st_mode & (S_IRWXG | S_IRWXO)) != 0) {
    return fail(ErrorKind::invalid, {"daemon.file-readable-by-others", {{"file", file.string()}}});
  }
  return read_secret(file);
}

Result<Credentials> load_credentials(const Config& config) {
  Credentials out;
  auto tls_chain = read_file(config.tls_certificate);
  if (!tls_chain) return fail(std::move(tls_chain));
  auto tls_key = read_key_file(config.tls_key);
  if (!tls_key) return fail(std::move(tls_key));
  if (auto fits = identity::check_key_of_certificate(*tls_key, *tls_chain); !fits) {
    return in_file(fits, config.tls_certificate);
  }
  auto tls = identity::certificate_facts(*tls_chain);
  if (!tls) return in_file(tls, config.tls_certificate);
  if (auto ours = check_party(*tls, config, config.tls_certificate); !ours) {
    return fail(ErrorKind::invalid, ours.error().message);
  }
  auto contract_chain = read_file(config.contract_certificate);
  if (!contract_chain) return fail(std::move(contract_chain));
  auto contract_key = read_key_file(config.contract_key);
  if (!contract_key) return fail(std::move(contract_key));
  auto signer = identity::ContractSigner::load(*contract_key, *contract_chain);
  if (!signer) return in_file(signer, config.contract_certificate);
  auto contract = identity::certificate_facts(*contract_chain);
  if (!contract) return in_file(contract, config.contract_certificate);
  if (auto ours = check_party(*contract, config, config.contract_certificate); !ours) {
    return fail(ErrorKind::invalid, ours.error().message);
  }
  out.tls_certificate_pem = std::move(*tls_chain);
  out.tls_key_pem = std::move(*tls_key);
  out.tls = std::move(*tls);
  out.contract = std::move(*contract);
  out.signer = std::move(*signer);
  return out;
}

Result<CredentialPair> load_credential_pair(const Config& config, const Credentials& credentials) {
  const auto& listener = *config.credential_peers;
  if (listener.certificate.empty()) {
    return CredentialPair{credentials.tls_certificate_pem, credentials.tls_key_pem};
  }
  auto chain = read_file(listener.certificate);
  if (!chain) return fail(std::move(chain));
  auto key = read_key_file(listener.key);
  if (!key) return fail(std::move(key));
  if (auto fits = identity::check_key_of_certificate(*key, *chain); !fits) {
    return in_file(fits, listener.certificate);
  }
  return CredentialPair{std::move(*chain), std::move(*key)};
}

Result<std::shared_ptr<const identity::TrustStore>> load_trust(const Config& config) {
  std::vector<identity::TrustDomainConfig> domains;
  for (const auto& entry : config.trust) {
    identity::TrustDomainConfig domain;
    domain.domain = entry.domain;
    auto anchors = read_file(entry.anchors);
    if (!anchors) return fail(std::move(anchors));
    domain.anchors_pem = std::move(*anchors);
    domain.uri_prefixes = entry.uri_prefixes;
    domain.crl = entry.crl_required ? identity::CrlPolicy::required : identity::CrlPolicy::none;
    if (!entry.crl.empty()) {
      auto crl = read_file(entry.crl);
      if (!crl) return fail(std::move(crl));
      domain.crl_pem.push_back(std::move(*crl));
    }
    domain.crl_grace = entry.crl_grace;
    domains.push_back(std::move(domain));
  }
  return identity::TrustStore::build(std::move(domains));
}

}  // namespace tally::daemon
