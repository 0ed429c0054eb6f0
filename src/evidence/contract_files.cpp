#include "contract_files.hpp"

namespace tally::evidence {
namespace {

std::string prefix(odrl::Side side) {
  return "contract/" + std::string(odrl::to_string(side));
}

}  // namespace

std::string signature_file(odrl::Side side) {
  return prefix(side) + "-signature.json";
}

std::map<std::string, std::string> derived_files(
    odrl::Side side, const identity::MessageSignature& signature
) {
  constexpr std::size_t width = 64;
  std::string pem;
  for (const Bytes& der : signature.chain) {
    const std::string text = to_base64(der);
    pem += "-----BEGIN CERTIFICATE-----\n";
    for (std::size_t at = 0; at < text.size(); at += width) pem += text.substr(at, width) + "\n";
    pem += "-----END CERTIFICATE-----\n";
  }
  return {
      {prefix(side) + ".pem", std::move(pem)},
      {prefix(side) + ".signed", signature.signature_base}};
}

}  // namespace tally::evidence
