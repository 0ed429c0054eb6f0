#include "tally/audit/log_writer.hpp"

#include <algorithm>
#include <array>
#include <atomic>
#include <mutex>
#include <utility>
#include <vector>

#include <boost/asio/any_io_executor.hpp>
#include <boost/asio/associated_cancellation_slot.hpp>
#include <boost/asio/associated_executor.hpp>
#include <boost/asio/async_result.hpp>
#include <boost/asio/post.hpp>
#include <boost/asio/use_awaitable.hpp>

#include "tally/audit/record_types.hpp"

#include "log_format.hpp"
#include "record_scan.hpp"
#include "stamp.hpp"

namespace tally::audit {
namespace asio = boost::asio;
namespace {

// A waiting coroutine. (any_completion_handler of Boost 1.81 calls itself for ever when it is
// copied from a non-const lvalue.)
class Waiter {
 public:
  virtual ~Waiter() = default;
  virtual void resume(Result<Appended> result) = 0;  // on its executor
};

template <class Handler>
class WaiterOf final : public Waiter {
 public:
  explicit WaiterOf(Handler handler) : handler_(std::move(handler)) {}
  void resume(Result<Appended> result) override {
    asio::get_associated_cancellation_slot(handler_).clear();
    Handler handler = std::move(handler_);
    std::move(handler)(std::move(result));
  }

 private:
  Handler handler_;
};
using Handler = std::unique_ptr<Waiter>;

// A queued record and whoever waits for it. The waiter's thread and the writer's meet in `phase_`:
// exactly one of completion and cancellation gets the handler.
class Pending final : public PendingAppend {
 public:
  Pending(RecordDraft record, Priority of) : draft(std::move(record)), priority(of) {}

  RecordDraft draft;
  Priority priority;

  enum Phase : int { queued, awaited, done, cancelled };

  // The waiter's side. False: it is done already, take result().
  bool await(Handler handler, asio::any_io_executor executor) {
    handler_ = std::move(handler);
    executor_ = std::move(executor);
    int expected = queued;
    return phase_.compare_exchange_strong(expected, awaited, std::memory_order_acq_rel);
  }
  bool cancel() {
    int expected = awaited;
    return phase_.compare_exchange_strong(expected, cancelled, std::memory_order_acq_rel);
  }
  // The writer's side. True: somebody waits, take handler() and executor().
  bool complete(Result<Appended> result) {
    result_ = std::move(result);
    return phase_.exchange(done, std::memory_order_acq_rel) == awaited;
  }
  // True: a handler stood here that nobody will call any more.
  bool abandon() { return phase_.exchange(done, std::memory_order_acq_rel) == awaited; }

  Handler& handler() { return handler_; }
  asio::any_io_executor& executor() { return executor_; }
  Result<Appended>& result() { return result_; }

