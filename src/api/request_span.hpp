// A request as part of a trace: what it carries on, and what is told of it once it is answered.
#pragma once

#include <optional>
#include <string>

#include "tally/api/router.hpp"
#include "tally/core/peer.hpp"
#include "tally/core/trace.hpp"

namespace tally::api {

// Gives the request the context that what is asked elsewhere for it carries on: that of a span of
// ours, which is returned where the trace is to be recorded, or the one it came with. `random`
// makes its id; null: nobody is told of spans.
std::optional<Span> begin_span(HttpRequest& request, Random* random, Instant now);

// Says in codes and ids what was asked and what became of it. `route`: null: none was found.
void describe(Span& span, const Route* route, const HttpResponse& response);

// The context that a call carries on; empty: none.
std::string trace_of(const Call& call);
void carry_trace(const std::string& trace, PeerRequest& to);

}  // namespace tally::api
