#include "tally/evidence/check.hpp"

#include <utility>

#include "checking.hpp"
#include "lineage.hpp"
#include "names.hpp"

namespace tally::evidence {

const std::string* Checking::take(std::string_view name) {
  const auto listed = unexplained.find(name);
  if (listed != unexplained.end()) unexplained.erase(listed);
  return bundle.find(name);
}

odrl::Side Checking::owner_side() const {
  const auto provider = parties.find(odrl::Side::provider);
  return provider != parties.end() && provider->second.uri == owner.uri ? odrl::Side::provider
                                                                        : odrl::Side::consumer;
}

const identity::MessageSignature* Checking::signature_of(bool owner_signed) const {
  const bool provider = (owner_side() == odrl::Side::provider) == owner_signed;
  const auto found = signatures.find(provider ? odrl::Side::provider : odrl::Side::consumer);
  return found == signatures.end() ? nullptr : &found->second;
}

void broken(std::string_view file, std::string_view link, Message message) {
  throw Broken{{std::string(file), std::string(link), std::move(message)}};
}

void broken(std::string_view file, std::string_view link, const Error& why) {
  broken(file, link, why.message);
}

void broken(std::string_view file, std::string_view link, const char* code) {
  broken(file, link, Message{code, {{"file", std::string(file)}}});
}

void check_rest(Checking& check) {
  std::vector<std::string> texts;
  for (const auto& [seq, record] : check.records) texts.emplace_back(record.view.text);
  const auto lineage = lineage_of(std::move(texts), check.bundle.agreement);
  const std::string* const prov = check.take(prov_file);
  if (prov == nullptr) {
    check.missing({"evidence.file-missing", {{"file", std::string(prov_file)}}});
  } else if (!lineage || *lineage != *prov) {
    check.missing({"evidence.lineage-other", {{"file", std::string(prov_file)}}});
  }
  // Nothing rests on the guide; it must be there for whoever has no other one.
  if (check.take(guide_file) == nullptr) {
    check.missing({"evidence.file-missing", {{"file", std::string(guide_file)}}});
  }
  if (!check.unexplained.empty()) {
    broken(*check.unexplained.begin(), "file", "evidence.file-unexplained");
  }
}

BundleReport check_bundle(std::string_view archive, const Belief& belief) {
  BundleReport report;
  const auto bundle = parse_bundle(archive);
  if (!bundle) {
    const Message& why = bundle.error().message;
    if (bundle.error().kind == ErrorKind::not_found) {
      report.missing.push_back(why);
      return report;
    }
    const auto file = why.params.find("file");
    report.verdict = audit::Verdict::changed;
    report.finding = BundleFinding{
        file == why.params.end() ? "-" : file->second,
        why.code.starts_with("audit.ustar-") ? "archive" : "manifest",
        why};
    return report;
  }
  report.agreement = bundle->agreement;
  report.origin = bundle->origin;
  report.size = bundle->size;
  Checking check(*bundle, belief, report);
  for (const auto& [name, bytes] : bundle->files) check.unexplained.insert(name);
  try {
    check_log(check);
    check_agreement(check);
    check_witnesses(check);
    check_chains(check);
    check_receipts(check);
    check_notes(check);
    check_rest(check);
  } catch (Broken& found) {
    report.verdict = audit::Verdict::changed;
    report.finding = std::move(found.finding);
    return report;
  }
  report.verdict = report.missing.empty() ? audit::Verdict::whole : audit::Verdict::incomplete;
  return report;
}

audit::RecordSource records_of(const Bundle& bundle) {
  std::vector<std::string> texts;
  for (const auto& [name, bytes] : bundle.files) {
    if (number_of(name, "records/", ".json")) texts.push_back(bytes);
  }
  return audit::records_of(std::move(texts));
}

}  // namespace tally::evidence
