// What a certificate authority hands back, sorted. It comes as one text of PEM blocks in any order:
// certificates for our two keys, the authorities above them, revocation lists. Here they become the
// files of a connector's folder. Nothing is trusted by being sorted: whether an anchor is to be,
// its caller asks the operator. Pure; any thread.
#pragma once

#include <string>
#include <string_view>
#include <vector>

#include "tally/core/digest.hpp"
#include "tally/core/instant.hpp"
#include "tally/core/result.hpp"

namespace tally::identity {

struct IssuedAnchor {
  std::string subject;  // RFC 2253
  std::string sha256;   // of the certificate, hex
  Instant not_after;
};

// The leaf of a key, then the authorities between it and its anchor. Empty: none came.
struct IssuedChain {
  std::string pem;
  std::vector<Bytes> der;
};

struct Issued {
  IssuedChain tls;
  IssuedChain contract;
  std::string anchors;              // PEM: CA certificates that sign themselves
  std::vector<IssuedAnchor> named;  // the same, in the same order
  std::string lists;                // PEM: revocation lists
};

// Of several certificates for one key the one that begins last is taken, so that a file that was
// added to serves a renewal too. Errors: invalid; identity.key-unreadable,
// identity.issued-unreadable (a block that cannot be read, or none at all),
// identity.issued-private-key (whoever sent it has given a key away),
// identity.issued-stranger (a certificate that is no authority's and of neither key).
Result<Issued> sort_issued(
    std::string_view pem, std::string_view tls_key_pem, std::string_view contract_key_pem
);

// The CA certificates of a PEM text, self-signed or not. Errors: invalid,
// identity.chain-unreadable.
Result<std::vector<IssuedAnchor>> anchors_of(std::string_view pem);

struct ListFacts {
  std::string issuer;   // RFC 2253
  Instant next_update;  // of a list that names none, the moment it was made
};
// The revocation lists of a PEM text. Errors: invalid, identity.issued-unreadable: there is none,
// or one cannot be read.
Result<std::vector<ListFacts>> list_facts(std::string_view pem);

}  // namespace tally::identity
