// The keys of RFC 8032's first tests as a log and as a witness, and a checkpoint that other tools
// signed with them.
#pragma once

#include <string>

#include "tally/audit/note.hpp"

namespace tally::audit {

// RFC 8032, 7.1, tests 1, 2 and 3.
inline const std::string log_seed =
    "9d61b19deffd5a60ba844af492ec2cc44449c5697b326919703bac031cae7f60";
inline const std::string witness_seed =
    "4ccd089b28ff96da9db6c346ec114e0f5b8a319f35aba624da8cf6ed4fb8a6fb";
inline const std::string third_seed =
    "c5aa8df43f9f837bedb7442f31dcb7b166d38535076f094b85ce3a2e0b4458f7";

inline Signer signer_of(const std::string& seed) {
  return
      [seed](std::span<const std::uint8_t> bytes) { return ed25519_sign(*from_hex(seed), bytes); };
}
inline VerifierKey key_of(
    const std::string& name, const std::string& seed, std::uint8_t type = ed25519_type
) {
  return make_verifier_key(name, *ed25519_public_key(*from_hex(seed)), type);
}

inline const std::string known_origin = "connector.example/log1";
inline VerifierKey log_key() {
  return key_of(known_origin, log_seed);
}
inline VerifierKey witness_key() {
  return key_of("peer.example/witness", witness_seed, cosignature_type);
}

inline const std::string checkpoint_text =
    "connector.example/log1\n8\nXcnaeacGWamtVZy3Ad7ZoqudgjqtL0lgz+Nw7/RgQyg=\n";
inline const std::string log_line =
    "— connector.example/log1 5OnDoDmuWOzhFhCVTN57+AZE7kp3C3eAu9aBtwttG3HglCfFE+"
    "pTbvkUabfg83upVXKSdWCzx/Qo8rQUPOrDcRGhcQ8=\n";
inline const std::string witness_line =
    "— peer.example/witness "
    "nPq7BgAAAABlU/EAFpjbpcuJu7qOaHs4axuG701siXBQdyKf6kGwntjpIhobEF3BuZDkApsLH"
    "EH0MX1nxHFzjyHNoKI9482f62cTCQ==\n";
constexpr std::uint64_t witness_time = 1'700'000'000;

template <class T>
std::string code_of(const Result<T>& result) {
  return result ? std::string() : result.error().message.code;
}

}  // namespace tally::audit
