#include "tally/custody/key_ring.hpp"

#include <algorithm>
#include <utility>

#include "tally/core/aead.hpp"
#include "tally/core/digest.hpp"

namespace tally::custody {

namespace {

// One key alone, as versions before the ring wrote it.
constexpr std::string_view first_format = "tally-custody-key/1 ";
constexpr std::string_view header = "tally-custody-ring/1\n";
constexpr std::string_view unknown_time = "-";

std::optional<SecretKey> parse_secret(std::string_view base64) {
  auto bytes = from_base64(base64);
  SecretKey key;
  if (!bytes || bytes->size() != key.bytes.size()) return std::nullopt;
  std::copy(bytes->begin(), bytes->end(), key.bytes.begin());
  wipe(*bytes);
  return key;
}

// Up to the next blank, which goes too; empty when there is none.
std::string_view take_word(std::string_view& line) {
  const auto blank = line.find(' ');
  if (blank == std::string_view::npos) return {};
  const auto word = line.substr(0, blank);
  line.remove_prefix(blank + 1);
  return word;
}

}  // namespace

KeyName name_of(const SecretKey& key) {
  Sha256 sha;
  sha.update("tally-custody/wrapping-key/1");
  sha.update(std::span<const std::uint8_t>(key.bytes));
  const Digest digest = sha.finish();
  KeyName name{};
  std::copy_n(digest.begin(), name.size(), name.begin());
  return name;
}

std::string to_text(const KeyName& name) {
  return to_hex(name);
}

std::optional<KeyRing::Entries> KeyRing::parse(std::string_view text) {
  if (!text.ends_with('\n')) return std::nullopt;
  Entries entries;
  if (text.starts_with(first_format)) {
    text.remove_prefix(first_format.size());
    const auto key = parse_secret(text.substr(0, text.size() - 1));
    if (!key) return std::nullopt;
    entries.push_back({*key, {name_of(*key), std::nullopt, true}});
    return entries;
  }
  if (!text.starts_with(header)) return std::nullopt;
  text.remove_prefix(header.size());
  while (!text.empty()) {
    const auto end = text.find('\n');
    std::string_view line = text.substr(0, end);
    text.remove_prefix(end + 1);
    const auto name = take_word(line);
    const auto made = take_word(line);
    const auto key = parse_secret(line);
    // A key that is not the one that its line names is none: a flipped bit is found here.
    if (!key || to_text(name_of(*key)) != name) return std::nullopt;
    const auto at = parse_date_time(made);
    if (!at && made != unknown_time) return std::nullopt;
    const auto same = [&](const Entry& one) { return to_text(one.shown.name) == name; };
    if (entries.size() == most_ring_keys || std::ranges::any_of(entries, same)) return std::nullopt;
    Entry entry{*key, {name_of(*key), std::nullopt, entries.empty()}};
    if (at) entry.shown.made = at->instant;
    entries.push_back(std::move(entry));
  }
  if (entries.empty()) return std::nullopt;
  return entries;
}

std::string KeyRing::print(const Entries& entries) {
  std::string text(header);
  // So that no copy stays behind where the text grew.
  text.reserve(header.size() + entries.size() * 160);
  for (const Entry& entry : entries) {
    std::string secret = to_base64(entry.key.bytes);
    text += to_text(entry.shown.name) + " ";
    text += entry.shown.made ? format_seconds(*entry.shown.made) : std::string(unknown_time);
    text += " ";
    text += secret;
    text += "\n";
    wipe(secret);
  }
  return text;
}

KeyRing::KeyRing(std::unique_ptr<RingStorage> storage, Entries entries)
    : storage_(std::move(storage)), entries_(std::move(entries)) {}
KeyRing::~KeyRing() = default;

Result<std::unique_ptr<KeyRing>> KeyRing::open(std::unique_ptr<RingStorage> storage) {
  auto text = storage->read();
  if (!text) return fail(std::move(text));
  auto entries = parse(*text);
  wipe(*text);
  if (!entries) {
    return fail(ErrorKind::invalid, {"custody.key-malformed", {{"file", storage->place()}}});
  }
  return std::unique_ptr<KeyRing>(new KeyRing(std::move(storage), *std::move(entries)));
}

Result<SecretKey> KeyRing::current() {
  const std::lock_guard guard(mutex_);
  return entries_.front().key;
}

Result<SecretKey> KeyRing::find(const KeyName& name) {
  const std::lock_guard guard(mutex_);
  for (const Entry& entry : entries_) {
    if (entry.shown.name == name) return entry.key;
  }
  return fail(ErrorKind::not_found, {"custody.no-such-key", {{"key", to_text(name)}}});
}

std::vector<RingKey> KeyRing::keys() const {
  const std::lock_guard guard(mutex_);
  std::vector<RingKey> keys;
  for (const Entry& entry : entries_) keys.push_back(entry.shown);
  return keys;
}

Result<KeyName> KeyRing::add(Random& random, Instant now) {
  const std::lock_guard changing(changing_);
  now.nanos = 0;
  Entry fresh;
  random.fill(fresh.key.bytes);
  fresh.shown = {name_of(fresh.key), now, true};
  Entries next{fresh};
  {
    const std::lock_guard guard(mutex_);
    next.insert(next.end(), entries_.begin(), entries_.end());
  }
  next[1].shown.current = false;
  if (next.size() > most_ring_keys) {
    return fail(ErrorKind::conflict, {"custody.ring-full", {{"file", storage_->place()}}});
  }
  std::string text = print(next);
  auto replaced = storage_->replace(text);
  wipe(text);
  if (!replaced) return fail(std::move(replaced));
  const std::lock_guard guard(mutex_);
  entries_ = std::move(next);
  return fresh.shown.name;
}

Result<void> KeyRing::destroy_former() {
  const std::lock_guard changing(changing_);
  Entries left;
  {
    const std::lock_guard guard(mutex_);
    left.push_back(entries_.front());
  }
  std::string text = print(left);
  auto replaced = storage_->replace(text);
  wipe(text);
  if (!replaced) return replaced;
  const std::lock_guard guard(mutex_);
  entries_ = std::move(left);
  return {};
}

}  // namespace tally::custody
