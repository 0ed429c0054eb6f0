// Sends spans to the operator's collector: OTLP over HTTP in JSON, a batch a second. Spans are no
// evidence: what does not fit the queue, or the collector does not take, is dropped and counted,
// and no call ever waits for it.
#pragma once

#include <cstdint>
#include <mutex>
#include <string>
#include <vector>

#include "tally/core/notices.hpp"
#include "tally/core/peer.hpp"
#include "tally/core/trace.hpp"

namespace tally::daemon {

// As whom the collector is known among the programs that this connector calls.
PartyId collector_party();

// A batch as OTLP has it (ExportTraceServiceRequest). `service`: this connector's URI.
std::string to_otlp(const std::vector<Span>& spans, const std::string& service);

struct SpanFigures {
  std::uint64_t exported = 0;
  std::uint64_t dropped = 0;
};

class SpanExporter final : public SpanSink {
 public:
  // `url`: of the collector, where batches are posted. `peer` knows it as collector_party().
  SpanExporter(Peer& peer, Timers& timers, Notices& notices, std::string url, std::string service);

  void ended(Span span) override;
  // A task of the daemon's group, on the home executor; never ends by itself.
  awaitable<void> run();
  [[nodiscard]] SpanFigures figures() const;  // any thread

 private:
  std::vector<Span> take();
  awaitable<bool> send(std::string body);

  Peer& peer_;
  Timers& timers_;
  Notices& notices_;
  std::string url_;
  std::string service_;
  mutable std::mutex mutex_;
  std::vector<Span> queue_;  // mutex_
  SpanFigures figures_;      // mutex_
  bool failing_ = false;     // of run: said once until it works again
};

}  // namespace tally::daemon
