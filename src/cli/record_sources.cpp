#include "record_sources.hpp"

#include <utility>

#include "tally/evidence/check.hpp"

#include "bundle_commands.hpp"
#include "log_folder.hpp"

namespace tally::cli {

std::optional<CheckedSource> open_source(
    const Console& console, const std::filesystem::path& path, int& code
) {
  CheckedSource source;
  source.path = path.string();
  if (!std::filesystem::is_regular_file(path)) {
    auto log = open_checked(console, path, code);
    if (!log) return std::nullopt;
    source.storage = std::move(log->storage);
    source.records = audit::records_of(*source.storage);
    source.whole = log->whole;
    return source;
  }
  const auto bytes = read_bundle(path);
  if (!bytes) {
    code = console.fail(bytes.error(), usage);
    return std::nullopt;
  }
  const auto report = evidence::check_bundle(*bytes, {});
  const auto bundle = evidence::parse_bundle(*bytes);
  if (report.finding || !bundle) {
    const Message why = report.finding ? report.finding->message : bundle.error().message;
    code = console.fail(
        Message{"cli.bundle-unusable", {{"file", path.string()}, {"what", console.text(why)}}},
        refused
    );
    return std::nullopt;
  }
  source.records = evidence::records_of(*bundle);
  source.agreement = bundle->agreement;
  source.whole = report.verdict == audit::Verdict::whole;
  return source;
}

}  // namespace tally::cli
