#include "metric_families.hpp"

#include <algorithm>
#include <utility>

#include <prometheus/text_serializer.h>

namespace tally::daemon {

void MetricFamilies::Family::add(double value, MetricLabels labels) {
  auto& family = all_[which_];
  prometheus::ClientMetric metric;
  metric.label = std::move(labels);
  if (family.type == prometheus::MetricType::Counter) {
    metric.counter.value = value;
  } else {
    metric.gauge.value = value;
  }
  family.metric.push_back(std::move(metric));
}

void MetricFamilies::Family::add(const Histogram::Reading& read, double unit, MetricLabels labels) {
  prometheus::ClientMetric metric;
  metric.label = std::move(labels);
  auto& out = metric.histogram;
  for (std::size_t i = 0; i < read.counts.size(); ++i) {
    out.sample_count += read.counts[i];
    if (i == read.bounds.size()) break;  // what is above all of them is only in the count
    out.bucket.push_back({out.sample_count, static_cast<double>(read.bounds[i]) * unit});
  }
  out.sample_sum = static_cast<double>(read.sum) * unit;
  all_[which_].metric.push_back(std::move(metric));
}

MetricFamilies::Family MetricFamilies::begin(std::string_view name, prometheus::MetricType type) {
  std::string code = "daemon.metric-" + std::string(name);
  std::ranges::replace(code, '_', '-');
  prometheus::MetricFamily family;
  family.name = name;
  family.help = render({std::move(code), {}}, lang_);
  family.type = type;
  all_.push_back(std::move(family));
  return {all_, all_.size() - 1};
}

MetricFamilies::Family MetricFamilies::counter(std::string_view name) {
  return begin(name, prometheus::MetricType::Counter);
}
MetricFamilies::Family MetricFamilies::gauge(std::string_view name) {
  return begin(name, prometheus::MetricType::Gauge);
}
MetricFamilies::Family MetricFamilies::histogram(std::string_view name) {
  return begin(name, prometheus::MetricType::Histogram);
}

std::string MetricFamilies::text() const {
  return prometheus::TextSerializer().Serialize(all_);
}

}  // namespace tally::daemon
