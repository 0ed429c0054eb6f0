#include "tally/transfer/use_notice.hpp"

#include <utility>

#include <nlohmann/json.hpp>

#include "tally/audit/signed_json.hpp"
#include "tally/core/digest.hpp"

namespace tally::transfer {

namespace {

constexpr std::string_view kind = "tally/use-notice/v1";

tl::unexpected<Error> malformed() {
  return fail(ErrorKind::invalid, {"transfer.note-malformed", {}});
}

Result<ToldUse> read_use(const Json& json) {
  if (!json.is_object()) return malformed();
  auto use = string_member(json, "use", "");
  auto action = string_member(json, "action", "");
  auto time = string_member(json, "time", "");
  auto leaf = string_member(json, "leaf", "");
  const auto seq = json.find("seq");
  const bool whole = use && action && time && leaf && seq != json.end();
  if (!whole || !seq->is_number_unsigned() ||
      from_hex(*leaf).value_or(Bytes()).size() != Digest().size())
    return malformed();
  return ToldUse{
      UseId(std::move(*use)),
      std::move(*action),
      std::move(*time),
      seq->get<std::uint64_t>(),
      std::move(*leaf)};
}

}  // namespace

Json to_json(const ToldUse& use) {
  return {
      {"action", use.action},
      {"leaf", use.leaf},
      {"seq", use.seq},
      {"time", use.time},
      {"use", use.use.value}};
}

Result<std::string> sign_use_notice(
    const UseNotice& notice, const audit::VerifierKey& key, const audit::Signer& signer
) {
  Json uses = Json::array();
  for (const auto& use : notice.uses) uses.push_back(to_json(use));
  const Json content = {
      {"agreement", notice.agreement.value},
      {"duty", notice.duty.value},
      {"origin", notice.origin},
      {"time", notice.time},
      {"uses", std::move(uses)}};
  return audit::sign_json(kind, to_jcs(content), key, signer);
}

Result<UseNotice> verify_use_notice(std::string_view note, const audit::VerifierKey& key) {
  const auto content = audit::open_signed_json(note, kind, key);
  if (!content) return tl::unexpected(content.error());
  auto agreement = string_member(*content, "agreement", "");
  auto duty = string_member(*content, "duty", "");
  auto origin = string_member(*content, "origin", "");
  auto time = string_member(*content, "time", "");
  const auto uses = content->find("uses");
  if (!agreement || !duty || !origin || !time || uses == content->end() || !uses->is_array() ||
      uses->empty() || uses->size() > uses_per_notice) {
    return malformed();
  }
  UseNotice notice{
      AgreementId(std::move(*agreement)),
      RuleId(std::move(*duty)),
      std::move(*origin),
      std::move(*time),
      {}};
  for (const auto& one : *uses) {
    auto use = read_use(one);
    if (!use) return fail(std::move(use));
    // In the order of the log: none of them twice.
    if (!notice.uses.empty() && use->seq <= notice.uses.back().seq) return malformed();
    notice.uses.push_back(std::move(*use));
  }
  return notice;
}

}  // namespace tally::transfer
