#include "tally/api/statement_routes.hpp"

#include <optional>
#include <string>
#include <utility>

#include <nlohmann/json.hpp>

#include "tally/api/peer_routes.hpp"
#include "tally/core/number.hpp"

#include "statement_admin.hpp"

namespace tally::api {

namespace {

// A number of the query; `absent` where it is not there. Errors: invalid (api.query-number).
Result<std::uint64_t> number_in(const Call& call, const char* name, std::uint64_t absent) {
  const std::string text = call.query(name);
  if (text.empty()) return absent;
  const auto number = whole_number(text);
  if (!number) return fail(ErrorKind::invalid, {"api.query-number", {{"name", name}}});
  return *number;
}

awaitable<HttpResponse> give_statements(transfer::StatementSender& statements, Call& call) {
  PartyId caller = call.caller.peer->party;
  AgreementId agreement(call.parameters.front());
  std::string after = call.query("after");
  auto answer =
      co_await statements.statements(std::move(agreement), std::move(caller), std::move(after));
  if (!answer) co_return problem(answer.error(), call.lang);
  co_return json_response(200, *answer);
}

awaitable<HttpResponse> give_uses(transfer::StatementSender& statements, Call& call) {
  const auto from = number_in(call, "from", 1);
  if (!from) co_return problem(from.error(), call.lang);
  const auto seq = number_in(call, "seq", 0);
  if (!seq) co_return problem(seq.error(), call.lang);
  PartyId caller = call.caller.peer->party;
  AgreementId agreement(call.parameters.front());
  auto answer = co_await statements.uses(
      std::move(agreement), std::move(caller), std::max<std::uint64_t>(*from, 1), *seq
  );
  if (!answer) co_return problem(answer.error(), call.lang);
  co_return json_response(200, *answer);
}

}  // namespace

std::vector<Route> peer_statement_routes(transfer::StatementSender& statements) {
  const auto path = [](std::string_view tail) {
    return std::string(tally_base_path) + std::string(tail);
  };
  const RouteHandler all = [&statements](Call& call) { return give_statements(statements, call); };
  const RouteHandler uses = [&statements](Call& call) { return give_uses(statements, call); };
  return {
      {"GET", path("/agreements/:agreement/statements"), Role::peer, Where::home, all},
      {"GET", path("/agreements/:agreement/uses"), Role::peer, Where::home, uses},
  };
}

awaitable<HttpResponse> post_statement_inquiry(ManagementParts parts, Call& call) {
  const auto from = number_in(call, "from", 1);
  if (!from) co_return problem(from.error(), call.lang);
  AgreementId agreement(call.parameters.front());
  auto account =
      co_await parts->inquiry.ask(std::move(agreement), std::max<std::uint64_t>(*from, 1));
  if (!account) co_return problem(account.error(), call.lang);
  Json body = transfer::to_json(*account);
  Json gaps = Json::array();
  for (const auto& gap : transfer::gaps_in(*account)) gaps.push_back(shown_message(gap, call.lang));
  body["gaps"] = std::move(gaps);
  co_return json_response(200, body);
}

}  // namespace tally::api
