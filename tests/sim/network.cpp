#include "sim/network.hpp"

#include <algorithm>
#include <deque>

#include <boost/asio/co_spawn.hpp>
#include <boost/asio/error.hpp>
#include <boost/system/system_error.hpp>

namespace tally::sim {
namespace asio = boost::asio;

namespace {

tl::unexpected<Error> unavailable(const char* code) {
  return fail(ErrorKind::unavailable, {code, {{"reason", "simulated"}}});
}

class TextReader final : public BodyReader {
 public:
  explicit TextReader(std::string text) : text_(std::move(text)) {}
  awaitable<Result<std::size_t>> read(std::span<std::uint8_t> out) override {
    const std::size_t count = std::min(out.size(), text_.size() - at_);
    std::copy_n(text_.begin() + static_cast<std::ptrdiff_t>(at_), count, out.begin());
    at_ += count;
    co_return count;
  }

 private:
  std::string text_;
  std::size_t at_ = 0;
};

std::string target_of(const std::string& url) {
  const auto host = url.find("://");
  const auto slash = url.find('/', host == url.npos ? 0 : host + 3);
  return slash == url.npos ? "/" : url.substr(slash, url.find('#', slash) - slash);
}

}  // namespace

// One request on its way. Both ends hold it; the first result counts.
struct SimNetwork::Call {
  Waiting caller;
  Node* caller_node = nullptr;
  bool finished = false;
  std::optional<Result<PeerStream>> result;
};

// A streamed body on its way from the pump on the serving node to the reader on the calling one.
struct SimNetwork::Pipe {
  static constexpr std::size_t capacity = 64 << 10;
  std::deque<std::uint8_t> arrived;
  std::size_t travelling = 0;
  Instant last_arrival;
  bool ended = false;
  bool cut = false;
  bool reader_gone = false;
  Waiting reader;
  Waiting writer;
};

class SimNetwork::PipeReader final : public BodyReader {
 public:
  PipeReader(Node& node, std::shared_ptr<Pipe> pipe) : node_(node), pipe_(std::move(pipe)) {}
  ~PipeReader() override {
    pipe_->reader_gone = true;
    pipe_->writer.wake();
  }
  awaitable<Result<std::size_t>> read(std::span<std::uint8_t> out) override {
    while (pipe_->arrived.empty() && !pipe_->ended && !pipe_->cut) {
      auto started = [this](Waiting waiting) { pipe_->reader = waiting; };
      co_await node_.wait(std::move(started));
    }
    // A reset throws away what the reader had not taken yet.
    if (pipe_->cut) co_return unavailable("net.peer-cut");
    const std::size_t count = std::min(out.size(), pipe_->arrived.size());
    const auto end = pipe_->arrived.begin() + static_cast<std::ptrdiff_t>(count);
    std::copy(pipe_->arrived.begin(), end, out.begin());
    pipe_->arrived.erase(pipe_->arrived.begin(), end);
    pipe_->writer.wake();
    co_return count;
  }

 private:
  Node& node_;
  std::shared_ptr<Pipe> pipe_;
};

// Lives in the frame of a handler: when the frame goes before it answered, the caller sees a cut.
class SimNetwork::Serving {
 public:
  Serving(SimNetwork& network, std::shared_ptr<Call> call)
      : network_(network), call_(std::move(call)) {}
  Serving(const Serving&) = delete;
  Serving& operator=(const Serving&) = delete;
  ~Serving() {
    if (call_) network_.finish_later(call_, "net.peer-cut");
  }
  void answered() { call_.reset(); }

 private:
  SimNetwork& network_;
  std::shared_ptr<Call> call_;
};

class SimPeer final : public Peer {
 public:
  SimPeer(SimNetwork& network, Node& node, PartyId self)
      : network_(network), node_(node), self_(std::move(self)) {}

  awaitable<Result<PeerStream>> open(PeerRequest request) override {
    auto call = std::make_shared<SimNetwork::Call>();
    call->caller_node = &node_;
    auto started = [this, call, &request](Waiting waiting) {
      call->caller = waiting;
      network_.start(call, std::move(request), self_);
    };
    co_await node_.wait(std::move(started));
    Result<PeerStream> result = *std::move(call->result);
    co_return result;
  }

