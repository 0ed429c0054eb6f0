// The programs of the operator that this connector calls, with their keys where they have one, as the configuration has
// them. They are reached like peers that are known by a credential: over TLS with a certificate for
// their host name, in the clear on loopback alone.
#pragma once

#include <map>
#include <string>
#include <vector>

#include "tally/events/hook_caller.hpp"
#include "tally/events/webhooks.hpp"
#include "tally/net/client.hpp"

#include "config.hpp"

namespace tally::daemon {

struct LoadedPrograms {
  std::vector<events::Hook> hooks;
  std::vector<events::Webhook> webhooks;
  std::map<std::string, events::Program> informed;  // by the party for which they take notices
  std::vector<net::PeerAddress> addresses;          // of all of them
};

// Opens the files that the configuration names. Errors, with the place in tally.json: invalid
// (daemon.file-unreadable, daemon.file-readable-by-others, events.key-malformed,
// daemon.anchors-malformed).
Result<LoadedPrograms> load_programs(const Config& config);

}  // namespace tally::daemon
