#include "init.hpp"

#include <array>
#include <cerrno>
#include <optional>

#include <nlohmann/json.hpp>
#include <openssl/rand.h>

#include "tally/core/clock.hpp"
#include "tally/core/digest.hpp"
#include "tally/custody/key_ring.hpp"
#include "tally/identity/enrolment.hpp"
#include "tally/net/url.hpp"

#include "connector_folder.hpp"
#include "files.hpp"
#include "system_random.hpp"
#include "wall_clock.hpp"

namespace tally::cli {

namespace {

namespace fs = std::filesystem;

std::string random_text(std::size_t bytes) {
  Bytes random(bytes);
  SystemRandom().fill(random);
  return to_base64url(random);
}

// Where peers are served: what was said, "address:port", or the port of the public URL, which a
// machine on loopback has there. nullopt: no address and port.
std::optional<net::Url> listen_at(const std::string& said, const net::Url& public_url) {
  if (!said.empty()) {
    auto at = net::parse_url("https://" + said);
    const auto numeric = [](const std::string& host) {
      return host.find_first_not_of("0123456789abcdefABCDEF.:") == std::string::npos;
    };
    if (!at || !numeric(at->host) || at->target != "/" || !said.ends_with(":" + at->port))
      return {};
    return at;
  }
  net::Url at = public_url;
  const bool loopback = at.host == "localhost" || at.host.starts_with("127.");
  at.host = loopback ? "127.0.0.1" : "0.0.0.0";
  return at;
}

}  // namespace

int init(const Console& console, const InitOptions& options) {
  const auto& folder = options.folder;
  const auto url = net::parse_url(options.public_url);
  if (!url) return console.fail(Message{"cli.url-malformed", {{"url", options.public_url}}}, usage);
  if (!listen_at(options.listen, *url)) {
    return console.fail(Message{"cli.listen-malformed", {{"text", options.listen}}}, usage);
  }
  if (fs::exists(folder / "tally.json")) {
    return console.fail(Message{"cli.folder-taken", {{"folder", folder.string()}}}, usage);
  }
  const auto wrapping = fs::absolute(options.wrapping_key).lexically_normal();
  const auto relative = wrapping.lexically_relative(fs::absolute(folder).lexically_normal());
  if (options.wrapping_key.empty() || (!relative.empty() && *relative.begin() != "..")) {
    return console.fail(
        Message{
            "cli.wrapping-key-inside", {{"file", wrapping.string()}, {"folder", folder.string()}}},
        usage
    );
  }
  std::error_code failed;
  for (const char* name :
       {"",
        "tls",
        "contract",
        "trust",
        "assets",
        "policies",
        "rules",
        "source",
        "log-key",
        "witness-key"}) {
    fs::create_directories(folder / name, failed);
    if (failed) {
      errno = failed.value();
      return console.fail(file_error(folder / name, "create"), refused);
    }
  }
  fs::permissions(folder, fs::perms::owner_all, failed);

  const bool numeric = url->host.find_first_not_of("0123456789.:") == std::string::npos;
  const struct {
    const char* folder;
    identity::KeyKind kind;
    bool tls;
  } keys[] = {
      {"tls", identity::KeyKind::p256, true}, {"contract", identity::KeyKind::ed25519, false}};
  std::string requests;
  for (const auto& key : keys) {
    const auto pem = identity::generate_key_pem(key.kind);
    if (!pem) return console.fail(pem.error());
    identity::CertificateRequest wanted;
    wanted.common_name = options.uri;
    wanted.uri = options.uri;
    wanted.tls = key.tls;
    if (key.tls) (numeric ? wanted.addresses : wanted.dns_names).push_back(url->host);
    const auto request = identity::make_request_pem(*pem, wanted);
    if (!request) return console.fail(request.error());
    if (auto made = create_file(folder / key.folder / "key.pem", *pem, 0600); !made) {
      return console.fail(made.error());
    }
    if (auto made = create_file(folder / key.folder / "request.pem", *request, 0644); !made) {
      return console.fail(made.error());
    }
    requests += *request;
  }
  if (auto made = create_file(folder / "requests.pem", requests, 0644); !made) {
    return console.fail(made.error());
  }
  for (const char* name : {"log-key", "witness-key"}) {
    const auto key = identity::generate_key_pem(identity::KeyKind::ed25519);
    if (!key) return console.fail(key.error());
    if (auto made = create_file(folder / name / "key.pem", *key, 0600); !made) {
      return console.fail(made.error());
    }
  }
  if (!fs::exists(wrapping)) {
    fs::create_directories(wrapping.parent_path(), failed);
    SystemRandom random;
    if (auto made = custody::create_key_ring(wrapping, random, WallClock().read().at); !made) {
      return console.fail(made.error());
    }
  }

  SystemRandom random;
  std::array<std::uint8_t, 32> secret{};
  random.fill(secret);
  if (auto made = create_file(folder / "pseudonym.key", to_base64(secret) + "\n", 0600); !made) {
    return console.fail(made.error());
  }

  const std::string token = random_text(32);
  if (auto made = create_file(folder / "operator.token", token + "\n", 0600); !made) {
    return console.fail(made.error());
  }
  Ordered config;
  config["participant"] = {{"domain", options.domain}, {"uri", options.uri}};
  const auto own = listen_at(options.listen, *url);
  config["listeners"]["peers"] = {
      {"address", own->host},
      {"port", static_cast<int>(std::stoul(own->port))},
      {"publicUrl", options.public_url}};
  config["listeners"]["apps"] = {{"address", "127.0.0.1"}, {"port", options.apps_port}};
  config["listeners"]["management"] = {
      {"address", "127.0.0.1"},
      {"port", options.management_port},
      {"tokens",
       Ordered::array({{{"name", "first"}, {"role", "admin"}, {"sha256", to_hex(sha256(token))}}}
       )}};
  config["tls"] = {{"certificate", "tls/chain.pem"}, {"key", "tls/key.pem"}};
  config["contract"] = {{"certificate", "contract/chain.pem"}, {"key", "contract/key.pem"}};
  config["log"] = {{"key", "log-key/key.pem"}};
  if (options.test) config["log"]["test"] = true;
  config["witness"] = {{"key", "witness-key/key.pem"}};
  config["trust"] = Ordered::array();
  config["peers"] = Ordered::array();
  config["custody"] = {{"wrappingKey", wrapping.string()}};
  config["pseudonymKey"] = "pseudonym.key";
  config["dataRoot"] = "source";
  if (auto made = create_file(folder / "tally.json", config.dump(2) + "\n", 0644); !made) {
    return console.fail(made.error());
  }
  console.say(
      {"cli.init-done",
       {{"folder", folder.string()}, {"requests", (folder / "requests.pem").string()}}}
  );
  if (options.test) console.say({"cli.init-test", {}});
  return done;
}

int trust(const Console& console, const TrustOptions& options) {
  const auto anchors = read_text(options.anchors);
  if (!anchors) return console.fail(anchors.error(), usage);
  const fs::path base = options.folder / "trust";
  if (auto made = replace_file(base / (options.domain + ".pem"), *anchors, 0644); !made) {
    return console.fail(made.error());
  }
  if (!options.crl.empty()) {
    const auto crl = read_text(options.crl);
    if (!crl) return console.fail(crl.error(), usage);
    if (auto made = replace_file(base / (options.domain + ".crl"), *crl, 0644); !made) {
      return console.fail(made.error());
    }
  }
  const int code = edit_config(console, options.folder, [&](Ordered& config) {
    Ordered entry = {
        {"domain", options.domain},
        {"anchors", "trust/" + options.domain + ".pem"},
        {"uriPrefixes", options.uri_prefixes},
        {"crl", options.crl.empty() ? "none" : "required"}};
    if (!options.crl.empty()) entry["crlFile"] = "trust/" + options.domain + ".crl";
    config["trust"] = without(config["trust"], [&](const Ordered& old) {
      return old.value("domain", "") == options.domain;
    });
    config["trust"].push_back(entry);
  });
  if (code == done) console.say({"cli.trusted", {{"domain", options.domain}}});
  return code;
}

namespace {

// Copies what the entry of a peer names into the folder, and names it there.
Result<void> keep_credential(const PeerOptions& options, Ordered& entry) {
  const fs::path beside = fs::path("peers") / to_hex(sha256(options.domain + "|" + options.uri));
  std::error_code failed;
  fs::create_directories(options.folder / "peers", failed);
  const struct {
    const fs::path& from;
    const char* suffix;
    mode_t mode;
    Ordered& member;
    const char* name;
  } files[] = {
      {options.expects, ".expects", 0600, entry["credential"], "expectsFile"},
      {options.sends, ".sends", 0600, entry["credential"], "sendsFile"},
      {options.tls_anchors, ".pem", 0644, entry, "tlsAnchors"},
  };
  for (const auto& file : files) {
    if (file.from.empty()) continue;
    const auto text = read_text(file.from);
    if (!text) return tl::unexpected(text.error());
    const std::string kept = beside.string() + file.suffix;
    if (auto made = replace_file(options.folder / kept, *text, file.mode); !made) return made;
    file.member[file.name] = kept;
  }
  return {};
}

}  // namespace

int add_peer(const Console& console, const PeerOptions& options) {
  const auto parsed = net::parse_url(options.url);
  if (!parsed) return console.fail(Message{"cli.url-malformed", {{"url", options.url}}}, usage);
  // The address that a partner gives is mostly its publicUrl; below it a Tally has its endpoints.
  std::string url = options.url;
  if (parsed->target == "/") url += url.ends_with('/') ? "dsp/2025-1" : "/dsp/2025-1";
  Ordered entry = {{"domain", options.domain}, {"uri", options.uri}, {"url", url}};
  if (!options.hosts.empty()) entry["hosts"] = options.hosts;
  if (options.private_addresses) entry["privateAddresses"] = true;
  if (!options.expects.empty()) {
    if (auto kept = keep_credential(options, entry); !kept)
      return console.fail(kept.error(), usage);
  }
  const int code = edit_config(console, options.folder, [&](Ordered& config) {
    config["peers"] = without(config["peers"], [&](const Ordered& old) {
      return old.value("domain", "") == options.domain && old.value("uri", "") == options.uri;
    });
    config["peers"].push_back(entry);
  });
  if (code == done) {
    console.say({"cli.peer-added", {{"uri", options.uri}, {"domain", options.domain}, {"url", url}}}
    );
  }
  return code;
}

int add_token(const Console& console, const TokenOptions& options) {
  const std::string token = random_text(32);
  const int code = edit_config(console, options.folder, [&](Ordered& config) {
    auto& tokens = config["listeners"]["management"]["tokens"];
    if (!tokens.is_array()) tokens = Ordered::array();
    tokens.push_back(
        {{"name", options.name}, {"role", options.role}, {"sha256", to_hex(sha256(token))}}
    );
  });
  if (code != done) return code;
  console.say({"cli.token-added", {{"name", options.name}, {"role", options.role}}});
  console.print(token);
  return done;
}

}  // namespace tally::cli
