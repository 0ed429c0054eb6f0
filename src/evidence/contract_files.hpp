// The files under contract/ of a bundle that follow from an archived signature, for people with
// `openssl`.
#pragma once

#include <map>
#include <string>
#include <string_view>

#include "tally/identity/message_signature.hpp"
#include "tally/odrl/policy.hpp"

namespace tally::evidence {

// "contract/provider-signature.json", "contract/consumer-signature.json".
std::string signature_file(odrl::Side side);

// "contract/<side>.pem": its chain, leaf first; "contract/<side>.signed": the bytes that were
// signed.
std::map<std::string, std::string> derived_files(
    odrl::Side side, const identity::MessageSignature& signature
);

}  // namespace tally::evidence
