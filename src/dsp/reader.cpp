#include "reader.hpp"

#include <algorithm>
#include <utility>

#include "tally/dsp/messages.hpp"

namespace tally::dsp {

namespace {

constexpr std::size_t longest_id = 2048;

bool is_usable_id(std::string_view id) {
  return !id.empty() && id.size() <= longest_id && std::all_of(id.begin(), id.end(), [](char c) {
    return static_cast<unsigned char>(c) > 0x20 && c != 0x7f;
  });
}

}  // namespace

Reader::Reader(const Json& object, std::string at, std::optional<Error>& fault)
    : object_(object), at_(std::move(at)), fault_(fault) {
  if (!object_.is_object()) fail({"dsp.not-an-object", {}});
}

void Reader::fail(Message message, std::string_view key) {
  if (fault_) return;
  fault_ = Error{ErrorKind::invalid, std::move(message), key.empty() ? at_ : at(key)};
}

const Json* Reader::member(std::string_view key) const {
  if (!object_.is_object()) return nullptr;
  const auto found = object_.find(key);
  return found == object_.end() ? nullptr : &*found;
}

std::string Reader::text(std::string_view key) {
  if (!member(key)) {
    fail({"dsp.member-missing", {{"member", std::string(key)}}}, key);
    return {};
  }
  return optional_text(key).value_or("");
}

std::optional<std::string> Reader::optional_text(std::string_view key) {
  const Json* value = member(key);
  if (!value) return std::nullopt;
  if (!value->is_string()) {
    fail({"dsp.not-a-string", {{"member", std::string(key)}}}, key);
    return std::nullopt;
  }
  return value->get<std::string>();
}

std::string Reader::id(std::string_view key) {
  std::string id = text(key);
  if (!failed() && !is_usable_id(id)) fail({"dsp.bad-id", {{"member", std::string(key)}}}, key);
  return id;
}

std::optional<std::string> Reader::optional_id(std::string_view key) {
  auto id = optional_text(key);
  if (id && !is_usable_id(*id)) fail({"dsp.bad-id", {{"member", std::string(key)}}}, key);
  return id;
}

std::vector<Json> Reader::list(std::string_view key) {
  const Json* value = member(key);
  if (!value) return {};
  if (!value->is_array()) return {*value};
  return {value->begin(), value->end()};
}

const Json* Reader::object(std::string_view key) {
  const Json* value = member(key);
  if (!value) {
    fail({"dsp.member-missing", {{"member", std::string(key)}}}, key);
    return nullptr;
  }
  if (!value->is_object()) {
    fail({"dsp.not-an-object", {}}, key);
    return nullptr;
  }
  return value;
}

void Reader::expect_type(std::string_view type) {
  const std::string found = text("@type");
  if (failed() || found == type) return;
  fail({"dsp.wrong-type", {{"expected", std::string(type)}, {"found", found}}}, "@type");
}

void Reader::expect_type_if_present(std::string_view type) {
  if (member("@type")) expect_type(type);
}

void Reader::expect_context() {
  const Json* context = member("@context");
  if (!context) {
    fail({"dsp.member-missing", {{"member", "@context"}}}, "@context");
    return;
  }
  const std::vector<Json> items = list("@context");
  for (const Json& item : items) {
    // An inline context could give the protocol's words another meaning for other readers.
    if (!item.is_string()) {
      fail({"dsp.context-not-strings", {}}, "@context");
      return;
    }
  }
  if (std::find(items.begin(), items.end(), Json(std::string(context_url))) == items.end()) {
    fail({"dsp.context-missing", {{"context", std::string(context_url)}}}, "@context");
  }
}

}  // namespace tally::dsp
