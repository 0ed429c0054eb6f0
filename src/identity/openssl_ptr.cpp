#include "openssl_ptr.hpp"

#include <algorithm>
#include <ctime>
#include <map>
#include <mutex>
#include <utility>

#include <openssl/err.h>
#include <openssl/pem.h>

namespace tally::identity {

namespace {

int no_passphrase(char*, int, int, void*) {
  return -1;
}

// PEM readers end with "no start line" when the text is used up; every other end is an error.
bool ended_cleanly() {
  const unsigned long error = ERR_peek_last_error();
  const bool clean =
      ERR_GET_LIB(error) == ERR_LIB_PEM && ERR_GET_REASON(error) == PEM_R_NO_START_LINE;
  ERR_clear_error();
  return clean;
}

template <class Pointer, class Read>
std::optional<std::vector<Pointer>> all_of(std::string_view pem, Read read) {
  ERR_clear_error();
  const BioPtr bio = memory_bio(pem);
  std::vector<Pointer> found;
  while (auto* one = read(bio.get(), nullptr, no_passphrase, nullptr)) found.emplace_back(one);
  if (!ended_cleanly()) return std::nullopt;
  return found;
}

bool push_text(GENERAL_NAMES* names, int type, const std::string& text) {
  GENERAL_NAME* name = GENERAL_NAME_new();
  ASN1_IA5STRING* value = ASN1_IA5STRING_new();
  ASN1_STRING_set(value, text.data(), static_cast<int>(text.size()));
  GENERAL_NAME_set0_value(name, type, value);
  return sk_GENERAL_NAME_push(names, name) > 0;
}

// The same few certificates come with one message after the other, and looking for the decoder of
// its key is most of what OpenSSL 3 does to read one. It counts who holds a certificate and never
// changes it. Any thread.
class ParsedCertificates {
 public:
  CertificatePtr find(const Digest& digest) const {
    const std::lock_guard lock(mutex_);
    const auto found = parsed_.find(digest);
    if (found == parsed_.end()) return nullptr;
    X509_up_ref(found->second.get());
    return CertificatePtr(found->second.get());
  }
  void add(const Digest& digest, X509* certificate) {
    constexpr std::size_t most = 256;
    const std::lock_guard lock(mutex_);
    if (parsed_.size() >= most) parsed_.clear();
    X509_up_ref(certificate);
    parsed_.insert_or_assign(digest, CertificatePtr(certificate));
  }

