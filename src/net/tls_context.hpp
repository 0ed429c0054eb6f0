// TLS settings of this program, in one place: version 1.3 only, no tickets, no resumption, no early
// data. A context is immutable once made; reloading makes a new one.
#pragma once

#include <memory>
#include <optional>
#include <string>

#include <openssl/ssl.h>

#include "tally/core/clock.hpp"
#include "tally/core/result.hpp"
#include "tally/identity/trust.hpp"

namespace tally::net {

using TlsContext = std::shared_ptr<SSL_CTX>;

// How the chain of the other side is judged in a handshake, and what came of it. Belongs to one
// connection; the SSL object points to it (tie_verifier).
struct ChainVerifier {
  identity::TrustSource* trust = nullptr;
  Clock* clock = nullptr;
  identity::Purpose purpose = identity::Purpose::client;
  std::optional<PartyId> expected;  // when set, the only party that will do

  std::shared_ptr<const identity::PeerIdentity> identity;  // after success
  std::uint64_t generation = 0;                            // of the trust store that said so
  std::shared_ptr<const Error> refusal;                    // after failure
};
void tie_verifier(SSL* ssl, ChainVerifier* verifier);

// Verifies again, under the trust store of now. False and `refusal` set: the connection must go.
bool verify_again(ChainVerifier& verifier);
// Whether it must be verified again: the store has been replaced, or its word has run out.
bool needs_verification(const ChainVerifier& verifier, std::uint64_t generation, Instant now);

enum class ServerTrust { nobody, chain_verifier };
// Errors: invalid, net.tls-key, net.tls-certificate.
Result<TlsContext> make_server_context(
    const std::string& certificate_pem, const Secret& key_pem, ServerTrust trust
);

// With `ca_pem` the server is judged by those CAs and its host name, without it by a ChainVerifier.
Result<TlsContext> make_client_context(
    const std::string& certificate_pem, const Secret& key_pem, const std::string& ca_pem
);
// Without a certificate of our own; the server is judged by its host name and what the system
// trusts.
TlsContext make_web_client_context();

// What OpenSSL's queue says, in one word, and empties it.
std::string take_tls_reason();
// The reason code of the first error in the queue, 0 if none. Leaves the queue.
int peek_tls_reason();

}  // namespace tally::net