  awaitable<Result<PeerAnswer>> send(PeerRequest request) override {
    Result<PeerStream> opened = co_await open(std::move(request));
    if (!opened) co_return fail(std::move(opened));
    PeerAnswer answer;
    answer.status = opened->status;
    answer.headers = std::move(opened->headers);
    std::vector<std::uint8_t> piece(16 << 10);
    for (;;) {
      Result<std::size_t> read = co_await opened->body->read(piece);
      if (!read) co_return fail(std::move(read));
      if (*read == 0) co_return answer;
      if (answer.body.size() + *read > Limits{}.control_body_bytes) {
        co_return unavailable("net.peer-answer-too-large");
      }
      answer.body.append(piece.begin(), piece.begin() + static_cast<std::ptrdiff_t>(*read));
    }
  }

 private:
  SimNetwork& network_;
  Node& node_;
  PartyId self_;
};

SimNetwork::~SimNetwork() {
  world_.forget(this);
}

void SimNetwork::serve(Node& node, std::string prefix, PartyId party, Handler handler) {
  auto found = std::find_if(endpoints_.begin(), endpoints_.end(), [&](const auto& endpoint) {
    return endpoint->prefix == prefix;
  });
  if (found == endpoints_.end()) {
    endpoints_.push_back(std::make_unique<Endpoint>());
    found = std::prev(endpoints_.end());
  }
  Endpoint* const endpoint = found->get();
  endpoint->prefix = std::move(prefix);
  endpoint->party = std::move(party);
  endpoint->node = &node;
  endpoint->handler = std::make_shared<Handler>(std::move(handler));
  node.on_power_off([endpoint, at = &node] {
    if (endpoint->node != at) return;
    endpoint->node = nullptr;
    endpoint->handler.reset();
  });
}

std::unique_ptr<Peer> SimNetwork::peer(Node& node, PartyId self) {
  return std::make_unique<SimPeer>(*this, node, std::move(self));
}

SimNetwork::Endpoint* SimNetwork::find(const std::string& url) {
  Endpoint* best = nullptr;
  for (const auto& endpoint : endpoints_) {
    if (!url.starts_with(endpoint->prefix)) continue;
    if (best == nullptr || endpoint->prefix.size() > best->prefix.size()) best = endpoint.get();
  }
  return best;
}

void SimNetwork::finish(const std::shared_ptr<Call>& call, Result<PeerStream> result) {
  if (call->finished) return;
  call->finished = true;
  call->result.emplace(std::move(result));
  call->caller.wake();
}

void SimNetwork::finish_later(const std::shared_ptr<Call>& call, const char* code) {
  world_.after(delay(), this, [this, call, code] { finish(call, unavailable(code)); });
}

void SimNetwork::start(const std::shared_ptr<Call>& call, PeerRequest request, PartyId self) {
  ++counts_.requests;
  const Endpoint* const endpoint = find(request.url);
  if (endpoint == nullptr) {
    finish_later(call, "net.peer-unreachable");
    return;
  }
  if (endpoint->party != request.to) {
    auto refused = [this, call] {
      finish(call, fail(ErrorKind::forbidden, {"net.peer-other-identity", {}}));
    };
    world_.after(delay(), this, std::move(refused));
    return;
  }
  const Nanos patience = request.answer_within > 0 ? request.answer_within : request_timeout;
  world_.after(patience, this, [this, call] { finish(call, unavailable("net.peer-timeout")); });
  if (parted_.contains(std::minmax(self, request.to))) return;
  if (world_.chance().happens(faults.double_request)) {
    ++counts_.doubled_requests;
    auto again = [this, request, self] { arrive(nullptr, request, self); };
    world_.after(delay(), this, std::move(again));
  }
  if (world_.chance().happens(faults.drop_request)) {
    ++counts_.dropped_requests;
    return;
  }
  auto once = [this, call, request = std::move(request), self = std::move(self)] {
    arrive(call, request, self);
  };
  world_.after(delay(), this, std::move(once));
}

void SimNetwork::arrive(std::shared_ptr<Call> call, PeerRequest request, PartyId self) {
  const Endpoint* const endpoint = find(request.url);
  if (endpoint->node == nullptr) {
    if (call) finish_later(call, "net.peer-unreachable");
    return;
  }
  request.http.target = target_of(request.url);
  auto task = handle(
      this,
      endpoint->node,
      endpoint->handler,
      std::move(request.http),
      std::move(self),
      std::move(call)
  );
  auto done = [](const std::exception_ptr& failure) {
    if (!failure) return;
    try {
      std::rethrow_exception(failure);
    } catch (const boost::system::system_error& error) {
      if (error.code() != asio::error::operation_aborted) throw;
    }
  };
  asio::co_spawn(endpoint->node->executor(), std::move(task), done);
}

awaitable<void> SimNetwork::handle(
    SimNetwork* network,
    Node* node,
    std::shared_ptr<Handler> handler,
    HttpRequest request,
    PartyId caller,
    std::shared_ptr<Call> call
) {
  Serving serving(*network, call);
  HttpResponse response = co_await (*handler)(std::move(request), std::move(caller));
  const bool lost = !call || network->world_.chance().happens(network->faults.drop_answer);
  serving.answered();
  if (call && lost) ++network->counts_.dropped_answers;
  auto stream = std::make_shared<PeerStream>();
  stream->status = response.status;
  stream->headers = response.headers;
  std::shared_ptr<Pipe> pipe;
  if (response.stream) {
    pipe = std::make_shared<Pipe>();
    pipe->reader_gone = lost;
    stream->length = response.stream_length;
    if (!lost) stream->body = std::make_unique<PipeReader>(*call->caller_node, pipe);
  } else {
    stream->length = response.body.size();
    stream->body = std::make_unique<TextReader>(response.body);
  }
  if (!lost) {
    auto deliver = [network, call, stream] { network->finish(call, std::move(*stream)); };
    network->world_.after(network->delay(), network, std::move(deliver));
  }
  if (pipe) {
    co_await pump(network, node, std::move(response), std::move(pipe));
  } else if (response.on_sent) {
    // The transport took it all; whether it arrived is not known here.
    response.on_sent(response.body.size(), true);
  }
}

awaitable<void> SimNetwork::pump(
    SimNetwork* network, Node* node, HttpResponse response, std::shared_ptr<Pipe> pipe
) {
  // Cuts the body when the frame goes before the end.
  struct Guard {
    Pipe& pipe;
    bool ended = false;
    ~Guard() {
      if (ended) return;
      pipe.cut = true;
      pipe.reader.wake();
    }
  } guard{*pipe};
  World& world = network->world_;
  std::optional<std::uint64_t> cut_after;
  if (world.chance().happens(network->faults.cut_body)) {
    cut_after = world.chance().below(response.stream_length.value_or(256 << 10) + 1);
    ++network->counts_.cut_bodies;
  }
  std::uint64_t sent = 0;
  bool complete = false;
  std::vector<std::uint8_t> piece(16 << 10);
  while (!pipe->reader_gone) {
    if (cut_after && sent >= *cut_after) break;
    if (response.may_go_on && !response.may_go_on()) break;
    if (pipe->travelling + pipe->arrived.size() >= Pipe::capacity) {
      auto started = [pipe](Waiting waiting) { pipe->writer = waiting; };
      co_await node->wait(std::move(started));
      continue;
    }
    std::size_t room = piece.size();
    if (cut_after) room = std::min<std::uint64_t>(room, *cut_after - sent);
    const std::span<std::uint8_t> out(piece.data(), room);
    const Result<std::size_t> read = co_await response.stream->read(out);
    if (!read) break;
    if (*read == 0) {
      complete = true;
      break;
    }
    sent += *read;
    pipe->travelling += *read;
    pipe->last_arrival = std::max(pipe->last_arrival, world.now() + network->delay());
    auto bytes = std::make_shared<std::vector<std::uint8_t>>(
        piece.begin(), piece.begin() + static_cast<std::ptrdiff_t>(*read)
    );
    auto arrives = [pipe, bytes] {
      pipe->travelling -= bytes->size();
      pipe->arrived.insert(pipe->arrived.end(), bytes->begin(), bytes->end());
      pipe->reader.wake();
    };
    world.at(pipe->last_arrival, network, std::move(arrives));
  }
  guard.ended = true;
  pipe->last_arrival = std::max(pipe->last_arrival, world.now() + network->delay());
  auto ends = [pipe, complete] {
    (complete ? pipe->ended : pipe->cut) = true;
    pipe->reader.wake();
  };
  world.at(pipe->last_arrival, network, std::move(ends));
  if (response.on_sent) response.on_sent(sent, complete);
}

}  // namespace tally::sim
