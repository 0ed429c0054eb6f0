// What every answer with data has in common, whoever asks: its use is closed when the transport is
// done with the body, its digest is of exactly what went out, and it says which use it is.
#pragma once

#include <cstdint>
#include <functional>
#include <memory>
#include <optional>
#include <string>

#include "tally/api/router.hpp"
#include "tally/core/digest.hpp"
#include "tally/dataplane/source.hpp"
#include "tally/transfer/token_registry.hpp"
#include "tally/transfer/use_receipts.hpp"
#include "tally/usage/joint.hpp"

namespace tally::api {

// Shared by a stream's digest, which knows the content, and the transport's end, which knows
// whether all of it went out.
struct Sending {
  usage::JointGrant grants;  // one, but for what was derived under several agreements
  usage::JointGrant onward;  // of the agreements under which what goes out is held
  std::shared_ptr<transfer::DataAccess> access;  // null: of what custody holds
  std::string content;                           // "sha256:…" once all of it was read
  bool read_whole = false;
  std::optional<std::uint64_t> rows;  // of all of it, where that is known
};

// Closes the use when the transport is done with the body; `whole` runs when all of the data has
// gone out, with its digest.
std::function<void(std::uint64_t, bool)> completion(
    usage::Enforcer& enforcer,
    std::shared_ptr<Sending> sending,
    std::function<void(const std::string& content, std::uint64_t bytes)> whole
);

// Gives back what no byte was handed over for.
awaitable<void> give_back(usage::Enforcer& enforcer, std::shared_ptr<Sending> sending);

// Whether what was begun may go on under every grant.
bool may_go_on(usage::Enforcer& enforcer, const Sending& sending);

// Of a use that was permitted, and stopped while it waited for its data: given back, and asked for
// again, so that the answer says why and the refusal is in the log. `act` is what was permitted.
awaitable<HttpResponse> refuse_stopped(
    usage::Enforcer& enforcer, usage::JointGrant grants, usage::Act act, Lang lang
);

// Whether it is the policy that a body was refused by, not the data.
bool is_of_policy(const Error& error);

// Of an act that cannot be carried out here: refused in the log, then to whoever asked.
awaitable<HttpResponse> refuse(usage::Enforcer& enforcer, usage::Act act, Lang lang);

// What the answer to a use says of it. The permits are durable, so the receipt (of the first) is
// there before the first byte. Errors: those of the signature.
awaitable<Result<void>> describe_use(
    HttpResponse& response, const usage::JointGrant& grants, transfer::UseReceipts* receipts
);

// Reads and digests what lies before a resumed range, so that the digest is of the whole.
awaitable<Result<void>> digest_prefix(
    dataplane::Source& source, std::uint64_t length, Sha256& sha, std::size_t piece
);

// Digests what it passes on. What lay before a resumed range is in `sha` already, so that the
// digest is of the whole. A transport that was told the length does not ask for the end: the last
// byte is it.
std::unique_ptr<BodyReader> sent_reader(
    std::unique_ptr<BodyReader> inner,
    std::uint64_t length,
    Sha256 sha,
    std::shared_ptr<Sending> sending
);

}  // namespace tally::api
