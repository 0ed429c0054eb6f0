// What a call asks for in its address: values of the parameters that the asset declares. They
// choose rows and reach neither records nor messages. Pure.
#pragma once

#include <optional>
#include <span>
#include <string>
#include <vector>

#include "tally/catalog/schema.hpp"
#include "tally/core/digest.hpp"
#include "tally/core/http.hpp"
#include "tally/core/ids.hpp"
#include "tally/dataplane/shape.hpp"

namespace tally::api {

// What is asked beyond what was declared: refused, and recorded.
std::optional<Message> undeclared_parameter(
    const Target& target, std::span<const catalog::Parameter> declared
);

// In the order of `declared`. Precondition: nothing undeclared is asked. Errors: invalid
// (api.parameter-missing, api.parameter-twice, api.parameter-length).
Result<std::vector<dataplane::ColumnValue>> read_parameters(
    const Target& target, std::span<const catalog::Parameter> declared
);

// The shape (null: `schema` as it is) for what is asked. Errors: invalid (api.parameter-value).
Result<dataplane::ShapePtr> shape_of_call(
    const dataplane::ShapePtr& shape,
    const catalog::Schema& schema,
    std::span<const dataplane::ColumnValue> values
);

// An idempotency key that belongs to these values: with others it is another one. Keyed, so that
// nobody who sees what is kept of it can try values.
std::string bound_key(
    std::string key, const Digest& secret, std::span<const dataplane::ColumnValue> values
);

}  // namespace tally::api
