#include "tally/transfer/statement_inquiry.hpp"

#include <algorithm>
#include <utility>

#include <nlohmann/json.hpp>

#include "tally/core/json.hpp"
#include "tally/negotiation/agreement.hpp"
#include "tally/negotiation/exchange.hpp"

namespace tally::transfer {

namespace {

constexpr std::size_t most_statement_pages = 50;
constexpr int most_attempts = 20;
constexpr Nanos attempt_pause = milliseconds(250);

std::string text(std::uint64_t number) {
  return std::to_string(number);
}

// What is stated by a log is compared with what that log is said to hold.
bool is_of(const audit::Statement& statement, const UseAccount& account) {
  return statement.origin == account.origin;
}

void look_at_numbers(const UseAccount& account, std::vector<Message>& gaps) {
  std::uint64_t number = 0;
  std::uint64_t to = 0;
  for (const auto& statement : account.statements) {
    if (!is_of(statement, account)) continue;
    while (++number < statement.number) {
      gaps.push_back({"transfer.statement-missing", {{"number", text(number)}}});
    }
    const bool follows = number == 1 || statement.sums.from == to + 1;
    if (!follows) {
      gaps.push_back(
          {"transfer.statement-not-contiguous",
           {{"number", text(statement.number)},
            {"from", text(statement.sums.from)},
            {"before", text(to)}}}
      );
    }
    to = statement.sums.to;
  }
  if (to > account.last) {
    gaps.push_back(
        {"transfer.records-fewer-than-stated", {{"last", text(account.last)}, {"stated", text(to)}}}
    );
  }
}

void look_at_records(const UseAccount& account, std::vector<Message>& gaps) {
  const auto missing = [&gaps](std::uint64_t from, std::uint64_t to) {
    if (from > to) return;
    gaps.push_back({"transfer.records-missing", {{"from", text(from)}, {"to", text(to)}}});
  };
  std::uint64_t next = account.from;
  for (const auto& line : account.lines) {
    missing(next, line.aseq - 1);
    next = line.aseq + 1;
  }
  if (account.lines.size() < most_lines_asked) missing(next, account.last);
}

void look_at_sums(const UseAccount& account, std::vector<Message>& gaps) {
  if (account.lines.empty()) return;
  for (const auto& statement : account.statements) {
    const auto& sums = statement.sums;
    // Of one whose records were not asked for there is nothing to say.
    if (!is_of(statement, account) || sums.from < account.from ||
        sums.to > account.lines.back().aseq) {
      continue;
    }
    const auto added = audit::add_up(account.lines, sums.from, sums.to);
    if (added == sums) continue;
    gaps.push_back(
        {"transfer.statement-other-sums",
         {{"number", text(statement.number)},
          {"stated", to_jcs(sums.to_json())},
          {"added", to_jcs(added.to_json())}}}
    );
  }
}

}  // namespace

std::vector<Message> gaps_in(const UseAccount& account) {
  std::vector<Message> gaps;
  look_at_numbers(account, gaps);
  look_at_records(account, gaps);
  look_at_sums(account, gaps);
  return gaps;
}

Json to_json(const UseAccount& account) {
  Json statements = Json::array();
  for (const auto& statement : account.statements) {
    Json item = statement.sums.to_json();
    item["number"] = statement.number;
    item["origin"] = statement.origin;
    statements.push_back(std::move(item));
  }
  Json records = Json::array();
  for (const auto& line : account.lines) {
    Json item = {{"aseq", line.aseq}, {"seq", line.seq}, {"time", line.time}, {"type", line.type}};
    if (!line.action.empty()) item["action"] = line.action;
    if (!line.code.empty()) item["code"] = line.code;
    if (line.type == "use.executed") item["bytes"] = line.bytes;
    if (line.rows) item["rows"] = *line.rows;
    records.push_back(std::move(item));
  }
  Json out = {
      {"statements", std::move(statements)},
      {"records", std::move(records)},
      {"last", account.last},
      {"log", {{"origin", account.origin}, {"size", account.size}}}};
  const auto whole = audit::add_up(account.lines, account.from, account.last);
  out["sums"] = {{"uses", whole.uses}, {"bytes", whole.bytes}, {"refusals", Json(whole.refusals)}};
  if (whole.rows) out["sums"]["rows"] = *whole.rows;
  if (!account.lines.empty() && account.lines.back().aseq < account.last) {
    out["next"] = account.lines.back().aseq + 1;
  }
  return out;
}

// One page; who is busy is asked again for a while.
awaitable<Result<Json>> StatementInquiry::get(PartyId from, std::string url) const {
  for (int attempt = 1;; ++attempt) {
    PeerRequest request;
    request.to = from;
    request.url = url;
    request.http.method = "GET";
    auto answer = co_await peer_.send(std::move(request));
    if (!answer) co_return fail(std::move(answer));
    if (answer->status == 200) {
      auto json = parse_json(answer->body);
      if (json && json->is_object()) co_return *std::move(json);
    }
    if (answer->status != 503 || attempt == most_attempts) {
      const Message refused{
          "transfer.no-account", {{"peer", from.uri}, {"status", std::to_string(answer->status)}}};
      co_return fail(ErrorKind::unavailable, refused);
    }
    co_await timers_.sleep_for(attempt_pause);
  }
}

awaitable<Result<UseAccount>> StatementInquiry::ask(AgreementId id, std::uint64_t from) const {
  const auto agreement = negotiation::find_agreement(store_, id);
  if (!agreement) co_return tl::unexpected(agreement.error());
  if (!*agreement) {
    const Message unknown{"api.unknown-agreement", {{"agreement", id.value}}};
    co_return fail(ErrorKind::not_found, unknown);
  }
  const PartyId peer = (*agreement)->peer();
  const auto base = peers_.tally_url(peer);
  const auto public_key = (*agreement)->peer_key();
  if (!base || !public_key) {
    const Message none{"transfer.no-statements-there", {{"peer", peer.uri}}};
    co_return fail(ErrorKind::conflict, none);
  }
  const auto key = audit::make_verifier_key(peer.uri, *public_key);
  const std::string at = *base + "/agreements/" + percent_encode_segment(id.value);
  const Message other{"transfer.receipt-of-another", {}};

  UseAccount account;
  account.from = from;
  std::string after;
  for (std::size_t page = 0; page < most_statement_pages; ++page) {
    std::string url = at + "/statements";
    if (!after.empty()) url += "?after=" + percent_encode_segment(after);
    const auto answer = co_await get(peer, std::move(url));
    if (!answer) co_return tl::unexpected(answer.error());
    const auto notes = answer->find("statements");
    if (notes == answer->end() || !notes->is_array()) {
      co_return fail(ErrorKind::invalid, {"audit.statement-malformed", {}});
    }
    for (const Json& note : *notes) {
      std::string signed_note = note.is_string() ? note.get<std::string>() : std::string();
      auto statement = audit::verify_statement(signed_note, key);
      if (!statement) co_return fail(std::move(statement));
      if (statement->agreement != id) co_return fail(ErrorKind::invalid, other);
      // Another under a number that is held is the other side's contradiction; the first stands.
      const auto held = co_await transfers_.take_statement(peer, id, std::move(signed_note));
      if (held.status == 409) {
        const Message contradicts{
            "transfer.statement-other",
            {{"agreement", id.value}, {"number", std::to_string(statement->number)}}};
        co_return fail(ErrorKind::conflict, contradicts);
      }
      account.statements.push_back(*std::move(statement));
    }
    after = negotiation::text_of(*answer, "next");
    if (after.empty()) break;
  }
  std::ranges::sort(account.statements, {}, &audit::Statement::number);

  std::uint64_t seq = 0;
  for (std::uint64_t next = from; account.lines.size() < most_lines_asked;) {
    std::string url = at + "/uses?from=" + std::to_string(next) + "&seq=" + std::to_string(seq);
    const auto answer = co_await get(peer, std::move(url));
    if (!answer) co_return tl::unexpected(answer.error());
    auto list = audit::verify_use_list(negotiation::text_of(*answer, "uses"), key);
    if (!list) co_return fail(std::move(list));
    if (list->agreement != id || list->from != next) co_return fail(ErrorKind::invalid, other);
    account.last = std::max(account.last, list->last);
    account.origin = list->origin;
    account.size = list->size;
    const bool whole = list->is_whole();
    for (auto& line : list->lines) account.lines.push_back(std::move(line));
    if (whole) break;
    next = account.lines.back().aseq + 1;
    seq = account.lines.back().seq + 1;
  }
  co_return account;
}

}  // namespace tally::transfer
