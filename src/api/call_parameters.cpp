#include "call_parameters.hpp"

#include <algorithm>

#include "tally/core/aead.hpp"

namespace tally::api {

namespace {

constexpr std::size_t longest_value = 256;

std::string names_of(std::span<const catalog::Parameter> declared) {
  std::string out;
  for (const auto& one : declared) out += (out.empty() ? "" : ", ") + one.name;
  return out.empty() ? "-" : out;
}

tl::unexpected<Error> wrong(std::string code, const std::string& parameter) {
  return fail(ErrorKind::invalid, {std::move(code), {{"parameter", parameter}}});
}

}  // namespace

std::optional<Message> undeclared_parameter(
    const Target& target, std::span<const catalog::Parameter> declared
) {
  for (const auto& [name, value] : target.query) {
    if (std::ranges::find(declared, name, &catalog::Parameter::name) != declared.end()) continue;
    // The name comes from outside: it may be a value that was meant for another place.
    return Message{"api.parameter-undeclared", {{"declared", names_of(declared)}}};
  }
  return std::nullopt;
}

Result<std::vector<dataplane::ColumnValue>> read_parameters(
    const Target& target, std::span<const catalog::Parameter> declared
) {
  std::vector<dataplane::ColumnValue> out;
  for (const auto& one : declared) {
    const std::string* given = nullptr;
    for (const auto& [name, value] : target.query) {
      if (name != one.name) continue;
      if (given != nullptr) return wrong("api.parameter-twice", one.name);
      given = &value;
    }
    if (given == nullptr) {
      if (one.required) return wrong("api.parameter-missing", one.name);
      continue;
    }
    if (given->empty() || given->size() > longest_value) {
      return wrong("api.parameter-length", one.name);
    }
    out.push_back({one.column, *given});
  }
  return out;
}

Result<dataplane::ShapePtr> shape_of_call(
    const dataplane::ShapePtr& shape,
    const catalog::Schema& schema,
    std::span<const dataplane::ColumnValue> values
) {
  const auto base = shape ? shape : dataplane::whole_shape(schema);
  for (const auto& one : values) {
    if (!dataplane::for_rows(*base, {&one, 1})) return wrong("api.parameter-value", one.column);
  }
  return dataplane::for_rows(*base, values);
}

std::string bound_key(
    std::string key, const Digest& secret, std::span<const dataplane::ColumnValue> values
) {
  if (key.empty() || values.empty()) return key;
  std::string text("tally-call/1");
  for (const auto& one : values) {
    text += '\0';
    text += one.column;
    text += '\0';
    text += one.text;
  }
  return key + " " + to_hex(hmac_sha256(secret, as_bytes(text)));
}

}  // namespace tally::api
