// tally: the operator's and the auditor's tool. `tally audit …` works on files alone; the other
// commands talk to the management API of a running connector.
#include <cstdlib>
#include <exception>
#include <functional>
#include <string>
#include <vector>

#include <CLI/CLI.hpp>

#include "tally/core/secret.hpp"
#include "tally/core/version.hpp"

#include "approval_commands.hpp"
#include "audit_commands.hpp"
#include "backup_command.hpp"
#include "bundle_commands.hpp"
#include "command_table.hpp"
#include "commands.hpp"
#include "custody_commands.hpp"
#include "doctor.hpp"
#include "duty_commands.hpp"
#include "hold_command_line.hpp"
#include "import.hpp"
#include "init.hpp"
#include "inquiry_commands.hpp"
#include "log_commands.hpp"
#include "manual_page.hpp"
#include "new_log_command.hpp"
#include "policy_commands.hpp"
#include "private_commands.hpp"
#include "share.hpp"
#include "witness_commands.hpp"

namespace {

using namespace tally;
using namespace tally::cli;

// "domain:uri", the way a party is written on a command line.
Party parse_party(const std::string& text) {
  const auto colon = text.find(':');
  if (colon == std::string::npos) return {"", text};
  return {text.substr(0, colon), text.substr(colon + 1)};
}

// A description of the table: CLI11 wants plain text at construction.
class Help {
 public:
  explicit Help(Lang lang) : lang_(lang) {}
  std::string operator()(const std::string& code) const {
    return render({"cli." + code, {}}, lang_);
  }

 private:
  Lang lang_;
};

Lang language_of(int argc, char** argv) {
  for (int i = 1; i + 1 < argc; ++i) {
    if (std::string_view(argv[i]) == "--lang") return parse_lang(argv[i + 1]);
  }
  for (const char* name : {"LC_ALL", "LC_MESSAGES", "LANG"}) {
    const char* value = std::getenv(name);
    if (value != nullptr && *value != '\0') return parse_lang(value);
  }
  return Lang::en;
}

}  // namespace

