// Any bytes as any message of the protocol: an answer or an Error, and what was read once is read
// again as the same. Seeds: tests/data/dsp/messages.
#include <cstdint>
#include <cstdlib>
#include <string>
#include <string_view>

#include <nlohmann/json.hpp>

#include "tally/core/http.hpp"
#include "tally/dsp/binding.hpp"
#include "tally/dsp/error_body.hpp"
#include "tally/dsp/messages.hpp"
#include "tally/dsp/policy_form.hpp"

namespace {

using namespace tally;
using namespace tally::dsp;

void expect(bool good) {
  if (!good) std::abort();
}

template <class X>
void round_trip(const Json& value) {
  const auto read = from_json<X>(value);
  if (!read) return;
  const Json written = to_json(*read);
  const auto again = from_json<X>(written);
  expect(again.has_value());
  expect(to_jcs(to_json(*again)) == to_jcs(written));
}

template <class... X>
void all_round_trips(const Json& value) {
  (round_trip<X>(value), ...);
}

void policies(const Json& policy) {
  for (const PolicyForm form :
       {PolicyForm::catalogue_offer, PolicyForm::message_offer, PolicyForm::agreement}) {
    const bool own = check_wire_policy(policy, form, {}, PolicyOrigin::own).has_value();
    const bool peer = check_wire_policy(policy, form, {}, PolicyOrigin::peer).has_value();
    expect(!own || peer);  // ours are held to more
  }
  const Json core = policy_core(policy);
  expect(to_jcs(policy_core(core)) == to_jcs(core));
  const Json terms = with_wire_terms(policy);
  expect(to_jcs(with_wire_terms(terms)) == to_jcs(terms));
}

void paths(std::string_view text) {
  const auto target = parse_target(text);
  if (target) {
    (void)match_endpoint("POST", target->path);
    (void)methods_at(target->path);
  }
  const Pid pid{std::string(text)};
  const auto built = parse_target(negotiation_path(pid, "agreement"));
  // No pid holds a NUL (dsp.bad-id), and no target does.
  if (pid.empty() || text.find('\0') != std::string_view::npos) return;
  expect(built.has_value());
  expect(match_endpoint("POST", built->path).id == pid.value);
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  const std::string_view text(reinterpret_cast<const char*>(data), size);
  (void)is_json_media_type(text);
  (void)is_timestamp(text);
  paths(text);
  const auto value = parse_json(text);
  if (!value) return 0;
  all_round_trips<
      CatalogRequestMessage,
      Catalog,
      Dataset,
      CatalogError,
      ContractRequestMessage,
      ContractOfferMessage,
      ContractAgreementMessage,
      ContractAgreementVerificationMessage,
      ContractNegotiationEventMessage,
      ContractNegotiationTerminationMessage,
      ContractNegotiation,
      ContractNegotiationError,
      TransferRequestMessage,
      TransferStartMessage,
      TransferSuspensionMessage,
      TransferCompletionMessage,
      TransferTerminationMessage,
      TransferProcess,
      TransferError,
      VersionResponse>(*value);
  policies(*value);
  for (const char* key : {"offer", "agreement"}) {
    if (value->is_object() && value->contains(key)) policies(value->at(key));
  }
  (void)known_pids(*value, Role::provider);
  if (value->is_array()) (void)reason_text(value->get<std::vector<Json>>());
  return 0;
}
