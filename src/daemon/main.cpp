// tallyd: one connector.
//
//   tallyd --version
//   tallyd [--check] [--insecure-loopback] [--lang en|zh] FOLDER
//
// Reads FOLDER/tally.json, opens store and log, serves until SIGTERM. Exit: 0 after a clean stop, 1
// when it could not start or go on, 3 usage.
#include <csignal>
#include <cstdio>
#include <cstdlib>
#include <string>
#include <string_view>

#include <malloc.h>

#include "tally/core/secret.hpp"
#include "tally/core/version.hpp"

#include "connector.hpp"

namespace {

using namespace tally;

struct Arguments {
  std::string folder;
  bool check = false;
  bool insecure_loopback = false;
  bool version = false;
  Lang lang = Lang::en;
  bool understood = true;
};

Arguments parse(int argc, char** argv) {
  Arguments out;
  for (const char* name : {"LC_ALL", "LC_MESSAGES", "LANG"}) {
    const char* value = std::getenv(name);
    if (value != nullptr && *value != '\0') {
      out.lang = parse_lang(value);
      break;
    }
  }
  for (int i = 1; i < argc; ++i) {
    const std::string_view argument = argv[i];
    if (argument == "--check") {
      out.check = true;
    } else if (argument == "--version") {
      out.version = true;
    } else if (argument == "--insecure-loopback") {
      out.insecure_loopback = true;
    } else if (argument == "--lang" && i + 1 < argc) {
      out.lang = parse_lang(argv[++i]);
    } else if (!argument.starts_with('-') && out.folder.empty()) {
      out.folder = argument;
    } else {
      out.understood = false;
    }
  }
  out.understood = out.understood && (out.version || !out.folder.empty());
  return out;
}

void print(const Message& message, Lang lang, const std::string& pointer = {}) {
  std::string line = message.code + ": " + render(message, lang);
  if (!pointer.empty()) line += " (" + pointer + ")";
  std::fprintf(stderr, "%s\n", line.c_str());
}

}  // namespace

int main(int argc, char** argv) {
  guard_secrets();
  const auto arguments = parse(argc, argv);
  if (!arguments.understood) {
    print({"daemon.usage", {}}, arguments.lang);
    return 3;
  }
  if (arguments.version) {
    std::printf("tallyd %s\n", std::string(version()).c_str());
    return 0;
  }
  // A peer that goes away is no signal.
  std::signal(SIGPIPE, SIG_IGN);
  // A catalogue's text and a piece of the log are large for a moment: they go back to the system at
  // once. Left to itself, malloc keeps room for the largest block it has ever seen.
  mallopt(M_MMAP_THRESHOLD, 1 << 20);
  mallopt(M_TRIM_THRESHOLD, 1 << 20);
  // Until it serves there is nothing to reload.
  std::signal(SIGHUP, SIG_IGN);

  auto config = daemon::load_config(arguments.folder, arguments.insecure_loopback);
  if (!config) {
    for (const auto& problem : config.error()) {
      print(problem.message, arguments.lang, "tally.json" + problem.pointer);
    }
    return 1;
  }
  if (arguments.check) {
    const auto problems = daemon::check(*config);
    for (const auto& problem : problems) print(problem.message, arguments.lang, problem.pointer);
    if (problems.empty()) print({"daemon.check-good", {}}, arguments.lang);
    return problems.empty() ? 0 : 1;
  }
  daemon::StderrNotices notices(arguments.lang);
  auto connector = daemon::Connector::open(std::move(*config), notices);
  if (!connector) {
    print(connector.error().message, arguments.lang, connector.error().pointer);
    return 1;
  }
  return (*connector)->run();
}
