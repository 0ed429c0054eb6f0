#include "init.hpp"

#include <array>
#include <cerrno>
#include <cstring>
#include <fstream>
#include <functional>
#include <sstream>

#include <fcntl.h>
#include <nlohmann/json.hpp>
#include <openssl/rand.h>
#include <sys/stat.h>
#include <unistd.h>

#include "tally/core/clock.hpp"
#include "tally/core/digest.hpp"
#include "tally/custody/key_source.hpp"
#include "tally/identity/enrolment.hpp"
#include "tally/net/url.hpp"

#include "system_random.hpp"

namespace tally::cli {

namespace {

namespace fs = std::filesystem;
// Keeps the order in which a person wrote the file.
using Ordered = nlohmann::ordered_json;

Error file_error(const fs::path& file, const std::string& action) {
  return {
      ErrorKind::unavailable,
      {"cli.file-failed",
       {{"file", file.string()}, {"action", action}, {"reason", std::strerror(errno)}}},
      {}};
}

Result<std::string> read_text(const fs::path& file) {
  std::ifstream in(file, std::ios::binary);
  if (!in) return tl::unexpected(file_error(file, "open"));
  std::ostringstream text;
  text << in.rdbuf();
  return text.str();
}

// A new file with `mode`, or an error if it exists.
Result<void> create_file(const fs::path& file, std::string_view text, mode_t mode) {
  const int fd = ::open(file.c_str(), O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, mode);
  if (fd < 0) return tl::unexpected(file_error(file, "create"));
  const bool written = ::write(fd, text.data(), text.size()) == static_cast<ssize_t>(text.size()) &&
                       ::fsync(fd) == 0;
  ::close(fd);
  if (!written) return tl::unexpected(file_error(file, "write"));
  return {};
}

// Replaces a file whole: written beside it, synced, renamed.
Result<void> replace_file(const fs::path& file, std::string_view text, mode_t mode) {
  const fs::path beside = file.string() + ".new";
  fs::remove(beside);
  if (auto made = create_file(beside, text, mode); !made) return made;
  std::error_code failed;
  fs::rename(beside, file, failed);
  if (failed) {
    errno = failed.value();
    return tl::unexpected(file_error(file, "rename"));
  }
  return {};
}

std::string random_text(std::size_t bytes) {
  Bytes random(bytes);
  SystemRandom().fill(random);
  return to_base64url(random);
}

// Reads tally.json, lets `change` edit it and writes it back.
int edit_config(
    const Console& console, const fs::path& folder, const std::function<void(Ordered&)>& change
) {
  const auto text = read_text(folder / "tally.json");
  if (!text) return console.fail(text.error(), usage);
  auto config = Ordered::parse(*text, nullptr, false);
  if (config.is_discarded() || !config.is_object()) {
    return console.fail(
        Message{"cli.config-malformed", {{"file", (folder / "tally.json").string()}}}, usage
    );
  }
  change(config);
  if (auto done_ = replace_file(folder / "tally.json", config.dump(2) + "\n", 0644); !done_) {
    return console.fail(done_.error(), refused);
  }
  return done;
}

}  // namespace

int init(const Console& console, const InitOptions& options) {
  const auto& folder = options.folder;
  const auto url = net::parse_url(options.public_url);
  if (!url) return console.fail(Message{"cli.url-malformed", {{"url", options.public_url}}}, usage);
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
    if (auto made = custody::create_key_file(wrapping, random); !made) {
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
  config["listeners"]["peers"] = {
      {"address", "0.0.0.0"},
      {"port", static_cast<int>(std::stoul(url->port))},
      {"publicUrl", options.public_url}};
  if (url->host == "localhost" || url->host.starts_with("127.")) {
    config["listeners"]["peers"]["address"] = "127.0.0.1";
  }
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
       {{"folder", folder.string()},
        {"tls", (folder / "tls" / "request.pem").string()},
        {"contract", (folder / "contract" / "request.pem").string()}}}
  );
  if (options.test) console.say({"cli.init-test", {}});
  return done;
}

int import_chains(const Console& console, const ImportOptions& options) {
  const struct {
    const char* folder;
    const fs::path& chain;
  } parts[] = {{"tls", options.tls_chain}, {"contract", options.contract_chain}};
  const auto config_text = read_text(options.folder / "tally.json");
  if (!config_text) return console.fail(config_text.error(), usage);
  const auto config = Ordered::parse(*config_text, nullptr, false);
  if (config.is_discarded() || !config.contains("/participant/uri"_json_pointer)) {
    return console.fail(
        Message{"cli.config-malformed", {{"file", (options.folder / "tally.json").string()}}}, usage
    );
  }
  const std::string uri = config["participant"]["uri"].get<std::string>();
  for (const auto& part : parts) {
    const auto chain = read_text(part.chain);
    if (!chain) return console.fail(chain.error(), usage);
    const auto key = read_text(options.folder / part.folder / "key.pem");
    if (!key) return console.fail(key.error(), usage);
    if (auto fits = identity::check_key_of_certificate(*key, *chain); !fits) {
      return console.fail(fits.error());
    }
    const auto facts = identity::certificate_facts(*chain);
    if (!facts) return console.fail(facts.error());
    if (facts->uris != std::vector<std::string>{uri}) {
      return console.fail(
          Message{
              "cli.certificate-other-uri",
              {{"file", part.chain.string()},
               {"expected", uri},
               {"found", facts->uris.empty() ? "-" : facts->uris.front()}}},
          refused
      );
    }
    const auto target = options.folder / part.folder / "chain.pem";
    if (auto made = replace_file(target, *chain, 0644); !made) return console.fail(made.error());
    console.say(
        {"cli.imported", {{"file", target.string()}, {"until", format_seconds(facts->not_after)}}}
    );
  }
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
    auto& list = config["trust"];
    Ordered kept = Ordered::array();
    for (const auto& old : list) {
      if (old.value("domain", "") != options.domain) kept.push_back(old);
    }
    kept.push_back(entry);
    list = kept;
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
  if (!net::parse_url(options.url)) {
    return console.fail(Message{"cli.url-malformed", {{"url", options.url}}}, usage);
  }
  Ordered entry = {{"domain", options.domain}, {"uri", options.uri}, {"url", options.url}};
  if (!options.hosts.empty()) entry["hosts"] = options.hosts;
  if (options.private_addresses) entry["privateAddresses"] = true;
  if (!options.expects.empty()) {
    if (auto kept = keep_credential(options, entry); !kept)
      return console.fail(kept.error(), usage);
  }
  const int code = edit_config(console, options.folder, [&](Ordered& config) {
    Ordered kept = Ordered::array();
    for (const auto& old : config["peers"]) {
      if (old.value("domain", "") != options.domain || old.value("uri", "") != options.uri) {
        kept.push_back(old);
      }
    }
    kept.push_back(entry);
    config["peers"] = kept;
  });
  if (code == done) {
    console.say(
        {"cli.peer-added", {{"uri", options.uri}, {"domain", options.domain}, {"url", options.url}}}
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
