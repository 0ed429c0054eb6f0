#include "config.hpp"

#include <algorithm>
#include <fstream>
#include <set>
#include <sstream>

#include "config_reader.hpp"

namespace tally::daemon {

namespace {

constexpr std::int64_t most_quota_mib = 1L << 30;

void check_domain(ConfigReader& read, const std::string& domain, const std::string& at) {
  if (domain.find('|') != std::string::npos) read.expected(at, "[a-z0-9.-]+");
}

// A log that is witnessed for whoever brings its checkpoints.
void read_watched_log(
    ConfigReader& read,
    const Json& item,
    const std::string& at,
    std::vector<audit::VerifierKey>& logs
) {
  std::string origin;
  std::string vkey;
  read.object(item, at, {{"origin", read.text(origin)}, {"vkey", read.text(vkey)}}, {"vkey"});
  if (vkey.empty()) return;
  auto key = audit::parse_verifier_key(vkey);
  if (!key || key->type != audit::ed25519_type) {
    return read.expected(child(at, "vkey"), "name+id+key (0x01)");
  }
  // A log's key bears the name of its log.
  if (!origin.empty() && origin != key->name) return read.expected(child(at, "origin"), key->name);
  logs.push_back(*std::move(key));
}

// The catalogue of another connector that ours points to.
void read_nested_catalog(
    ConfigReader& read,
    const Json& item,
    const std::string& at,
    std::vector<catalog::NestedCatalog>& nested
) {
  catalog::NestedCatalog entry;
  read.object(
      item,
      at,
      {{"id", read.text(entry.id)},
       {"title", read.text(entry.title)},
       {"url", read.url(entry.url)}},
      {"id", "url"}
  );
  // An id is read by others as an IRI.
  const bool usable = entry.id.size() <= 512 && std::ranges::all_of(entry.id, [](char c) {
                        return static_cast<unsigned char>(c) > 0x20 && c != 0x7f;
                      });
  if (!usable) return read.expected(child(at, "id"), "IRI");
  const auto same = [&](const catalog::NestedCatalog& other) { return other.id == entry.id; };
  if (std::ranges::any_of(nested, same)) return read.expected(child(at, "id"), entry.id + "-2");
  nested.push_back(std::move(entry));
}

// A witness is a peer that proves itself, and its name is the key of what is kept of it.
void check_witnesses(ConfigReader& read, const Config& config) {
  std::set<std::string> names;
  for (std::size_t i = 0; i < config.witnesses.size(); ++i) {
    const auto& entry = config.witnesses[i];
    const std::string at = "/witness/witnesses/" + std::to_string(i);
    if (!names.insert(entry.name).second) read.expected(at + "/name", entry.name + "-2");
    const auto known = [&](const PeerEntry& peer) { return peer.party == entry.party; };
    if (std::none_of(config.known_peers.begin(), config.known_peers.end(), known)) {
      read.expected(at + "/uri", "/peers/*/uri");
    }
  }
}

Result<std::string> read_file(const std::filesystem::path& file) {
  std::ifstream in(file, std::ios::binary);
  if (!in) return fail(ErrorKind::invalid, {"daemon.config-unreadable", {{"file", file.string()}}});
  std::ostringstream text;
  text << in.rdbuf();
  return text.str();
}

}  // namespace

tl::expected<Config, std::vector<ConfigProblem>> load_config(
    const std::filesystem::path& folder, bool insecure_loopback
) {
  std::vector<ConfigProblem> problems;
  const auto text = read_file(folder / "tally.json");
  if (!text) return tl::unexpected(std::vector<ConfigProblem>{{text.error().message, ""}});
  const auto document = parse_json(*text);
  if (!document) {
    return tl::unexpected(std::vector<ConfigProblem>{
        {document.error().message, document.error().pointer}});
  }

  Config config;
  config.folder = folder;
  config.insecure_loopback = insecure_loopback;
  config.settings = settings_of(*document);
  ConfigReader read(problems);

  const auto listener = [&read](Listener& out
                        ) -> std::map<std::string, ConfigReader::Field, std::less<>> {
    return {
        {"address", read.text(out.address)},
        {"port", read.number(out.port, 0, 65535)},
        {"socket", read.text(out.socket)},
    };
  };
  const auto key_pair = [&](std::filesystem::path& certificate, std::filesystem::path& key) {
    return [&](const Json& value, const std::string& at) {
      read.object(
          value,
          at,
          {{"certificate", read.path(certificate, folder)}, {"key", read.path(key, folder)}},
          {"certificate", "key"}
      );
    };
  };
  const auto party = [&](PartyId& out) -> std::map<std::string, ConfigReader::Field, std::less<>> {
    return {
        {"domain",
         [&](const Json& value, const std::string& at) {
           read.text(out.domain)(value, at);
           check_domain(read, out.domain, at);
         }},
        {"uri", read.text(out.uri)},
    };
  };

  read.object(
      *document,
      "",
      {
          {"participant",
           [&](const Json& value, const std::string& at) {
             read.object(value, at, party(config.participant), {"domain", "uri"});
           }},
          {"listeners",
           [&](const Json& value, const std::string& at) {
             PeersListener known_by_certificate;
             auto peers = listener(known_by_certificate);
             peers.emplace("publicUrl", read.url(known_by_certificate.public_url));
             PeersListener known_by_credential;
             auto credential_peers = listener(known_by_credential);
             credential_peers.erase("socket");
             credential_peers.emplace("publicUrl", read.url(known_by_credential.public_url));
             credential_peers.emplace(
                 "certificate", read.path(known_by_credential.certificate, folder)
             );
             credential_peers.emplace("key", read.path(known_by_credential.key, folder));
             const auto apps = listener(config.apps);
             auto management = listener(config.management);
             management.emplace("tokens", [&](const Json& v, const std::string& p) {
               read.array(v, p, [&](const Json& item, const std::string& where) {
                 ManagementToken token;
                 read.object(
                     item,
                     where,
                     {{"name", read.text(token.name)},
                      {"role", read.text(token.role)},
                      {"sha256", read.text(token.sha256)}},
                     {"name", "role", "sha256"}
                 );
                 if (token.role != "auditor" && token.role != "operator" && token.role != "admin") {
                   read.expected(child(where, "role"), "auditor|operator|admin");
                 }
                 if (token.sha256.size() != 64) read.expected(child(where, "sha256"), "hex(64)");
                 config.management.tokens.push_back(std::move(token));
               });
             });
             read.object(
                 value,
                 at,
                 {
                     {"peers",
                      [&](const Json& v, const std::string& p) {
                        read.object(v, p, peers, {"port", "publicUrl"});
                        config.peers = known_by_certificate;
                      }},
                     {"credentialPeers",
                      [&](const Json& v, const std::string& p) {
                        read.object(v, p, credential_peers, {"port", "publicUrl"});
                        config.credential_peers = known_by_credential;
                      }},
                     {"apps",
                      [&](const Json& v, const std::string& p) { read.object(v, p, apps, {}); }},
                     {"management",
                      [&](const Json& v, const std::string& p) {
                        read.object(v, p, management, {});
                      }},
                 },
                 {"apps", "management"}
             );
           }},
          {"tls", key_pair(config.tls_certificate, config.tls_key)},
          {"contract", key_pair(config.contract_certificate, config.contract_key)},
          {"log",
           [&](const Json& value, const std::string& at) {
             read.object(
                 value,
                 at,
                 {{"key", read.path(config.log_key, folder)},
                  {"test", read.flag(config.test_log)},
                  {"retentionDays",
                   read.number(config.log_retention, 1, 36'500, seconds(24L * 3600))}},
                 {"key"}
             );
           }},
          {"witness",
           [&](const Json& value, const std::string& at) {
             read.object(
                 value,
                 at,
                 {{"key", read.path(config.witness_key, folder)},
                  {"quorum", read.path(config.witness_quorum, folder)},
                  {"logs",
                   [&](const Json& v, const std::string& p) {
                     read.array(v, p, [&](const Json& item, const std::string& where) {
                       read_watched_log(read, item, where, config.watched_logs);
                     });
                   }},
                  {"witnesses",
                   [&](const Json& v, const std::string& p) {
                     read.array(v, p, [&](const Json& item, const std::string& where) {
                       WitnessEntry entry;
                       std::string vkey;
                       auto fields = party(entry.party);
                       fields.emplace("name", read.text(entry.name));
                       fields.emplace("vkey", read.text(vkey));
                       fields.emplace("url", read.url(entry.url));
                       read.object(item, where, fields, {"name", "vkey", "domain", "uri", "url"});
                       auto key = audit::parse_verifier_key(vkey);
                       if (vkey.empty()) return;
                       if (!key || key->type != audit::cosignature_type) {
                         return read.expected(child(where, "vkey"), "name+id+key (0x04)");
                       }
                       entry.key = *std::move(key);
                       config.witnesses.push_back(std::move(entry));
                     });
                   }}},
                 {"key"}
             );
           }},
          {"trust",
           [&](const Json& value, const std::string& at) {
             read.array(value, at, [&](const Json& item, const std::string& where) {
               TrustEntry entry;
               std::string crl = "required";
               read.object(
                   item,
                   where,
                   {
                       {"domain", read.text(entry.domain)},
                       {"anchors", read.path(entry.anchors, folder)},
                       {"uriPrefixes", read.texts(entry.uri_prefixes)},
                       {"crl", read.text(crl)},
                       {"crlFile", read.path(entry.crl, folder)},
                       {"crlGraceHours", read.number(entry.crl_grace, 0, 24L * 365, seconds(3600))},
                   },
                   {"domain", "anchors", "uriPrefixes"}
               );
               check_domain(read, entry.domain, child(where, "domain"));
               if (crl != "required" && crl != "none") {
                 read.expected(child(where, "crl"), "required|none");
               }
               entry.crl_required = crl != "none";
               if (entry.crl_required && entry.crl.empty()) {
                 read.problem(
                     {"daemon.config-missing", {{"setting", "crlFile"}}}, child(where, "crlFile")
                 );
               }
               config.trust.push_back(std::move(entry));
             });
             if (value.is_array() && value.empty())
               read.problem({"daemon.config-no-trust", {}}, at);
           }},
          {"peers",
           [&](const Json& value, const std::string& at) {
             read.array(value, at, [&](const Json& item, const std::string& where) {
               PeerEntry entry;
               bool empty_is_use = false;
               auto fields = party(entry.party);
               fields.emplace("url", read.url(entry.url));
               fields.emplace("hosts", read.texts(entry.hosts));
               fields.emplace("jurisdiction", read.word(entry.jurisdiction));
               fields.emplace("site", read_site(read, entry.site, false));
               fields.emplace("acceptUnsigned", read.flag(entry.accept_unsigned));
               fields.emplace(
                   "dataAddress",
                   read.choice(entry.data_dialect.full_names, "standard", "full-iri-names")
               );
               fields.emplace(
                   "dataToken", read.choice(entry.data_dialect.bare_token, "bearer", "bare")
               );
               fields.emplace("callFormat", read.word(entry.data_dialect.call_format));
               fields.emplace("contexts", read_contexts(read, entry.policy_dialect));
               fields.emplace("emptyOffer", read.choice(empty_is_use, "refuse", "use"));
               fields.emplace("privateAddresses", read.flag(entry.private_addresses));
               fields.emplace(
                   "custodyQuotaMiB", read.number(entry.custody_quota, 1, most_quota_mib, 1L << 20)
               );
               fields.emplace("tlsAnchors", read.path(entry.tls_anchors, folder));
               fields.emplace("credential", [&](const Json& v, const std::string& p) {
                 auto& credential = entry.credential.emplace();
                 read.object(
                     v,
                     p,
                     {{"expects", read.text(credential.expects)},
                      {"expectsFile", read.path(credential.expects_file, folder)},
                      {"sends", read.text(credential.sends)},
                      {"sendsFile", read.path(credential.sends_file, folder)}},
                     {}
                 );
               });
               fields.emplace("loopbackCredential", [&](const Json& v, const std::string& p) {
                 auto& credential = entry.former_credential.emplace();
                 read.object(
                     v,
                     p,
                     {{"expects", read.text(credential.expects)},
                      {"sends", read.text(credential.sends)}},
                     {"expects", "sends"}
                 );
               });
               read.object(item, where, fields, {"domain", "uri", "url"});
               if (empty_is_use) {
                 entry.policy_dialect.empty = dsp::EmptyPolicy::permits_use;
               }
               if (entry.hosts.empty() && !entry.url.empty()) {
                 const auto parsed = boost::urls::parse_uri(entry.url);
                 if (parsed) entry.hosts.emplace_back(parsed->encoded_host_and_port());
               }
               config.known_peers.push_back(std::move(entry));
             });
           }},
          {"site", read_site(read, config.site, true)},
          {"taxonomy", read_taxonomy(read, config.taxonomy)},
          {"events", read_events(read, config.events)},
          {"regulators", read_regulators(read, config)},
          {"hooks", read_hooks(read, config)},
          {"webhooks", read_webhooks(read, config)},
          {"telemetry", read_telemetry(read, config)},
          {"catalog",
           [&](const Json& value, const std::string& at) {
             read.object(
                 value,
                 at,
                 {{"pageSize", read.number(config.catalog.page_size, 1, 1000)},
                  {"nested",
                   [&](const Json& v, const std::string& p) {
                     read.array(v, p, [&](const Json& item, const std::string& where) {
                       read_nested_catalog(read, item, where, config.catalog.nested);
                     });
                   }}},
                 {}
             );
           }},
          {"custody",
           [&](const Json& value, const std::string& at) {
             read.object(
                 value,
                 at,
                 {{"wrappingKey", read.path(config.wrapping_key, folder)},
                  {"quotaMiB", read.number(config.custody_quota, 1, most_quota_mib, 1L << 20)},
                  {"recheckHours", read.number(config.recheck_every, 0, 24L * 366, seconds(3600))},
                  {"recheckMiBPerSecond", read.number(config.recheck_rate, 1, 1024, 1L << 20)}},
                 {"wrappingKey"}
             );
           }},
          {"pseudonymKey", read.path(config.pseudonym_key, folder)},
          {"receipts",
           [&](const Json& value, const std::string& at) {
             read.object(
                 value,
                 at,
                 {
                     {"statementSeconds",
                      read.number(config.statement_period, 1, 31L * 24 * 3600, seconds(1))},
                     {"missingSeconds",
                      read.number(config.receipt_deadline, 1, 31L * 24 * 3600, seconds(1))},
                 },
                 {}
             );
           }},
          {"transfers",
           [&](const Json& value, const std::string& at) {
             read.object(
                 value,
                 at,
                 {
                     {"idleSeconds",
                      read.number(config.transfer_idle, 1, 31L * 24 * 3600, seconds(1))},
                     {"longestIdleSeconds",
                      read.number(config.transfer_longest_idle, 1, 366L * 24 * 3600, seconds(1))},
                 },
                 {}
             );
           }},
          {"negotiation",
           [&](const Json& value, const std::string& at) {
             read.object(
                 value,
                 at,
                 {
                     {"counterOffers", read.approves(config.approve_counter_offers)},
                     {"unaskedOffers", read.approves(config.approve_unasked_offers)},
                 },
                 {}
             );
           }},
          {"dataUrl", read.url(config.data_url)},
          {"dataRoot", read.path(config.data_root, folder)},
          {"threads", read.number(config.threads, 1, 64)},
          {"insecureLoopback",
           [&](const Json& value, const std::string& at) {
             bool also = false;
             read.flag(also)(value, at);
             config.insecure_loopback = config.insecure_loopback || also;
           }},
          {"limits",
           [&](const Json& value, const std::string& at) {
             auto& limits = config.limits;
             auto& rates = config.rates;
             read.object(
                 value,
                 at,
                 {
                     {"connections", read.number(limits.connections, 1, 1'000'000)},
                     {"connectionsPerPeer", read.number(limits.connections_per_peer, 1, 1'000'000)},
                     {"requestsInFlight", read.number(limits.requests_in_flight, 1, 1'000'000)},
                     {"peerCallsPerSecond", read.number(rates.peer_calls, 1, 1'000'000)},
                     {"peerMessagesPerSecond", read.number(rates.peer_messages, 1, 1'000'000)},
                     {"appCallsPerSecond", read.number(rates.app_calls, 1, 1'000'000)},
                     {"managementCallsPerSecond",
                      read.number(rates.management_calls, 1, 1'000'000)},
                     {"failedTokensPerSecond", read.number(rates.failed_tokens, 1, 1'000'000)},
                     {"failedTokensAtOnce", read.number(rates.failed_tokens_at_once, 1, 1'000'000)},
                     {"drainSeconds", read.number(limits.drain, 0, 3600, seconds(1))},
                     {"retryDeadlineSeconds",
                      read.number(limits.retry_deadline, 1, 30L * 24 * 3600, seconds(1))},
                     {"retryMostSeconds", read.number(limits.retry_most, 1, 3600, seconds(1))},
                     {"logSegmentMiB", read.number(limits.log_segment_bytes, 1, 64, 1 << 20)},
                     {"logReserveMiB", read.number(limits.log_reserve_bytes, 1, 1024, 1 << 20)},
                 },
                 {}
             );
           }},
      },
      {"participant", "listeners", "tls", "contract", "log", "trust"}
  );
  check_peers(read, config);
  check_witnesses(read, config);
  if (config.data_root.empty()) config.data_root = folder / "source";
  if (!problems.empty()) return tl::unexpected(std::move(problems));
  return config;
}

}  // namespace tally::daemon
