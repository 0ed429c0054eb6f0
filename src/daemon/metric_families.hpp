// Metrics as Prometheus reads them: families of values under one name, with labels. Made anew for
// each scrape; what each means is a sentence of the table, daemon.metric-….
#pragma once

#include <string>
#include <string_view>
#include <vector>

#include <prometheus/metric_family.h>

#include "tally/core/counting.hpp"
#include "tally/core/message.hpp"

namespace tally::daemon {

using MetricLabels = std::vector<prometheus::ClientMetric::Label>;

// Seconds of a histogram that counts nanoseconds.
inline constexpr double seconds_of_nano = 1e-9;

class MetricFamilies {
 public:
  // Where values of one family go. Valid as long as the MetricFamilies.
  class Family {
   public:
    void add(double value, MetricLabels labels = {});
    // `unit`: what one of the histogram's numbers is in the base unit of the name.
    void add(const Histogram::Reading& read, double unit, MetricLabels labels = {});

   private:
    friend class MetricFamilies;
    Family(std::vector<prometheus::MetricFamily>& all, std::size_t which)
        : all_(all), which_(which) {}
    std::vector<prometheus::MetricFamily>& all_;
    std::size_t which_;
  };

  explicit MetricFamilies(Lang lang) : lang_(lang) {}
  MetricFamilies(const MetricFamilies&) = delete;
  MetricFamilies& operator=(const MetricFamilies&) = delete;

  // Each name once. A family without values is told all the same, so that who asks for it knows
  // that there is one.
  Family counter(std::string_view name);
  Family gauge(std::string_view name);
  Family histogram(std::string_view name);

  // The text exposition format, version 0.0.4.
  [[nodiscard]] std::string text() const;

 private:
  Family begin(std::string_view name, prometheus::MetricType type);

  Lang lang_;
  std::vector<prometheus::MetricFamily> all_;
};

}  // namespace tally::daemon
