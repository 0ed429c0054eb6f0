// tally.json: what a connector is told by its operator. Every problem is found at once and named
// with its JSON pointer and what was expected; a connector never starts on a half-read file.
//
// All paths are relative to the connector's folder, the one that holds tally.json.
#pragma once

#include <cstdint>
#include <filesystem>
#include <string>
#include <vector>

#include "tally/audit/note.hpp"
#include "tally/catalog/catalog.hpp"
#include "tally/core/ids.hpp"
#include "tally/core/limits.hpp"
#include "tally/core/result.hpp"

namespace tally::daemon {

struct Listener {
  std::string address = "127.0.0.1";
  std::uint16_t port = 0;  // 0: chosen by the system, printed at start
  std::string socket;      // a Unix socket instead of address and port
};

struct PeersListener : Listener {
  std::string public_url;  // as peers reach it: scheme, host and port, no path
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

struct PeerEntry {
  PartyId party;
  std::string url;                 // base of its protocol endpoints: scheme, host, port, path
  std::vector<std::string> hosts;  // "host:port" that it may name in callbacks and data addresses
  std::string jurisdiction;        // where it is at home, where its certificate does not say
  // With --insecure-loopback alone: the Authorization value that it sends, and the one we send.
  std::string expects;
  std::string sends;
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
  PeersListener peers;
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
  CatalogSettings catalog;
  std::filesystem::path wrapping_key;  // outside of the folder; empty: no custody
  std::string data_url;  // where data is fetched from us; empty: the peers listener's public URL
  std::filesystem::path data_root;               // where file sources may read
  Nanos statement_period = seconds(24L * 3600);  // how often uses are stated to partners
  Nanos receipt_deadline = seconds(3600);        // then a receipt that has not come is missing
  unsigned threads = 1;                          // contexts that serve connections
  Nanos log_retention = 0;                       // after an agreement's end; 0: records stay
  bool test_log = false;                         // `tally init --test`: the genesis says so
  bool insecure_loopback = false;
  Limits limits;
};

struct ConfigProblem {
  Message message;
  std::string pointer;
};

// All problems, or the configuration. Reads the file; does not open what it names.
tl::expected<Config, std::vector<ConfigProblem>> load_config(const std::filesystem::path& folder);

}  // namespace tally::daemon