int main(int argc, char** argv) {
  guard_secrets();
  Console console{language_of(argc, argv), false};
  const Help help(console.lang);
  CLI::App app(help("help"));
  app.require_subcommand(1);
  app.fallthrough();
  std::string lang;
  Connection connection;
  app.set_help_flag("-h,--help", help("help-help"));
  app.set_version_flag("--version", "tally " + std::string(version()), help("help-version"));
  app.add_option("--lang", lang, help("help-lang"));
  app.add_flag("--json", console.json, help("help-json"));
  app.add_option("--connector", connection.folder, help("help-connector"))
      ->envname("TALLY_CONNECTOR");
  app.add_option("--url", connection.url, help("help-url"));
  app.add_option("--token", connection.token, help("help-token"));

  std::function<int()> run;
  const auto with_api = [&](std::function<int(Management&)> command) {
    return [&console, &connection, command = std::move(command)] {
      auto api = Management::open(connection, console.lang);
      return api ? command(*api) : console.fail(api.error(), usage);
    };
  };
  const auto command = [&](CLI::App& parent, const char* name, const char* text) {
    return parent.add_subcommand(name, help(text));
  };

  // --- a connector's folder ---
  InitOptions init_options;
  std::string participant;
  auto* init_command = command(app, "init", "help-init");
  init_command->add_option("folder", init_options.folder, help("help-folder"))->required();
  init_command->add_option("--participant", participant, help("help-participant"))->required();
  init_command->add_option("--public-url", init_options.public_url, help("help-public-url"))
      ->required();
  init_command->add_option("--wrapping-key", init_options.wrapping_key, help("help-wrapping-key"))
      ->required();
  init_command->add_option("--listen", init_options.listen, help("help-listen"));
  init_command->add_option("--apps-port", init_options.apps_port, help("help-port"));
  init_command->add_option("--management-port", init_options.management_port, help("help-port"));
  init_command->add_flag("--test", init_options.test, help("help-test"));
  init_command->callback([&] {
    run = [&] {
      const auto party = parse_party(participant);
      init_options.domain = party.domain;
      init_options.uri = party.uri;
      if (party.domain.empty()) {
        return console.fail(Message{"cli.party-malformed", {{"text", participant}}}, usage);
      }
      return cli::init(console, init_options);
    };
  });

  ImportOptions import_options;
  auto* import_command = command(app, "import", "help-import");
  import_command->add_option("folder", import_options.folder, help("help-folder"))->required();
  auto* issued = import_command->add_option("files", import_options.files, help("help-issued"));
  import_command->add_option(
      "--uri-prefix", import_options.uri_prefixes, help("help-import-prefix")
  );
  auto* tls_chain =
      import_command->add_option("--tls", import_options.tls_chain, help("help-chain"));
  auto* contract_chain =
      import_command->add_option("--contract", import_options.contract_chain, help("help-chain"));
  tls_chain->needs(contract_chain)->excludes(issued);
  contract_chain->needs(tls_chain)->excludes(issued);
  import_command->callback([&] {
    if (import_options.files.empty() && import_options.tls_chain.empty()) {
      throw CLI::RequiredError("files");
    }
    run = [&] { return import_issued(console, import_options); };
  });

  TrustOptions trust_options;
  auto* trust_command = command(app, "trust", "help-trust");
  trust_command->add_option("folder", trust_options.folder, help("help-folder"))->required();
  trust_command->add_option("--domain", trust_options.domain, help("help-domain"))->required();
  trust_command->add_option("--anchors", trust_options.anchors, help("help-anchors"))->required();
  trust_command->add_option("--crl", trust_options.crl, help("help-crl"));
  trust_command->add_option("--uri-prefix", trust_options.uri_prefixes, help("help-uri-prefix"))
      ->required();
  trust_command->callback([&] { run = [&] { return cli::trust(console, trust_options); }; });

  PeerOptions peer_options;
  std::string peer_party;
  auto* peer_command = command(app, "peer", "help-peer");
  peer_command->add_option("folder", peer_options.folder, help("help-folder"))->required();
  peer_command->add_option("party", peer_party, help("help-party"))->required();
  peer_command->add_option("address", peer_options.url, help("help-peer-url"))->required();
  peer_command->add_option("--host", peer_options.hosts, help("help-host"));
  peer_command->add_flag(
      "--private-addresses", peer_options.private_addresses, help("help-private-addresses")
  );
  auto* expects = peer_command->add_option("--expects", peer_options.expects, help("help-expects"));
  peer_command->add_option("--sends", peer_options.sends, help("help-sends"))->needs(expects);
  peer_command->add_option("--tls-anchors", peer_options.tls_anchors, help("help-tls-anchors"))
      ->needs(expects);
  peer_command->callback([&] {
    run = [&] {
      const auto party = parse_party(peer_party);
      peer_options.domain = party.domain;
      peer_options.uri = party.uri;
      return add_peer(console, peer_options);
    };
  });

  ShareOptions share_options;
  std::vector<std::string> readers;
  auto* share_command = command(app, "share", "help-share");
  share_command->add_option("folder", share_options.folder, help("help-folder"))->required();
  share_command->add_option("file", share_options.file, help("help-share-file"))->required();
  share_command->add_option("--template", share_options.terms.name, help("help-template"))
      ->required();
  share_command->add_option("--set", share_options.terms.values, help("help-set"));
  share_command->add_option("--id", share_options.id, help("help-share-id"));
  share_command->add_option("--title", share_options.title, help("help-share-title"));
  share_command->add_option("--to", readers, help("help-share-to"));
  share_command->callback([&] {
    run = [&] {
      for (const auto& reader : readers) {
        const auto party = parse_party(reader);
        if (party.domain.empty()) {
          return console.fail(Message{"cli.party-malformed", {{"text", reader}}}, usage);
        }
        share_options.to.push_back({party.domain, party.uri});
      }
      return share(console, share_options);
    };
  });

  auto* token_command = command(app, "token", "help-token-command");
  token_command->require_subcommand(1);
  TokenOptions token_options;
  auto* token_add = command(*token_command, "add", "help-token-add");
  token_add->add_option("folder", token_options.folder, help("help-folder"))->required();
  token_add->add_option("--name", token_options.name, help("help-token-name"))->required();
  token_add->add_option("--role", token_options.role, help("help-role"))
      ->required()
      ->check(CLI::IsMember({"auditor", "operator", "admin"}));
  token_add->callback([&] { run = [&] { return add_token(console, token_options); }; });

  BackupOptions backup_options;
  auto* backup_command = command(app, "backup", "help-backup");
  backup_command->add_option("folder", connection.folder, help("help-connector"))->required();
  backup_command->add_option("target", backup_options.target, help("help-backup-target"))
      ->required();
  backup_command->add_flag("--with-held", backup_options.held, help("help-with-held"));
  backup_command->callback([&] {
    run = [&] {
      backup_options.connection = connection;
      return back_up(console, backup_options);
    };
  });

  RestoreOptions restore_options;
  auto* restore_command = command(app, "restore", "help-restore");
  restore_command->add_option("backup", restore_options.backup, help("help-backup-source"))
      ->required();
  restore_command->add_option("folder", restore_options.folder, help("help-restore-folder"))
      ->required();
  restore_command->callback([&] { run = [&] { return restore(console, restore_options); }; });

  // --- a running connector ---
  command(app, "reload", "help-reload")->callback([&] {
    run = with_api([&](Management& api) { return reload(console, api); });
  });
  command(app, "status", "help-status")->callback([&] {
    run = with_api([&](Management& api) { return status(console, api); });
  });

  command(app, "doctor", "help-doctor")->callback([&] {
    run = [&] { return doctor(console, connection); };
  });

  std::string party;
  auto* catalog_command = command(app, "catalog", "help-catalog");
  catalog_command->add_option("party", party, help("help-party"))->required();
  CatalogOptions catalog_options;
  catalog_command->add_option("--keyword", catalog_options.keywords, help("help-keyword"));
  catalog_command->add_flag("--follow", catalog_options.follow, help("help-follow"));
  catalog_command->callback([&] {
    run = with_api([&](Management& api) {
      catalog_options.peer = parse_party(party);
      return catalog(console, api, catalog_options);
    });
  });

  NegotiateOptions negotiate_options;
  auto* negotiate_command = command(app, "negotiate", "help-negotiate");
  negotiate_command->add_option("party", party, help("help-party"))->required();
  negotiate_command->add_option("asset", negotiate_options.asset, help("help-asset"))->required();
  negotiate_command->add_option("--offer", negotiate_options.offer, help("help-offer"));
  negotiate_command->add_option("--purpose", negotiate_options.purposes, help("help-purpose"));
  negotiate_command->add_option("--wait", negotiate_options.wait_seconds, help("help-wait"));
  negotiate_command->callback([&] {
    run = with_api([&](Management& api) {
      negotiate_options.peer = parse_party(party);
      return negotiate(console, api, negotiate_options);
    });
  });

  auto* offer_command = command(app, "offer", "help-offer-to");
  offer_command->add_option("party", party, help("help-party"))->required();
  offer_command->add_option("offer", negotiate_options.offer, help("help-own-offer"))->required();
  offer_command->add_option("--wait", negotiate_options.wait_seconds, help("help-wait"));
  offer_command->callback([&] {
    run = with_api([&](Management& api) {
      negotiate_options.peer = parse_party(party);
      return negotiate(console, api, negotiate_options);
    });
  });

  std::string role;
  std::string agreement_file;
  auto* elsewhere_command = command(app, "import-agreement", "help-import-agreement");
  elsewhere_command->add_option("party", party, help("help-party"))->required();
  elsewhere_command->add_option("file", agreement_file, help("help-agreement-file"))->required();
  elsewhere_command->add_option("--role", role, help("help-own-role"))->required();
  elsewhere_command->callback([&] {
    run = with_api([&](Management& api) {
      return import_agreement(console, api, parse_party(party), role, agreement_file);
    });
  });

  std::string agreement;
  int wait_seconds = 60;
  auto* transfer_command = command(app, "transfer", "help-transfer");
  transfer_command->require_subcommand(0, 1);
  transfer_command->add_option("agreement", agreement, help("help-agreement"));
  transfer_command->add_option("--wait", wait_seconds, help("help-wait"));
  MoveOptions move_options;
  const struct {
    const char* name;
    const char* move;
    bool says_why;
  } moves[] = {
      {"suspend", "suspension", true},
      {"resume", "resumption", false},
      {"complete", "completion", false},
      {"terminate", "termination", true}};
  for (const auto& move : moves) {
    auto* move_command =
        command(*transfer_command, move.name, (std::string("help-transfer-") + move.name).c_str());
    move_command->add_option("id", move_options.id, help("help-transfer-id"))->required();
    if (move.says_why) {
      move_command->add_option("--reason", move_options.reason, help("help-told-reason"));
    }
    move_command->callback([&, path = std::string(move.move)] {
      run = with_api([&, path](Management& api) {
        move_options.move = path;
        return move_transfer(console, api, move_options);
      });
    });
  }
  transfer_command->callback([&] {
    if (!transfer_command->get_subcommands().empty()) return;
    if (agreement.empty()) throw CLI::RequiredError("agreement");
    run =
        with_api([&](Management& api) { return transfer(console, api, agreement, wait_seconds); });
  });

  ReadOptions read_options;
  auto* read_command = command(app, "read", "help-read");
  read_command->add_option("agreement", read_options.agreement, help("help-agreement"))->required();
  read_command->add_option("--purpose", read_options.purpose, help("help-purpose"));
  read_command->add_option("--key", read_options.key, help("help-key"));
  read_command->add_option("--out", read_options.file, help("help-out"));
  read_command->callback([&] {
    run = [&] {
      auto apps = Management::open_apps(connection, console.lang);
      return apps ? read(console, *apps, read_options) : console.fail(apps.error(), usage);
    };
  });

  std::string id;
  for (const char* kind :
       {"agreements",
        "negotiations",
        "transfers",
        "assets",
        "policies",
        "apps",
        "artefacts",
        "deletion-records"}) {
    auto* list_command = command(app, kind, (std::string("help-") + kind).c_str());
    list_command->add_option("id", id, help("help-id"));
    list_command->callback([&, kind] {
      run = with_api([&, kind](Management& api) { return list(console, api, kind, id); });
    });
  }
  command(app, "approvals", "help-approvals")->callback([&] {
    run = with_api([&](Management& api) { return approvals(console, api); });
  });
  auto* approve_command = command(app, "approve", "help-approve");
  approve_command->add_option("id", id, help("help-approval-id"))->required();
  approve_command->callback([&] {
    run = with_api([&](Management& api) { return approve(console, api, id); });
  });
  std::string said;
  auto* reject_command = command(app, "reject", "help-reject");
  reject_command->add_option("id", id, help("help-approval-id"))->required();
  reject_command->add_option("--reason", said, help("help-reason-told"));
  reject_command->callback([&] {
    run = with_api([&](Management& api) { return reject(console, api, id, said); });
  });
  std::string policy_file;
  auto* counter_command = command(app, "counter", "help-counter");
  counter_command->add_option("id", id, help("help-approval-id"))->required();
  counter_command->add_option("--policy", policy_file, help("help-counter-policy"))->required();
  counter_command->callback([&] {
    run = with_api([&](Management& api) { return counter(console, api, id, policy_file); });
  });
  auto* history_command = command(app, "history", "help-history");
  history_command->add_option("agreement", agreement, help("help-agreement"))->required();
  history_command->callback([&] {
    run = with_api([&](Management& api) { return agreement_history(console, api, agreement); });
  });
  std::string reason;
  auto* terminate_command = command(app, "terminate", "help-terminate");
  terminate_command->add_option("agreement", agreement, help("help-agreement"))->required();
  terminate_command->add_option("--reason", reason, help("help-reason"))->required();
  terminate_command->callback([&] {
    run = with_api([&](Management& api) { return terminate(console, api, agreement, reason); });
  });

  auto* custody_command = command(app, "custody", "help-custody");
  custody_command->require_subcommand(0, 1);
  CustodyCheckOptions custody_check_options;
  auto* custody_check_command = command(*custody_command, "check", "help-custody-check");
  custody_check_command->add_option(
      "artefact", custody_check_options.artefact, help("help-custody-artefact")
  );
  custody_check_command->add_option(
      "--wait", custody_check_options.wait_seconds, help("help-wait")
  );
  custody_check_command->callback([&] {
    run = with_api([&](Management& api) {
      return custody_check(console, api, custody_check_options);
    });
  });
  int rotation_seconds = 3600;
  auto* wrapping_command = command(*custody_command, "rotate-key", "help-custody-rotate-key");
  wrapping_command->add_option("--wait", rotation_seconds, help("help-wait"));
  wrapping_command->callback([&] {
    run = with_api([&](Management& api) {
      return rotate_wrapping_key(console, api, rotation_seconds);
    });
  });
  custody_command->callback([&] {
    if (!custody_command->get_subcommands().empty()) return;
    run = with_api([&](Management& api) { return custody(console, api); });
  });
  const CommandLine command_line{
      console,
      help,
      [&run](std::function<int()> chosen) { run = std::move(chosen); },
      [&with_api](std::function<int(Management&)> ask) { return with_api(std::move(ask)); }};
  add_hold_commands(app, command_line);
  add_duty_commands(app, command_line);

  auto* app_command = command(app, "app", "help-app");
  app_command->require_subcommand(1);
  AppOptions app_options;
  auto* app_add = command(*app_command, "add", "help-app-add");
  app_add->add_option("id", app_options.id, help("help-app-id"))->required();
  app_add->add_option("--purpose", app_options.purposes, help("help-purpose"))->required();
  app_add->add_option("--role", app_options.roles, help("help-app-role"));
  app_add->add_option("--agreement", app_options.agreements, help("help-app-agreement"));
  app_add->callback([&] {
    run = with_api([&](Management& api) { return add_app(console, api, app_options); });
  });
  auto* app_remove = command(*app_command, "remove", "help-app-remove");
  app_remove->add_option("id", app_options.id, help("help-app-id"))->required();
  app_remove->callback([&] {
    run = with_api([&](Management& api) { return remove_app(console, api, app_options.id); });
  });

  DecideOptions decide_options;
  auto* decide_command = command(app, "decide", "help-decide");
  decide_command->add_option("agreement", decide_options.agreement, help("help-agreement"))
      ->required();
  decide_command->add_option("--app", decide_options.app, help("help-app-id"))->required();
  decide_command->add_option("--purpose", decide_options.purpose, help("help-purpose"));
  decide_command->callback([&] {
    run = with_api([&](Management& api) { return decide(console, api, decide_options); });
  });

  std::int64_t advance = 0;
  auto* clock_command = command(app, "clock", "help-clock");
  clock_command->add_option("--advance", advance, help("help-advance"))->required();
  clock_command->callback([&] {
    run = with_api([&](Management& api) { return advance_clock(console, api, advance); });
  });

  // --- files alone ---
  auto* audit_command = command(app, "audit", "help-audit");
  audit_command->require_subcommand(1);
  std::vector<std::filesystem::path> folders;
  auto* verify_command = command(*audit_command, "verify", "help-audit-verify");
  verify_command->add_option("folder", folders, help("help-log-folder"))->required()->expected(1);
  bool deep = false;
  verify_command->add_flag("--deep", deep, help("help-deep"));
  verify_command->callback([&] {
    run = [&] { return audit_verify(console, folders.front(), deep); };
  });
  auto* show_command = command(*audit_command, "show", "help-audit-show");
  show_command->add_option("folders", folders, help("help-log-folder"))->required()->expected(1, 2);
  show_command->add_option("--agreement", agreement, help("help-agreement"))->required();
  show_command->callback([&] { run = [&] { return audit_show(console, folders, agreement); }; });
  auto* key_command = command(*audit_command, "key", "help-audit-key");
  key_command->add_option("folder", folders, help("help-log-folder"))->required()->expected(1);
  key_command->callback([&] { run = [&] { return audit_key(console, folders.front()); }; });
  auto* rotate_command = command(*audit_command, "rotate-key", "help-audit-rotate-key");
  std::int64_t overlap = 7 * 86'400;
  rotate_command->add_option("folder", connection.folder, help("help-connector"))->required();
  rotate_command->add_option("--overlap", overlap, help("help-overlap"));
  rotate_command->callback([&] {
    run = with_api([&](Management& api) { return rotate_log_key(console, api, overlap); });
  });
  auto* prune_command = command(*audit_command, "prune", "help-audit-prune");
  prune_command->add_option("folder", connection.folder, help("help-connector"))->required();
  prune_command->callback([&] {
    run = with_api([&](Management& api) { return prune_log(console, api); });
  });
  NewLogOptions new_log_options;
  auto* new_log_command = command(*audit_command, "new-log", "help-audit-new-log");
  new_log_command->add_option("folder", new_log_options.folder, help("help-connector"))->required();
  new_log_command->add_flag(
      "--without-proof", new_log_options.without_proof, help("help-without-proof")
  );
  new_log_command->callback([&] { run = [&] { return audit_new_log(console, new_log_options); }; });
  auto* tiles_command = command(*audit_command, "tiles", "help-audit-tiles");
  std::filesystem::path tiles_folder;
  std::filesystem::path tiles_out;
  tiles_command->add_option("folder", tiles_folder, help("help-log-folder"))->required();
  tiles_command->add_option("out", tiles_out, help("help-tiles-out"))->required();
  tiles_command->callback([&] {
    run = [&] { return audit_tiles(console, tiles_folder, tiles_out); };
  });
  ProveOptions prove_options;
  auto* prove_command = command(*audit_command, "prove", "help-audit-prove");
  prove_command->add_option("folder", prove_options.folder, help("help-log-folder"))->required();
  prove_command->add_option("seq", prove_options.seq, help("help-seq"))->required();
  prove_command->add_option("--out", prove_options.out, help("help-proof-out"));
  prove_command->add_option("--record", prove_options.record, help("help-record-out"));
  prove_command->callback([&] { run = [&] { return audit_prove(console, prove_options); }; });
  CheckProofOptions check_proof_options;
  auto* check_proof_command = command(*audit_command, "check-proof", "help-audit-check-proof");
  check_proof_command->add_option("proof", check_proof_options.proof, help("help-proof"))
      ->required();
  check_proof_command->add_option("record", check_proof_options.record, help("help-record"))
      ->required();
  auto* believed = check_proof_command->add_option_group("believed");
  believed->add_option("--vkey", check_proof_options.vkey, help("help-vkey"));
  believed->add_option("--policy", check_proof_options.policy, help("help-log-policy"));
  believed->require_option(1);
  check_proof_command->callback([&] {
    run = [&] { return audit_check_proof(console, check_proof_options); };
  });
  // These ask the connector, which has the keys and knows its witnesses; its folder stands where a
  // log's does else.
  auto* witness_command = command(*audit_command, "witness", "help-audit-witness");
  witness_command->add_option("folder", connection.folder, help("help-connector"))->required();
  witness_command->callback([&] {
    run = with_api([&](Management& api) { return audit_witness(console, api); });
  });
  LiftOptions lift_options;
  auto* lift_command = command(*audit_command, "lift", "help-audit-lift");
  lift_command->add_option("folder", connection.folder, help("help-connector"))->required();
  lift_command->add_option("log", lift_options.origin, help("help-origin"))->required();
  lift_command->add_option("--reason", lift_options.reason, help("help-lift-reason"))->required();
  lift_command->add_option("--evidence", lift_options.evidence, help("help-evidence"));
  lift_command->callback([&] {
    run = with_api([&](Management& api) { return audit_lift(console, api, lift_options); });
  });
  EraseOptions erase_options;
  auto* erase_command = command(*audit_command, "erase", "help-audit-erase");
  erase_command->add_option("folder", connection.folder, help("help-connector"))->required();
  auto* erased = erase_command->add_option_group("erased");
  erased->add_option("--record", erase_options.record, help("help-seq"));
  erased->add_option("--subject", erase_options.subject, help("help-subject"));
  erased->require_option(1);
  erase_command->add_option("--basis", erase_options.basis, help("help-basis"))->required();
  erase_command->callback([&] {
    run = with_api([&](Management& api) { return audit_erase(console, api, erase_options); });
  });
  std::uint64_t opened = 0;
  auto* open_command = command(*audit_command, "open", "help-audit-open");
  open_command->add_option("folder", connection.folder, help("help-connector"))->required();
  open_command->add_option("seq", opened, help("help-seq"))->required();
  open_command->callback([&] {
    run = with_api([&](Management& api) { return audit_open(console, api, opened); });
  });
  std::filesystem::path committed;
  std::filesystem::path opening;
  auto* check_opening_command =
      command(*audit_command, "check-opening", "help-audit-check-opening");
  check_opening_command->add_option("record", committed, help("help-record"))->required();
  check_opening_command->add_option("opening", opening, help("help-opening"))->required();
  check_opening_command->callback([&] {
    run = [&] { return audit_check_opening(console, committed, opening); };
  });
  HeadsOptions heads_options;
  auto* heads_command = command(*audit_command, "heads", "help-audit-heads");
  heads_command->add_option("folder", heads_options.folder, help("help-log-folder"))->required();
  heads_command->add_option("--agreement", heads_options.agreement, help("help-agreement"))
      ->required();
  heads_command->add_option("--out", heads_options.out, help("help-proof-out"));
  heads_command->callback([&] { run = [&] { return audit_heads(console, heads_options); }; });
  CheckHeadsOptions check_heads_options;
  auto* check_heads_command = command(*audit_command, "check-heads", "help-audit-check-heads");
  check_heads_command->add_option("proof", check_heads_options.file, help("help-proof"))
      ->required();
  check_heads_command
      ->add_option("--agreement", check_heads_options.agreement, help("help-agreement"))
      ->required();
  auto* heads_believed = check_heads_command->add_option_group("believed");
  heads_believed->add_option("--vkey", check_heads_options.vkey, help("help-vkey"));
  heads_believed->add_option("--policy", check_heads_options.policy, help("help-log-policy"));
  heads_believed->require_option(1);
  check_heads_command->callback([&] {
    run = [&] { return audit_check_heads(console, check_heads_options); };
  });

  BundleOptions bundle_options;
  auto* bundle_command = command(*audit_command, "bundle", "help-audit-bundle");
  bundle_command->add_option("folder", bundle_options.folder, help("help-connector"))->required();
  auto* bundle_about = bundle_command->add_option_group("about");
  bundle_about->add_option("--agreement", bundle_options.agreement, help("help-agreement"));
  bundle_about->add_option("--pid", bundle_options.pid, help("help-bundle-pid"));
  bundle_about->require_option(1);
  bundle_command->add_option("--out", bundle_options.out, help("help-bundle-out"));
  bundle_command->callback([&] { run = [&] { return audit_bundle(console, bundle_options); }; });
  CheckBundleOptions check_bundle_options;
  auto* check_bundle_command = command(*audit_command, "check-bundle", "help-audit-check-bundle");
  check_bundle_command->add_option("file", check_bundle_options.file, help("help-bundle"))
      ->required();
  check_bundle_command->add_option(
      "--anchors", check_bundle_options.anchors, help("help-bundle-anchors")
  );
  auto* bundle_vkey =
      check_bundle_command->add_option("--vkey", check_bundle_options.vkey, help("help-vkey"));
  check_bundle_command->add_option("--policy", check_bundle_options.policy, help("help-log-policy"))
      ->excludes(bundle_vkey);
  check_bundle_command->callback([&] {
    run = [&] { return audit_check_bundle(console, check_bundle_options); };
  });
  CheckReceiptOptions check_receipt_options;
  auto* check_receipt_command =
      command(*audit_command, "check-receipt", "help-audit-check-receipt");
  check_receipt_command->add_option("receipt", check_receipt_options.file, help("help-receipt"))
      ->required();
  check_receipt_command->add_option("--key", check_receipt_options.key, help("help-receipt-key"))
      ->required();
  auto* receipt_log = check_receipt_command->add_option_group("believed");
  receipt_log->add_option("--vkey", check_receipt_options.vkey, help("help-vkey"));
  receipt_log->add_option("--policy", check_receipt_options.policy, help("help-log-policy"));
  receipt_log->require_option(0, 1);
  check_receipt_command->callback([&] {
    run = [&] { return audit_check_receipt(console, check_receipt_options); };
  });

  QueryOptions query_options;
  auto* query_command = command(*audit_command, "query", "help-audit-query");
  query_command->add_option("folder", query_options.folder, help("help-log-folder"))->required();
  query_command->add_option("--type", query_options.types, help("help-query-type"))->delimiter(',');
  query_command->add_option("--agreement", query_options.agreement, help("help-agreement"));
  query_command->add_option("--party", query_options.party, help("help-query-party"));
  query_command->add_option("--reason", query_options.reason, help("help-query-reason"));
  query_command->add_option("--level-min", query_options.level_min, help("help-query-level"))
      ->check(CLI::Range(0, 9));
  query_command->add_flag("--personal", query_options.personal, help("help-query-personal"));
  query_command->add_option("--cross-border", query_options.home, help("help-query-border"));
  query_command->add_option("--from", query_options.from, help("help-query-from"));
  query_command->add_option("--until", query_options.until, help("help-query-until"));
  query_command->add_option("--count-by", query_options.count_by, help("help-query-count"))
      ->check(CLI::IsMember({"type", "agreement", "party", "reason"}));
  query_command->callback([&] { run = [&] { return audit_query(console, query_options); }; });

  auto* reconcile_command = command(*audit_command, "reconcile", "help-audit-reconcile");
  reconcile_command->add_option("folders", folders, help("help-log-folder"))
      ->required()
      ->expected(2);
  reconcile_command->callback([&] {
    run = [&] { return audit_reconcile(console, folders[0], folders[1]); };
  });

  TraceOptions trace_options;
  auto* trace_command = command(*audit_command, "trace", "help-audit-trace");
  trace_command->add_option("folders", trace_options.folders, help("help-log-folder"))->required();
  auto* trace_content =
      trace_command->add_option("--content", trace_options.content, help("help-trace-content"));
  trace_command->add_option("--agreement", trace_options.agreement, help("help-agreement"))
      ->excludes(trace_content);
  trace_command->add_flag("--up", trace_options.up, help("help-trace-up"));
  trace_command->add_flag("--down", trace_options.down, help("help-trace-down"));
  trace_command->add_flag("--prov", trace_options.prov, help("help-trace-prov"));
  trace_command->callback([&] { run = [&] { return audit_trace(console, trace_options); }; });

  auto* policy_command = command(app, "policy", "help-policy");
  policy_command->require_subcommand(1);
  auto* check_command = command(*policy_command, "check", "help-policy-check");
  check_command->add_option("files", folders, help("help-policy-file"))->required();
  check_command->callback([&] { run = [&] { return policy_check(console, folders); }; });
  auto* cases_command = command(*policy_command, "cases", "help-policy-cases");
  cases_command->add_option("folders", folders, help("help-case-folder"))->required();
  cases_command->callback([&] { run = [&] { return policy_cases(console, folders); }; });
  EvalOptions eval_options;
  auto* eval_command = command(*policy_command, "eval", "help-policy-eval");
  eval_command->add_option("policy", eval_options.policy, help("help-policy-one"))->required();
  eval_command->add_option("--request", eval_options.request, help("help-request"))->required();
  eval_command->add_option("--world", eval_options.world, help("help-world"))->required();
  eval_command->add_flag("--full", eval_options.full, help("help-full"));
  eval_command->callback([&] { run = [&] { return policy_eval(console, eval_options); }; });
  auto* compare_command = command(*policy_command, "compare", "help-policy-compare");
  compare_command->add_option("policies", folders, help("help-policy-one"))
      ->required()
      ->expected(2);
  compare_command->callback([&] {
    run = [&] { return policy_compare(console, folders[0], folders[1]); };
  });
  auto* explain_command = command(*policy_command, "explain", "help-policy-explain");
  explain_command->add_option("policy", folders, help("help-policy-one"))->required()->expected(1);
  explain_command->callback([&] { run = [&] { return policy_explain(console, folders[0]); }; });
  NewOptions new_options;
  auto* new_command = command(*policy_command, "new", "help-policy-new");
  new_command->add_option("--template", new_options.name, help("help-template"))->required();
  new_command->add_option("--set", new_options.values, help("help-set"));
  new_command->callback([&] { run = [&] { return policy_new(console, new_options); }; });
  command(*policy_command, "templates", "help-policy-templates")->callback([&] {
    run = [&] { return policy_templates(console); };
  });
  command(*policy_command, "terms", "help-policy-terms")->callback([&] {
    run = [&] { return policy_terms(console); };
  });

  // --- of this program itself ---
  std::string shell;
  auto* completion_command = command(app, "completion", "help-completion");
  completion_command->add_option("shell", shell, help("help-shell"))
      ->required()
      ->check(CLI::IsMember({"bash", "zsh"}));
  completion_command->callback([&] {
    run = [&] {
      console.print(*completion(command_table(app), shell));
      return done;
    };
  });
  command(app, "manual", "help-manual")->callback([&] {
    run = [&] {
      console.print(manual_page(command_table(app), version(), console.lang));
      return done;
    };
  });

  try {
    app.parse(argc, argv);
  } catch (const CLI::ParseError& error) {
    return app.exit(error) == 0 ? done : usage;
  }
  // Instead of an abort without a word. 3, since 1 and 2 say something of what was looked at.
  try {
    return run();
  } catch (const std::exception& unexpected) {
    return console.fail(Message{"cli.unexpected", {{"reason", unexpected.what()}}}, usage);
  }
}
