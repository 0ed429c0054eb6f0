#include "tally/audit/log_policy.hpp"

#include <algorithm>
#include <map>
#include <optional>
#include <set>
#include <utility>

#include "text_form.hpp"

namespace tally::audit {
namespace {

constexpr std::string_view none = "none";

// The words of a line, between spaces and tabs.
std::vector<std::string_view> words_of(std::string_view line) {
  std::vector<std::string_view> words;
  for (;;) {
    const std::size_t begin = line.find_first_not_of(" \t");
    if (begin == std::string_view::npos) return words;
    line.remove_prefix(begin);
    const std::size_t end = std::min(line.find_first_of(" \t"), line.size());
    words.push_back(line.substr(0, end));
    line.remove_prefix(end);
  }
}

class Reader {
 public:
  Result<LogPolicy> read(std::string_view text) {
    if (text.size() > most_policy_bytes) return failed("audit.log-policy-line");
    while (const auto line = take_line(text)) {
      ++line_;
      if (auto error = read_line(*line)) return tl::unexpected(*std::move(error));
    }
    ++line_;
    if (!text.empty()) return failed("audit.log-policy-line");  // a last line without its end
    if (!quorum_) return failed("audit.log-policy-quorum");
    return std::move(policy_);
  }

 private:
  [[nodiscard]] tl::unexpected<Error> failed(std::string_view code, std::string_view name = {})
      const {
    Message message{std::string(code), {{"line", std::to_string(line_)}}};
    if (!name.empty()) message.params["name"] = name;
    return fail(ErrorKind::invalid, std::move(message));
  }

  std::optional<Error> read_line(std::string_view line) {
    const auto words = words_of(line);
    const bool plain = std::none_of(line.begin(), line.end(), [](char c) {
      const auto byte = static_cast<unsigned char>(c);
      return (byte < 0x20 && c != '\t') || byte == 0x7F;
    });
    if (!plain) return failed("audit.log-policy-line").value();
    if (words.empty() || words[0].starts_with('#')) return std::nullopt;
    if (words[0] == "log" && (words.size() == 2 || words.size() == 3)) return read_log(words);
    if (words[0] == "witness" && (words.size() == 3 || words.size() == 4))
      return read_witness(words);
    if (words[0] == "group" && words.size() >= 4) return read_group(words);
    if (words[0] == "quorum" && words.size() == 2) return read_quorum(words[1]);
    return failed("audit.log-policy-line").value();
  }

  // Two keys are the same when their bytes are, under whatever name. A cosignature does not say by
  // which name it was given, so one key twice would be two witnesses that are one.
  std::optional<Error> take_key(
      std::string_view text, std::uint8_t type, std::set<Bytes>& seen, VerifierKey& out
  ) {
    auto key = parse_verifier_key(text);
    if (!key || key->type != type) return failed("audit.log-policy-key").value();
    if (!seen.insert(key->public_key).second) return failed("audit.log-policy-key-twice").value();
    out = *std::move(key);
    return std::nullopt;
  }

  std::optional<Error> take_name(std::string_view name) {
    if (name == none || !members_.emplace(name, false).second) {
      return failed("audit.log-policy-name-taken", name).value();
    }
    return std::nullopt;
  }

  std::optional<Error> read_log(const std::vector<std::string_view>& words) {
    LogPolicy::Log log;
    if (policy_.logs.size() == most_policy_members) return failed("audit.log-policy-line").value();
    if (auto error = take_key(words[1], ed25519_type, log_keys_, log.key)) return error;
    if (words.size() == 3) log.url = words[2];
    policy_.logs.push_back(std::move(log));
    return std::nullopt;
  }

  std::optional<Error> read_witness(const std::vector<std::string_view>& words) {
    LogPolicy::Witness witness;
    if (policy_.witnesses.size() == most_policy_members) {
      return failed("audit.log-policy-line").value();
    }
    if (auto error = take_name(words[1])) return error;
    if (auto error = take_key(words[2], cosignature_type, witness_keys_, witness.key)) return error;
    witness.name = words[1];
    if (words.size() == 4) witness.url = words[3];
    policy_.witnesses.push_back(std::move(witness));
    return std::nullopt;
  }

