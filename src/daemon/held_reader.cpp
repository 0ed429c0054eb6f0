#include "held_reader.hpp"

#include <optional>
#include <utility>
#include <vector>

#include <nlohmann/json.hpp>

namespace tally::daemon {

namespace {

tl::unexpected<Error> altered(const custody::Holding& holding) {
  return fail(
      ErrorKind::unavailable,
      {"api.altered", {{"agreement", holding.agreement.value}, {"artefact", holding.id.value}}}
  );
}

// Whether an error of a read is about the bytes, and not about the disk or a destruction.
bool is_of_the_bytes(const Error& error) {
  return error.kind == ErrorKind::internal || error.kind == ErrorKind::invalid;
}

// What a use meets in the middle is looked at again as a whole.
class WatchedReader final : public BodyReader {
 public:
  WatchedReader(
      std::unique_ptr<BodyReader> body, custody::Rechecker& rechecker, ArtefactId artefact
  )
      : body_(std::move(body)), rechecker_(rechecker), artefact_(std::move(artefact)) {}

  awaitable<Result<std::size_t>> read(std::span<std::uint8_t> out) override {
    auto n = co_await body_->read(out);
    if (!n && is_of_the_bytes(n.error())) rechecker_.suspect(artefact_);
    co_return n;
  }

 private:
  const std::unique_ptr<BodyReader> body_;
  custody::Rechecker& rechecker_;
  const ArtefactId artefact_;
};

}  // namespace

HeldReader::HeldReader(
    custody::Custody* custody,
    const custody::Holdings* holdings,
    custody::Rechecker* rechecker,
    const usage::Enforcer& enforcer,
    const PseudonymSecret& secret
)
    : custody_(custody),
      holdings_(holdings),
      rechecker_(rechecker),
      enforcer_(enforcer),
      secret_(secret) {}

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
    latest = custody::to_read(*holdings_, agreement);
    for (const auto& holding : holdings_->of(agreement)) {
      if (holding.state == custody::HoldingState::destroying) destroying = true;
      if (holding.destroyed) destroyed = holding.destroyed;
    }
  }
  if (latest) return describe(*latest);
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

Result<api::HeldData> HeldReader::describe(const custody::Holding& holding) {
  // Before anything is counted: a use of what is not what was received would be of nothing.
  if (!holding.altered.code.empty()) return altered(holding);
  api::HeldData out;
  out.is_derived = holding.is_derived();
  if (!out.is_derived) {
    auto shapes = shapes_of(holding);
    if (!shapes) return fail(std::move(shapes));
    out.shapes = *std::move(shapes);
  }
  out.artefact = holding.id;
  out.length = holding.bytes;
  out.media_type = holding.media_type.empty() ? "application/octet-stream" : holding.media_type;
  out.content = holding.content;
  out.asset_class = holding.asset_class;
  return out;
}

Result<api::HeldData> HeldReader::artefact(const ArtefactId& id) {
  const auto holding = holdings_ == nullptr ? std::nullopt : holdings_->find(id);
  if (!holding || holding->state == custody::HoldingState::staged) {
    return fail(ErrorKind::not_found, {"custody.unknown-artefact", {{"artefact", id.value}}});
  }
  if (holding->state == custody::HoldingState::held) return describe(*holding);
  const std::string agreement = holding->ends_under().value;
  if (!holding->destroyed) {
    return fail(ErrorKind::not_found, {"api.being-destroyed", {{"agreement", agreement}}});
  }
  return fail(
      ErrorKind::not_found,
      {"api.destroyed", {{"agreement", agreement}, {"at", format_seconds(*holding->destroyed)}}}
  );
}

std::vector<AgreementId> HeldReader::bound_by(const ArtefactId& id) {
  const auto holding = holdings_ == nullptr ? std::nullopt : holdings_->find(id);
  if (!holding) return {};
  return holding->is_derived() ? holding->bound_by : std::vector<AgreementId>{holding->agreement};
}

awaitable<Result<std::unique_ptr<BodyReader>>> HeldReader::open(
    ArtefactId artefact, std::uint64_t offset
) {
  if (custody_ == nullptr) {
    co_return fail(
        ErrorKind::not_found, {"custody.unknown-artefact", {{"artefact", artefact.value}}}
    );
  }
  auto opened = co_await custody_->open(artefact, offset);
  if (!opened) {
    const auto holding = holdings_->find(artefact);
    const bool held = holding && holding->state == custody::HoldingState::held;
    const bool gone = opened.error().kind == ErrorKind::not_found;
    if (!held || (!gone && !is_of_the_bytes(opened.error()))) co_return fail(std::move(opened));
    rechecker_->suspect(artefact);
    co_return altered(*holding);
  }
  std::unique_ptr<BodyReader> body =
      std::make_unique<WatchedReader>(std::move(opened->body), *rechecker_, std::move(artefact));
  co_return body;
}

}  // namespace tally::daemon
