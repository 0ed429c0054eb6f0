// An agreement that was made elsewhere, on paper or by another system, taken as it is. What would
// show that the other side agreed is missing: everything that rests on it says `asserted`.
#include <utility>

#include <nlohmann/json.hpp>

#include "tally/dsp/policy_form.hpp"

#include "negotiation_state.hpp"

namespace tally::negotiation {

namespace {

Result<void> names(const Json& document, const char* member, const PartyId& party) {
  if (text_of(document, member) == party.uri) return {};
  return fail(
      ErrorKind::invalid,
      {"negotiation.import-other-party", {{"member", member}, {"uri", party.uri}}},
      child("/agreement", member)
  );
}

}  // namespace

// Everything that a negotiated agreement has to be, but signed.
Result<Agreement> NegotiationService::State::imported(const ImportOrder& order) const {
  const auto form =
      dsp::check_wire_policy(order.document, dsp::PolicyForm::agreement, "/agreement");
  if (!form) return tl::unexpected(form.error());
  for (const char* member : {"@id", "target"}) {
    auto good = check_id(text_of(order.document, member), child("/agreement", member));
    if (!good) return fail(std::move(good));
  }
  const bool provides = order.our_side == odrl::Side::provider;
  Agreement agreement;
  agreement.our_side = order.our_side;
  agreement.provider = provides ? settings.self : order.peer;
  agreement.consumer = provides ? order.peer : settings.self;
  for (const auto& [member, party] :
       {std::pair("assigner", agreement.provider), std::pair("assignee", agreement.consumer)}) {
    if (auto named = names(order.document, member, party); !named) return fail(std::move(named));
  }
  const auto base = parts.peers.base_url(order.peer);
  if (!base) {
    return fail(
        ErrorKind::invalid, {"negotiation.peer-unknown", {{"peer", order.peer.uri}}}, "/peer"
    );
  }
  agreement.peer_base = *base;
  agreement.id = AgreementId(text_of(order.document, "@id"));
  agreement.document = to_jcs(order.document);
  agreement.asset = AssetId(text_of(order.document, "target"));
  agreement.purposes = purposes_of(order.document);
  agreement.made_at = text_of(order.document, "timestamp");
  agreement.imported = true;
  if (provides) {
    const auto asset = parts.offers.asset(agreement.asset);
    if (!asset) {
      const Message unknown{"negotiation.import-no-asset", {{"asset", agreement.asset.value}}};
      return fail(ErrorKind::invalid, unknown, "/agreement/target");
    }
    agreement.asset_version = asset->version;
    agreement.asset_level = asset->level;
    agreement.asset_class = asset->class_;
  }
  const auto terms = terms_of(agreement);
  if (!terms) {
    const Error& why = terms.error();
    const Message refused{
        "negotiation.rule-not-enforceable",
        {{"rule", why.pointer}, {"problem", render(why.message, Lang::en)}}};
    return fail(ErrorKind::invalid, bounded(refused), "/agreement" + why.pointer);
  }
  // Receipts that nobody can check would be none.
  if (asks_for_key_exchange(*terms->policy)) {
    return fail(ErrorKind::invalid, {"negotiation.not-signed", {}}, "/agreement");
  }
  return agreement;
}

awaitable<Result<Imported>> NegotiationService::import(ImportOrder order) {
  State& state = *state_;
  auto agreement = state.imported(order);
  if (!agreement) co_return fail(std::move(agreement));
  const auto known = find_agreement(state.parts.store, agreement->id);
  if (!known) co_return tl::unexpected(known.error());
  if (*known) {
    const Agreement& other = **known;
    const bool same = other.digest() == agreement->digest() &&
                      other.our_side == agreement->our_side && other.peer() == agreement->peer();
    if (same) co_return Imported{other.id, false};
    co_return fail(
        ErrorKind::conflict,
        {"negotiation.agreement-id-reused", {{"agreement", agreement->id.value}}},
        "/agreement/@id"
    );
  }
  auto base = state.base_for_new(order.peer, "");
  if (!base) co_return fail(std::move(base));

  // It stands among the negotiations as one that has come to its end, so that everything about an
  // agreement has its process.
  Step step;
  Process& process = step.process;
  process.pid = new_pid(state.parts.random);
  process.role = order.our_side == odrl::Side::provider ? dsp::Role::provider : dsp::Role::consumer;
  process.peer = order.peer;
  process.peer_base = *std::move(base);
  process.offer = order.document;
  process.asset = agreement->asset;
  process.agreement = agreement->id;
  process.began_at = format_micros(state.now());
  process.enter(dsp::NegotiationState::finalized, state.now());
  state.note_local(process, "import", "FINALIZED");
  agreement->negotiation = process.pid;
  const AgreementId id = agreement->id;
  auto put = state.put_in_force(step, *std::move(agreement));
  if (!put) co_return fail(std::move(put));
  auto done = co_await state.commit(std::move(step));
  if (!done) co_return fail(std::move(done));
  co_return Imported{id, true};
}

}  // namespace tally::negotiation
