#include "import.hpp"

#include <algorithm>
#include <array>
#include <optional>
#include <utility>

#include "tally/identity/enrolment.hpp"
#include "tally/identity/issued.hpp"
#include "tally/identity/trust.hpp"

#include "connector_folder.hpp"
#include "files.hpp"
#include "wall_clock.hpp"

namespace tally::cli {

namespace {

namespace fs = std::filesystem;

// A chain that names somebody else would only be found out at the next start.
Result<identity::CertificateFacts> facts_of(
    const std::string& chain, const std::string& uri, const std::string& file
) {
  auto facts = identity::certificate_facts(chain);
  if (!facts || facts->uris == std::vector<std::string>{uri}) return facts;
  return fail(
      ErrorKind::invalid,
      {"cli.certificate-other-uri",
       {{"file", file},
        {"expected", uri},
        {"found", facts->uris.empty() ? "-" : facts->uris.front()}}}
  );
}

Result<void> put_chain(
    const Console& console,
    const fs::path& target,
    const std::string& chain,
    const identity::CertificateFacts& facts
) {
  if (auto made = replace_file(target, chain, 0644); !made) return made;
  console.say(
      {"cli.imported", {{"file", target.string()}, {"until", format_seconds(facts.not_after)}}}
  );
  return {};
}

// The two chains by themselves.
int import_chains(const Console& console, const ImportOptions& options, const std::string& uri) {
  const std::pair<const char*, const fs::path&> parts[] = {
      {"tls", options.tls_chain}, {"contract", options.contract_chain}};
  for (const auto& [name, file] : parts) {
    const auto chain = read_text(file);
    if (!chain) return console.fail(chain.error(), usage);
    const auto key = read_text(options.folder / name / "key.pem");
    if (!key) return console.fail(key.error(), usage);
    if (auto fits = identity::check_key_of_certificate(*key, *chain); !fits) {
      return console.fail(fits.error());
    }
    const auto facts = facts_of(*chain, uri, file.string());
    if (!facts) return console.fail(facts.error());
    if (auto put = put_chain(console, options.folder / name / "chain.pem", *chain, *facts); !put) {
      return console.fail(put.error());
    }
  }
  return done;
}

// "did:web:" of did:web:hospital.example, "urn:health:" of urn:health:7. Of other URIs nobody can
// say which part of them the authority is responsible for.
std::vector<std::string> usual_prefixes(const std::string& uri) {
  if (!uri.starts_with("did:") && !uri.starts_with("urn:")) return {};
  const auto end = uri.find(':', 4);
  if (end == std::string::npos) return {};
  return {uri.substr(0, end + 1)};
}

// What is to be trusted for our own domain once everything is in place.
struct Domain {
  std::string anchors, lists;
  std::vector<std::string> prefixes;
  fs::path anchors_file, lists_file;  // in the folder
  bool is_new = false;
  Nanos grace = 0;
};

tl::unexpected<Error> refuse(std::string code, std::map<std::string, std::string> params) {
  return fail(ErrorKind::invalid, {std::move(code), std::move(params)});
}

Result<Domain> new_domain(
    const std::string& name,
    const std::string& uri,
    const identity::Issued& issued,
    const std::vector<std::string>& prefixes
) {
  if (issued.anchors.empty()) return refuse("cli.import-no-anchor", {{"domain", name}});
  if (issued.lists.empty()) return refuse("cli.import-no-list", {{"domain", name}});
  Domain out{
      issued.anchors,
      issued.lists,
      prefixes.empty() ? usual_prefixes(uri) : prefixes,
      fs::path("trust") / (name + ".pem"),
      fs::path("trust") / (name + ".crl"),
      true};
  if (out.prefixes.empty()) return refuse("cli.import-no-prefix", {{"uri", uri}});
  return out;
}

Result<Domain> known_domain(
    const fs::path& folder,
    const std::string& name,
    const Ordered& entry,
    const identity::Issued& issued
) {
  Domain out;
  out.anchors_file = entry.value("anchors", "");
  out.lists_file = entry.value("crlFile", "trust/" + name + ".crl");
  out.grace = seconds(3600 * entry.value("crlGraceHours", std::int64_t{0}));
  for (const auto& prefix : entry.value("uriPrefixes", Ordered::array())) {
    if (prefix.is_string()) out.prefixes.push_back(prefix.get<std::string>());
  }
  auto anchors = read_text(folder / out.anchors_file);
  if (!anchors) return tl::unexpected(anchors.error());
  out.anchors = *std::move(anchors);
  // What is trusted changes by its own command alone.
  const auto trusted = identity::anchors_of(out.anchors);
  if (!trusted) return tl::unexpected(trusted.error());
  for (const auto& anchor : issued.named) {
    const auto same = [&](const identity::IssuedAnchor& one) {
      return one.sha256 == anchor.sha256;
    };
    if (std::ranges::none_of(*trusted, same)) {
      return refuse(
          "cli.import-other-anchor",
          {{"domain", name}, {"subject", anchor.subject}, {"sha256", anchor.sha256}}
      );
    }
  }
  if (!issued.lists.empty()) {
    // One file has the lists of all authorities of the domain; which of them these are not is not
    // to be guessed.
    if (trusted->size() > 1) return refuse("cli.import-several-anchors", {{"domain", name}});
    out.lists = issued.lists;
  } else if (entry.value("crl", "required") != "none") {
    auto lists = read_text(folder / out.lists_file);
    if (!lists) return tl::unexpected(lists.error());
    out.lists = *std::move(lists);
  }
  return out;
}

// Whether the chains are good in the domain that they are to be used in: found out here, not by a
// peer that refuses them.
Result<void> check_together(
    const std::string& name, const Domain& domain, const identity::Issued& issued
) {
  identity::TrustDomainConfig config;
  config.domain = name;
  config.anchors_pem = domain.anchors;
  config.uri_prefixes = domain.prefixes;
  if (domain.lists.empty()) {
    config.crl = identity::CrlPolicy::none;
  } else {
    config.crl_pem = {domain.lists};
    config.crl_grace = domain.grace;
  }
  const auto store = identity::TrustStore::build({std::move(config)});
  if (!store) return tl::unexpected(store.error());
  const auto now = WallClock().read().at;
  for (const auto& [chain, purpose] :
       {std::pair{&issued.tls, identity::Purpose::server},
        std::pair{&issued.tls, identity::Purpose::client},
        std::pair{&issued.contract, identity::Purpose::contract}}) {
    if (chain->der.empty()) continue;
    const auto good = (*store)->verify(chain->der, purpose, now);
    if (!good) return tl::unexpected(good.error());
  }
  return {};
}

int put_trust(
    const Console& console,
    const fs::path& folder,
    const std::string& name,
    const Domain& domain,
    const identity::Issued& issued
) {
  if (domain.is_new) {
    if (auto made = replace_file(folder / domain.anchors_file, domain.anchors, 0644); !made) {
      return console.fail(made.error());
    }
  }
  if (!issued.lists.empty()) {
    if (auto made = replace_file(folder / domain.lists_file, domain.lists, 0644); !made) {
      return console.fail(made.error());
    }
    console.say({"cli.import-list", {{"domain", name}}});
  }
  const int code = edit_config(console, folder, [&](Ordered& config) {
    if (domain.is_new) {
      config["trust"].push_back(
          {{"domain", name},
           {"anchors", domain.anchors_file.string()},
           {"uriPrefixes", domain.prefixes},
           {"crl", "required"},
           {"crlFile", domain.lists_file.string()}}
      );
      return;
    }
    for (auto& entry : config["trust"]) {
      if (entry.value("domain", "") != name || issued.lists.empty()) continue;
      entry["crl"] = "required";
      entry["crlFile"] = domain.lists_file.string();
    }
  });
  if (code != done || !domain.is_new) return code;
  std::string prefixes;
  for (const auto& prefix : domain.prefixes) prefixes += (prefixes.empty() ? "" : ", ") + prefix;
  for (const auto& anchor : issued.named) {
    console.say(
        {"cli.import-trusted",
         {{"domain", name},
          {"subject", anchor.subject},
          {"sha256", anchor.sha256},
          {"prefixes", prefixes}}}
    );
  }
  return done;
}

int import_all(const Console& console, const ImportOptions& options, const Ordered& config) {
  const auto& folder = options.folder;
  const auto name = config["participant"]["domain"].get<std::string>();
  const auto uri = config["participant"]["uri"].get<std::string>();
  std::string text;
  std::string files;
  for (const auto& file : options.files) {
    const auto part = read_text(file);
    if (!part) return console.fail(part.error(), usage);
    text += *part + "\n";
    files += (files.empty() ? "" : ", ") + file.string();
  }
  const auto tls_key = read_text(folder / "tls" / "key.pem");
  if (!tls_key) return console.fail(tls_key.error(), usage);
  const auto contract_key = read_text(folder / "contract" / "key.pem");
  if (!contract_key) return console.fail(contract_key.error(), usage);
  const auto issued = identity::sort_issued(text, *tls_key, *contract_key);
  if (!issued) return console.fail(issued.error());

  const std::pair<const char*, const identity::IssuedChain&> chains[] = {
      {"tls", issued->tls}, {"contract", issued->contract}};
  std::array<std::optional<identity::CertificateFacts>, 2> facts;
  for (std::size_t i = 0; i < facts.size(); ++i) {
    if (chains[i].second.pem.empty()) continue;
    auto found = facts_of(chains[i].second.pem, uri, files);
    if (!found) return console.fail(found.error());
    facts[i] = *std::move(found);
  }
  const auto trusted = config.value("trust", Ordered::array());
  const auto entry = std::ranges::find_if(trusted, [&](const Ordered& one) {
    return one.value("domain", "") == name;
  });
  const auto domain = entry == trusted.end() ? new_domain(name, uri, *issued, options.uri_prefixes)
                                             : known_domain(folder, name, *entry, *issued);
  if (!domain) return console.fail(domain.error());
  if (auto good = check_together(name, *domain, *issued); !good) return console.fail(good.error());

  for (std::size_t i = 0; i < facts.size(); ++i) {
    if (!facts[i]) continue;
    const auto target = folder / chains[i].first / "chain.pem";
    if (auto put = put_chain(console, target, chains[i].second.pem, *facts[i]); !put) {
      return console.fail(put.error());
    }
  }
  const int code = put_trust(console, folder, name, *domain, *issued);
  if (code != done) return code;
  for (const auto& [part, chain] : chains) {
    if (fs::exists(folder / part / "chain.pem")) continue;
    console.say(
        {"cli.import-still-missing", {{"request", (folder / part / "request.pem").string()}}}
    );
    return incomplete;
  }
  return done;
}

}  // namespace

int import_issued(const Console& console, const ImportOptions& options) {
  const auto config = read_config(options.folder);
  if (!config) return console.fail(config.error(), usage);
  if (!options.files.empty()) return import_all(console, options, *config);
  return import_chains(console, options, (*config)["participant"]["uri"].get<std::string>());
}

}  // namespace tally::cli
