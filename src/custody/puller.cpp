#include "tally/custody/puller.hpp"

#include <algorithm>
#include <charconv>
#include <limits>
#include <utility>

#include <nlohmann/json.hpp>

#include "tally/core/aead.hpp"
#include "tally/core/json.hpp"
#include "tally/dataplane/sealed_payload.hpp"

namespace tally::custody {

namespace {

// "bytes 400-999/1000"
struct ContentRange {
  std::uint64_t first = 0;
  std::uint64_t last = 0;
  std::optional<std::uint64_t> whole;
};

std::optional<ContentRange> parse_content_range(std::string_view text) {
  constexpr std::string_view unit = "bytes ";
  if (!text.starts_with(unit)) return std::nullopt;
  text.remove_prefix(unit.size());
  const auto number = [&text](char end, std::uint64_t& out) {
    const char* stop = text.data() + text.size();
    const auto [at, error] = std::from_chars(text.data(), stop, out);
    if (error != std::errc() || (end != '\0' && (at == stop || *at != end))) return false;
    text.remove_prefix(static_cast<std::size_t>(at - text.data()) + (end == '\0' ? 0 : 1));
    return true;
  };
  ContentRange range;
  if (!number('-', range.first) || !number('/', range.last) || range.last < range.first) {
    return std::nullopt;
  }
  if (text == "*") return range;
  std::uint64_t whole = 0;
  if (!number('\0', whole) || !text.empty() || range.last >= whole) return std::nullopt;
  range.whole = whole;
  return range;
}

Message odd_answer(std::string detail) {
  return {"custody.pull-answer", {{"detail", std::move(detail)}}};
}

Message stopped(const transfer::PullOrder& order) {
  return {"custody.pull-stopped", {{"process", order.process.value}}};
}

// What the problem of a refusal says, as far as a machine needs it.
awaitable<std::string> problem_code(BodyReader* body) {
  std::string text;
  std::vector<std::uint8_t> piece(4096);
  while (body != nullptr && text.size() < piece.size()) {
    const auto n = co_await body->read(piece);
    if (!n || *n == 0) break;
    text.append(reinterpret_cast<const char*>(piece.data()), *n);
  }
  const auto json = parse_json(text);
  if (!json) co_return "";
  co_return string_member_or(*json, "code", "", "").value_or("");
}

awaitable<Result<void>> read_whole(BodyReader& body, std::span<std::uint8_t> out) {
  for (std::size_t have = 0; have < out.size();) {
    const auto n = co_await body.read(out.subspan(have));
    if (!n) co_return tl::unexpected(n.error());
    if (*n == 0) co_return fail(ErrorKind::invalid, odd_answer("length"));
    have += *n;
  }
  co_return Result<void>();
}

bool worth_another_try(int status) {
  return status == 408 || status == 429 || status >= 500;
}

// As the provider rated the data (docs/peer-api.md); what is too long to be one is none.
std::string asset_class_of(const Headers& headers) {
  const auto said = headers.get("Tally-Asset-Class");
  if (!said || said->empty() || said->size() > 1024) return {};
  const auto decoded = parse_target("/" + std::string(*said));
  return decoded && decoded->path.size() == 1 ? decoded->path.front() : std::string();
}

}  // namespace

ArtefactId artefact_of(const Pid& process) {
  constexpr std::string_view urn = "urn:uuid:";
  if (process.value.starts_with(urn)) {
    ArtefactId id(process.value.substr(urn.size()));
    if (is_valid_id(id)) return id;
  }
  return ArtefactId(to_hex(sha256(process.value)));
}

ArtefactId payload_of(const Pid& process) {
  return ArtefactId("payload-" + artefact_of(process).value);
}

struct Puller::Progress {
  transfer::PullOrder order;
  ArtefactId id;
  std::unique_ptr<ArtefactWriter> writer;
  std::string etag;                    // of what the writer holds
  std::optional<std::uint64_t> whole;  // how long all of it is, once the provider said so
  std::string media_type;
  std::string asset_class;
  bool renewed = false;
  std::vector<std::uint8_t> piece;
};

Puller::Puller(
    Peer& peer,
    Custody& custody,
    Holdings& holdings,
    Quota& quota,
    Clock& clock,
    Timers& timers,
    Notices& notices,
    const Limits& limits
)
    : peer_(peer),
      custody_(custody),
      holdings_(holdings),
      quota_(quota),
      clock_(clock),
      timers_(timers),
      notices_(notices),
      limits_(limits) {}

awaitable<Result<transfer::Pulled>> Puller::pull(transfer::PullOrder order) {
  const std::string process = order.process.value;
  // Taken off again however this ends, a cancellation included.
  const auto run = running_.begin(process);
  if (!run) {
    co_return fail(ErrorKind::conflict, Message{"custody.pull-running", {{"process", process}}});
  }
  struct Release {
    Quota& quota;
    const Pid process;
    ~Release() { quota.release(process); }
  };
  const Release release{quota_, order.process};
  co_return co_await fetch(std::move(order));
}

awaitable<Result<transfer::Pulled>> Puller::fetch(transfer::PullOrder order) {
  Progress progress;
  progress.id = order.sealed ? payload_of(order.process) : artefact_of(order.process);
  progress.order = std::move(order);
  progress.piece.resize(limits_.stream_piece);
  const ArtefactId& id = progress.id;

  auto known = holdings_.find(id);
  if (known && known->state == HoldingState::held) {
    co_return transfer::Pulled{known->content, known->bytes};
  }
  if (known && known->state != HoldingState::staged) {
    Message message{"custody.already-destroyed", {{"artefact", id.value}}};
    co_return fail(ErrorKind::conflict, std::move(message));
  }

  Nanos pause = limits_.retry_first;
  std::uint64_t had = 0;
  std::size_t attempts = 0;
  for (; attempts <= limits_.stream_resumes; ++attempts) {
    if (attempts > 0) {
      co_await timers_.sleep_for(pause);
      pause = std::min(pause * 2, limits_.retry_most);
    }
    if (progress.order.wanted && !*progress.order.wanted) {
      if (progress.writer) co_await progress.writer->abandon();
      co_return fail(ErrorKind::conflict, stopped(progress.order));
    }
    if (!progress.writer) {
      auto cleared = co_await custody_.destroy(id);
      if (!cleared) co_return fail(std::move(cleared));
      auto begun = co_await custody_.begin(id);
      if (!begun) co_return fail(std::move(begun));
      progress.writer = std::move(*begun);
      progress.whole.reset();
      progress.etag.clear();
      had = 0;
    }
    auto step = co_await fetch_part(progress);
    if (!step) {
      co_await progress.writer->abandon();
      co_return fail(std::move(step));
    }
    if (*step == Step::restart) {
      auto gone = co_await progress.writer->abandon();
      if (!gone) co_return fail(std::move(gone));
      progress.writer.reset();
      continue;
    }
    if (*step == Step::whole) {
      auto sealed = co_await progress.writer->finish();
      if (!sealed) {
        co_await progress.writer->abandon();
        co_return fail(std::move(sealed));
      }
      Holding holding;
      holding.id = id;
      holding.agreement = progress.order.agreement;
      holding.asset = progress.order.asset;
      holding.provider = progress.order.provider;
      holding.process = progress.order.process;
      holding.content = sealed->content;
      holding.bytes = sealed->bytes;
      holding.media_type = progress.media_type;
      holding.asset_class = progress.asset_class;
      holding.received = clock_.read().at;
      auto staged = co_await stage(std::move(holding));
      if (!staged) co_return fail(std::move(staged));
      co_return transfer::Pulled{sealed->content, sealed->bytes};
    }
    // What came along makes the next wait short again: the provider is there.
    if (progress.writer->bytes() > had) pause = limits_.retry_first;
    had = progress.writer->bytes();
  }
  const std::uint64_t bytes = progress.writer ? progress.writer->bytes() : 0;
  if (progress.writer) co_await progress.writer->abandon();
  Message message{
      "custody.pull-gave-up",
      {{"attempts", std::to_string(attempts)}, {"bytes", std::to_string(bytes)}}};
  co_return fail(ErrorKind::unavailable, std::move(message));
}

// What comes encrypted lies there a second time once it is opened.
Result<void> Puller::reserve(const Progress& progress, std::uint64_t bytes) {
  constexpr auto most = std::numeric_limits<std::uint64_t>::max();
  if (progress.order.sealed) bytes = bytes > most / 2 ? most : bytes * 2;
  return quota_.reserve(progress.order.process, progress.order.provider, bytes);
}

// One request and its body. An Error is final; a cut is not.
awaitable<Result<Puller::Step>> Puller::fetch_part(Progress& progress) {
  const transfer::PullOrder& order = progress.order;
  const std::uint64_t have = progress.writer->bytes();
  PeerRequest request;
  request.to = order.provider;
  request.url = order.endpoint;
  request.http.method = "GET";
  if (!order.token.empty()) {
    request.http.headers.set(
        "Authorization", order.bare_token ? order.token : "Bearer " + order.token
    );
  }
  request.http.headers.set("Accept-Encoding", "identity");
  if (have > 0) {
    request.http.headers.set("Range", "bytes=" + std::to_string(have) + "-");
    request.http.headers.set("If-Range", progress.etag);
  }
  auto stream = co_await peer_.open(std::move(request));
  if (!stream) {
    if (stream.error().kind == ErrorKind::unavailable) co_return Step::cut;
    co_return fail(std::move(stream));
  }

  const int status = stream->status;
  // Without a validator nobody can say whether the rest belongs to what is here.
  const bool from_start = status == 200;
  if (from_start && have > 0) co_return Step::restart;
  if (status == 412 && have > 0) co_return Step::restart;
  if (from_start) {
    progress.etag = stream->headers.get("ETag").value_or("");
    progress.media_type = stream->headers.get("Content-Type").value_or("");
    progress.asset_class = asset_class_of(stream->headers);
    progress.whole = stream->length;
    // Before a byte of it is taken.
    if (progress.whole) {
      if (auto room = reserve(progress, *progress.whole); !room) co_return fail(std::move(room));
    }
    co_return co_await receive(progress, *stream);
  }
  if (status == 206 && have > 0) {
    const auto range = parse_content_range(stream->headers.get("Content-Range").value_or(""));
    if (!range || range->first != have || (range->whole && *range->whole != range->last + 1)) {
      co_return fail(ErrorKind::invalid, odd_answer("Content-Range"));
    }
    if (stream->headers.get("ETag").value_or("") != progress.etag) {
      co_return fail(ErrorKind::invalid, odd_answer("ETag"));
    }
    if (progress.whole && range->whole && *progress.whole != *range->whole) {
      co_return fail(ErrorKind::invalid, odd_answer("Content-Range"));
    }
    if (range->whole) progress.whole = range->whole;
    co_return co_await receive(progress, *stream);
  }
  if (worth_another_try(status)) co_return Step::cut;
  if (status == 401 && !progress.renewed && !order.fresh_token_url.empty()) {
    const std::string code = co_await problem_code(stream->body.get());
    if (code.ends_with("certificate-changed")) {
      stream->body.reset();
      progress.renewed = true;
      auto token = co_await fresh_token(order);
      if (!token && token.error().kind != ErrorKind::unavailable) co_return fail(std::move(token));
      if (token) progress.order.token = std::move(*token);
      progress.renewed = token.has_value();
      co_return Step::cut;
    }
  }
  if (status == 403) {
    // A hold ends nothing: what it stops goes on once it is lifted.
    const std::string code = co_await problem_code(stream->body.get());
    if (code.starts_with("usage.held-by-")) {
      Message message{"custody.pull-held", {{"process", order.process.value}, {"code", code}}};
      co_return fail(ErrorKind::unavailable, std::move(message));
    }
  }
  if (status >= 400 && status < 500) {
    Message message{"custody.pull-refused", {{"status", std::to_string(status)}}};
    co_return fail(ErrorKind::forbidden, std::move(message));
  }
  co_return fail(ErrorKind::invalid, odd_answer("status " + std::to_string(status)));
}

awaitable<Result<Puller::Step>> Puller::receive(Progress& progress, PeerStream& stream) {
  ArtefactWriter& writer = *progress.writer;
  while (stream.body) {
    if (progress.order.wanted && !*progress.order.wanted) {
      co_return fail(ErrorKind::conflict, stopped(progress.order));
    }
    const auto n = co_await stream.body->read(progress.piece);
    if (!n || *n == 0) {
      if (!n && n.error().kind != ErrorKind::unavailable) co_return tl::unexpected(n.error());
      // An end without a length is an end; with one it has to be the right one.
      const bool ended = n.has_value() && (!progress.whole || writer.bytes() == *progress.whole);
      if (ended) co_return Step::whole;
      break;
    }
    const auto got = std::span<const std::uint8_t>(progress.piece).first(*n);
    if (progress.whole && writer.bytes() + got.size() > *progress.whole) {
      co_return fail(ErrorKind::invalid, odd_answer("Content-Length"));
    }
    if (!progress.whole) {
      auto room = reserve(progress, writer.bytes() + got.size());
      if (!room) co_return fail(std::move(room));
    }
    auto written = co_await writer.write(got);
    if (!written) co_return fail(std::move(written));
  }
  // Nothing that could not be gone on with is worth keeping.
  const bool resumable = !progress.etag.empty() && !progress.etag.starts_with("W/");
  co_return resumable || writer.bytes() == 0 ? Step::cut : Step::restart;
}

awaitable<Result<std::string>> Puller::fresh_token(transfer::PullOrder order) {
  PeerRequest request;
  request.to = order.provider;
  request.url = order.fresh_token_url;
  request.http.method = "POST";
  request.http.headers.set("Content-Type", "application/json");
  request.http.body = "{}";
  auto answer = co_await peer_.send(std::move(request));
  if (!answer) co_return fail(std::move(answer));
  if (worth_another_try(answer->status)) {
    Message message{"custody.pull-refused", {{"status", std::to_string(answer->status)}}};
    co_return fail(ErrorKind::unavailable, std::move(message));
  }
  if (answer->status != 200 && answer->status != 201) {
    Message message{"custody.pull-refused", {{"status", std::to_string(answer->status)}}};
    co_return fail(ErrorKind::forbidden, std::move(message));
  }
  const auto json = parse_json(answer->body);
  if (!json) co_return fail(ErrorKind::invalid, odd_answer("token"));
  co_return string_member(*json, "token", "");
}

awaitable<Result<void>> Puller::stage(Holding holding) {
  const ArtefactId id = holding.id;
  // Its agreement may have ended meanwhile, and an earlier attempt's row with it.
  const auto known = holdings_.find(id);
  if (known && known->state != HoldingState::staged) {
    co_await custody_.destroy(id);
    Message message{"custody.already-destroyed", {{"artefact", id.value}}};
    co_return fail(ErrorKind::conflict, std::move(message));
  }
  holding.version = known ? known->version : 0;
  std::vector<Holding> changed{std::move(holding)};
  std::vector<audit::RecordDraft> none;
  auto saved = co_await holdings_.save(std::move(changed), std::move(none));
  if (saved) co_return Result<void>();
  co_await custody_.destroy(id);
  co_return fail(std::move(saved));
}

// Chunk by chunk from one artefact into another; the one that is encrypted twice stays until the
// other may be read.
awaitable<Result<void>> Puller::open(transfer::OpenOrder order) {
  const ArtefactId id = artefact_of(order.process);
  const ArtefactId from = payload_of(order.process);
  auto payload = holdings_.find(from);
  if (!payload || payload->state != HoldingState::staged) {
    Message message{"custody.already-destroyed", {{"artefact", from.value}}};
    co_return fail(ErrorKind::conflict, std::move(message));
  }
  const Message not_opened{"custody.payload-not-opened", {{"process", order.process.value}}};
  auto sealed = co_await custody_.open_sealed(from);
  if (!sealed) co_return fail(std::move(sealed));
  const auto shape = dataplane::shape_of_sealed(sealed->length);
  if (!shape) co_return fail(ErrorKind::invalid, not_opened);
  auto cleared = co_await custody_.destroy(id);  // of an earlier attempt
  if (!cleared) co_return cleared;
  auto writer = co_await custody_.begin(id);
  if (!writer) co_return fail(std::move(writer));

  dataplane::PayloadCipher cipher(order.key.bytes, order.provider_pid.value);
  Bytes chunk(dataplane::payload_chunk_bytes + aead_tag_bytes);
  Bytes plain(dataplane::payload_chunk_bytes);
  Result<void> done;
  for (std::uint64_t index = 0; done && index < shape->chunks; ++index) {
    const std::size_t size = shape->plain_of(index);
    const auto in = std::span(chunk).first(size + aead_tag_bytes);
    const auto out = std::span(plain).first(size);
    done = co_await read_whole(*sealed->body, in);
    if (!done) break;
    if (!cipher.open(index, index + 1 == shape->chunks, in, out)) {
      done = fail(ErrorKind::invalid, not_opened);
      break;
    }
    done = co_await (*writer)->write(out);
  }
  wipe(plain);
  sealed->body.reset();
  if (!done) {
    co_await (*writer)->abandon();
    co_return done;
  }
  auto opened = co_await (*writer)->finish();
  if (!opened) {
    co_await (*writer)->abandon();
    co_return fail(std::move(opened));
  }
  if (opened->content != order.opens.content || opened->bytes != order.opens.bytes) {
    co_await custody_.destroy(id);
    co_return fail(ErrorKind::invalid, not_opened);
  }
  Holding holding = *std::move(payload);
  holding.id = id;
  holding.content = opened->content;
  holding.bytes = opened->bytes;
  holding.media_type = order.opens.media_type;
  holding.received = clock_.read().at;
  co_return co_await stage(std::move(holding));
}

awaitable<Result<void>> Puller::publish(Pid process, Json form) {
  const ArtefactId id = artefact_of(process);
  auto known = holdings_.find(id);
  if (!known) {
    Message message{"custody.unknown-artefact", {{"artefact", id.value}}};
    co_return fail(ErrorKind::not_found, std::move(message));
  }
  // What it was opened from is not needed any more.
  if (holdings_.find(payload_of(process))) {
    auto gone = co_await discard_one(payload_of(process));
    if (!gone) co_return gone;
  }
  // Its agreement ended in between, and it is gone: received all the same, and not to be read.
  known = holdings_.find(id);
  if (!known || known->state == HoldingState::destroying ||
      known->state == HoldingState::destroyed) {
    co_return Result<void>();
  }
  // The row first: what is on the disk is always known to who destroys it.
  if (known->state == HoldingState::staged) {
    known->state = HoldingState::held;
    known->form = std::move(form);
    std::vector<Holding> changed{std::move(*known)};
    std::vector<audit::RecordDraft> none;
    auto saved = co_await holdings_.save(std::move(changed), std::move(none));
    if (!saved) co_return fail(std::move(saved));
  }
  co_return co_await custody_.publish(id);
}

awaitable<Result<void>> Puller::discard(Pid process) {
  auto gone = co_await discard_one(payload_of(process));
  if (!gone) co_return gone;
  co_return co_await discard_one(artefact_of(process));
}

awaitable<Result<void>> Puller::discard_one(ArtefactId id) {
  auto known = holdings_.find(id);
  if (known && known->state != HoldingState::staged) co_return Result<void>();
  auto gone = co_await custody_.destroy(id);
  if (!gone || !known) co_return gone;
  known = holdings_.find(id);
  if (!known || known->state != HoldingState::staged) co_return Result<void>();
  co_return co_await holdings_.erase(std::move(*known));
}

}  // namespace tally::custody