 private:
  std::atomic<int> phase_{queued};
  Result<Appended> result_;
  Handler handler_;
  asio::any_io_executor executor_;
};

// Handlers of one batch that run on one executor: one post for all of them.
struct Waiters {
  asio::any_io_executor executor;
  std::vector<std::shared_ptr<Pending>> list;
};

void post_results(std::vector<Waiters>& groups) {
  for (Waiters& group : groups) {
    const asio::any_io_executor executor = group.executor;
    asio::post(executor, [list = std::move(group.list)]() mutable {
      for (const std::shared_ptr<Pending>& pending : list) {
        const Handler handler = std::move(pending->handler());
        handler->resume(std::move(pending->result()));
      }
    });
  }
  groups.clear();
}

void add_waiter(std::vector<Waiters>& groups, std::shared_ptr<Pending> pending) {
  for (Waiters& group : groups) {
    if (group.executor == pending->executor()) {
      group.list.push_back(std::move(pending));
      return;
    }
  }
  groups.push_back({pending->executor(), {}});
  groups.back().list.push_back(std::move(pending));
}

Error log_failed(const Error& cause) {
  return {ErrorKind::unavailable, {"audit.log-failed", {{"cause", cause.message.code}}}, {}};
}

constexpr std::string_view heads_type = "log.heads";

// What a draft must be. The writer splices its texts as they are, so they are checked here, on the
// thread that made them.
std::optional<Error> draft_fault(const RecordDraft& draft, std::size_t most_bytes) {
  const RecordType* const type = find_record_type(draft.type());
  if (type == nullptr || draft.type() == "log.genesis") {
    return Error{ErrorKind::internal, {"audit.draft-type-unknown", {{"type", draft.type()}}}, {}};
  }
  const bool heads = draft.type() == heads_type;
  for (const auto* members : {&type->required, &type->also}) {
    for (const std::string_view member : *members) {
      if (heads || draft.has(member)) continue;
      return Error{
          ErrorKind::internal,
          {"audit.draft-incomplete", {{"type", draft.type()}, {"member", std::string(member)}}},
          {}};
    }
  }
  // All that it says is the writer's to say.
  for (const Member& member : draft.members()) {
    if (!heads || member.key == "type" || member.key == "event") continue;
    return Error{
        ErrorKind::internal,
        {"audit.draft-invalid", {{"type", draft.type()}, {"member", member.key}}},
        {}};
  }
  if (draft.bytes() > most_bytes) {
    return Error{
        ErrorKind::internal,
        {"audit.draft-too-large",
         {{"type", draft.type()},
          {"bytes", std::to_string(draft.bytes())},
          {"most", std::to_string(most_bytes)}}},
        {}};
  }
  for (const Member& member : draft.members()) {
    const bool plain_key = std::all_of(member.key.begin(), member.key.end(), [](char c) {
      return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') || c == '_';
    });
    if (member.key.empty() || !plain_key || is_stamped(member.key) ||
        !is_canonical_value(member.value)) {
      return Error{
          ErrorKind::internal,
          {"audit.draft-invalid", {{"type", draft.type()}, {"member", member.key}}},
          {}};
    }
  }
  return std::nullopt;
}

constexpr std::size_t no_piece = 0;
// Filling ahead within a batch pays only when many small batches share the piece.
constexpr std::size_t small_frame_bytes = 32 << 10;

}  // namespace

struct LogWriter::State {
  // Constant after construction.
  LogStorage& storage;
  Clock& clock;
  Limits limits;
  std::string log;  // canonical string
  bool test = false;
  std::size_t most_draft_bytes = 0;

  // The way in. Guarded by `mutex`.
  mutable std::mutex mutex;
  std::function<void()> wake;
  std::vector<std::shared_ptr<Pending>> incoming;
  LogMark durable;
  std::optional<Error> first_failure;
  std::atomic<bool> has_failed{false};
  std::atomic<bool> refuses_ordinary{false};
  std::atomic<bool> heads_due{false};       // written by the owner
  std::atomic<std::uint64_t> first_seq{0};  // of the open segment; written by the owner

  // The owner's alone.
  std::vector<std::shared_ptr<Pending>> taken;
  std::size_t next_taken = 0;
  std::unique_ptr<LogFile> file;
  std::uint64_t offset = 0;  // behind the last durable frame
  std::uint64_t filled = 0;  // zero-filled up to here, and synced or about to be
  std::uint64_t size = 0;
  Digest leaf{};
  std::string prev;  // hex of `leaf`
  std::string time;
  std::unordered_map<std::string, AgreementHead> agreements;
  HeadsMap heads;  // as of the last `log.heads` of this writer
  FrameBuilder frame;
  std::vector<std::shared_ptr<Pending>> batch;
  std::vector<Appended> appended;
  std::vector<Digest> leaves;  // of the batch
  std::vector<Waiters> groups;
  LogTree tree;
  bool no_room_to_fill = false;
  // Any thread reads them.
  Histogram flushes{duration_bounds()};
  Histogram batches{{1, 2, 4, 8, 16, 32, 64, 128, 256, 512}};

  State(LogStorage& in, Clock& of, const Limits& with, const Recovered& recovered)
      : storage(in), clock(of), limits(with), tree(in, recovered) {}

  void finish(const std::shared_ptr<Pending>& pending, Result<Appended> result) {
    if (pending->complete(std::move(result))) add_waiter(groups, pending);
  }

  // The one way into the final state.
  void fail_for_good(const Error& cause) {
    std::vector<std::shared_ptr<Pending>> rest;
    {
      const std::scoped_lock lock(mutex);
      if (!first_failure) first_failure = log_failed(cause);
      has_failed = true;
      rest.swap(incoming);
    }
    const Error error = *first_failure;
    tree.stop(error);
    for (auto& pending : batch) finish(pending, tl::unexpected(error));
    batch.clear();
    for (; next_taken < taken.size(); ++next_taken) {
      finish(taken[next_taken], tl::unexpected(error));
    }
    taken.clear();
    next_taken = 0;
    for (auto& pending : rest) finish(pending, tl::unexpected(error));
    post_results(groups);
  }

