#include "line_fault.hpp"

#include <optional>
#include <string_view>

#include <CLI/CLI.hpp>

namespace tally::cli {

namespace {

// CLI11 tells what was wrong by the kind of its error and an English text. What of it is the
// operator's own (names, values) is taken out of the text; what is not known stays as it is.

std::optional<std::string> before(std::string_view text, std::string_view mark) {
  const auto at = text.find(mark);
  if (at == std::string_view::npos || at == 0) return std::nullopt;
  return std::string(text.substr(0, at));
}

std::optional<std::string> behind(std::string_view text, std::string_view mark) {
  const auto at = text.find(mark);
  if (at == std::string_view::npos) return std::nullopt;
  return std::string(text.substr(at + mark.size()));
}

std::optional<std::string> between(
    std::string_view text, std::string_view open, std::string_view close
) {
  const auto rest = behind(text, open);
  return rest ? before(*rest, close) : std::nullopt;
}

Message pair_of(std::string_view text, std::string_view verb, const char* code) {
  return {
      code,
      {{"name", before(text, verb).value_or(std::string())},
       {"other", behind(text, verb).value_or(std::string())}}};
}

Message required(std::string_view text) {
  if (text.starts_with("A subcommand")) return {"cli.line-no-command", {}};
  const auto choice = between(text, "[", "]");
  if (choice) {
    const bool none_given = text.find("were given") == std::string_view::npos &&
                            text.find("at most") == std::string_view::npos;
    return {none_given ? "cli.line-one-of" : "cli.line-only-one-of", {{"names", *choice}}};
  }
  if (const auto name = before(text, " is required")) {
    return {"cli.line-missing", {{"name", *name}}};
  }
  return {"cli.line-malformed", {{"detail", std::string(text)}}};
}

Message told(const CLI::ParseError& error) {
  const std::string text = error.what();
  switch (static_cast<CLI::ExitCodes>(error.get_exit_code())) {
    case CLI::ExitCodes::RequiredError:
      return required(text);
    case CLI::ExitCodes::ExtrasError:
      if (const auto names = behind(text, "not expected: ")) {
        return {"cli.line-extra", {{"names", *names}}};
      }
      break;
    case CLI::ExitCodes::ExcludesError:
      return pair_of(text, " excludes ", "cli.line-excludes");
    case CLI::ExitCodes::RequiresError:
      return pair_of(text, " requires ", "cli.line-requires");
    case CLI::ExitCodes::ArgumentMismatch:
      if (const auto name = before(text, ": ")) return {"cli.line-values", {{"name", *name}}};
      break;
    case CLI::ExitCodes::ConversionError: {
      const auto name = between(text, "Could not convert: ", " = ");
      const auto value = behind(text, " = ");
      if (name && value) return {"cli.line-value", {{"name", *name}, {"value", *value}}};
      break;
    }
    case CLI::ExitCodes::ValidationError: {
      const auto name = before(text, ": ");
      const auto value = between(text, ": ", " not in {");
      const auto choice = between(text, "{", "}");
      if (name && value && choice) {
        return {"cli.line-choice", {{"name", *name}, {"value", *value}, {"choice", *choice}}};
      }
      break;
    }
    default:
      break;
  }
  return {"cli.line-malformed", {{"detail", text}}};
}

}  // namespace

Message fault_of(const CLI::App& app, const CLI::ParseError& error) {
  Message message = told(error);
  std::string command = "tally";
  for (const CLI::App* at = &app; !at->get_subcommands().empty();) {
    at = at->get_subcommands().front();
    command += " " + at->get_name();
  }
  message.params["command"] = command;
  return message;
}

}  // namespace tally::cli
