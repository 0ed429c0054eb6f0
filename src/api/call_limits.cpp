#include "tally/api/call_limits.hpp"

#include <algorithm>

#include <boost/asio/ip/address.hpp>

namespace tally::api {

namespace {

constexpr std::string_view too_many_calls = "api.calls-limited";
constexpr std::string_view too_many_tokens = "api.tokens-limited";
constexpr std::size_t prefix_bytes = 8;

}  // namespace

std::string network_of(std::string_view source) {
  std::string_view host = source.substr(0, source.rfind(':'));
  if (host.starts_with('[') && host.ends_with(']')) host = host.substr(1, host.size() - 2);
  boost::system::error_code bad;
  const auto address = boost::asio::ip::make_address(host, bad);
  if (bad || address.is_v4()) return std::string(host);
  if (address.to_v6().is_v4_mapped()) {
    return make_address_v4(boost::asio::ip::v4_mapped, address.to_v6()).to_string();
  }
  auto bytes = address.to_v6().to_bytes();
  std::fill(bytes.begin() + prefix_bytes, bytes.end(), std::uint8_t{0});
  return boost::asio::ip::address_v6(bytes).to_string() + "/64";
}

CallLimits::CallLimits(
    std::string_view listener, Rates rates, RateLimiter& failed_tokens, LimitedCalls& refusals
)
    : listener_(listener), calls_(rates.calls), failed_tokens_(failed_tokens), refusals_(refusals) {
  if (rates.messages) messages_.emplace(*rates.messages);
}

std::optional<HttpResponse> CallLimits::refuse(
    const std::string& caller, Where where, Instant now, Lang lang
) {
  Nanos wait = calls_.take(caller, now);
  if (wait == 0 && messages_ && where == Where::home) wait = messages_->take(caller, now);
  if (wait == 0) return std::nullopt;
  return answer(too_many_calls, caller, wait, lang);
}

std::optional<HttpResponse> CallLimits::refuse_unknown(
    const identity::Caller& caller, Instant now, Lang lang
) {
  if (caller.authorization.empty()) return std::nullopt;
  const std::string network = network_of(caller.source);
  const Nanos wait = failed_tokens_.take(network, now);
  if (wait == 0) return std::nullopt;
  return answer(too_many_tokens, network, wait, lang);
}

HttpResponse CallLimits::answer(
    std::string_view code, const std::string& who, Nanos wait, Lang lang
) {
  refusals_.limited(listener_, code, who);
  // RFC 9110, 10.2.3: whole seconds. Rounded up, so that whoever keeps to it is let in.
  const auto after = std::to_string((wait + nanos_per_second - 1) / nanos_per_second);
  HttpResponse response = problem(429, {std::string(code), {{"seconds", after}}}, lang);
  response.headers.set("Retry-After", after);
  return response;
}

}  // namespace tally::api
