// Bundles from strangers: nothing crashes, what is read prints as it was, and nothing that a fuzzer
// makes up is whole for somebody who has a log's key. The files of an archive are also taken with a
// manifest that fits them, or nothing behind the manifest would ever be reached.
#include <cstddef>
#include <cstdint>
#include <cstdlib>

#include "tally/audit/record_source.hpp"
#include "tally/audit/ustar.hpp"
#include "tally/evidence/check.hpp"
#include "tally/identity/message_signature.hpp"

namespace {

using namespace tally;

void require(bool condition) {
  if (!condition) std::abort();
}

evidence::Belief believed() {
  evidence::Belief belief;
  belief.policy.emplace();
  belief.policy->logs.push_back({audit::make_verifier_key("nobody/log/1", Bytes(32, 7)), {}});
  return belief;
}

void try_check(std::string_view archive) {
  static const evidence::Belief belief = believed();
  const auto report = evidence::check_bundle(archive, belief);
  require(report.verdict != audit::Verdict::whole);
  require((report.verdict == audit::Verdict::changed) == report.finding.has_value());
  if (report.finding) render(report.finding->message, Lang::en);
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  const std::string_view text(reinterpret_cast<const char*>(data), size);
  try_check(text);
  if (const auto bundle = evidence::parse_bundle(text)) require(bundle->print() == text);
  if (const auto files = audit::parse_ustar(text)) {
    require(audit::write_ustar(*files) == text);
    evidence::Bundle bundle{"urn:uuid:a", "did:web:hospital.example/log/1", 22, {}};
    for (const auto& file : *files) {
      if (file.name != evidence::manifest_file) bundle.files.emplace(file.name, file.bytes);
    }
    for (const auto& [name, bytes] : bundle.files) {
      // What the files say themselves, so that the parts find what they look for.
      if (!name.starts_with("records/")) continue;
      const auto view = audit::view_record(bytes);
      if (view && !view->agreement.empty()) bundle.agreement = view->agreement;
    }
    try_check(bundle.print());
  }
  (void)identity::verify_archive(text);
  (void)audit::view_record(text);
  return 0;
}
