#include "config.hpp"

#include <algorithm>
#include <fstream>
#include <functional>
#include <map>
#include <set>
#include <sstream>

#include <boost/url.hpp>

#include <nlohmann/json.hpp>

#include "tally/core/json.hpp"

namespace tally::daemon {

namespace {

// Reads members of one object after the other and gathers what is wrong. Each member is named once;
// what nobody asked for is an unknown setting.
class Reader {
 public:
  explicit Reader(std::vector<ConfigProblem>& problems) : problems_(problems) {}

  void problem(Message message, std::string pointer) {
    problems_.push_back({std::move(message), std::move(pointer)});
  }

  using Field = std::function<void(const Json&, const std::string&)>;
  // `required` members must be there; each handler gets the value and its pointer.
  void object(
      const Json& value,
      const std::string& at,
      const std::map<std::string, Field, std::less<>>& fields,
      const std::vector<std::string>& required
  ) {
    if (!value.is_object()) return expected(at, "object");
    std::vector<std::string_view> known;
    known.reserve(fields.size());
    for (const auto& [name, field] : fields) known.emplace_back(name);
    for (const auto& [key, member] : value.items()) {
      const auto field = fields.find(key);
      if (field == fields.end()) {
        problem(
            {"daemon.config-unknown", {{"setting", key}, {"closest", closest_term(key, known)}}},
            child(at, key)
        );
        continue;
      }
      field->second(member, child(at, key));
    }
    for (const auto& name : required) {
      if (!value.contains(name))
        problem({"daemon.config-missing", {{"setting", name}}}, child(at, name));
    }
  }

  void array(const Json& value, const std::string& at, const Field& item) {
    if (!value.is_array()) return expected(at, "array");
    for (std::size_t i = 0; i < value.size(); ++i) item(value[i], child(at, i));
  }

  Field text(std::string& out) {
    return [this, &out](const Json& value, const std::string& at) {
      if (!value.is_string() || value.get_ref<const std::string&>().empty()) {
        return expected(at, "string");
      }
      out = value.get<std::string>();
    };
  }
  // As ISO 3166 codes are, and what stands in for one.
  Field word(std::string& out) {
    return [this, &out](const Json& value, const std::string& at) {
      const auto fits = [](char c) {
        return (c >= 'A' && c <= 'Z') || (c >= 'a' && c <= 'z') || (c >= '0' && c <= '9') ||
               c == '-';
      };
      const auto* text = value.get_ptr<const std::string*>();
      if (text == nullptr || text->empty() || text->size() > 64 ||
          !std::ranges::all_of(*text, fits)) {
        return expected(at, "letters, digits, -");
      }
      out = *text;
    };
  }
  Field path(std::filesystem::path& out, const std::filesystem::path& folder) {
    return [this, &out, folder](const Json& value, const std::string& at) {
      if (!value.is_string() || value.get_ref<const std::string&>().empty()) {
        return expected(at, "string");
      }
      out = folder / std::filesystem::path(value.get<std::string>());
    };
  }
  Field flag(bool& out) {
    return [this, &out](const Json& value, const std::string& at) {
      if (!value.is_boolean()) return expected(at, "true|false");
      out = value.get<bool>();
    };
  }
  template <class T>
  Field number(T& out, std::int64_t least, std::int64_t most, std::int64_t unit = 1) {
    return [this, &out, least, most, unit](const Json& value, const std::string& at) {
      if (!value.is_number_integer() || value.get<std::int64_t>() < least ||
          value.get<std::int64_t>() > most) {
        return expected(at, std::to_string(least) + "…" + std::to_string(most));
      }
      out = static_cast<T>(value.get<std::int64_t>() * unit);
    };
  }
  Field texts(std::vector<std::string>& out) {
    return [this, &out](const Json& value, const std::string& at) {
      array(value, at, [this, &out](const Json& item, const std::string& where) {
        if (!item.is_string() || item.get_ref<const std::string&>().empty()) {
          return expected(where, "string");
        }
        out.push_back(item.get<std::string>());
      });
    };
  }
  Field url(std::string& out) {
    return [this, &out](const Json& value, const std::string& at) {
      const auto parsed = value.is_string()
                              ? boost::urls::parse_uri(value.get_ref<const std::string&>())
                              : boost::urls::parse_uri("");
      if (!parsed || (parsed->scheme() != "https" && parsed->scheme() != "http") ||
          parsed->host().empty() || parsed->has_query() || parsed->has_fragment()) {
        return expected(at, "https://host:port/path");
      }
      out = value.get<std::string>();
      while (out.ends_with('/')) out.pop_back();
    };
  }

