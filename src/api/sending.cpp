#include "sending.hpp"

#include <algorithm>
#include <utility>

#include "tally/api/data_routes.hpp"

#include "acts.hpp"

namespace tally::api {

namespace {

class SentReader final : public BodyReader {
 public:
  SentReader(
      std::unique_ptr<BodyReader> inner,
      std::uint64_t length,
      Sha256 sha,
      std::shared_ptr<Sending> sending
  )
      : inner_(std::move(inner)),
        left_(length),
        sha_(std::move(sha)),
        sending_(std::move(sending)) {
    if (left_ == 0) end();
  }

  awaitable<Result<std::size_t>> read(std::span<std::uint8_t> out) override {
    if (left_ == 0) co_return std::size_t{0};
    auto got = co_await inner_->read(out.first(std::min<std::uint64_t>(left_, out.size())));
    if (!got || *got == 0) co_return got;
    sha_.update(out.first(*got));
    if (sending_->access) sending_->access->moved();
    left_ -= std::min<std::uint64_t>(left_, *got);
    if (left_ == 0) end();
    co_return got;
  }

 private:
  void end() {
    if (std::exchange(sending_->read_whole, true)) return;
    sending_->content = digest_text(sha_.finish());
  }

  std::unique_ptr<BodyReader> inner_;
  std::uint64_t left_;
  Sha256 sha_;
  std::shared_ptr<Sending> sending_;
};

}  // namespace

std::function<void(std::uint64_t, bool)> completion(
    usage::Enforcer& enforcer,
    std::shared_ptr<Sending> sending,
    std::function<void(const std::string& content, std::uint64_t bytes)> whole
) {
  return [&enforcer,
          sending = std::move(sending),
          whole = std::move(whole)](std::uint64_t bytes, bool complete) {
    const bool done = complete && sending->read_whole;
    usage::Outcome outcome;
    outcome.bytes = bytes;
    outcome.complete = done;
    if (done) outcome.content = sending->content;
    if (done) outcome.rows = sending->rows;
    usage::complete_all(enforcer, sending->grants, outcome);
    usage::complete_all(enforcer, sending->onward, outcome);
    if (done && whole) whole(outcome.content, bytes);
  };
}

bool is_of_policy(const Error& error) {
  return error.message.code == "dataplane.too-many-rows";
}

awaitable<HttpResponse> refuse(usage::Enforcer& enforcer, usage::Act act, Lang lang) {
  auto refused = co_await enforcer.authorise(std::move(act));
  if (!refused) co_return problem(refused.error(), lang);
  if (const auto* refusal = std::get_if<usage::Refusal>(&*refused)) {
    co_return refusal_response(*refusal, lang);
  }
  co_await enforcer.abort(std::get<usage::Grant>(*std::move(refused)));
  co_return problem(500, {"api.internal", {}}, lang);
}

awaitable<HttpResponse> refuse_stopped(
    usage::Enforcer& enforcer, usage::JointGrant grants, usage::Act act, Lang lang
) {
  co_await usage::abort_all(enforcer, std::move(grants));
  auto again = co_await enforcer.authorise(std::move(act));
  if (!again) co_return problem(again.error(), lang);
  if (const auto* refusal = std::get_if<usage::Refusal>(&*again)) {
    co_return refusal_response(*refusal, lang);
  }
  // It may go on again.
  co_await enforcer.abort(std::get<usage::Grant>(*std::move(again)));
  co_return problem(503, {"api.stopped-meanwhile", {}}, lang);
}

awaitable<Result<void>> describe_use(
    HttpResponse& response, const usage::JointGrant& grants, transfer::UseReceipts* receipts
) {
  std::string uses;
  const usage::Grant* least = &grants.front();
  for (const auto& grant : grants) {
    uses += (uses.empty() ? "" : ", ") + grant.use.value;
    if (grant.left && (!least->left || *grant.left < *least->left)) least = &grant;
  }
  response.headers.set("Tally-Use", std::move(uses));
  tell_rest(response, *least);
  if (receipts == nullptr) co_return Result<void>{};
  const auto receipt = co_await receipts->receipt(grants.front());
  if (!receipt) co_return tl::unexpected(receipt.error());
  response.headers.set("Tally-Use-Receipt", audit::to_header(*receipt));
  co_return Result<void>{};
}

awaitable<void> give_back(usage::Enforcer& enforcer, std::shared_ptr<Sending> sending) {
  co_await usage::abort_all(enforcer, sending->grants);
  co_await usage::abort_all(enforcer, sending->onward);
}

bool may_go_on(usage::Enforcer& enforcer, const Sending& sending) {
  const auto goes_on = [&](const usage::Grant& grant) { return enforcer.may_go_on(grant); };
  return std::ranges::all_of(sending.grants, goes_on) &&
         std::ranges::all_of(sending.onward, goes_on);
}

awaitable<Result<void>> digest_prefix(
    dataplane::Source& source, std::uint64_t length, Sha256& sha, std::size_t piece
) {
  auto reader = co_await source.open(0, length);
  if (!reader) co_return fail(std::move(reader));
  std::vector<std::uint8_t> buffer(piece);
  for (std::uint64_t left = length; left > 0;) {
    const std::size_t most = std::min<std::uint64_t>(left, buffer.size());
    auto got = co_await (*reader)->read(std::span(buffer).first(most));
    if (!got) co_return fail(std::move(got));
    if (*got == 0) co_return fail(ErrorKind::unavailable, {"api.source-short", {}});
    sha.update(std::span(buffer).first(*got));
    left -= *got;
  }
  co_return Result<void>{};
}

std::unique_ptr<BodyReader> sent_reader(
    std::unique_ptr<BodyReader> inner,
    std::uint64_t length,
    Sha256 sha,
    std::shared_ptr<Sending> sending
) {
  return std::make_unique<SentReader>(std::move(inner), length, std::move(sha), std::move(sending));
}

}  // namespace tally::api
