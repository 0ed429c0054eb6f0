// Every bound of the program in one place, with its number. docs/configuration.md repeats them.
#pragma once

#include <cstddef>

#include "tally/core/instant.hpp"

namespace tally {

struct Limits {
  // HTTP, both listeners.
  std::size_t header_bytes = 16 << 10;
  std::size_t control_body_bytes = 1 << 20;
  std::size_t json_depth = 64;
  std::size_t connections = 4096;
  std::size_t connections_per_peer = 256;
  std::size_t requests_in_flight = 1024;
  std::size_t handshakes_in_flight = 64;
  Nanos handshake_timeout = seconds(10);
  Nanos header_timeout = seconds(15);
  Nanos body_timeout = seconds(30);
  Nanos idle_timeout = seconds(60);
  Nanos write_timeout = seconds(30);
  Nanos request_timeout = seconds(60);  // control requests; streams are bounded by write_timeout
  Nanos drain = seconds(10);            // from SIGTERM to the hard cut

  // Outgoing protocol messages: how long each attempt waits for its answer, retry_first · 2ⁿ up to
  // retry_most, given up after retry_deadline.
  Nanos message_answer = seconds(5);
  Nanos retry_first = milliseconds(500);
  Nanos retry_most = seconds(60);
  Nanos retry_deadline = seconds(24L * 3600);

  // Policies and assets.
  std::size_t policy_bytes = 256 << 10;
  std::size_t policy_rules = 1024;        // after expansion
  std::size_t policy_constraints = 4096;  // after expansion
  std::size_t policy_list = 4096;

  // Catalogues of others that an operator asks for.
  std::size_t catalog_page_bytes = 8 << 20;  // one page or dataset, unpacked
  std::size_t catalog_bytes = 48 << 20;      // all pages of an order, nested catalogues included
  std::size_t catalog_pages = 2000;          // of an order
  Nanos catalog_order = seconds(120);        // no page is asked for after that
  std::size_t catalog_nested = 32;           // nested catalogues that are asked for
  std::size_t catalog_depth = 4;             // how deep they may lie in one another

  // Data.
  std::size_t stream_piece = 128 << 10;
  std::size_t record_bytes = 1 << 20;  // one row of what is handed out in rows and columns
  std::size_t stream_resumes = 16;     // continuations of one use within stream_resume_window
  Nanos stream_resume_window = seconds(24L * 3600);

  // Uses.
  std::size_t use_keys = 1024;           // idempotency keys remembered per agreement
  std::size_t uses_per_record = 64;      // completions that share one use.executed
  Nanos uses_gathered = seconds(1);      // how long a completion waits for others
  std::size_t act_purposes = 16;         // declared for one act
  std::size_t act_purpose_bytes = 2048;  // all of them together
  std::size_t act_key_bytes = 256;       // an Idempotency-Key

  // Log.
  std::size_t log_batch_bytes = 256 << 10;
  std::size_t log_batch_records = 1024;
  std::size_t log_segment_bytes = 64 << 20;
  std::size_t log_record_bytes = 16 << 10;
  // Kept free for termination, destruction and shutdown when the disk fills up.
  std::size_t log_reserve_bytes = 4 << 20;
  // Zero-filled ahead of the end of the log while it is idle, in pieces; 0 fills nothing.
  std::size_t log_ahead_bytes = 8 << 20;
  std::size_t log_fill_bytes = 1 << 20;
};

}  // namespace tally
