// Commands of an exchange, from the catalogue to the data, and what became of it.
#include <memory>
#include <string>

#include <CLI/CLI.hpp>

#include "approval_commands.hpp"
#include "command_line.hpp"
#include "commands.hpp"

namespace tally::cli {

namespace {

void add_catalog(CommandLine& line) {
  struct Read {
    std::string party;
    CatalogOptions options;
  };
  const auto read = std::make_shared<Read>();
  auto* catalog = line.add(line.app, "catalog", "help-catalog");
  catalog->add_option("party", read->party, line.help("help-party"))->required();
  catalog->add_option("--keyword", read->options.keywords, line.help("help-keyword"));
  catalog->add_flag("--follow", read->options.follow, line.help("help-follow"));
  line.asks(catalog, [&line, read](Management& api) {
    read->options.peer = parse_party(read->party);
    return cli::catalog(line.console, api, read->options);
  });
}

// A consumer asks for an asset, a provider offers what is its own.
void add_negotiation(CommandLine& line) {
  struct Read {
    std::string party;
    NegotiateOptions options;
  };
  const auto read = std::make_shared<Read>();
  auto& options = read->options;
  const auto begin = [&line, read](Management& api) {
    read->options.peer = parse_party(read->party);
    return negotiate(line.console, api, read->options);
  };
  auto* negotiate = line.add(line.app, "negotiate", "help-negotiate");
  negotiate->add_option("party", read->party, line.help("help-party"))->required();
  negotiate->add_option("asset", options.asset, line.help("help-asset"))->required();
  negotiate->add_option("--offer", options.offer, line.help("help-offer"));
  negotiate->add_option("--purpose", options.purposes, line.help("help-purpose"));
  negotiate->add_option("--wait", options.wait_seconds, line.help("help-wait"));
  line.asks(negotiate, begin);
  auto* offer = line.add(line.app, "offer", "help-offer-to");
  offer->add_option("party", read->party, line.help("help-party"))->required();
  offer->add_option("offer", options.offer, line.help("help-own-offer"))->required();
  offer->add_option("--wait", options.wait_seconds, line.help("help-wait"));
  line.asks(offer, begin);
}

void add_import_agreement(CommandLine& line) {
  struct Read {
    std::string party, file, role;
  };
  const auto read = std::make_shared<Read>();
  auto* import = line.add(line.app, "import-agreement", "help-import-agreement");
  import->add_option("party", read->party, line.help("help-party"))->required();
  import->add_option("file", read->file, line.help("help-agreement-file"))->required();
  import->add_option("--role", read->role, line.help("help-own-role"))->required();
  line.asks(import, [&line, read](Management& api) {
    return import_agreement(line.console, api, parse_party(read->party), read->role, read->file);
  });
}

void add_move(CommandLine& line, CLI::App& transfer, const char* name, const char* path, bool why) {
  const auto options = std::make_shared<MoveOptions>();
  options->move = path;
  auto* move = line.add(transfer, name, std::string("help-transfer-") + name);
  move->add_option("id", options->id, line.help("help-transfer-id"))->required();
  if (why) move->add_option("--reason", options->reason, line.help("help-told-reason"));
  line.asks(move, [&line, options](Management& api) {
    return move_transfer(line.console, api, *options);
  });
}

void add_transfer(CommandLine& line) {
  struct Read {
    std::string agreement;
    int wait_seconds = 60;
  };
  const auto read = std::make_shared<Read>();
  auto* transfer = line.add(line.app, "transfer", "help-transfer");
  transfer->require_subcommand(0, 1);
  transfer->add_option("agreement", read->agreement, line.help("help-agreement"));
  transfer->add_option("--wait", read->wait_seconds, line.help("help-wait"));
  add_move(line, *transfer, "suspend", "suspension", true);
  add_move(line, *transfer, "resume", "resumption", false);
  add_move(line, *transfer, "complete", "completion", false);
  add_move(line, *transfer, "terminate", "termination", true);
  transfer->callback([&line, transfer, read] {
    if (!transfer->get_subcommands().empty()) return;
    if (read->agreement.empty()) throw CLI::RequiredError("agreement");
    line.choose(line.asking([&line, read](Management& api) {
      return cli::transfer(line.console, api, read->agreement, read->wait_seconds);
    }));
  });
}

void add_read(CommandLine& line) {
  const auto options = std::make_shared<ReadOptions>();
  auto* read = line.add(line.app, "read", "help-read");
  read->add_option("agreement", options->agreement, line.help("help-agreement"))->required();
  read->add_option("--purpose", options->purpose, line.help("help-purpose"));
  read->add_option("--key", options->key, line.help("help-key"));
  read->add_option("--out", options->file, line.help("help-out"));
  line.does(read, [&line, options] {
    auto apps = Management::open_apps(line.connection, line.console.lang);
    return apps ? cli::read(line.console, *apps, *options) : line.console.fail(apps.error(), usage);
  });
}

void add_lists(CommandLine& line) {
  for (const std::string kind :
       {"agreements",
        "negotiations",
        "transfers",
        "assets",
        "policies",
        "apps",
        "artefacts",
        "deletion-records"}) {
    const auto id = std::make_shared<std::string>();
    auto* list = line.add(line.app, kind, "help-" + kind);
    list->add_option("id", *id, line.help("help-id"));
    line.asks(list, [&line, kind, id](Management& api) {
      return cli::list(line.console, api, kind, *id);
    });
  }
}

void add_approvals(CommandLine& line) {
  struct Read {
    std::string id, reason, policy;
  };
  const auto read = std::make_shared<Read>();
  line.asks(line.add(line.app, "approvals", "help-approvals"), [&line](Management& api) {
    return approvals(line.console, api);
  });
  auto* approve = line.add(line.app, "approve", "help-approve");
  approve->add_option("id", read->id, line.help("help-approval-id"))->required();
  line.asks(approve, [&line, read](Management& api) {
    return cli::approve(line.console, api, read->id);
  });
  auto* reject = line.add(line.app, "reject", "help-reject");
  reject->add_option("id", read->id, line.help("help-approval-id"))->required();
  reject->add_option("--reason", read->reason, line.help("help-reason-told"));
  line.asks(reject, [&line, read](Management& api) {
    return cli::reject(line.console, api, read->id, read->reason);
  });
  auto* counter = line.add(line.app, "counter", "help-counter");
  counter->add_option("id", read->id, line.help("help-approval-id"))->required();
  counter->add_option("--policy", read->policy, line.help("help-counter-policy"))->required();
  line.asks(counter, [&line, read](Management& api) {
    return cli::counter(line.console, api, read->id, read->policy);
  });
}

void add_agreement(CommandLine& line) {
  struct Read {
    std::string agreement, reason;
  };
  const auto read = std::make_shared<Read>();
  auto* history = line.add(line.app, "history", "help-history");
  history->add_option("agreement", read->agreement, line.help("help-agreement"))->required();
  line.asks(history, [&line, read](Management& api) {
    return agreement_history(line.console, api, read->agreement);
  });
  auto* terminate = line.add(line.app, "terminate", "help-terminate");
  terminate->add_option("agreement", read->agreement, line.help("help-agreement"))->required();
  terminate->add_option("--reason", read->reason, line.help("help-reason"))->required();
  line.asks(terminate, [&line, read](Management& api) {
    return cli::terminate(line.console, api, read->agreement, read->reason);
  });
}

}  // namespace

void add_exchange_commands(CommandLine& line) {
  add_catalog(line);
  add_negotiation(line);
  add_import_agreement(line);
  add_transfer(line);
  add_read(line);
  add_lists(line);
  add_approvals(line);
  add_agreement(line);
}

}  // namespace tally::cli
