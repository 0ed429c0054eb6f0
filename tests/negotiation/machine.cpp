#include "negotiation/machine.hpp"

#include <stdexcept>

#include <gtest/gtest.h>

#include "tally/audit/note.hpp"
#include "tally/dsp/binding.hpp"

#include "usage/ledger_part.hpp"

namespace tally::negotiation::test {

const testing::TestPki& pki() {
  static const testing::TestPki made;
  return made;
}

std::shared_ptr<const identity::ContractSigner> signer_of(const PartyId& party) {
  static std::map<PartyId, std::shared_ptr<const identity::ContractSigner>> made;
  auto& signer = made[party];
  if (!signer) {
    auto& anchors = const_cast<testing::TestPki&>(pki());  // issuing counts serial numbers
    auto& anchor = party.domain == "city" ? anchors.city : anchors.health;
    signer = testing::load_signer(anchor.contract(party.uri));
  }
  return signer;
}

identity::PeerIdentity identity_of(const PartyId& party, int certificate) {
  identity::PeerIdentity identity;
  identity.party = party;
  identity.certificate_sha256 =
      to_hex(sha256(to_string(party) + " " + std::to_string(certificate)));
  identity.not_after = {4'000'000'000, 0};
  identity.good_until = identity.not_after;
  return identity;
}

std::string Directory::root_of(const PartyId& party) {
  const auto name = party.uri.substr(party.uri.rfind(':') + 1);
  return std::string(party.domain == "city" ? "https://city." : "https://") + name;
}

bool Directory::host_allowed(const PartyId& party, std::string_view url) const {
  const auto root = root_of(party);
  return url == root || url.starts_with(root + "/");
}

std::optional<std::string> Directory::base_url(const PartyId& party) const {
  return root_of(party) + dsp_base;
}

std::optional<std::string> Directory::tally_url(const PartyId& party) const {
  if (!tally) return std::nullopt;
  return root_of(party) + "/tally/v1";
}

std::optional<VisibleOffer> Offers::find(
    const OfferId& offer, const AssetId& target, const Viewer& viewer
) const {
  const auto found = offers.find(offer.value);
  if (found == offers.end()) return std::nullopt;
  if (!target.empty() && found->second.offer.asset != target) return std::nullopt;
  const auto& visible_to = found->second.visible_to;
  if (!visible_to.empty() && !visible_to.contains(viewer.party)) return std::nullopt;
  return found->second.offer;
}

std::optional<PinnedAsset> Offers::asset(const AssetId& asset) const {
  for (const auto& [id, offered] : offers) {
    if (offered.offer.asset != asset) continue;
    return PinnedAsset{
        offered.offer.asset_version, offered.offer.asset_level, offered.offer.asset_class};
  }
  return std::nullopt;
}

void Rules::read(const std::vector<Json>& rules) {
  const Json document = {{"rules", rules}};
  auto made = read_rules({{"rules/test.json", document.dump(), catalog::Home::file}}, Limits{});
  if (!made.problems.empty()) {
    const auto& first = made.problems.front();
    throw std::runtime_error(first.pointer + " " + render(first.message, Lang::en));
  }
  book = *made.book;
}

Json offer_policy(const std::string& id, int count) {
  const auto atom = [](const std::string& operand, const std::string& op, Json value) {
    return Json{
        {"leftOperand", "http://www.w3.org/ns/odrl/2/" + operand},
        {"operator", op},
        {"rightOperand", std::move(value)}};
  };
  const auto purposes = Json::array({research, "urn:test:purpose:statistics"});
  const Json permission = {
      {"action", "use"},
      {"constraint",
       {atom("purpose", "isAnyOf", purposes),
        atom("count", "lteq", std::to_string(count)),
        atom("dateTime", "lt", "2027-01-01T00:00:00Z")}},
      {"duty", {{{"action", "http://www.w3.org/ns/odrl/2/delete"}}}},
  };
  return {
      {"@id", id},
      {"@type", "Offer"},
      {"target", "urn:test:cohort"},
      {"permission", Json::array({permission})},
  };
}

VisibleOffer cohort_offer(const std::string& id, int count) {
  VisibleOffer offer;
  offer.id = OfferId(id);
  offer.asset = AssetId("urn:test:cohort");
  offer.asset_version = "sha256:0";
  offer.asset_level = 3;
  offer.asset_class = "health";
  offer.policy = offer_policy(id, count);
  return offer;
}

Machine::Machine(sim::World& in, sim::SimNetwork& on, PartyId who)
    : world(in), network(on), self(std::move(who)), disk(in) {
  log_key = audit::make_verifier_key(origin(), Bytes(32, 7));
}

Machine::~Machine() {
  destroy();
}

void Machine::start() {
  disk.power_on();
  ++starts;
  node = std::make_unique<sim::Node>(world, self.uri + "#" + std::to_string(starts));
  store = std::make_unique<sim::MemoryStore>(*node, image);
  storage = std::make_unique<sim::SimLogStorage>(disk);
  const auto must = [&](const auto& result, const char* what) {
    if (result) return;
    const auto& message = result.error().message;
    throw std::runtime_error(
        std::string(what) + ": " + message.code + ": " + render(message, Lang::en) + " " +
        world.where()
    );
  };
  auto mark = store->mark();
  must(mark, "mark");
  auto drafts = store->drafts();
  must(drafts, "drafts");
  audit::OutboxSearch search(std::move(*drafts), *mark);
  const auto snapshot = audit::load_snapshot(*store);
  must(snapshot, "snapshot");
  const audit::MakeLogParts make_parts = [this] {
    return std::make_unique<usage::test::LedgerPart>(
        std::make_unique<usage::Enforcer>(node->clock(), node->random(), limits)
    );
  };
  const auto see = [&search](const audit::RecordView& record) { search.see(record); };
  auto reopened = audit::reopen_log(*storage, *mark, snapshot, make_parts, see);
  if (!reopened && reopened.error().kind == ErrorKind::not_found && mark->size == 0) {
    audit::Genesis genesis;
    genesis.origin = origin();
    genesis.actor = self;
    genesis.vkey = log_key.text();
    must(audit::create_log(*storage, genesis, node->clock(), node->random()), "create_log");
    reopened = audit::reopen_log(*storage, *mark, snapshot, make_parts, see);
  }
  must(reopened, "reopen");
  // What a snapshot stands on was durable before it.
  if (reopened->refused) throw std::runtime_error(render(*reopened->refused, Lang::en));
  if (search.from() < reopened->from) {
    must(audit::for_each_record(*storage, search.from(), see), "read");
  }
  // No crash leaves a store that is behind the log in what it alone keeps.
  must(search.check_store(), "store");
  enforcer = std::move(static_cast<usage::test::LedgerPart&>(*reopened->parts).enforcer);
  log = std::make_unique<audit::LogWriter>(
      *storage, std::move(reopened->recovered), node->clock(), node->random(), limits
  );
  pump = std::make_unique<sim::LogPump>(*node, *log);
  enforcer->attach(*log);
  journal = std::make_unique<audit::Journal>(*store, *log);
  snapshots = std::make_unique<audit::SnapshotKeeper>(
      audit::SnapshotKeeperParts{
          *store,
          *journal,
          *log,
          node->worker(),
          [this] { return std::make_unique<sim::SimLogStorage>(disk); },
          make_parts},
      reopened->from
  );
  trust = std::make_unique<identity::TrustSource>(pki().trust());
  tasks = std::make_unique<TaskGroup>(node->executor(), node->notices());
  peer = network.peer(*node, self);
  delivery = std::make_unique<Delivery>(
      *store, *peer, node->clock(), node->timers(), *tasks, node->notices(), limits
  );
  NegotiationSettings settings;
  settings.self = self;
  settings.base_url = [base = Directory::root_of(self) + dsp_base](const PartyId&) { return base; };
  settings.unasked_offers = unasked_offers;
  settings.counter_offers = counter_offers;
  settings.keeps_keys = keeps_keys;
  std::shared_ptr<const identity::ContractSigner> signer;
  if (has_signer) signer = signer_of(self);
  if (key_statement && signer) {
    settings.key_statement = identity::sign_key_statement(*key_statement, *signer);
  }
  negotiations = std::make_unique<NegotiationService>(
      NegotiationParts{
          *store,
          *journal,
          *delivery,
          node->clock(),
          node->timers(),
          node->random(),
          *tasks,
          node->notices(),
          *book,
          directory,
          *enforcer,
          *trust,
          signer,
          {},
          &rules,
          hook},
      std::move(settings)
  );
  build();
  // The next start goes on from here. Before anything moves by itself; where a test has the disk
  // fail, there is none.
  (void)await(snapshots->take());
  must(await(begin_all(std::move(search))), "begin");
  network.serve(
      *node,
      Directory::root_of(self) + "/",
      self,
      [this](HttpRequest request, PartyId caller) {
        return handle(std::move(request), std::move(caller));
      }
  );
}

awaitable<Result<void>> Machine::begin_all(audit::OutboxSearch search) {
  auto replayed = co_await journal->replay(std::move(search));
  if (!replayed) co_return replayed;
  auto loaded = negotiations->load();
  if (!loaded) co_return loaded;
  auto begun = co_await begin();
  if (!begun) co_return begun;
  auto finished = co_await enforcer->finish_replay();
  if (!finished) co_return finished;
  auto resumed = delivery->resume();
  if (!resumed) co_return resumed;
  resumed = negotiations->resume();
  if (!resumed) co_return resumed;
  co_return resume_all();
}

void Machine::destroy() {
  if (!node) return;
  node->power_off();
  destroy_more();
  negotiations.reset();
  delivery.reset();
  peer.reset();
  tasks.reset();
  trust.reset();
  snapshots.reset();
  journal.reset();
  pump.reset();
  log.reset();
  enforcer.reset();
  storage.reset();
  store.reset();
  node.reset();
}

void Machine::cut_power() {
  disk.cut_power();
  store->cut_power();
  destroy();
}

awaitable<HttpResponse> Machine::handle(HttpRequest request, PartyId caller) {
  const auto target = parse_target(request.target);
  HttpResponse response;
  response.status = 404;
  if (!target || target->path.size() < 3) co_return response;
  const std::vector<std::string> path(target->path.begin() + 2, target->path.end());
  const auto match = dsp::match_endpoint(request.method, path);
  if (match.endpoints.empty()) co_return response;
  const auto& endpoint = *match.endpoints.front();
  if (endpoint.family != dsp::Family::negotiation) co_return response;
  Received received;
  received.caller = identity_of(caller);
  received.request = std::move(request);
  received.own_pid = match.id;
  using Function = awaitable<HttpAnswer> (NegotiationService::*)(Received);
  static const std::map<std::string, Function, std::less<>> functions = {
      {"/negotiations/request", &NegotiationService::receive_request},
      {"/negotiations/offers", &NegotiationService::receive_initial_offer},
      {"/negotiations/:pid", &NegotiationService::read},
      {"/negotiations/:pid/request", &NegotiationService::receive_counter_request},
      {"/negotiations/:pid/offers", &NegotiationService::receive_offer},
      {"/negotiations/:pid/agreement", &NegotiationService::receive_agreement},
      {"/negotiations/:pid/agreement/verification", &NegotiationService::receive_verification},
      {"/negotiations/:pid/events", &NegotiationService::receive_event},
      {"/negotiations/:pid/termination", &NegotiationService::receive_termination},
  };
  const auto function = functions.find(endpoint.path);
  if (function == functions.end()) co_return response;
  auto answer = co_await ((*negotiations).*(function->second))(std::move(received));
  response.status = answer.status;
  response.body = std::move(answer.body);
  co_return response;
}

HttpAnswer Machine::receive(
    const std::string& method, const std::string& path, const Json& body, const PartyId& caller
) {
  HttpRequest request;
  request.method = method;
  request.target = path;
  if (!body.is_null()) {
    request.headers.set("Content-Type", "application/json");
    request.body = body.dump();
  }
  auto response = await(handle(std::move(request), caller));
  return {response.status, response.body};
}

Records Machine::records() {
  Records found;
  sim::SimLogStorage reader(disk);
  auto read = audit::for_each_record(reader, 0, [&](const audit::RecordView& view) {
    found.push_back(view.json());
  });
  if (!read) ADD_FAILURE() << "the log cannot be read: " << read.error().message.code;
  return found;
}

Records Machine::records(const std::string& type) {
  auto found = records();
  std::erase_if(found, [&](const Json& record) { return record.at("type") != type; });
  return found;
}

std::string Machine::log_text() {
  std::string text;
  for (const auto& record : records()) text += record.dump() + "\n";
  return text;
}

std::string Machine::state_of(const std::string& kind, const Pid& pid) {
  const auto found = image.rows.find({kind, pid.value});
  return found == image.rows.end() ? std::string() : found->second.state;
}

NegotiateOrder order_for(
    const PartyId& peer, std::vector<std::string> purposes, const std::string& offer
) {
  NegotiateOrder order;
  order.peer = peer;
  order.offer = OfferId(offer);
  order.asset = AssetId("urn:test:cohort");
  order.policy = offer_policy(offer);
  order.purposes = std::move(purposes);
  return order;
}

}  // namespace tally::negotiation::test