  void expected(const std::string& at, const std::string& what) {
    problem({"daemon.config-type", {{"expected", what}}}, at);
  }

 private:
  std::vector<ConfigProblem>& problems_;
};

void check_domain(Reader& read, const std::string& domain, const std::string& at) {
  if (domain.find('|') != std::string::npos) read.expected(at, "[a-z0-9.-]+");
}

// A log that is witnessed for whoever brings its checkpoints.
void read_watched_log(
    Reader& read, const Json& item, const std::string& at, std::vector<audit::VerifierKey>& logs
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
    Reader& read,
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
void check_witnesses(Reader& read, const Config& config) {
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

tl::expected<Config, std::vector<ConfigProblem>> load_config(const std::filesystem::path& folder) {
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
  Reader read(problems);

  const auto listener = [&read](Listener& out
                        ) -> std::map<std::string, Reader::Field, std::less<>> {
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
  const auto party = [&](PartyId& out) -> std::map<std::string, Reader::Field, std::less<>> {
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
             auto peers = listener(config.peers);
             peers.emplace("publicUrl", read.url(config.peers.public_url));
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
                      }},
                     {"apps",
                      [&](const Json& v, const std::string& p) { read.object(v, p, apps, {}); }},
                     {"management",
                      [&](const Json& v, const std::string& p) {
                        read.object(v, p, management, {});
                      }},
                 },
                 {"peers", "apps", "management"}
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
             if (value.is_array() && value.empty()) read.expected(at, "[{…}]");
           }},
          {"peers",
           [&](const Json& value, const std::string& at) {
             read.array(value, at, [&](const Json& item, const std::string& where) {
               PeerEntry entry;
               auto fields = party(entry.party);
               fields.emplace("url", read.url(entry.url));
               fields.emplace("hosts", read.texts(entry.hosts));
               fields.emplace("jurisdiction", read.word(entry.jurisdiction));
               fields.emplace("loopbackCredential", [&](const Json& v, const std::string& p) {
                 read.object(
                     v,
                     p,
                     {{"expects", read.text(entry.expects)}, {"sends", read.text(entry.sends)}},
                     {"expects", "sends"}
                 );
               });
               read.object(item, where, fields, {"domain", "uri", "url"});
               if (entry.hosts.empty() && !entry.url.empty()) {
                 const auto parsed = boost::urls::parse_uri(entry.url);
                 if (parsed) entry.hosts.emplace_back(parsed->encoded_host_and_port());
               }
               config.known_peers.push_back(std::move(entry));
             });
           }},
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
                 {{"wrappingKey", read.path(config.wrapping_key, folder)}},
                 {"wrappingKey"}
             );
           }},
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
          {"dataUrl", read.url(config.data_url)},
          {"dataRoot", read.path(config.data_root, folder)},
          {"threads", read.number(config.threads, 1, 64)},
          {"insecureLoopback", read.flag(config.insecure_loopback)},
          {"limits",
           [&](const Json& value, const std::string& at) {
             auto& limits = config.limits;
             read.object(
                 value,
                 at,
                 {
                     {"connections", read.number(limits.connections, 1, 1'000'000)},
                     {"connectionsPerPeer", read.number(limits.connections_per_peer, 1, 1'000'000)},
                     {"requestsInFlight", read.number(limits.requests_in_flight, 1, 1'000'000)},
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
  check_witnesses(read, config);
  if (config.data_root.empty()) config.data_root = folder / "source";
  if (!problems.empty()) return tl::unexpected(std::move(problems));
  return config;
}

}  // namespace tally::daemon
