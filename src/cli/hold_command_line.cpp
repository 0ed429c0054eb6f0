// Commands about holds, and about what the other side used.
#include <cstdint>
#include <filesystem>
#include <memory>
#include <utility>

#include <CLI/CLI.hpp>

#include "command_line.hpp"
#include "hold_commands.hpp"

namespace tally::cli {

namespace {

// What the options are read into; the callbacks keep it.
struct Read {
  explicit Read(CommandLine& with) : line(with) {}

  CommandLine& line;
  std::string agreement, id, reason;
  std::uint64_t first_record = 1;
  bool lifted = false;
  HoldOptions hold;
  OrderOptions order;
  std::filesystem::path order_file;

  void on_what(CLI::App& of, HoldTarget& on, bool required) const {
    auto* group = of.add_option_group("on");
    group->add_flag("--everything", on.everything, line.help("help-hold-everything"));
    group->add_option("--agreement", on.agreement, line.help("help-hold-agreement"));
    group->add_option("--asset", on.asset, line.help("help-hold-asset"));
    group->add_option("--party", on.party, line.help("help-hold-party"));
    group->add_option("--app", on.app, line.help("help-hold-app"));
    group->require_option(required ? 1 : 0, 1);
  }
};
using ReadPtr = std::shared_ptr<Read>;

// A command that asks the running connector.
template <class Ask>
void asks(CLI::App* command, const ReadPtr& read, Ask ask) {
  read->line.asks(command, [read, ask](Management& api) { return ask(*read, api); });
}

void add_agreement_commands(CLI::App& app, const ReadPtr& read) {
  auto& line = read->line;
  auto* suspend = line.add(app, "suspend", "help-suspend");
  suspend->add_option("agreement", read->agreement, line.help("help-agreement"))->required();
  suspend->add_option("--reason", read->reason, line.help("help-told-reason"));
  asks(suspend, read, [](const Read& with, Management& api) {
    return move_agreement(with.line.console, api, with.agreement, "suspension", with.reason);
  });
  auto* resume = line.add(app, "resume", "help-resume");
  resume->add_option("agreement", read->agreement, line.help("help-agreement"))->required();
  asks(resume, read, [](const Read& with, Management& api) {
    return move_agreement(with.line.console, api, with.agreement, "resumption", {});
  });
  auto* statements = line.add(app, "statements", "help-statements");
  statements->add_option("agreement", read->agreement, line.help("help-agreement"))->required();
  statements->add_option("--from", read->first_record, line.help("help-statements-from"));
  asks(statements, read, [](const Read& with, Management& api) {
    return ask_statements(with.line.console, api, with.agreement, with.first_record);
  });
  auto* stop = line.add(app, "stop", "help-stop");
  stop->add_option("--reason", read->reason, line.help("help-hold-reason"));
  asks(stop, read, [](const Read& with, Management& api) {
    return stop_all(with.line.console, api, with.reason);
  });
  asks(line.add(app, "go", "help-go"), read, [](const Read& with, Management& api) {
    return go_on(with.line.console, api);
  });
}

void add_operators_commands(CLI::App& hold, const ReadPtr& read) {
  auto& line = read->line;
  auto* place = line.add(hold, "place", "help-hold-place");
  read->on_what(*place, read->hold.on, true);
  place->add_option("--id", read->hold.id, line.help("help-hold-id"));
  place->add_option("--until", read->hold.until, line.help("help-hold-until"));
  place->add_option("--reason", read->hold.reason, line.help("help-hold-reason"));
  asks(place, read, [](const Read& with, Management& api) {
    return hold_place(with.line.console, api, with.hold);
  });
  auto* lift = line.add(hold, "lift", "help-hold-lift");
  lift->add_option("id", read->id, line.help("help-hold-id"))->required();
  lift->add_option("--reason", read->reason, line.help("help-hold-reason"));
  asks(lift, read, [](const Read& with, Management& api) {
    return hold_lift(with.line.console, api, with.id, with.reason);
  });
  auto* list = line.add(hold, "list", "help-hold-list");
  list->add_flag("--lifted", read->lifted, line.help("help-hold-lifted"));
  asks(list, read, [](const Read& with, Management& api) {
    return hold_list(with.line.console, api, with.lifted);
  });
  auto* send = line.add(hold, "send", "help-hold-send");
  send->add_option("file", read->order_file, line.help("help-order-file"))->required();
  asks(send, read, [](const Read& with, Management& api) {
    return hold_send(with.line.console, api, with.order_file);
  });
}

// These need no connector.
void add_regulators_commands(CLI::App& hold, const ReadPtr& read) {
  auto& line = read->line;
  auto* key = line.add(hold, "key", "help-hold-key");
  key->add_option("file", read->order.key, line.help("help-hold-key-file"))->required();
  key->add_option("--name", read->order.name, line.help("help-order-name"))->required();
  line.does(key, [read] {
    return hold_key(read->line.console, read->order.key, read->order.name);
  });
  auto* order = line.add(hold, "order", "help-hold-order");
  order->add_option("hold", read->order.hold, line.help("help-hold-id"))->required();
  order->add_option("--key", read->order.key, line.help("help-order-key"))->required();
  order->add_option("--name", read->order.name, line.help("help-order-name"))->required();
  order->add_option("--to", read->order.to, line.help("help-order-to"))->required();
  order->add_flag("--lift", read->order.lifts, line.help("help-order-lift"));
  read->on_what(*order, read->order.on, false);
  order->add_option("--until", read->order.until, line.help("help-hold-until"));
  order->add_option("--reference", read->order.reference, line.help("help-order-reference"));
  line.does(order, [read] { return hold_order(read->line.console, read->order); });
}

}  // namespace

void add_hold_commands(CommandLine& line) {
  const auto read = std::make_shared<Read>(line);
  add_agreement_commands(line.app, read);
  auto* hold = line.add(line.app, "hold", "help-hold");
  hold->require_subcommand(1);
  add_operators_commands(*hold, read);
  add_regulators_commands(*hold, read);
}

}  // namespace tally::cli
