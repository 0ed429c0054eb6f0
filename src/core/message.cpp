#include "tally/core/message.hpp"

#include <algorithm>
#include <cctype>
#include <cstdlib>

namespace tally {
namespace {

std::string_view trim(std::string_view text) {
  while (!text.empty() && (text.front() == ' ' || text.front() == '\t')) text.remove_prefix(1);
  while (!text.empty() && (text.back() == ' ' || text.back() == '\t')) text.remove_suffix(1);
  return text;
}

// Quality of an Accept-Language entry in thousandths: "0.5" → 500. Unreadable is 0.
int quality(std::string_view text) {
  if (text.empty() || (text[0] != '0' && text[0] != '1')) return 0;
  int value = (text[0] - '0') * 1000;
  int place = 100;
  for (std::size_t i = 2; i < text.size() && place > 0; ++i, place /= 10) {
    if (text[i] < '0' || text[i] > '9') return 0;
    value += (text[i] - '0') * place;
  }
  return std::min(value, 1000);
}

std::string fallback_text(const Message& message) {
  std::string text = message.code;
  for (const auto& [name, value] : message.params)
    text.append(" ").append(name).append("=").append(value);
  return text;
}

}  // namespace

Lang parse_lang(std::string_view text) {
  Lang best = Lang::en;
  int best_quality = 0;
  while (!text.empty()) {
    const auto comma = text.find(',');
    std::string_view entry = text.substr(0, comma);
    text = comma == std::string_view::npos ? std::string_view{} : text.substr(comma + 1);
    int entry_quality = 1000;
    if (const auto semicolon = entry.find(';'); semicolon != std::string_view::npos) {
      const std::string_view parameter = trim(entry.substr(semicolon + 1));
      if (parameter.starts_with("q=")) entry_quality = quality(parameter.substr(2));
      entry = entry.substr(0, semicolon);
    }
    entry = trim(entry);
    std::string primary(entry.substr(0, entry.find_first_of("-_.@")));
    std::transform(primary.begin(), primary.end(), primary.begin(), [](unsigned char c) {
      return static_cast<char>(std::tolower(c));
    });
    if ((primary == "zh" || primary == "en") && entry_quality > best_quality) {
      best = primary == "zh" ? Lang::zh : Lang::en;
      best_quality = entry_quality;
    }
  }
  return best;
}

std::string render(const Message& message, Lang lang) {
  const auto& table = sentence_table();
  const auto found = std::lower_bound(
      table.begin(),
      table.end(),
      message.code,
      [](const Sentence& sentence, std::string_view code) { return sentence.code < code; }
  );
  if (found == table.end() || found->code != message.code) return fallback_text(message);
  const std::string_view pattern = lang == Lang::zh ? found->zh : found->en;
  std::string text;
  text.reserve(pattern.size() + 64);
  for (std::size_t at = 0; at < pattern.size();) {
    const auto open = pattern.find('{', at);
    text += pattern.substr(at, open == std::string_view::npos ? open : open - at);
    if (open == std::string_view::npos) break;
    const auto close = pattern.find('}', open);
    if (close == std::string_view::npos) {
      text += pattern.substr(open);
      break;
    }
    const std::string name(pattern.substr(open + 1, close - open - 1));
    const auto param = message.params.find(name);
    // A parameter that was not given stays visible as its placeholder.
    text += param == message.params.end() ? "{" + name + "}" : param->second;
    at = close + 1;
  }
  return text;
}

}  // namespace tally
