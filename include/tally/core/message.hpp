// A sentence that a person will read, before it is a sentence: a code and its parameters.
//
// No module builds prose. It names a code of the one table in src/core/sentences/ and gives the
// parameters; `render` turns that into English or Chinese where it is shown. The code is what
// programs compare; it is a promise and never changes its meaning.
#pragma once

#include <map>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

namespace tally {

enum class Lang { en, zh };

// "zh", "zh_CN.UTF-8", "zh-CN,en;q=0.5" → zh; everything else → en.
Lang parse_lang(std::string_view text);

struct Message {
  std::string code;                           // "audit.torn-tail"
  std::map<std::string, std::string> params;  // {"file", "…"}: ordered, since it reaches records

  bool operator==(const Message&) const = default;
};

// The sentence for `message`. A code that the table lacks renders as the code with its parameters,
// so that nothing is ever hidden; a test makes sure that this does not happen.
std::string render(const Message& message, Lang lang);

// One line of the table. `en` and `zh` hold the same {placeholders}.
struct Sentence {
  std::string_view code;
  std::string_view en;
  std::string_view zh;
};

// The whole table, sorted by code.
const std::vector<Sentence>& sentence_table();

}  // namespace tally