 private:
  mutable std::mutex mutex_;
  std::map<Digest, CertificatePtr> parsed_;
};

}  // namespace

BioPtr memory_bio(std::string_view text) {
  return BioPtr(BIO_new_mem_buf(text.data(), static_cast<int>(text.size())));
}

std::string bio_text(BIO* bio) {
  char* data = nullptr;
  const long size = BIO_get_mem_data(bio, &data);
  return {data, static_cast<std::size_t>(size)};
}

CertificatePtr parse_certificate(std::span<const std::uint8_t> der) {
  // First, so that OpenSSL is there before the certificates that are kept, and goes after them.
  const Digest digest = sha256(der);
  static ParsedCertificates parsed;
  if (auto known = parsed.find(digest)) return known;
  const unsigned char* at = der.data();
  CertificatePtr certificate(d2i_X509(nullptr, &at, static_cast<long>(der.size())));
  if (certificate && at != der.data() + der.size()) certificate.reset();
  forget_openssl_errors();
  if (certificate) parsed.add(digest, certificate.get());
  return certificate;
}

Bytes to_der(X509* certificate) {
  Bytes der(static_cast<std::size_t>(i2d_X509(certificate, nullptr)));
  unsigned char* at = der.data();
  i2d_X509(certificate, &at);
  return der;
}

Bytes to_der(X509_CRL* list) {
  Bytes der(static_cast<std::size_t>(i2d_X509_CRL(list, nullptr)));
  unsigned char* at = der.data();
  i2d_X509_CRL(list, &at);
  return der;
}

std::string name_text(const X509_NAME* name) {
  const BioPtr bio(BIO_new(BIO_s_mem()));
  X509_NAME_print_ex(bio.get(), name, 0, XN_FLAG_RFC2253);
  return bio_text(bio.get());
}

Instant to_instant(const ASN1_TIME* time) {
  std::tm parts{};
  if (time == nullptr || ASN1_TIME_to_tm(time, &parts) != 1) return {};
  return {timegm(&parts), 0};
}

std::optional<std::vector<CertificatePtr>> certificates_of(std::string_view pem) {
  return all_of<CertificatePtr>(pem, PEM_read_bio_X509);
}

std::optional<std::vector<CrlPtr>> lists_of(std::string_view pem) {
  return all_of<CrlPtr>(pem, PEM_read_bio_X509_CRL);
}

std::optional<std::array<std::uint8_t, 32>> ed25519_key_of(const EVP_PKEY* key) {
  std::array<std::uint8_t, 32> raw{};
  std::size_t size = raw.size();
  if (key == nullptr || EVP_PKEY_get_id(key) != EVP_PKEY_ED25519 ||
      EVP_PKEY_get_raw_public_key(key, raw.data(), &size) != 1 || size != raw.size()) {
    forget_openssl_errors();
    return std::nullopt;
  }
  return raw;
}

KeyPtr private_key_of(std::string_view pem) {
  const BioPtr bio = memory_bio(pem);
  KeyPtr key(PEM_read_bio_PrivateKey(bio.get(), nullptr, no_passphrase, nullptr));
  forget_openssl_errors();
  return key;
}

Secret key_text(EVP_PKEY* key) {
  const BioPtr bio(BIO_new(BIO_s_mem()));
  PEM_write_bio_PKCS8PrivateKey(bio.get(), key, nullptr, nullptr, 0, nullptr, nullptr);
  char* data = nullptr;
  const long size = BIO_get_mem_data(bio.get(), &data);
  return Secret(std::string_view(data, static_cast<std::size_t>(size)));
}

std::optional<std::vector<std::string>> uris_of(X509* certificate) {
  int critical = 0;
  const NamesPtr names(static_cast<GENERAL_NAMES*>(
      X509_get_ext_d2i(certificate, NID_subject_alt_name, &critical, nullptr)
  ));
  forget_openssl_errors();
  std::vector<std::string> uris;
  if (!names) {
    if (critical != -1) return std::nullopt;  // -1: not there; -2: there twice
    return uris;
  }
  for (int i = 0; i < sk_GENERAL_NAME_num(names.get()); ++i) {
    const GENERAL_NAME* name = sk_GENERAL_NAME_value(names.get(), i);
    if (name->type != GEN_URI) continue;
    const ASN1_IA5STRING* text = name->d.uniformResourceIdentifier;
    uris.emplace_back(
        reinterpret_cast<const char*>(ASN1_STRING_get0_data(text)),
        static_cast<std::size_t>(ASN1_STRING_length(text))
    );
  }
  return uris;
}

SubjectAttributes subject_of(X509* certificate) {
  constexpr int most_entries = 32;
  constexpr int most_bytes = 256;
  static constexpr std::pair<int, const char*> known[] = {
      {NID_organizationName, "O"}, {NID_organizationalUnitName, "OU"}, {NID_countryName, "C"}};
  SubjectAttributes out;
  const X509_NAME* subject = X509_get_subject_name(certificate);
  const int entries = std::min(X509_NAME_entry_count(subject), most_entries);
  for (int i = 0; i < entries; ++i) {
    const X509_NAME_ENTRY* entry = X509_NAME_get_entry(subject, i);
    const int kind = OBJ_obj2nid(X509_NAME_ENTRY_get_object(entry));
    for (const auto& [nid, name] : known) {
      if (kind != nid) continue;
      unsigned char* text = nullptr;
      const int size = ASN1_STRING_to_UTF8(&text, X509_NAME_ENTRY_get_data(entry));
      if (size > 0 && size <= most_bytes) {
        out.emplace_back(
            name, std::string(reinterpret_cast<const char*>(text), static_cast<std::size_t>(size))
        );
      }
      if (size >= 0) OPENSSL_free(text);
    }
  }
  forget_openssl_errors();
  return out;
}

NamesPtr general_names(
    const std::vector<std::string>& uris,
    const std::vector<std::string>& dns_names,
    const std::vector<std::string>& addresses
) {
  NamesPtr names(GENERAL_NAMES_new());
  for (const std::string& uri : uris) push_text(names.get(), GEN_URI, uri);
  for (const std::string& dns : dns_names) push_text(names.get(), GEN_DNS, dns);
  for (const std::string& address : addresses) {
    ASN1_OCTET_STRING* octets = a2i_IPADDRESS(address.c_str());
    if (octets == nullptr) {
      forget_openssl_errors();
      return nullptr;
    }
    GENERAL_NAME* name = GENERAL_NAME_new();
    GENERAL_NAME_set0_value(name, GEN_IPADD, octets);
    sk_GENERAL_NAME_push(names.get(), name);
  }
  return names;
}

void forget_openssl_errors() {
  ERR_clear_error();
}

}  // namespace tally::identity