  bool take_work() {
    if (next_taken < taken.size()) return true;
    taken.clear();
    next_taken = 0;
    const std::scoped_lock lock(mutex);
    taken.swap(incoming);
    return !taken.empty();
  }

  // Ordinary work must leave the reserve alone. What is zero-filled ahead in the open segment needs
  // no more room from the file system, so it counts.
  Result<bool> room_for_ordinary() {
    const std::uint64_t needed = limits.log_reserve_bytes + frame_most_bytes;
    const std::uint64_t ahead = filled > offset ? filled - offset : 0;
    bool room = ahead >= needed;
    if (!room) {
      auto free = storage.free_bytes();
      if (!free) return fail(std::move(free));
      room = *free + ahead >= needed;
    }
    refuses_ordinary = !room;
    return room;
  }

  std::string_view stamp_time(std::string_view& clock_note) {
    const ClockReading reading = clock.read();
    std::string now = format_micros(reading.at);
    if (!reading.reliable) clock_note = "unreliable";
    if (now < time) {
      if (reading.reliable) clock_note = "held";
    } else {
      time = std::move(now);
    }
    if (test) clock_note = "test";
    return time;
  }

  // Fills `frame`, `batch` and `appended` from what was taken.
  Result<void> build() {
    batch.clear();
    appended.clear();
    leaves.clear();
    frame.start(size, tree.slot_checkpoint());
    auto room = room_for_ordinary();
    if (!room) return fail(std::move(room));
    Stamp stamp;
    stamp.log = log;
    stamp.time = stamp_time(stamp.clock);
    const Instant at = parse_date_time(time)->instant;
    std::string aprev;
    bool due = heads_due;
    while (next_taken < taken.size() && batch.size() < limits.log_batch_records) {
      std::shared_ptr<Pending>& pending = taken[next_taken];
      if (pending->draft.type() == heads_type) {
        if (auto filled_in = fill_heads(pending->draft); !filled_in) return filled_in;
      }
      const RecordDraft& draft = pending->draft;
      if (frame.count() != 0 && frame.bytes_with(draft.bytes() + stamp_most_bytes + log.size()) >
                                    std::min(limits.log_batch_bytes, frame_most_bytes)) {
        break;
      }
      ++next_taken;
      if (!*room && pending->priority == Priority::ordinary) {
        finish(pending, fail(ErrorKind::unavailable, {"audit.disk-reserve", {}}));
        continue;
      }
      AgreementHead* head = nullptr;
      stamp.aseq = 0;
      if (!draft.agreement().empty()) {
        head = &agreements[draft.agreement()];
        aprev.clear();
        append_hex(aprev, head->leaf);
        stamp.aseq = head->aseq + 1;
        stamp.aprev = aprev;
      }
      stamp.seq = size;
      stamp.prev = prev;
      append_record(frame.begin_record(), draft, stamp);
      leaf = leaf_hash(frame.end_record());
      prev.clear();
      append_hex(prev, leaf);
      if (head != nullptr) *head = {stamp.aseq, leaf, size + 1};
      due = heads_due_after(draft.type(), due);
      appended.push_back({size, leaf, at});
      leaves.push_back(leaf);
      batch.push_back(std::move(pending));
      ++size;
    }
    heads_due = due;
    return {};
  }

  // The map as of just before this record: only who gives records their places knows it.
  Result<void> fill_heads(RecordDraft& draft) {
    if (auto followed = heads.follow(agreements); !followed) return followed;
    draft.set("count", std::uint64_t{heads.count()}).set("root", heads.root());
    return {};
  }

  Result<void> write_batch() {
    const std::string_view bytes = frame.finish();
    if (offset + bytes.size() > limits.log_segment_bytes && offset != 0) {
      if (auto moved = next_segment(size - batch.size()); !moved) return moved;
    }
    if (auto written = file->write_at(offset, as_bytes(bytes)); !written) return written;
    const std::uint64_t end = offset + bytes.size();
    if (end > filled && bytes.size() <= small_frame_bytes) {
      if (auto piece = fill_piece(end); !piece) return fail(std::move(piece));
    }
    if (auto synced = file->sync(); !synced) return synced;
    tree.feed(leaves);
    offset = end;
    filled = std::max(filled, end);
    return {};
  }

