// Commands on logs and evidence. Most need files alone; those that take a connector's folder in the
// place of a log's ask the connector, which has the keys and knows its witnesses.
#include <cstdint>
#include <filesystem>
#include <memory>
#include <string>
#include <vector>

#include <CLI/CLI.hpp>

#include "audit_commands.hpp"
#include "bundle_commands.hpp"
#include "command_line.hpp"
#include "commands.hpp"
#include "inquiry_commands.hpp"
#include "log_commands.hpp"
#include "new_log_command.hpp"
#include "private_commands.hpp"
#include "witness_commands.hpp"

namespace tally::cli {

namespace {

using std::filesystem::path;

CLI::Option* add_connector(CommandLine& line, CLI::App& command) {
  return command.add_option("folder", line.connection.folder, line.help("help-connector"))
      ->required();
}

// By which key or policy a log is believed.
CLI::App* add_believed(CommandLine& line, CLI::App& command, std::string& vkey, path& policy) {
  auto* believed = command.add_option_group("believed");
  believed->add_option("--vkey", vkey, line.help("help-vkey"));
  believed->add_option("--policy", policy, line.help("help-log-policy"));
  return believed;
}

void add_reading(CommandLine& line, CLI::App& audit) {
  struct Read {
    std::vector<path> folders;
    std::string agreement;
    bool deep = false;
  };
  const auto read = std::make_shared<Read>();
  auto* verify = line.add(audit, "verify", "help-audit-verify");
  verify->add_option("folder", read->folders, line.help("help-log-folder"))
      ->required()
      ->expected(1);
  verify->add_flag("--deep", read->deep, line.help("help-deep"));
  line.does(verify, [&line, read] {
    return audit_verify(line.console, read->folders.front(), read->deep);
  });
  auto* show = line.add(audit, "show", "help-audit-show");
  show->add_option("folders", read->folders, line.help("help-log-folder"))
      ->required()
      ->expected(1, 2);
  show->add_option("--agreement", read->agreement, line.help("help-agreement"))->required();
  line.does(show, [&line, read] {
    return audit_show(line.console, read->folders, read->agreement);
  });
  auto* key = line.add(audit, "key", "help-audit-key");
  key->add_option("folder", read->folders, line.help("help-log-folder"))->required()->expected(1);
  line.does(key, [&line, read] { return audit_key(line.console, read->folders.front()); });
}

// What changes how the log goes on.
void add_keeping(CommandLine& line, CLI::App& audit) {
  const auto overlap = std::make_shared<std::int64_t>(7 * 86'400);
  auto* rotate = line.add(audit, "rotate-key", "help-audit-rotate-key");
  add_connector(line, *rotate);
  rotate->add_option("--overlap", *overlap, line.help("help-overlap"));
  line.asks(rotate, [&line, overlap](Management& api) {
    return rotate_log_key(line.console, api, *overlap);
  });
  auto* prune = line.add(audit, "prune", "help-audit-prune");
  add_connector(line, *prune);
  line.asks(prune, [&line](Management& api) { return prune_log(line.console, api); });
  const auto options = std::make_shared<NewLogOptions>();
  auto* fresh = line.add(audit, "new-log", "help-audit-new-log");
  fresh->add_option("folder", options->folder, line.help("help-connector"))->required();
  fresh->add_flag("--without-proof", options->without_proof, line.help("help-without-proof"));
  line.does(fresh, [&line, options] { return audit_new_log(line.console, *options); });
}

void add_proofs(CommandLine& line, CLI::App& audit) {
  struct Tiles {
    path folder, out;
  };
  const auto tiles = std::make_shared<Tiles>();
  auto* publish = line.add(audit, "tiles", "help-audit-tiles");
  publish->add_option("folder", tiles->folder, line.help("help-log-folder"))->required();
  publish->add_option("out", tiles->out, line.help("help-tiles-out"))->required();
  line.does(publish, [&line, tiles] {
    return audit_tiles(line.console, tiles->folder, tiles->out);
  });

  const auto proven = std::make_shared<ProveOptions>();
  auto* prove = line.add(audit, "prove", "help-audit-prove");
  prove->add_option("folder", proven->folder, line.help("help-log-folder"))->required();
  prove->add_option("seq", proven->seq, line.help("help-seq"))->required();
  prove->add_option("--out", proven->out, line.help("help-proof-out"));
  prove->add_option("--record", proven->record, line.help("help-record-out"));
  line.does(prove, [&line, proven] { return audit_prove(line.console, *proven); });

  const auto checked = std::make_shared<CheckProofOptions>();
  auto* check = line.add(audit, "check-proof", "help-audit-check-proof");
  check->add_option("proof", checked->proof, line.help("help-proof"))->required();
  check->add_option("record", checked->record, line.help("help-record"))->required();
  add_believed(line, *check, checked->vkey, checked->policy)->require_option(1);
  line.does(check, [&line, checked] { return audit_check_proof(line.console, *checked); });
}

void add_witnesses(CommandLine& line, CLI::App& audit) {
  auto* witness = line.add(audit, "witness", "help-audit-witness");
  add_connector(line, *witness);
  line.asks(witness, [&line](Management& api) { return audit_witness(line.console, api); });
  const auto options = std::make_shared<LiftOptions>();
  auto* lift = line.add(audit, "lift", "help-audit-lift");
  add_connector(line, *lift);
  lift->add_option("log", options->origin, line.help("help-origin"))->required();
  lift->add_option("--reason", options->reason, line.help("help-lift-reason"))->required();
  lift->add_option("--evidence", options->evidence, line.help("help-evidence"));
  line.asks(lift, [&line, options](Management& api) {
    return audit_lift(line.console, api, *options);
  });
}

// Facts about persons beside the log.
void add_private(CommandLine& line, CLI::App& audit) {
  const auto options = std::make_shared<EraseOptions>();
  auto* erase = line.add(audit, "erase", "help-audit-erase");
  add_connector(line, *erase);
  auto* erased = erase->add_option_group("erased");
  erased->add_option("--record", options->record, line.help("help-seq"));
  erased->add_option("--subject", options->subject, line.help("help-subject"));
  erased->require_option(1);
  erase->add_option("--basis", options->basis, line.help("help-basis"))->required();
  line.asks(erase, [&line, options](Management& api) {
    return audit_erase(line.console, api, *options);
  });
  const auto seq = std::make_shared<std::uint64_t>(0);
  auto* open = line.add(audit, "open", "help-audit-open");
  add_connector(line, *open);
  open->add_option("seq", *seq, line.help("help-seq"))->required();
  line.asks(open, [&line, seq](Management& api) { return audit_open(line.console, api, *seq); });
  struct Opening {
    path record, opening;
  };
  const auto opened = std::make_shared<Opening>();
  auto* check = line.add(audit, "check-opening", "help-audit-check-opening");
  check->add_option("record", opened->record, line.help("help-record"))->required();
  check->add_option("opening", opened->opening, line.help("help-opening"))->required();
  line.does(check, [&line, opened] {
    return audit_check_opening(line.console, opened->record, opened->opening);
  });
}

// The last records of one agreement, for who sees no more of the log.
void add_heads(CommandLine& line, CLI::App& audit) {
  const auto options = std::make_shared<HeadsOptions>();
  auto* heads = line.add(audit, "heads", "help-audit-heads");
  heads->add_option("folder", options->folder, line.help("help-log-folder"))->required();
  heads->add_option("--agreement", options->agreement, line.help("help-agreement"))->required();
  heads->add_option("--out", options->out, line.help("help-proof-out"));
  line.does(heads, [&line, options] { return audit_heads(line.console, *options); });
  const auto checked = std::make_shared<CheckHeadsOptions>();
  auto* check = line.add(audit, "check-heads", "help-audit-check-heads");
  check->add_option("proof", checked->file, line.help("help-proof"))->required();
  check->add_option("--agreement", checked->agreement, line.help("help-agreement"))->required();
  add_believed(line, *check, checked->vkey, checked->policy)->require_option(1);
  line.does(check, [&line, checked] { return audit_check_heads(line.console, *checked); });
}

void add_evidence(CommandLine& line, CLI::App& audit) {
  const auto options = std::make_shared<BundleOptions>();
  auto* bundle = line.add(audit, "bundle", "help-audit-bundle");
  bundle->add_option("folder", options->folder, line.help("help-connector"))->required();
  auto* about = bundle->add_option_group("about");
  about->add_option("--agreement", options->agreement, line.help("help-agreement"));
  about->add_option("--pid", options->pid, line.help("help-bundle-pid"));
  about->require_option(1);
  bundle->add_option("--out", options->out, line.help("help-bundle-out"));
  line.does(bundle, [&line, options] { return audit_bundle(line.console, *options); });

  const auto checked = std::make_shared<CheckBundleOptions>();
  auto* check = line.add(audit, "check-bundle", "help-audit-check-bundle");
  check->add_option("file", checked->file, line.help("help-bundle"))->required();
  check->add_option("--anchors", checked->anchors, line.help("help-bundle-anchors"));
  auto* vkey = check->add_option("--vkey", checked->vkey, line.help("help-vkey"));
  check->add_option("--policy", checked->policy, line.help("help-log-policy"))->excludes(vkey);
  line.does(check, [&line, checked] { return audit_check_bundle(line.console, *checked); });

  const auto receipt = std::make_shared<CheckReceiptOptions>();
  auto* of_use = line.add(audit, "check-receipt", "help-audit-check-receipt");
  of_use->add_option("receipt", receipt->file, line.help("help-receipt"))->required();
  of_use->add_option("--key", receipt->key, line.help("help-receipt-key"))->required();
  add_believed(line, *of_use, receipt->vkey, receipt->policy)->require_option(0, 1);
  line.does(of_use, [&line, receipt] { return audit_check_receipt(line.console, *receipt); });
}

void add_inquiries(CommandLine& line, CLI::App& audit) {
  const auto asked = std::make_shared<QueryOptions>();
  auto* query = line.add(audit, "query", "help-audit-query");
  query->add_option("folder", asked->folder, line.help("help-log-folder"))->required();
  query->add_option("--type", asked->types, line.help("help-query-type"))->delimiter(',');
  query->add_option("--agreement", asked->agreement, line.help("help-agreement"));
  query->add_option("--party", asked->party, line.help("help-query-party"));
  query->add_option("--reason", asked->reason, line.help("help-query-reason"));
  query->add_option("--level-min", asked->level_min, line.help("help-query-level"))
      ->check(CLI::Range(0, 9));
  query->add_flag("--personal", asked->personal, line.help("help-query-personal"));
  query->add_option("--cross-border", asked->home, line.help("help-query-border"));
  query->add_option("--from", asked->from, line.help("help-query-from"));
  query->add_option("--until", asked->until, line.help("help-query-until"));
  query->add_option("--count-by", asked->count_by, line.help("help-query-count"))
      ->check(CLI::IsMember({"type", "agreement", "party", "reason"}));
  line.does(query, [&line, asked] { return audit_query(line.console, *asked); });

  const auto both = std::make_shared<std::vector<path>>();
  auto* reconcile = line.add(audit, "reconcile", "help-audit-reconcile");
  reconcile->add_option("folders", *both, line.help("help-log-folder"))->required()->expected(2);
  line.does(reconcile, [&line, both] {
    return audit_reconcile(line.console, both->front(), both->back());
  });

  const auto traced = std::make_shared<TraceOptions>();
  auto* trace = line.add(audit, "trace", "help-audit-trace");
  trace->add_option("folders", traced->folders, line.help("help-log-folder"))->required();
  auto* content = trace->add_option("--content", traced->content, line.help("help-trace-content"));
  trace->add_option("--agreement", traced->agreement, line.help("help-agreement"))
      ->excludes(content);
  trace->add_flag("--up", traced->up, line.help("help-trace-up"));
  trace->add_flag("--down", traced->down, line.help("help-trace-down"));
  trace->add_flag("--prov", traced->prov, line.help("help-trace-prov"));
  line.does(trace, [&line, traced] { return audit_trace(line.console, *traced); });
}

}  // namespace

void add_audit_commands(CommandLine& line) {
  auto* audit = line.add(line.app, "audit", "help-audit");
  audit->require_subcommand(1);
  add_reading(line, *audit);
  add_keeping(line, *audit);
  add_proofs(line, *audit);
  add_witnesses(line, *audit);
  add_private(line, *audit);
  add_heads(line, *audit);
  add_evidence(line, *audit);
  add_inquiries(line, *audit);
}

}  // namespace tally::cli
