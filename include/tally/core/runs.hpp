// What runs under a name: one at a time, or the newest alone. Each run is a value in the coroutine
// that does the work, and takes its name off when that ends, however it ends. The names outlive
// their owner: a coroutine may be taken away after the object that began it. One executor.
#pragma once

#include <map>
#include <memory>
#include <optional>
#include <string>
#include <utility>
#include <vector>

namespace tally {

class Runs {
  using Names = std::map<std::string, std::shared_ptr<bool>>;

 public:
  class Run {
   public:
    Run(Run&&) noexcept = default;
    Run& operator=(Run&&) = delete;
    ~Run() {
      if (!names_) return;
      const auto mine = names_->find(name_);
      if (mine != names_->end() && mine->second == wanted_) names_->erase(mine);
    }

    // False once it was stopped, or another took its place.
    [[nodiscard]] bool wanted() const { return *wanted_; }
    [[nodiscard]] std::shared_ptr<const bool> wanted_flag() const { return wanted_; }
    // Goes on, whatever was asked before.
    void go_on() { *wanted_ = true; }

   private:
    friend class Runs;
    Run(std::shared_ptr<Names> names, std::string name)
        : names_(std::move(names)), name_(std::move(name)), wanted_(std::make_shared<bool>(true)) {
      names_->insert_or_assign(name_, wanted_);
    }

    std::shared_ptr<Names> names_;  // null: moved from
    std::string name_;
    std::shared_ptr<bool> wanted_;
  };

  // nullopt: one runs under this name.
  [[nodiscard]] std::optional<Run> begin(std::string name) {
    if (names_->contains(name)) return std::nullopt;
    return Run(names_, std::move(name));
  }
  // Whoever runs under this name is not wanted any more.
  [[nodiscard]] Run replace(std::string name) {
    stop(name);
    return Run(names_, std::move(name));
  }
  // Asks whoever runs under this name to end. The name is its own until it has.
  void stop(const std::string& name) {
    const auto run = names_->find(name);
    if (run != names_->end()) *run->second = false;
  }
  // Those under which something runs, stopped or not.
  [[nodiscard]] std::vector<std::string> names() const {
    std::vector<std::string> names;
    for (const auto& [name, wanted] : *names_) names.push_back(name);
    return names;
  }

 private:
  std::shared_ptr<Names> names_ = std::make_shared<Names>();
};

}  // namespace tally
