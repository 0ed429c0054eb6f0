// The way into the log, as the rest of the program sees it. LogWriter implements it; tests may too.
//
// Two steps, so that a record can be queued while a lock is held and waited for after it was let
// go: what is queued first stands first. A ticket that is dropped is forgotten: its record is
// written all the same.
#pragma once

#include <memory>

#include "tally/audit/record.hpp"
#include "tally/core/clock.hpp"
#include "tally/core/result.hpp"
#include "tally/core/store.hpp"

namespace tally::audit {

// Who may use the last free bytes of the disk: termination, destruction and shutdown are
// `reserved`, so that they can still be recorded when nothing else is allowed to move.
enum class Priority { ordinary, reserved };

// A queued record. Opaque: each implementation derives its own.
class PendingAppend {
 public:
  virtual ~PendingAppend() = default;
};
using Ticket = std::shared_ptr<PendingAppend>;

class LogAppender {
 public:
  virtual ~LogAppender() = default;

  // Any thread, microseconds, also under a mutex; never waits for the disk. Always gives a ticket:
  // a draft that cannot be taken says so in wait().
  virtual Ticket enqueue(RecordDraft draft, Priority priority = Priority::ordinary) = 0;

  // The record is durable on return. Once per ticket. Completes on the awaiting executor, never
  // inline. Errors:
  //   unavailable audit.log-failed    the first failed write or sync was before; whether this
  //   record
  //                                   is in the log is not known. Final until a restart
  //   unavailable audit.disk-reserve  not written: the disk is nearly full
  //   unavailable audit.wait-cancelled  the wait ended early; the record is still written
  //   internal audit.draft-*          not written: the draft is not one the log takes
  virtual awaitable<Result<Appended>> wait(Ticket ticket) = 0;

  // After the first failed write or sync; any thread.
  [[nodiscard]] virtual bool failed() const = 0;
  // How far the log is durable; any thread.
  [[nodiscard]] virtual LogMark mark() const = 0;
};

// enqueue and wait in one.
awaitable<Result<Appended>> append(
    LogAppender& log, RecordDraft draft, Priority priority = Priority::ordinary
);

}  // namespace tally::audit
