// The one way a function of this program says that it could not find something out.
//
// A refusal by a policy or an illegal move of a state machine is not an Error: it is an ordinary
// answer (odrl::Decision, dsp::Move). An Error means: I could not do or could not know it. Nothing
// may be permitted on an Error.
#pragma once

#include <string>
#include <utility>

#include <tl/expected.hpp>

#include "tally/core/message.hpp"

namespace tally {

// Small on purpose; each kind has exactly one HTTP status (api/problem.hpp).
enum class ErrorKind {
  invalid,          // 400: what was sent or configured is wrong; sending it again will not help
  unauthenticated,  // 401
  forbidden,        // 403
  not_found,        // 404
  conflict,         // 409: the state has moved on, or a version did not match
  unavailable,      // 503: cannot be known or done now (log, store, clock, peer)
  internal,         // 500: a broken invariant; the detail goes to the operator only
};

struct Error {
  ErrorKind kind = ErrorKind::internal;
  Message message;      // code and parameters, rendered only where a person reads it
  std::string pointer;  // JSON pointer into the document that is at fault, or empty
};

template <class T>
using Result = tl::expected<T, Error>;

// Reads as: return fail(ErrorKind::invalid, {"core.json-duplicate-key", {{"key", key}}}, pointer);
inline tl::unexpected<Error> fail(ErrorKind kind, Message message, std::string pointer = {}) {
  return tl::unexpected<Error>(Error{kind, std::move(message), std::move(pointer)});
}
// Passes the error of one result on as the error of another.
template <class T>
tl::unexpected<Error> fail(Result<T>&& result) {
  return tl::unexpected<Error>(std::move(result).error());
}

}  // namespace tally
