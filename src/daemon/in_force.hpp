// What the configuration in force is, as digests that `config.changed` carries: of the
// configuration file, each trust domain's anchors and revocation lists, and both certificates.
#pragma once

#include <string>
#include <vector>

#include "tally/core/json.hpp"

#include "keys.hpp"

namespace tally::daemon {

// {"configuration", "certificate", "contractCertificate": digest, "anchors", "revocations":
// {domain: digest}}. Reads files. Errors: invalid (daemon.file-unreadable).
Result<Json> digests_in_force(const Config& config, const Credentials& credentials);

// Their names, with the domain behind a '/' where it is one of several: "anchors/health".
std::vector<std::string> differing(const Json& before, const Json& now);

}  // namespace tally::daemon
