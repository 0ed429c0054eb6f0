// The wire between simulated connectors: Peer on one side, a handler as net::Server calls it on the
// other. By the seed it delays, drops requests and answers, doubles requests and cuts bodies.
//
// Handlers run on the context of their node. TLS, certificates and HTTP framing are not here; the
// caller's PartyId is the one its Peer was made with.
#pragma once

#include <functional>
#include <memory>
#include <set>
#include <string>
#include <utility>
#include <vector>

#include "tally/core/limits.hpp"
#include "tally/core/peer.hpp"

#include "sim/node.hpp"

namespace tally::sim {

struct WireFaults {
  double drop_request = 0;  // never arrives
  double drop_answer = 0;   // the handler has run
  double double_request = 0;
  double cut_body = 0;  // a streamed body ends somewhere before its end
  Nanos least_delay = milliseconds(1);
  Nanos most_delay = milliseconds(30);
};

struct WireCounts {
  std::uint64_t requests = 0;
  std::uint64_t dropped_requests = 0;
  std::uint64_t dropped_answers = 0;
  std::uint64_t doubled_requests = 0;
  std::uint64_t cut_bodies = 0;
};

class SimNetwork {
 public:
  using Handler = std::function<awaitable<HttpResponse>(HttpRequest request, PartyId caller)>;

  explicit SimNetwork(World& world) : world_(world) {}
  ~SimNetwork();
  SimNetwork(const SimNetwork&) = delete;
  SimNetwork& operator=(const SimNetwork&) = delete;

  // What goes to urls that begin with `prefix` is handled on `node` until the node's power goes;
  // the prefix stays known as `party`'s, and another node may serve it again. "https://a.example/"
  void serve(Node& node, std::string prefix, PartyId party, Handler handler);
  // The Peer of a connector on `node` that is `self`.
  std::unique_ptr<Peer> peer(Node& node, PartyId self);
  // Nothing passes between the two, in either direction.
  void part(const PartyId& a, const PartyId& b) { parted_.insert(std::minmax(a, b)); }
  void join(const PartyId& a, const PartyId& b) { parted_.erase(std::minmax(a, b)); }

  WireFaults faults;
  Nanos request_timeout = Limits{}.request_timeout;
  [[nodiscard]] const WireCounts& counts() const { return counts_; }

 private:
  friend class SimPeer;
  struct Call;
  struct Pipe;
  class PipeReader;
  class Serving;
  struct Endpoint {
    std::string prefix;
    PartyId party;
    Node* node = nullptr;  // null while nobody serves
    std::shared_ptr<Handler> handler;
  };

  Endpoint* find(const std::string& url);
  void start(const std::shared_ptr<Call>& call, PeerRequest request, PartyId self);
  void arrive(std::shared_ptr<Call> call, PeerRequest request, PartyId self);
  void finish(const std::shared_ptr<Call>& call, Result<PeerStream> result);
  void finish_later(const std::shared_ptr<Call>& call, const char* code);
  Nanos delay() { return world_.chance().span(faults.least_delay, faults.most_delay); }
  static awaitable<void> handle(
      SimNetwork* network,
      Node* node,
      std::shared_ptr<Handler> handler,
      HttpRequest request,
      PartyId caller,
      std::shared_ptr<Call> call
  );
  static awaitable<void> pump(
      SimNetwork* network, Node* node, HttpResponse response, std::shared_ptr<Pipe> pipe
  );

  World& world_;
  std::vector<std::unique_ptr<Endpoint>> endpoints_;
  std::set<std::pair<PartyId, PartyId>> parted_;
  WireCounts counts_;
};

}  // namespace tally::sim
