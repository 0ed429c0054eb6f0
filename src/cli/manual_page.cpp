#include "manual_page.hpp"

#include <algorithm>
#include <cctype>

namespace tally::cli {

namespace {

// Text as roff takes it: no line of it is a request, and a '-' stays one that can be copied.
std::string roff(std::string_view text) {
  std::string out;
  for (const char c : text) {
    if (c == '\\') {
      out += "\\e";
    } else if (c == '-') {
      out += "\\-";
    } else if (c == '\n') {
      out += ' ';
    } else {
      if (out.empty() && (c == '.' || c == '\'')) out += "\\&";
      out += c;
    }
  }
  return out;
}

// "--management-port" stands before MANAGEMENT-PORT.
std::string placeholder(const Argument& argument) {
  std::string name = argument.name.substr(argument.name.find_first_not_of('-'));
  std::ranges::transform(name, name.begin(), [](unsigned char c) { return std::toupper(c); });
  return name;
}

std::string italic(const std::string& text) {
  return "\\fI" + roff(text) + "\\fR";
}
std::string bold(const std::string& text) {
  return "\\fB" + roff(text) + "\\fR";
}

std::string value_of(const Argument& option) {
  if (option.choices.empty()) return italic(placeholder(option));
  std::string out;
  for (const auto& choice : option.choices) out += (out.empty() ? "" : "|") + bold(choice);
  return out;
}

std::string in_brackets(const std::string& text, const Argument& of) {
  return (of.required ? text : "[" + text + "]") + (of.repeats ? " ..." : "");
}

bool is_help(const Argument& option) {
  return option.name == "--help";
}

void add_entry(std::string& page, const std::string& what, const std::string& about) {
  page += ".TP\n" + what + "\n" + roff(about) + "\n";
}

void add_command(std::string& page, const Command& command, const std::string& path) {
  // One that only gathers others is not said by itself.
  if (command.commands.empty() || !command.arguments.empty()) {
    std::string line = bold(path);
    for (const auto& argument : command.arguments) {
      line += " " + in_brackets(italic(placeholder(argument)), argument);
    }
    for (const auto& option : command.options) {
      if (is_help(option)) continue;
      const auto value = option.takes_value ? " " + value_of(option) : "";
      line += " " + in_brackets(bold(option.name) + value, option);
    }
    page += ".SS " + bold(path) + "\n" + line + "\n.PP\n" + roff(command.about) + "\n";
    for (const auto& argument : command.arguments) {
      add_entry(page, italic(placeholder(argument)), argument.about);
    }
    for (const auto& option : command.options) {
      if (is_help(option)) continue;
      add_entry(
          page, bold(option.name) + (option.takes_value ? " " + value_of(option) : ""), option.about
      );
    }
  }
  for (const auto& below : command.commands) add_command(page, below, path + " " + below.name);
}

// Calls `each(path, command)` for every command, the program itself with an empty path.
template <class Each>
void walk(const Command& command, const std::string& path, const Each& each) {
  each(path, command);
  for (const auto& below : command.commands) {
    walk(below, path.empty() ? below.name : path + " " + below.name, each);
  }
}

// The paths with commands in them, as a shell's pattern: 'audit verify'|'audit show'.
std::string patterns(const Command& program) {
  std::string out;
  walk(program, {}, [&](const std::string& path, const Command&) {
    if (!path.empty()) out += (out.empty() ? "'" : "|'") + path + "'";
  });
  return out;
}

std::string options_of(const Command& command) {
  std::string out;
  for (const auto& option : command.options) out += (out.empty() ? "" : " ") + option.name;
  return out;
}

std::string bash(const Command& program) {
  std::string out =
      "# bash completion for tally\n"
      "_tally() {\n"
      "  local current=${COMP_WORDS[COMP_CWORD]} previous=${COMP_WORDS[COMP_CWORD-1]}\n"
      "  local command= commands= options= choices= word next\n"
      "  for word in \"${COMP_WORDS[@]:1:COMP_CWORD-1}\"; do\n"
      "    next=${command:+$command }$word\n"
      "    case $next in\n"
      "      " +
      patterns(program) +
      ") command=$next ;;\n"
      "    esac\n"
      "  done\n"
      "  case $command in\n";
  walk(program, {}, [&](const std::string& path, const Command& command) {
    std::string commands;
    for (const auto& below : command.commands) {
      commands += (commands.empty() ? "" : " ") + below.name;
    }
    out += "    '" + path + "') commands='" + commands + "' options='" + options_of(command) + "'";
    std::string choices;
    for (const auto& option : command.options) {
      if (option.choices.empty()) continue;
      choices += " " + option.name + ") choices='";
      for (const auto& choice : option.choices) {
        choices += (choices.ends_with('\'') ? "" : " ") + choice;
      }
      choices += "' ;;";
    }
    if (!choices.empty()) out += "\n      case $previous in" + choices + " esac";
    out += " ;;\n";
  });
  out +=
      "  esac\n"
      "  if [ -n \"$choices\" ]; then\n"
      "    COMPREPLY=($(compgen -W \"$choices\" -- \"$current\"))\n"
      "  elif [[ $current == -* ]]; then\n"
      "    COMPREPLY=($(compgen -W \"$options " +
      options_of(program) +
      "\" -- \"$current\"))\n"
      "  elif [ -n \"$commands\" ]; then\n"
      "    COMPREPLY=($(compgen -W \"$commands\" -- \"$current\"))\n"
      "  else\n"
      "    COMPREPLY=($(compgen -f -- \"$current\"))\n"
      "  fi\n"
      "}\n"
      "complete -o filenames -F _tally tally\n";
  return out;
}

// "name:what it does" as zsh's _describe reads it, within single quotes.
std::string described(const std::string& name, const std::string& about) {
  std::string out = "'" + name + ":";
  for (const char c : about) {
    if (c == '\'') {
      out += "'\\''";
    } else {
      out += c;
    }
  }
  return out + "'";
}

std::string zsh(const Command& program) {
  std::string out =
      "#compdef tally\n"
      "_tally() {\n"
      "  local command= word next\n"
      "  local -a commands options\n"
      "  for word in ${words[2,CURRENT-1]}; do\n"
      "    next=${command:+$command }$word\n"
      "    case $next in\n"
      "      (" +
      patterns(program) +
      ") command=$next ;;\n"
      "    esac\n"
      "  done\n"
      "  case $command in\n";
  walk(program, {}, [&](const std::string& path, const Command& command) {
    out += "    ('" + path + "')\n      commands=(";
    for (const auto& below : command.commands) {
      out += "\n        " + described(below.name, below.about);
    }
    out += ")\n      options=(";
    for (const auto& option : command.options) {
      out += "\n        " + described(option.name, option.about);
    }
    out += ") ;;\n";
  });
  out +=
      "  esac\n"
      "  if [[ $PREFIX == -* ]]; then\n"
      "    _describe -o option options\n"
      "  elif (( $#commands )); then\n"
      "    _describe command commands\n"
      "  else\n"
      "    _files\n"
      "  fi\n"
      "}\n"
      "if [ \"$funcstack[1]\" = _tally ]; then\n"
      "  _tally \"$@\"\n"
      "else\n"
      "  compdef _tally tally\n"
      "fi\n";
  return out;
}

}  // namespace

std::string manual_page(const Command& program, std::string_view version, Lang lang) {
  const auto text = [&](const char* code) {
    return roff(render({std::string("cli.") + code, {}}, lang));
  };
  const auto section = [&](const char* code) { return ".SH " + text(code) + "\n"; };
  std::string page =
      "'\\\" -*- coding: utf-8 -*-\n.TH TALLY 1 \"\" \"Tally " + roff(version) + "\"\n.nh\n.ad l\n";
  page += section("manual-name") + "tally \\- " + text("manual-about") + "\n";
  page += section("manual-synopsis") + bold("tally") + " [" + italic("OPTION") + " ...] " +
          italic("COMMAND") + " ...\n";
  page += section("manual-description") + text("manual-text") + "\n";
  page += section("manual-options");
  for (const auto& option : program.options) {
    add_entry(
        page, bold(option.name) + (option.takes_value ? " " + value_of(option) : ""), option.about
    );
  }
  page += section("manual-commands");
  for (const auto& below : program.commands) add_command(page, below, "tally " + below.name);
  page += section("manual-exit");
  for (const auto& [number, code] :
       {std::pair{"0", "cli.manual-exit-done"},
        std::pair{"1", "cli.manual-exit-refused"},
        std::pair{"2", "cli.manual-exit-incomplete"},
        std::pair{"3", "cli.manual-exit-usage"}}) {
    add_entry(page, bold(number), render({code, {}}, lang));
  }
  page += section("manual-environment");
  for (const auto& [name, code] :
       {std::pair{"TALLY_CONNECTOR", "cli.help-connector"},
        std::pair{"TALLY_TOKEN", "cli.manual-token"},
        std::pair{"TALLY_APP_TOKEN", "cli.manual-app-token"}}) {
    add_entry(page, bold(name), render({code, {}}, lang));
  }
  page += section("manual-see") + "\\fBtallyd\\fR(8)\n";
  return page;
}

std::optional<std::string> completion(const Command& program, std::string_view shell) {
  if (shell == "bash") return bash(program);
  if (shell == "zsh") return zsh(program);
  return std::nullopt;
}

}  // namespace tally::cli
