// What the services have to know of other connectors. daemon implements it over the configuration.
#pragma once

#include <optional>
#include <string>
#include <string_view>

#include "tally/core/ids.hpp"
#include "tally/dsp/policy_reading.hpp"

namespace tally::negotiation {

// Where a connector has its own way with data and their addresses.
struct DataDialect {
  bool full_names = false;  // it finds the properties of an address only under full IRIs
  bool bare_token = false;  // its data endpoint wants the token as it came, without "Bearer "
  // What it calls the format of data that is called for, and decided, each time; empty: as we do.
  std::string call_format;
};

class PeerDirectory {
 public:
  virtual ~PeerDirectory() = default;
  // Whether `url` is at a host configured for `party`, with a scheme that we would use.
  [[nodiscard]] virtual bool host_allowed(const PartyId& party, std::string_view url) const = 0;
  // The DSP base of a configured party.
  [[nodiscard]] virtual std::optional<std::string> base_url(const PartyId& party) const = 0;
  // The configured party whose DSP base this is; a slash at the end does not matter.
  [[nodiscard]] virtual std::optional<PartyId> party_at(std::string_view base_url) const = 0;
  // Where it serves /tally/v1, without a trailing slash; nullopt: nowhere, as far as is known.
  [[nodiscard]] virtual std::optional<std::string> tally_url(const PartyId& party) const = 0;
  [[nodiscard]] virtual DataDialect data_dialect(const PartyId& party) const = 0;
  // How its policies are to be read.
  [[nodiscard]] virtual dsp::PolicyDialect policy_dialect(const PartyId& party) const = 0;
  // Whether we, as a consumer, take agreements that this provider did not sign.
  [[nodiscard]] virtual bool accepts_unsigned(const PartyId& party) const = 0;
  // Whether it is known by a credential that was agreed on rather than by a certificate.
  [[nodiscard]] virtual bool by_credential(const PartyId&) const { return false; }
  // Where it is at home, as the configuration says; empty: it does not say.
  [[nodiscard]] virtual std::string jurisdiction(const PartyId& party) const = 0;
};

}  // namespace tally::negotiation
