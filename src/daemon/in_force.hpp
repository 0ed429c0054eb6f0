// What the configuration in force is, as digests that `config.changed` carries: of the
// configuration file, each trust domain's anchors and revocation lists, and both certificates.
#pragma once

#include <memory>
#include <string>
#include <string_view>
#include <vector>

#include "tally/audit/log_part.hpp"
#include "tally/core/json.hpp"

#include "keys.hpp"

namespace tally::daemon {

// {"configuration", "certificate", "contractCertificate": digest, "anchors", "revocations":
// {domain: digest}}, and where there are such files "peerAnchors", "peerCredentials" and
// "programs": digest.
// Reads files. Errors: invalid (daemon.file-unreadable).
Result<Json> digests_in_force(const Config& config, const Credentials& credentials);

// `digests` with that of the rules in force; empty: there are none.
Json with_rules(Json digests, const std::string& rules);

// Their names, with the domain behind a '/' where it is one of several: "anchors/health".
std::vector<std::string> differing(const Json& before, const Json& now);

// The digests as `config.changed` said them last; null: it never did.
class ConfigurationInForce final : public audit::LogPart {
 public:
  [[nodiscard]] const Json& digests() const { return *digests_; }
  void set(Json digests);

  ConfigurationInForce();
  ~ConfigurationInForce() override;
  [[nodiscard]] std::string_view part_name() const override { return "configuration"; }
  Result<void> replay(const audit::RecordView& record) override;
  void save(const Item& item) const override;
  Result<void> restore(const Json& item) override;

 private:
  std::unique_ptr<Json> digests_;
};

}  // namespace tally::daemon
