#include "deep.hpp"

#include <algorithm>
#include <array>

#include "tally/core/digest.hpp"

#include "chain.hpp"

namespace tally::audit {
namespace {

// The form of the members that section 3.2 fixes, in the order of their names.
enum class Form { text, number, digest, party, object, list, message };
struct MemberForm {
  std::string_view key;
  Form form;
};
// A table reads by rows.
// clang-format off
constexpr std::array forms = {
    MemberForm{"actor", Form::party},
    MemberForm{"agreement", Form::text},
    MemberForm{"asset", Form::text},
    MemberForm{"certificate", Form::text},
    MemberForm{"counterparty", Form::party},
    MemberForm{"decision", Form::object},
    MemberForm{"digests", Form::object},
    MemberForm{"inputs", Form::list},
    MemberForm{"offer", Form::text},
    MemberForm{"outputs", Form::list},
    MemberForm{"peer", Form::object},
    MemberForm{"pid", Form::text},
    MemberForm{"plain", Form::object},
    MemberForm{"private", Form::digest},
    MemberForm{"reason", Form::message},
    MemberForm{"receipt", Form::digest},
    MemberForm{"rules", Form::list},
    MemberForm{"use", Form::text},
    MemberForm{"uses", Form::list},
};
// clang-format on
static_assert(std::ranges::is_sorted(forms, {}, &MemberForm::key));

bool is_message(std::string_view value) {
  if (!is_object(value) || !is_text(find_member(value, "code"))) return false;
  const std::string_view params = find_member(value, "params");
  return params.empty() || is_object(params);
}

bool has_form(std::string_view value, Form form) {
  switch (form) {
    case Form::text:
      return is_text(value);
    case Form::number:
      return is_number(value);
    case Form::digest:
      return parse_digest_text(plain_content(value)).has_value();
    case Form::party:
      return is_object(value) && is_text(find_member(value, "domain")) &&
             is_text(find_member(value, "uri"));
    case Form::object:
      return is_object(value);
    case Form::list:
      return is_list(value);
    case Form::message:
      if (!is_list(value)) return is_message(value);
      for (ArrayValues messages(value); const auto one = messages.next();) {
        if (!is_message(*one)) return false;
      }
      return true;
  }
  return false;
}

// What a record does to the ledger entry of its agreement; nullopt: nothing. `ledger` says it
// outright where it is there.
std::optional<bool> closes(const RecordView& record, const RecordScan& scan) {
  const std::string_view ledger = scan.plain("ledger");
  if (!ledger.empty()) return ledger != "open";
  if (record.type == "contract.terminated" || record.type == "policy.revoked" ||
      record.type == "policy.expired") {
    return true;
  }
  return std::nullopt;
}

Message broken(std::string_view rule, const RecordView& record, std::string what) {
  return {
      "audit.rule-" + std::string(rule),
      {{"seq", std::to_string(record.seq)},
       {"agreement", record.agreement},
       {"what", std::move(what)}}};
}

}  // namespace

std::optional<DeepCheck::Fault> DeepCheck::take(const RecordView& record) {
  const auto seq = [&record] { return std::to_string(record.seq); };
  if (rewriter_.rewrite(record.text) != record.text) {
    return Fault{"canonical", {"audit.link-canonical", {{"seq", seq()}, {"byte", "0"}}}};
  }
  const RecordScan scan = scan_record(record.text);
  // Both are in the order of the names.
  auto form = forms.begin();
  for (std::size_t i = 0; i < scan.count(); ++i) {
    const RawMember member = scan.member(i);
    while (form != forms.end() && form->key < member.key) ++form;
    if (form == forms.end() || form->key != member.key) continue;
    if (has_form(member.value, form->form)) continue;
    return Fault{
        "form", {"audit.link-form", {{"seq", seq()}, {"member", std::string(member.key)}}}};
  }
  if (record.agreement.empty() || begun_.contains(record.agreement)) return std::nullopt;
  if (auto rule = rule_broken(record, scan)) return Fault{"rule", *std::move(rule)};
  return std::nullopt;
}

std::optional<Message> DeepCheck::rule_broken(const RecordView& record, const RecordScan& scan) {
  OfAgreement& of = agreements_[record.agreement];
  if (const auto closing = closes(record, scan)) of.closed = *closing;

  if (record.type == "use.permitted") return permit_broken(of, record, scan);
  if (record.type == "use.executed" || record.type == "use.aborted" ||
      record.type == "use.interrupted") {
    return end_broken(of, record, scan);
  }
  if (record.type == "contract.finalized") {
    const std::string_view role = scan.value("role");
    const std::string_view awaits = is_list(scan.value("awaits")) ? scan.value("awaits") : "[]";
    for (ArrayValues list(awaits); const auto wait = list.next();) {
      if (!is_object(*wait)) continue;
      of.awaits[unquote(find_member(*wait, "rule"))].insert(unquote(find_member(*wait, "duty")));
    }
    const std::string_view limits = scan.value("limits");
    if (!is_list(limits)) return std::nullopt;
    for (ArrayValues list(limits); const auto limit = list.next();) {
      if (!is_object(*limit) || find_member(*limit, "owner") != role) continue;
      of.limits[unquote(find_member(*limit, "rule"))].allowed =
          integer_of(find_member(*limit, "allowed")).value_or(0);
    }
  } else if (record.type == "transfer.started") {
    of.started.insert(unquote(scan.value("pid")));
  } else if (record.type == "transfer.sent") {
    const std::string pid = unquote(scan.value("pid"));
    if (!of.started.contains(pid)) return broken("sent-before-started", record, pid);
  } else if (record.type == "receipt.held") {
    of.receipts.insert(unquote(scan.value("receipt")));
  } else if (record.type == "key.released") {
    const std::string receipt = unquote(scan.value("receipt"));
    if (!of.receipts.contains(receipt)) return broken("key-before-receipt", record, receipt);
  } else if (record.type == "duty.confirmed") {
    of.confirmed[unquote(scan.value("rule"))].insert(unquote(scan.value("confirmation")));
  } else if (record.type == "duty.withdrawn") {
    of.confirmed[unquote(scan.value("rule"))].erase(unquote(scan.value("confirmation")));
  } else if (record.type == "obligation.due") {
    of.due = true;
  } else if (record.type == "data.destroyed") {
    if (!of.due) return broken("destroyed-before-due", record, {});
  }
  return std::nullopt;
}

std::optional<Message> DeepCheck::permit_broken(
    OfAgreement& of, const RecordView& record, const RecordScan& scan
) {
  if (of.closed) return broken("permitted-after-end", record, {});
  const std::string_view rules = scan.value("rules");
  auto adds = of.adds.find(rules);
  if (adds == of.adds.end()) {
    std::map<std::string, std::int64_t> sums;
    for (ArrayValues list(rules); const auto rule = list.next();) {
      if (!is_object(*rule)) continue;
      sums[unquote(find_member(*rule, "id"))] += integer_of(find_member(*rule, "n")).value_or(0);
    }
    Adds all;
    for (const auto& [id, n] : sums) all.emplace_back(&of.limits[id], n);
    adds = of.adds.emplace(rules, std::move(all)).first;
  }
  for (const auto& [limit, n] : adds->second) {
    limit->counted += n;
    if (!limit->allowed || limit->counted <= *limit->allowed) continue;
    const auto name =
        std::find_if(of.limits.begin(), of.limits.end(), [at = limit](const auto& one) {
          return &one.second == at;
        });
    return broken("over-limit", record, name->first);
  }
  if (!of.awaits.empty()) {
    for (ArrayValues list(rules); const auto rule = list.next();) {
      if (!is_object(*rule)) continue;
      const auto awaits = of.awaits.find(unquote(find_member(*rule, "id")));
      if (awaits == of.awaits.end()) continue;
      for (const std::string& duty : awaits->second) {
        if (of.confirmed[duty].empty()) return broken("permitted-unconfirmed", record, duty);
      }
    }
  }
  of.uses.emplace(event_key(record.event), Use{&adds->second});
  return std::nullopt;
}

std::optional<Message> DeepCheck::end_broken(
    OfAgreement& of, const RecordView& record, const RecordScan& scan
) {
  // What has ended otherwise is not given back, and what was given back did not happen.
  const bool gives_back = record.type == "use.aborted";
  const auto end = [&](std::string_view id) -> std::optional<Message> {
    const std::string_view plain = plain_content(id);
    const auto found = is_uuid(plain) ? of.uses.find(event_key(plain)) : of.uses.end();
    if (found == of.uses.end()) return broken("use-unknown", record, unquote(id));
    if (found->second.ended && gives_back) return broken("use-ended", record, unquote(id));
    found->second.ended = true;
    if (!gives_back) return std::nullopt;
    for (const auto& [limit, n] : *found->second.adds) limit->counted -= n;
    of.uses.erase(found);
    return std::nullopt;
  };
  if (record.type != "use.executed") return end(scan.value("use"));
  for (ArrayValues list(scan.value("uses")); const auto use = list.next();) {
    if (!is_object(*use)) return broken("use-unknown", record, {});
    if (auto fault = end(find_member(*use, "use"))) return fault;
  }
  return std::nullopt;
}

}  // namespace tally::audit
