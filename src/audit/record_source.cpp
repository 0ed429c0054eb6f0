#include "tally/audit/record_source.hpp"

#include <memory>
#include <utility>

#include "tally/core/number.hpp"

#include "chain.hpp"
#include "record_scan.hpp"

namespace tally::audit {
namespace {

tl::unexpected<Error> malformed(std::size_t byte, std::string_view member) {
  return fail(
      ErrorKind::invalid,
      {"audit.record-malformed",
       {{"byte", std::to_string(byte)}, {"member", std::string(member.empty() ? "-" : member)}}}
  );
}

}  // namespace

RecordSource records_of(LogStorage& storage) {
  return [&storage](std::uint64_t from, const EachRecord& each) {
    return for_each_record(storage, from, each);
  };
}

RecordSource records_of(std::vector<std::string> texts) {
  // Shared: a source is copied like any function.
  const auto kept = std::make_shared<const std::vector<std::string>>(std::move(texts));
  return [kept](std::uint64_t from, const EachRecord& each) -> Result<void> {
    for (const std::string& text : *kept) {
      const auto view = view_record(text);
      if (!view) return tl::unexpected(view.error());
      if (view->seq >= from) each(*view);
    }
    return {};
  };
}

Result<RecordView> view_record(std::string_view text) {
  const RecordScan scan = scan_record(text);
  if (!scan.canonical) return malformed(scan.fault, {});
  RecordView view;
  view.text = text;
  view.leaf = leaf_hash(text);
  view.type = scan.plain("type");
  view.event = scan.plain("event");
  view.time = scan.plain("time");
  view.commitment = scan.plain("private");
  view.agreement = unquote(scan.value("agreement"));
  const auto seq = whole_number(scan.value("seq"));
  if (!seq) return malformed(0, "seq");
  view.seq = *seq;
  if (scan.value("v") != "1") return malformed(0, "v");
  if (view.type.empty()) return malformed(0, "type");
  if (!is_uuid(view.event)) return malformed(0, "event");
  if (!is_record_time(view.time)) return malformed(0, "time");
  if (unquote(scan.value("log")).empty()) return malformed(0, "log");
  if (scan.plain("prev").size() != 2 * sizeof(Digest)) return malformed(0, "prev");
  return view;
}

}  // namespace tally::audit
