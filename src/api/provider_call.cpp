#include "tally/api/provider_call.hpp"

#include <utility>

#include "tally/core/http.hpp"

#include "request_span.hpp"

namespace tally::api {

namespace {

constexpr Nanos longest_start = seconds(15);
constexpr Nanos look_again = milliseconds(20);

// Errors: as of request_to_provider.
awaitable<Result<Json>> address_of(const ProviderCallParts& parts, AgreementId agreement) {
  auto running = parts.transfers.running_call(agreement);
  if (!running) co_return fail(std::move(running));
  if (*running) co_return parts.transfers.data_address(**running);
  transfer::TransferOrder order{agreement, std::string(transfer::call_format)};
  const auto begun = co_await parts.transfers.request(std::move(order));
  if (!begun) co_return tl::unexpected(begun.error());
  for (Nanos waited = 0; waited < longest_start; waited += look_again) {
    auto address = parts.transfers.data_address(*begun);
    if (address) co_return address;
    co_await parts.timers.sleep_for(look_again);
  }
  const Message late{"api.call-not-started", {{"pid", begun->value}}};
  co_return fail(ErrorKind::unavailable, late);
}

}  // namespace

awaitable<Result<PeerRequest>> request_to_provider(
    const ProviderCallParts& parts, AgreementId agreement, PartyId provider, const Call& call
) {
  const auto address = co_await address_of(parts, std::move(agreement));
  if (!address) co_return tl::unexpected(address.error());
  PeerRequest out;
  out.to = std::move(provider);
  out.url = address->value("endpoint", std::string());
  const auto token = address->value("authorization", std::string());
  const bool bare = address->value("authType", std::string()) == "bare";
  out.http.headers.set("Authorization", bare ? token : "Bearer " + token);
  out.http.headers.set("Accept-Language", call.lang == Lang::zh ? "zh" : "en");
  carry_trace(trace_of(call), out);
  co_return out;
}

HttpResponse problem_of_provider(int status, const Headers& headers, std::string body, Lang lang) {
  const auto type = headers.get("Content-Type").value_or("");
  const bool readable = type.starts_with("application/problem+json") && status != 401;
  if (!readable || !Json::accept(body)) {
    return problem(503, {"api.call-no-answer", {{"status", std::to_string(status)}}}, lang);
  }
  HttpResponse out;
  out.status = status;
  out.headers.set("Content-Type", "application/problem+json");
  copy_use_headers(headers, out);
  out.body = std::move(body);
  return out;
}

void copy_use_headers(const Headers& from, HttpResponse& to) {
  for (const char* name :
       {"Tally-Use",
        "Tally-Use-Receipt",
        "Tally-Use-Repeated",
        "Tally-Remaining-Uses",
        "Tally-Valid-Until"}) {
    if (const auto value = from.get(name)) to.headers.set(name, std::string(*value));
  }
}

}  // namespace tally::api
