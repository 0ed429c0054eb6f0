// Commands on a connector's folder.
#include <memory>
#include <string>
#include <vector>

#include <CLI/CLI.hpp>

#include "backup_command.hpp"
#include "command_line.hpp"
#include "import.hpp"
#include "init.hpp"
#include "share.hpp"

namespace tally::cli {

namespace {

void add_init(CommandLine& line) {
  struct Read {
    std::string participant;
    InitOptions options;
  };
  const auto read = std::make_shared<Read>();
  auto& options = read->options;
  auto* init = line.add(line.app, "init", "help-init");
  init->add_option("folder", options.folder, line.help("help-folder"))->required();
  init->add_option("--participant", read->participant, line.help("help-participant"))->required();
  init->add_option("--public-url", options.public_url, line.help("help-public-url"))->required();
  init->add_option("--wrapping-key", options.wrapping_key, line.help("help-wrapping-key"))
      ->required();
  init->add_option("--listen", options.listen, line.help("help-listen"));
  init->add_option("--apps-port", options.apps_port, line.help("help-port"));
  init->add_option("--management-port", options.management_port, line.help("help-port"));
  init->add_flag("--test", options.test, line.help("help-test"));
  line.does(init, [&line, read] {
    const auto party = parse_party(read->participant);
    if (party.domain.empty()) return line.console.fail(malformed_party(read->participant), usage);
    read->options.domain = party.domain;
    read->options.uri = party.uri;
    return cli::init(line.console, read->options);
  });
}

void add_import(CommandLine& line) {
  const auto options = std::make_shared<ImportOptions>();
  auto* import = line.add(line.app, "import", "help-import");
  import->add_option("folder", options->folder, line.help("help-folder"))->required();
  auto* issued = import->add_option("files", options->files, line.help("help-issued"));
  import->add_option("--uri-prefix", options->uri_prefixes, line.help("help-import-prefix"));
  auto* tls = import->add_option("--tls", options->tls_chain, line.help("help-chain"));
  auto* contract =
      import->add_option("--contract", options->contract_chain, line.help("help-chain"));
  tls->needs(contract)->excludes(issued);
  contract->needs(tls)->excludes(issued);
  import->callback([&line, options] {
    if (options->files.empty() && options->tls_chain.empty()) throw CLI::RequiredError("files");
    line.choose([&line, options] { return import_issued(line.console, *options); });
  });
}

void add_trust(CommandLine& line) {
  const auto options = std::make_shared<TrustOptions>();
  auto* trust = line.add(line.app, "trust", "help-trust");
  trust->add_option("folder", options->folder, line.help("help-folder"))->required();
  trust->add_option("--domain", options->domain, line.help("help-domain"))->required();
  trust->add_option("--anchors", options->anchors, line.help("help-anchors"))->required();
  trust->add_option("--crl", options->crl, line.help("help-crl"));
  trust->add_option("--uri-prefix", options->uri_prefixes, line.help("help-uri-prefix"))
      ->required();
  line.does(trust, [&line, options] { return cli::trust(line.console, *options); });
}

void add_peer(CommandLine& line) {
  struct Read {
    std::string party;
    PeerOptions options;
  };
  const auto read = std::make_shared<Read>();
  auto& options = read->options;
  auto* peer = line.add(line.app, "peer", "help-peer");
  peer->add_option("folder", options.folder, line.help("help-folder"))->required();
  peer->add_option("party", read->party, line.help("help-party"))->required();
  peer->add_option("address", options.url, line.help("help-peer-url"))->required();
  peer->add_option("--host", options.hosts, line.help("help-host"));
  peer->add_flag(
      "--private-addresses", options.private_addresses, line.help("help-private-addresses")
  );
  auto* expects = peer->add_option("--expects", options.expects, line.help("help-expects"));
  peer->add_option("--sends", options.sends, line.help("help-sends"))->needs(expects);
  peer->add_option("--tls-anchors", options.tls_anchors, line.help("help-tls-anchors"))
      ->needs(expects);
  line.does(peer, [&line, read] {
    const auto party = parse_party(read->party);
    read->options.domain = party.domain;
    read->options.uri = party.uri;
    return cli::add_peer(line.console, read->options);
  });
}

void add_share(CommandLine& line) {
  struct Read {
    std::vector<std::string> readers;
    ShareOptions options;
  };
  const auto read = std::make_shared<Read>();
  auto& options = read->options;
  auto* share = line.add(line.app, "share", "help-share");
  share->add_option("folder", options.folder, line.help("help-folder"))->required();
  share->add_option("file", options.file, line.help("help-share-file"))->required();
  share->add_option("--template", options.terms.name, line.help("help-template"))->required();
  share->add_option("--set", options.terms.values, line.help("help-set"));
  share->add_option("--id", options.id, line.help("help-share-id"));
  share->add_option("--title", options.title, line.help("help-share-title"));
  share->add_option("--to", read->readers, line.help("help-share-to"));
  line.does(share, [&line, read] {
    for (const auto& reader : read->readers) {
      const auto party = parse_party(reader);
      if (party.domain.empty()) return line.console.fail(malformed_party(reader), usage);
      read->options.to.push_back({party.domain, party.uri});
    }
    return cli::share(line.console, read->options);
  });
}

void add_token(CommandLine& line) {
  auto* token = line.add(line.app, "token", "help-token-command");
  token->require_subcommand(1);
  const auto options = std::make_shared<TokenOptions>();
  auto* add = line.add(*token, "add", "help-token-add");
  add->add_option("folder", options->folder, line.help("help-folder"))->required();
  add->add_option("--name", options->name, line.help("help-token-name"))->required();
  add->add_option("--role", options->role, line.help("help-role"))
      ->required()
      ->check(CLI::IsMember({"auditor", "operator", "admin"}));
  line.does(add, [&line, options] { return cli::add_token(line.console, *options); });
}

void add_backup(CommandLine& line) {
  const auto kept = std::make_shared<BackupOptions>();
  auto* backup = line.add(line.app, "backup", "help-backup");
  backup->add_option("folder", line.connection.folder, line.help("help-connector"))->required();
  backup->add_option("target", kept->target, line.help("help-backup-target"))->required();
  backup->add_flag("--with-held", kept->held, line.help("help-with-held"));
  line.does(backup, [&line, kept] {
    kept->connection = line.connection;
    return back_up(line.console, *kept);
  });

  const auto wanted = std::make_shared<RestoreOptions>();
  auto* restore = line.add(line.app, "restore", "help-restore");
  restore->add_option("backup", wanted->backup, line.help("help-backup-source"))->required();
  restore->add_option("folder", wanted->folder, line.help("help-restore-folder"))->required();
  line.does(restore, [&line, wanted] { return cli::restore(line.console, *wanted); });
}

}  // namespace

void add_folder_commands(CommandLine& line) {
  add_init(line);
  add_import(line);
  add_trust(line);
  add_peer(line);
  add_share(line);
  add_token(line);
  add_backup(line);
}

}  // namespace tally::cli
