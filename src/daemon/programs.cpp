#include "programs.hpp"

#include <utility>

#include <boost/url.hpp>

#include "keys.hpp"
#include "span_exporter.hpp"

namespace tally::daemon {

namespace {

Result<net::PeerAddress> address_of(
    const ProgramEntry& entry, PartyId party, const std::string& at
) {
  net::PeerAddress address;
  address.party = std::move(party);
  address.private_addresses = entry.private_addresses;
  // As `load_config` checked.
  if (const auto url = boost::urls::parse_uri(entry.url)) {
    auto host = std::string(url->encoded_host_and_port());
    if (!url->has_port() && url->scheme() == "http") host += ":80";
    address.hosts.push_back(std::move(host));
  }
  net::PeerCredential credential;
  if (!entry.tls_anchors.empty()) {
    auto anchors = read_file(entry.tls_anchors);
    if (!anchors) return fail(anchors.error().kind, anchors.error().message, at + "/tlsAnchors");
    if (anchors->find("-----BEGIN CERTIFICATE-----") == std::string::npos) {
      return fail(
          ErrorKind::invalid,
          {"daemon.anchors-malformed", {{"file", entry.tls_anchors.string()}}},
          at + "/tlsAnchors"
      );
    }
    credential.anchors_pem = std::move(*anchors);
  }
  address.credential = std::move(credential);
  return address;
}

// The program, with its address among those of `out`.
Result<events::Program> load_program(
    LoadedPrograms& out, const ProgramEntry& entry, PartyId party, std::string at, std::size_t index
) {
  at += std::to_string(index);
  const auto text = read_key_file(entry.key);
  if (!text) return fail(text.error().kind, text.error().message, at + "/key");
  auto key = events::CallKey::parse(*text);
  if (!key) return fail(key.error().kind, key.error().message, at + "/key");
  auto address = address_of(entry, std::move(party), at);
  if (!address) return fail(std::move(address));
  out.addresses.push_back(std::move(*address));
  return events::Program{entry.name, entry.url, std::move(*key)};
}

}  // namespace

Result<LoadedPrograms> load_programs(const Config& config) {
  LoadedPrograms out;
  for (std::size_t i = 0; i < config.hooks.size(); ++i) {
    const auto& entry = config.hooks[i];
    auto program = load_program(out, entry, events::hook_party(entry.name), "tally.json/hooks/", i);
    if (!program) return fail(std::move(program));
    out.hooks.push_back({std::move(*program), entry.deadline, entry.signed_answers});
  }
  for (std::size_t i = 0; i < config.webhooks.size(); ++i) {
    const auto& entry = config.webhooks[i];
    auto program =
        load_program(out, entry, events::webhook_party(entry.name), "tally.json/webhooks/", i);
    if (!program) return fail(std::move(program));
    if (!entry.party.empty()) out.informed.emplace(entry.party, *program);
    // Who is told of uses for a party is told of nothing else, unless that was written.
    if (!entry.party.empty() && entry.events.empty()) continue;
    out.webhooks.push_back({std::move(*program), entry.events, entry.max_age});
  }
  if (!config.collector.url.empty()) {
    auto address = address_of(config.collector, collector_party(), "tally.json/telemetry");
    if (!address) return fail(std::move(address));
    out.addresses.push_back(std::move(*address));
  }
  return out;
}

}  // namespace tally::daemon