  Result<void> next_segment(std::uint64_t first) {
    const std::string name = segment_name(first);
    auto created = storage.create(name);
    if (!created) return fail(std::move(created));
    // The head names only what is durable: the records before this segment.
    if (auto head = tree.write_head(); !head) return head;
    file = std::move(*created);
    first_seq = first;
    offset = 0;
    filled = 0;
    return {};
  }

  // Zeros from `from` on, not synced. Gives how many; a full disk is no failure of the log.
  Result<std::size_t> fill_piece(std::uint64_t from) {
    const std::uint64_t segment_end = limits.log_segment_bytes;
    if (limits.log_ahead_bytes == 0 || from >= segment_end) return no_piece;
    if (no_room_to_fill) {
      auto free = storage.free_bytes();
      if (!free) return fail(std::move(free));
      if (*free < 2 * limits.log_fill_bytes) return no_piece;
      no_room_to_fill = false;
    }
    const auto piece =
        static_cast<std::size_t>(std::min<std::uint64_t>(limits.log_fill_bytes, segment_end - from)
        );
    static constexpr std::array<std::uint8_t, 64 << 10> zeros{};
    for (std::size_t done = 0; done < piece;) {
      const std::size_t now = std::min(zeros.size(), piece - done);
      auto written = file->write_at(from + done, std::span(zeros).first(now));
      if (!written) {
        if (written.error().message.code != "audit.disk-full") return fail(std::move(written));
        no_room_to_fill = true;
        return no_piece;
      }
      done += now;
    }
    filled = from + piece;
    return piece;
  }
};

LogWriter::LogWriter(
    LogStorage& storage, Recovered recovered, Clock& clock, Random& random, const Limits& limits
)
    : state_(std::make_unique<State>(storage, clock, limits, recovered)) {
  State& s = *state_;
  s.log = quote(recovered.genesis.origin);
  s.test = recovered.genesis.test;
  s.most_draft_bytes =
      std::min(limits.log_record_bytes, record_most_bytes) - stamp_most_bytes - s.log.size();
  s.durable = recovered.mark();
  s.first_seq = segment_first_seq(recovered.segment).value_or(0);
  s.offset = recovered.offset;
  s.filled = recovered.offset;
  s.size = recovered.size;
  s.leaf = recovered.leaf;
  append_hex(s.prev, s.leaf);
  s.time = format_micros(recovered.time);
  s.agreements = std::move(recovered.agreements);
  s.heads_due = recovered.heads_due;
  auto file = storage.open(recovered.segment, true);
  if (!file) {
    s.fail_for_good(file.error());
    return;
  }
  s.file = std::move(*file);
  if (auto size = s.file->size(); size) s.filled = std::max(s.filled, *size);
  if (recovered.torn) {
    RecordDraft draft("log.recovered", new_event(random, clock.read().at));
    draft.set("bytes", recovered.torn->bytes)
        .set("content", recovered.torn->digest)
        .set("file", recovered.torn->file)
        .set("offset", recovered.torn->offset);
    enqueue(std::move(draft), Priority::reserved);
  }
}

LogWriter::~LogWriter() {
  State& s = *state_;
  // A handler owns its coroutine, which owns the ticket, which owns the handler: break the ring.
  std::vector<std::shared_ptr<Pending>> left;
  {
    const std::scoped_lock lock(s.mutex);
    left.swap(s.incoming);
    s.has_failed = true;
  }
  for (std::size_t i = s.next_taken; i < s.taken.size(); ++i) left.push_back(s.taken[i]);
  for (auto& pending : s.batch) left.push_back(pending);
  for (const std::shared_ptr<Pending>& pending : left) {
    if (pending && pending->abandon()) {
      const Handler dropped = std::move(pending->handler());
    }
  }
}

Ticket LogWriter::enqueue(RecordDraft draft, Priority priority) {
  State& s = *state_;
  auto fault = draft_fault(draft, s.most_draft_bytes);
  auto pending = std::make_shared<Pending>(std::move(draft), priority);
  if (fault) {
    pending->complete(tl::unexpected(std::move(*fault)));
    return pending;
  }
  const std::scoped_lock lock(s.mutex);
  if (s.has_failed) {
    const Error error = s.first_failure.value_or(log_failed({}));
    pending->complete(tl::unexpected(error));
    return pending;
  }
  const bool first = s.incoming.empty();
  s.incoming.push_back(pending);
  if (first && s.wake) s.wake();
  return pending;
}

awaitable<Result<Appended>> LogWriter::wait(Ticket ticket) {
  auto pending = std::static_pointer_cast<Pending>(std::move(ticket));
  const auto initiate = [](auto handler, std::shared_ptr<Pending> awaited) {
    const asio::any_io_executor executor = asio::get_associated_executor(handler);
    auto slot = asio::get_associated_cancellation_slot(handler);
    if (slot.is_connected()) {
      slot.assign([weak = std::weak_ptr<Pending>(awaited)](asio::cancellation_type) {
        const auto here = weak.lock();
        if (!here || !here->cancel()) return;
        const asio::any_io_executor back = here->executor();
        asio::post(back, [handler = std::move(here->handler())] {
          handler->resume(fail(ErrorKind::unavailable, {"audit.wait-cancelled", {}}));
        });
      });
    }
    auto waiter = std::make_unique<WaiterOf<decltype(handler)>>(std::move(handler));
    if (!awaited->await(std::move(waiter), executor)) {
      std::vector<Waiters> one;
      add_waiter(one, std::move(awaited));
      post_results(one);
    }
  };
  auto result =
      co_await asio::async_initiate<const asio::use_awaitable_t<>, void(Result<Appended>)>(
          initiate, asio::use_awaitable, std::move(pending)
      );
  co_return result;
}

bool LogWriter::failed() const {
  return state_->has_failed;
}

LogMark LogWriter::mark() const {
  const std::scoped_lock lock(state_->mutex);
  return state_->durable;
}

std::optional<Error> LogWriter::failure() const {
  const std::scoped_lock lock(state_->mutex);
  return state_->first_failure;
}

std::uint64_t LogWriter::segment() const {
  return state_->first_seq;
}

LogFigures LogWriter::figures() const {
  return {state_->flushes.read(), state_->batches.read()};
}

bool LogWriter::on_reserve() const {
  return state_->refuses_ordinary;
}

bool LogWriter::heads_due() const {
  return state_->heads_due;
}

void LogWriter::on_work(std::function<void()> wake) {
  const std::scoped_lock lock(state_->mutex);
  state_->wake = std::move(wake);
  // A torn tail waits to be recorded before anybody could have asked for a wake.
  if (state_->wake && !state_->incoming.empty()) state_->wake();
}

bool LogWriter::commit_batch() {
  State& s = *state_;
  if (s.has_failed || !s.take_work()) return false;
  const Instant began = s.clock.read().at;
  if (auto built = s.build(); !built) {
    s.fail_for_good(built.error());
    return true;
  }
  if (!s.batch.empty()) {
    if (auto written = s.write_batch(); !written) {
      s.fail_for_good(written.error());
      return true;
    }
    // A clock that went back meanwhile gives no length.
    const Nanos taken = std::max<Nanos>(0, s.clock.read().at - began);
    s.flushes.observe(static_cast<std::uint64_t>(taken));
    s.batches.observe(s.batch.size());
    const std::scoped_lock lock(s.mutex);
    s.durable.size = s.size;
    s.durable.leaf = s.prev;
  }
  for (std::size_t i = 0; i < s.batch.size(); ++i) s.finish(s.batch[i], s.appended[i]);
  s.batch.clear();
  post_results(s.groups);
  s.tree.flush(false);
  return true;
}

bool LogWriter::fill_ahead() {
  State& s = *state_;
  if (s.has_failed || s.filled - s.offset >= s.limits.log_ahead_bytes) return false;
  auto piece = s.fill_piece(s.filled);
  if (piece && *piece == no_piece) return false;
  if (piece) {
    if (auto synced = s.file->sync(); !synced) piece = fail(std::move(synced));
  }
  if (!piece) s.fail_for_good(piece.error());
  return piece.has_value();
}

Result<void> LogWriter::close() {
  State& s = *state_;
  while (commit_batch()) {
  }
  if (s.has_failed) return tl::unexpected(*failure());
  s.tree.flush(true);
  // A closed log proves itself: what is asked of its folder later needs a checkpoint over all of
  // it. Without a key there is none, and the head file says how far the log was durable.
  (void)s.tree.checkpoint();
  if (auto head = s.tree.write_head(); !head) {
    s.fail_for_good(head.error());
    return head;
  }
  return {};
}

LogTree& LogWriter::tree() {
  return state_->tree;
}

awaitable<Result<Appended>> append(LogAppender& log, RecordDraft draft, Priority priority) {
  Ticket ticket = log.enqueue(std::move(draft), priority);
  auto result = co_await log.wait(std::move(ticket));
  co_return result;
}

}  // namespace tally::audit