  std::optional<Error> read_group(const std::vector<std::string_view>& words) {
    LogPolicy::Group group;
    if (policy_.groups.size() == most_policy_members)
      return failed("audit.log-policy-line").value();
    for (std::size_t i = 3; i < words.size(); ++i) {
      const auto member = members_.find(words[i]);
      if (member == members_.end()) {
        return failed("audit.log-policy-name-unknown", words[i]).value();
      }
      // Once in the whole file: then each witness adds to the quorum in one way only.
      if (std::exchange(member->second, true)) {
        return failed("audit.log-policy-member-twice", words[i]).value();
      }
      group.members.emplace_back(words[i]);
    }
    // Only now: a group is not its own member.
    if (auto error = take_name(words[1])) return error;
    group.name = words[1];
    if (words[2] == "all") {
      group.least = group.members.size();
    } else if (words[2] != "any") {
      const auto least = parse_number(words[2], group.members.size());
      if (!least || *least == 0) return failed("audit.log-policy-threshold", words[1]).value();
      group.least = static_cast<std::size_t>(*least);
    }
    policy_.groups.push_back(std::move(group));
    return std::nullopt;
  }

  std::optional<Error> read_quorum(std::string_view name) {
    if (quorum_) return failed("audit.log-policy-quorum").value();
    quorum_ = true;
    if (name == none) return std::nullopt;
    if (!members_.contains(name)) return failed("audit.log-policy-name-unknown", name).value();
    policy_.quorum = name;
    return std::nullopt;
  }

  LogPolicy policy_;
  std::size_t line_ = 0;
  bool quorum_ = false;
  std::map<std::string, bool, std::less<>> members_;  // and whether a group has it
  std::set<Bytes> log_keys_;
  std::set<Bytes> witness_keys_;
};

}  // namespace

Result<LogPolicy> parse_log_policy(std::string_view text) {
  return Reader().read(text);
}

std::string LogPolicy::print() const {
  std::string text;
  const auto line = [&text](std::string words, const std::string& url) {
    text += std::move(words) + (url.empty() ? "" : " " + url) + "\n";
  };
  for (const Log& log : logs) line("log " + log.key.text(), log.url);
  for (const Witness& witness : witnesses) {
    line("witness " + witness.name + " " + witness.key.text(), witness.url);
  }
  for (const Group& group : groups) {
    text += "group " + group.name + " " + std::to_string(group.least);
    for (const std::string& member : group.members) text += " " + member;
    text += "\n";
  }
  return text + "quorum " + (quorum.empty() ? std::string(none) : quorum) + "\n";
}

std::vector<VerifierKey> LogPolicy::keys() const {
  std::vector<VerifierKey> keys;
  keys.reserve(logs.size() + witnesses.size());
  for (const Log& log : logs) keys.push_back(log.key);
  for (const Witness& witness : witnesses) keys.push_back(witness.key);
  return keys;
}

bool LogPolicy::quorum_of(std::span<const GoodSignature> good) const {
  if (quorum.empty()) return true;
  std::set<std::string, std::less<>> holding;
  for (const Witness& witness : witnesses) {
    const bool cosigned = std::any_of(good.begin(), good.end(), [&](const GoodSignature& one) {
      return one.cosignature() && one.key == witness.key;
    });
    if (cosigned) holding.insert(witness.name);
  }
  // Members stand before their group, so one pass is enough.
  for (const Group& group : groups) {
    const auto count =
        std::count_if(group.members.begin(), group.members.end(), [&](const std::string& member) {
          return holding.contains(member);
        });
    if (static_cast<std::size_t>(count) >= group.least) holding.insert(group.name);
  }
  return holding.contains(quorum);
}

Result<VerifiedCheckpoint> verify_checkpoint(std::string_view note, const LogPolicy& policy) {
  auto verified = verify_checkpoint(note, policy.keys());
  if (verified && !policy.quorum_of(verified->good)) {
    return fail(ErrorKind::invalid, {"audit.quorum-missed", {{"quorum", policy.quorum}}});
  }
  return verified;
}

}  // namespace tally::audit
