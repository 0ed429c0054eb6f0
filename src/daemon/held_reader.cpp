#include "held_reader.hpp"

#include <optional>
#include <utility>
#include <vector>

#include <nlohmann/json.hpp>

namespace tally::daemon {

HeldReader::HeldReader(
    custody::Custody* custody,
    const custody::Holdings* holdings,
    const usage::Enforcer& enforcer,
    const PseudonymSecret& secret
)
    : custody_(custody), holdings_(holdings), enforcer_(enforcer), secret_(secret) {}

// The data came in the form that their provider said: what it did is not done again.
Result<HeldReader::Shapes> HeldReader::shapes_of(const custody::Holding& holding) {
  {
    const std::lock_guard lock(mutex_);
    const auto known = shapes_.find(holding.id.value);
    if (known != shapes_.end()) return known->second;
  }
  const auto agreement = enforcer_.state(holding.agreement);
  if (!agreement) {
    return fail(
        ErrorKind::not_found, {"api.unknown-agreement", {{"agreement", holding.agreement.value}}}
    );
  }
  std::optional<catalog::Schema> schema;
  std::vector<RuleId> done;
  if (holding.form.is_object()) {
    const std::string media_type = holding.form.value("mediaType", std::string());
    auto parsed = catalog::parse_schema(holding.form.value("schema", Json()), media_type);
    // What cannot be read is not there: whatever needs it is refused.
    if (parsed) schema = *std::move(parsed);
    for (const auto& duty : holding.form.value("duties", Json::array())) {
      if (duty.is_string()) done.emplace_back(duty.get<std::string>());
    }
  }
  const auto keys = secret_.keys_of(holding.agreement);
  auto made = std::make_shared<const dataplane::RuleShapes>(
      *agreement->terms.policy, schema ? &*schema : nullptr, keys.get(), done
  );
  const std::lock_guard lock(mutex_);
  return shapes_.emplace(holding.id.value, std::move(made)).first->second;
}

Result<api::HeldData> HeldReader::held(const AgreementId& agreement) {
  std::optional<custody::Holding> latest;
  std::optional<Instant> destroyed;
  bool destroying = false;
  if (holdings_ != nullptr) {
    // Several pulls under one agreement share its counter; the latest is what is read.
    for (auto& holding : holdings_->of(agreement)) {
      if (holding.state == custody::HoldingState::destroying) destroying = true;
      if (holding.destroyed) destroyed = holding.destroyed;
      if (holding.state != custody::HoldingState::held) continue;
      if (!latest || latest->received < holding.received) latest = std::move(holding);
    }
  }
  if (latest) {
    auto shapes = shapes_of(*latest);
    if (!shapes) return fail(std::move(shapes));
    api::HeldData out;
    out.artefact = latest->id;
    out.length = latest->bytes;
    out.media_type = latest->media_type.empty() ? "application/octet-stream" : latest->media_type;
    out.content = latest->content;
    out.shapes = *std::move(shapes);
    return out;
  }
  if (destroying) {
    return fail(ErrorKind::not_found, {"api.being-destroyed", {{"agreement", agreement.value}}});
  }
  if (destroyed) {
    return fail(
        ErrorKind::not_found,
        {"api.destroyed", {{"agreement", agreement.value}, {"at", format_seconds(*destroyed)}}}
    );
  }
  return fail(ErrorKind::not_found, {"api.nothing-held", {{"agreement", agreement.value}}});
}

awaitable<Result<std::unique_ptr<BodyReader>>> HeldReader::open(
    ArtefactId artefact, std::uint64_t offset
) {
  if (custody_ == nullptr) {
    co_return fail(
        ErrorKind::not_found, {"custody.unknown-artefact", {{"artefact", artefact.value}}}
    );
  }
  auto opened = co_await custody_->open(std::move(artefact), offset);
  if (!opened) co_return fail(std::move(opened));
  co_return std::move(opened->body);
}

}  // namespace tally::daemon
