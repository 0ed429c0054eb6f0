#include "tally/dsp/error_body.hpp"

#include <nlohmann/json.hpp>

#include "tally/dsp/messages.hpp"

namespace tally::dsp {

namespace {

constexpr std::size_t longest_reason = 500;

Pid string_member_of(const Json& body, std::string_view key) {
  if (!body.is_object()) return {};
  const auto found = body.find(key);
  return found != body.end() && found->is_string() ? Pid(found->get<std::string>()) : Pid{};
}

template <class X>
Json process_error(int status, std::string reason, const KnownPids& pids) {
  X error;
  error.provider_pid = pids.provider.empty() ? Pid(std::string(null_pid)) : pids.provider;
  error.consumer_pid = pids.consumer.empty() ? Pid(std::string(null_pid)) : pids.consumer;
  error.code = std::to_string(status);
  error.reason.emplace_back(std::move(reason));
  return to_json(error);
}

// Cuts after at most `bytes` bytes and never inside a UTF-8 sequence.
std::string cut(std::string text, std::size_t bytes) {
  if (text.size() <= bytes) return text;
  while (bytes > 0 && (static_cast<unsigned char>(text[bytes]) & 0xc0U) == 0x80U) --bytes;
  return text.substr(0, bytes) + "…";
}

}  // namespace

KnownPids known_pids(const Json& body, Role host, const Pid& own) {
  KnownPids pids{string_member_of(body, "providerPid"), string_member_of(body, "consumerPid")};
  Pid& ours = host == Role::provider ? pids.provider : pids.consumer;
  if (ours.empty()) ours = own;
  return pids;
}

Json error_body(
    Family family,
    int status,
    const Message& message,
    const KnownPids& pids,
    std::string_view pointer
) {
  std::string reason = message.code + ": " + render(message, Lang::en);
  if (!pointer.empty()) reason += " (" + std::string(pointer) + ")";
  switch (family) {
    case Family::negotiation:
      return process_error<ContractNegotiationError>(status, std::move(reason), pids);
    case Family::transfer:
      return process_error<TransferError>(status, std::move(reason), pids);
    case Family::catalog:
      break;
  }
  CatalogError error;
  error.code = std::to_string(status);
  error.reason.emplace_back(std::move(reason));
  return to_json(error);
}

int status_of(ErrorKind kind, Family family) {
  const bool hides = family != Family::catalog;
  switch (kind) {
    case ErrorKind::invalid:
    case ErrorKind::conflict:
      return 400;
    case ErrorKind::unauthenticated:
      return hides ? 404 : 401;
    case ErrorKind::forbidden:
    case ErrorKind::not_found:
      return 404;
    case ErrorKind::unavailable:
      return 503;
    case ErrorKind::internal:
      break;
  }
  return 500;
}

Json error_body(Family family, const Error& error, const KnownPids& pids) {
  return error_body(family, status_of(error.kind, family), error.message, pids, error.pointer);
}

std::string reason_text(const std::vector<Json>& reason) {
  std::string text;
  for (const Json& item : reason) {
    if (!text.empty()) text += "; ";
    text += item.is_string() ? item.get<std::string>() : item.dump();
    if (text.size() > longest_reason) break;
  }
  for (char& c : text) {
    if (static_cast<unsigned char>(c) < 0x20 || c == 0x7f) c = ' ';  // one line, no terminal codes
  }
  return cut(std::move(text), longest_reason);
}

}  // namespace tally::dsp
