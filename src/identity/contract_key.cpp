#include "tally/identity/contract_key.hpp"

#include <algorithm>
#include <set>

#include <nlohmann/json.hpp>

#include "tally/core/json.hpp"

#include "openssl_ptr.hpp"

namespace tally::identity {

namespace {

constexpr std::string_view statement_type = "tally-key-statement/1";
constexpr std::size_t most_statement_bytes = 4096;

tl::unexpected<Error> invalid(std::string code) {
  return fail(ErrorKind::invalid, {std::move(code), {}});
}

}  // namespace

struct ContractSigner::State {
  KeyPtr key;
  std::vector<Bytes> chain;
  std::string keyid;
  Ed25519PublicKey public_key{};
};

ContractSigner::ContractSigner(std::unique_ptr<State> state) : state_(std::move(state)) {}
ContractSigner::~ContractSigner() = default;

Result<std::shared_ptr<const ContractSigner>> ContractSigner::load(
    std::string_view key_pem, std::string_view chain_pem
) {
  auto state = std::make_unique<State>();
  state->key = private_key_of(key_pem);
  if (!state->key) return invalid("identity.key-unreadable");
  const auto public_key = ed25519_key_of(state->key.get());
  if (!public_key) return invalid("identity.key-not-ed25519");
  state->public_key = *public_key;

  const auto chain = certificates_of(chain_pem);
  if (!chain || chain->empty()) return invalid("identity.chain-unreadable");
  for (const CertificatePtr& certificate : *chain) {
    state->chain.push_back(to_der(certificate.get()));
  }
  if (certificate_ed25519_key(state->chain.front()) != public_key) {
    return invalid("identity.key-not-of-certificate");
  }
  state->keyid = to_hex(sha256(state->chain.front()));
  return std::shared_ptr<const ContractSigner>(new ContractSigner(std::move(state)));
}

Ed25519Signature ContractSigner::sign(std::span<const std::uint8_t> bytes) const {
  Ed25519Signature signature{};
  std::size_t size = signature.size();
  const DigestContextPtr context(EVP_MD_CTX_new());
  if (EVP_DigestSignInit(context.get(), nullptr, nullptr, nullptr, state_->key.get()) != 1 ||
      EVP_DigestSign(context.get(), signature.data(), &size, bytes.data(), bytes.size()) != 1) {
    // Only a lack of memory gets here; a signature of zeros must not go out.
    throw std::bad_alloc();
  }
  return signature;
}

const std::vector<Bytes>& ContractSigner::chain() const {
  return state_->chain;
}
const std::string& ContractSigner::keyid() const {
  return state_->keyid;
}
const Ed25519PublicKey& ContractSigner::public_key() const {
  return state_->public_key;
}

bool verify_ed25519(
    std::span<const std::uint8_t> public_key,
    std::span<const std::uint8_t> bytes,
    std::span<const std::uint8_t> signature
) {
  if (public_key.size() != 32 || signature.size() != 64) return false;
  const KeyPtr key(
      EVP_PKEY_new_raw_public_key(EVP_PKEY_ED25519, nullptr, public_key.data(), public_key.size())
  );
  const DigestContextPtr context(EVP_MD_CTX_new());
  const bool good =
      key && EVP_DigestVerifyInit(context.get(), nullptr, nullptr, nullptr, key.get()) == 1 &&
      EVP_DigestVerify(
          context.get(), signature.data(), signature.size(), bytes.data(), bytes.size()
      ) == 1;
  forget_openssl_errors();
  return good;
}

std::optional<Ed25519PublicKey> certificate_ed25519_key(std::span<const std::uint8_t> der) {
  const CertificatePtr certificate = parse_certificate(der);
  if (!certificate) return std::nullopt;
  return ed25519_key_of(X509_get0_pubkey(certificate.get()));
}

std::string to_jcs(const KeyStatement& statement) {
  const Json document{
      {"type", statement_type},
      {"party", statement.party},
      {"logOrigin", statement.log_origin},
      {"firstLogVkey", statement.first_log_vkey},
      {"witnessVkey", statement.witness_vkey},
      {"notBefore", format_seconds(statement.not_before)},
      {"notAfter", format_seconds(statement.not_after)},
  };
  return tally::to_jcs(document);
}

Result<KeyStatement> parse_key_statement(std::string_view jcs) {
  const auto document = parse_json(jcs, {.bytes = most_statement_bytes, .depth = 2});
  if (!document)
    return fail(ErrorKind::invalid, document.error().message, document.error().pointer);
  // Signed text has one form; a second way to write the same statement is not it.
  if (!document->is_object() || tally::to_jcs(*document) != jcs) {
    return invalid("identity.key-statement-malformed");
  }
  const std::set<std::string> known{
      "type", "party", "logOrigin", "firstLogVkey", "witnessVkey", "notBefore", "notAfter"};
  for (const auto& [key, value] : document->items()) {
    if (!known.contains(key) || !value.is_string()) {
      return invalid("identity.key-statement-malformed");
    }
  }
  if (document->size() != known.size() || document->at("type") != statement_type) {
    return invalid("identity.key-statement-malformed");
  }
  KeyStatement statement;
  statement.party = document->at("party");
  statement.log_origin = document->at("logOrigin");
  statement.first_log_vkey = document->at("firstLogVkey");
  statement.witness_vkey = document->at("witnessVkey");
  const auto not_before = parse_date_time(document->at("notBefore").get<std::string>());
  const auto not_after = parse_date_time(document->at("notAfter").get<std::string>());
  if (!not_before || !not_after || !not_before->had_zone || !not_after->had_zone) {
    return invalid("identity.key-statement-malformed");
  }
  statement.not_before = not_before->instant;
  statement.not_after = not_after->instant;
  if (statement.not_after <= statement.not_before) {
    return invalid("identity.key-statement-validity");
  }
  return statement;
}

SignedKeyStatement sign_key_statement(const KeyStatement& statement, const ContractSigner& signer) {
  SignedKeyStatement result;
  result.jcs = to_jcs(statement);
  result.signature = signer.sign(result.jcs);
  return result;
}

}  // namespace tally::identity
