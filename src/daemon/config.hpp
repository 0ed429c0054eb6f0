// tally.json: what a connector is told by its operator. Every problem is found at once and named
// with its JSON pointer and what was expected; a connector never starts on a half-read file.
//
// All paths are relative to the connector's folder, the one that holds tally.json.
#pragma once

#include <cstdint>
#include <filesystem>
#include <optional>
#include <string>
#include <vector>

#include "tally/audit/hold_order.hpp"
#include "tally/audit/note.hpp"
#include "tally/catalog/catalog.hpp"
#include "tally/core/call_rates.hpp"
#include "tally/core/ids.hpp"
#include "tally/core/limits.hpp"
#include "tally/core/result.hpp"
#include "tally/negotiation/peers.hpp"
#include "tally/usage/surroundings.hpp"

#include "settings.hpp"

namespace tally::daemon {

struct Listener {
  std::string address = "127.0.0.1";
  std::uint16_t port = 0;  // 0: chosen by the system, printed at start
  std::string socket;      // a Unix socket instead of address and port
};

struct PeersListener : Listener {
  std::string public_url;  // as peers reach it: scheme, host and port, no path
  std::string data_url;    // where they fetch data
  // What it shows. Empty: the pair of `tls`. Of the listener for credentials alone.
  std::filesystem::path certificate, key;
  bool plain = false;  // no TLS: loopback, with --insecure-loopback
};

// A person or program that may use the management API. The token itself is shown once, by
// `tally init` or `tally token add`; here stands its SHA-256.
struct ManagementToken {
  std::string name;
  std::string role;  // auditor, operator, admin
  std::string sha256;
};

struct ManagementListener : Listener {
  std::vector<ManagementToken> tokens;
};

struct TrustEntry {
  std::string domain;
  std::filesystem::path anchors;
  std::vector<std::string> uri_prefixes;
  bool crl_required = true;
  std::filesystem::path crl;
  Nanos crl_grace = 0;
};

// How a peer without certificates of the trust domains is known: by the exact value of the
// Authorization field of its requests, and we by that of ours. Each here or in a file.
struct CredentialEntry {
  std::string expects;
  std::filesystem::path expects_file;
  std::string sends;  // neither this nor the file: our requests have no such field
  std::filesystem::path sends_file;
};

struct PeerEntry {
  PartyId party;
  std::string url;                 // base of its protocol endpoints: scheme, host, port, path
  std::vector<std::string> hosts;  // "host:port" that it may name in callbacks and data addresses
  std::string jurisdiction;        // where it is at home, where its certificate does not say
  usage::Site site;                // where it uses data; its jurisdiction stands before
  negotiation::DataDialect data_dialect;
  dsp::PolicyDialect policy_dialect;
  bool accept_unsigned = false;    // agreements that it, as provider, did not sign
  bool private_addresses = false;  // its names may resolve to addresses of private networks
  std::uint64_t custody_quota =
      0;  // bytes of its data that are held at most; 0: no bound of its own
  std::optional<CredentialEntry> credential;  // absent: known by its certificate
  std::filesystem::path tls_anchors;  // with a credential: of its server; empty: the system's
  std::optional<CredentialEntry> former_credential;  // loopbackCredential, as it was written
};

// A program of the operator that this connector calls.
struct ProgramEntry {
  std::string name;  // within its list
  std::string url;
  std::filesystem::path key;
  bool private_addresses = false;     // its name may resolve to addresses of private networks
  std::filesystem::path tls_anchors;  // of its server; empty: the system's
};

// One that decides what offers with `"decide": "hook"` leave to it.
struct HookEntry : ProgramEntry {
  Nanos deadline = seconds(10);
  bool signed_answers = true;
};

// One that is told of events.
struct WebhookEntry : ProgramEntry {
  std::vector<std::string> events;  // types and areas; empty: all, or none where it has a party
  Nanos max_age = seconds(259'200);
  std::string party;  // for whom it takes notices of uses; empty: for nobody
};

// One more witness of our own log: a configured peer that serves tlog-witness.
struct WitnessEntry {
  std::string name;  // within this file
  audit::VerifierKey key;
  PartyId party;    // one of the peers
  std::string url;  // before "/add-checkpoint"
};

// The catalogue that peers ask for.
struct CatalogSettings {
  std::size_t page_size = 100;  // datasets on a page
  std::vector<catalog::NestedCatalog> nested;
};

struct Config {
  std::filesystem::path folder;
  PartyId participant;
  // One of the two at least.
  std::optional<PeersListener> peers;             // with client certificates
  std::optional<PeersListener> credential_peers;  // with credentials
  Listener apps;
  ManagementListener management;
  std::filesystem::path tls_certificate, tls_key;
  std::filesystem::path contract_certificate, contract_key;
  std::filesystem::path log_key;
  std::filesystem::path witness_key;             // empty: this connector witnesses nobody
  std::vector<audit::VerifierKey> watched_logs;  // beside those of partners
  std::vector<WitnessEntry> witnesses;           // of our own log, beside partners
  std::filesystem::path witness_quorum;  // C2SP tlog-policy; empty: the agreement's other party
  std::vector<TrustEntry> trust;
  std::vector<PeerEntry> known_peers;
  usage::Site site;  // where this connector lets data be used
  std::vector<odrl::Broader> taxonomy;
  std::vector<odrl::EventSpan> events;
  std::vector<audit::Regulator> regulators;
  std::vector<HookEntry> hooks;
  std::vector<WebhookEntry> webhooks;
  ProgramEntry collector;  // takes our spans (OTLP); its url is empty: there is none
  CatalogSettings catalog;
  std::filesystem::path wrapping_key;  // the key ring, outside of the folder; empty: no custody
  std::uint64_t custody_quota = 0;     // bytes that are held at most; 0: no bound
  Nanos recheck_every = seconds(168L * 3600);  // of each artefact; 0: when asked alone
  std::uint64_t recheck_rate = 16ULL << 20;    // bytes a second of those by itself
  std::filesystem::path pseudonym_key;         // empty: no policy here can ask for pseudonyms
  std::string data_url;             // as written; what is in force stands with each listener
  std::filesystem::path data_root;  // where file sources may read
  Nanos statement_period = seconds(24L * 3600);  // how often uses are stated to partners
  Nanos receipt_deadline = seconds(3600);        // then a receipt that has not come is missing
  Nanos transfer_idle = seconds(300);            // of a pull without receipts; then it is completed
  Nanos transfer_longest_idle = 0;               // of any transfer; 0: it may rest for ever
  bool approve_counter_offers = false;           // else what was not asked for ends a negotiation
  bool approve_unasked_offers = false;
  unsigned threads = 1;     // contexts that serve connections
  Nanos log_retention = 0;  // after an agreement's end; 0: records stay
  bool test_log = false;    // `tally init --test`: the genesis says so
  bool insecure_loopback = false;
  // Peers are configured in the form before this version's (loopbackCredential).
  bool former_form = false;
  Limits limits;
  CallRates rates;
  Settings settings;  // as the file has them
};

struct ConfigProblem {
  Message message;
  std::string pointer;
};

// What the enforcement point vouches for as `registration`.
usage::Surroundings surroundings_of(const Config& config);

// All problems, or the configuration. Reads the file; does not open what it names.
// `insecure_loopback`: the command line says so, whatever the file says.
tl::expected<Config, std::vector<ConfigProblem>> load_config(
    const std::filesystem::path& folder, bool insecure_loopback
);

}  // namespace tally::daemon
