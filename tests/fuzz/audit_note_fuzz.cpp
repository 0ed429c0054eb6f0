// Notes, verifier keys and policies from strangers: nothing crashes, what is read prints as it was,
// and nobody who is not known has signed.
#include <cstddef>
#include <cstdint>
#include <cstdlib>

#include "tally/audit/log_policy.hpp"

namespace {

using namespace tally;

void require(bool condition) {
  if (!condition) std::abort();
}

const std::vector<audit::VerifierKey>& known() {
  static const auto keys = [] {
    const Bytes key(32, 1);
    return std::vector{
        audit::make_verifier_key("a", key),
        audit::make_verifier_key("b", key, audit::cosignature_type)};
  }();
  return keys;
}

// Lets the input reach the check of a signature: its lines are given the ids of known keys.
void verify_as_known(audit::Note note) {
  for (std::size_t i = 0; i < note.signatures.size(); ++i) {
    note.signatures[i].name = known()[i % 2].name;
    note.signatures[i].id = known()[i % 2].id;
  }
  require(!audit::verify_note(note, known()));
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  const std::string_view text(reinterpret_cast<const char*>(data), size);
  if (const auto note = audit::parse_note(text)) {
    require(note->print() == text);
    require(!note->signatures.empty());
    require(!audit::verify_note(text, known()));
    verify_as_known(*note);
  } else {
    render(note.error().message, Lang::en);
  }
  if (const auto key = audit::parse_verifier_key(text)) require(key->text() == text);
  if (const auto policy = audit::parse_log_policy(text)) {
    const auto again = audit::parse_log_policy(policy->print());
    require(again && *again == *policy);
    require(policy->quorum_of({}) == policy->quorum.empty());
  } else {
    render(policy.error().message, Lang::zh);
  }
  return 0;
}
