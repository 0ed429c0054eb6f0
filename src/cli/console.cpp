#include "console.hpp"

#include <algorithm>
#include <cstdint>
#include <cstdio>

#include <nlohmann/json.hpp>

namespace tally::cli {

void Console::print(std::string_view text) const {
  std::fwrite(text.data(), 1, text.size(), stdout);
  std::fputc('\n', stdout);
}

void Console::say(const Message& message) const {
  print(text(message));
}

int Console::fail(const Message& message, int code) const {
  const std::string line = message.code + ": " + text(message) + "\n";
  std::fwrite(line.data(), 1, line.size(), stderr);
  return code;
}

int Console::fail(const Error& error, int code) const {
  if (error.pointer.empty()) return fail(error.message, code);
  const std::string line =
      error.message.code + ": " + text(error.message) + " (" + error.pointer + ")\n";
  std::fwrite(line.data(), 1, line.size(), stderr);
  return code;
}

Json Console::message_json(const Message& message) const {
  return {{"code", message.code}, {"params", message.params}, {"text", text(message)}};
}

std::size_t display_width(std::string_view text) {
  std::size_t width = 0;
  for (std::size_t i = 0; i < text.size();) {
    const auto lead = static_cast<std::uint8_t>(text[i]);
    const std::size_t bytes = lead < 0x80 ? 1 : lead < 0xE0 ? 2 : lead < 0xF0 ? 3 : 4;
    std::uint32_t code = bytes == 1 ? lead : lead & (0x3Fu >> (bytes - 1));
    for (std::size_t k = 1; k < bytes && i + k < text.size(); ++k) {
      code = code << 6 | (static_cast<std::uint8_t>(text[i + k]) & 0x3Fu);
    }
    const bool wide = (code >= 0x1100 && code <= 0x115F) || (code >= 0x2E80 && code <= 0xA4CF) ||
                      (code >= 0xAC00 && code <= 0xD7A3) || (code >= 0xF900 && code <= 0xFAFF) ||
                      (code >= 0xFE30 && code <= 0xFE4F) || (code >= 0xFF00 && code <= 0xFF60) ||
                      (code >= 0xFFE0 && code <= 0xFFE6) || code >= 0x20000;
    width += wide ? 2 : 1;
    i += bytes;
  }
  return width;
}

void Console::table(
    const std::vector<std::string>& columns, const std::vector<std::vector<std::string>>& rows
) const {
  std::vector<std::vector<std::string>> all;
  auto& titles = all.emplace_back();
  for (const auto& column : columns) titles.push_back(text({"cli.column-" + column, {}}));
  all.insert(all.end(), rows.begin(), rows.end());
  std::vector<std::size_t> widths(columns.size(), 0);
  for (const auto& row : all) {
    for (std::size_t i = 0; i < row.size(); ++i)
      widths[i] = std::max(widths[i], display_width(row[i]));
  }
  for (const auto& row : all) {
    std::string line;
    for (std::size_t i = 0; i < row.size(); ++i) {
      line += row[i];
      if (i + 1 < row.size()) line.append(widths[i] - display_width(row[i]) + 2, ' ');
    }
    print(line);
  }
}

}  // namespace tally::cli
