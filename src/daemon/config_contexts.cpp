// What tally.json says of the contexts of a peer: URL → word → IRI.
#include "tally/dsp/messages.hpp"
#include "tally/odrl/vocabulary.hpp"

#include "config_reader.hpp"

namespace tally::daemon {

namespace {

constexpr std::size_t most_contexts = 16;
constexpr std::size_t most_words = 256;
constexpr std::size_t longest_word = 64;
constexpr std::size_t longest_iri = 512;

bool is_alphanumeric(char c) {
  return (c >= 'A' && c <= 'Z') || (c >= 'a' && c <= 'z') || (c >= '0' && c <= '9');
}

// No keyword, no IRI, no prefix with something behind it.
bool is_word(std::string_view text) {
  return !text.empty() && text.size() <= longest_word && is_alphanumeric(text.front()) &&
         std::ranges::all_of(text, [](char c) {
           return is_alphanumeric(c) || c == '_' || c == '-' || c == '.';
         });
}

bool is_iri(std::string_view text) {
  const auto colon = text.find(':');
  return colon != std::string_view::npos && colon > 0 && colon + 1 < text.size() &&
         text.size() <= longest_iri &&
         std::ranges::all_of(
             text.substr(0, colon),
             [](char c) { return is_alphanumeric(c) || c == '+' || c == '-' || c == '.'; }
         ) &&
         std::ranges::none_of(text, [](char c) {
           return static_cast<unsigned char>(c) <= 0x20 || c == 0x7f ||
                  std::string_view("<>\"{}|\\^`").find(c) != std::string_view::npos;
         });
}

// Refuses what would make a document mean different things to different readers: a word of two
// meanings, or one that means something everywhere.
void add_word(
    ConfigReader& read,
    dsp::PolicyDialect& dialect,
    dsp::Words& words,
    const std::string& word,
    const Json& value,
    const std::string& at
) {
  if (!is_word(word)) return read.expected(at, "word: IRI");
  const auto* iri = value.get_ptr<const std::string*>();
  if (iri == nullptr || !is_iri(*iri)) return read.expected(at, "IRI");
  if (const auto known = odrl::meaning_of_word(word); known && *known != *iri) {
    return read.problem({"daemon.config-known-word", {{"word", word}, {"iri", *known}}}, at);
  }
  for (const auto& [url, others] : dialect.contexts) {
    const auto other = others.find(word);
    if (other == others.end() || other->second == *iri) continue;
    return read.problem(
        {"daemon.config-word-twice", {{"word", word}, {"iri", other->second}, {"context", url}}}, at
    );
  }
  words[word] = *iri;
}

}  // namespace

ConfigReader::Field read_contexts(ConfigReader& read, dsp::PolicyDialect& dialect) {
  return [&read, &dialect](const Json& value, const std::string& at) {
    if (!value.is_object()) return read.expected(at, "object");
    if (value.size() > most_contexts) {
      return read.expected(at, "0…" + std::to_string(most_contexts) + " URLs");
    }
    for (const auto& [url, meanings] : value.items()) {
      const std::string place = child(at, url);
      // What the protocol's own says, nobody's configuration says otherwise.
      if (!is_iri(url) || url == dsp::context_url) {
        read.expected(place, "https://host/context");
      } else if (!meanings.is_object() || meanings.size() > most_words) {
        read.expected(place, "{word: IRI}, 0…" + std::to_string(most_words));
      } else {
        dsp::Words words;
        for (const auto& [word, iri] : meanings.items()) {
          add_word(read, dialect, words, word, iri, child(place, word));
        }
        dialect.contexts[url] = std::move(words);
      }
    }
  };
}

}  // namespace tally::daemon
