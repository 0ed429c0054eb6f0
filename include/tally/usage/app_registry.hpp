// The local applications that may use contracted data. The operator registers each with what it is
// for; a request can only narrow that, never widen it.
//
// Tokens are 32 random bytes, shown once and stored as SHA-256. Home thread for changes; `find` may
// be called from any thread (an immutable snapshot is swapped).
#pragma once

#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "tally/audit/journal.hpp"
#include "tally/core/ids.hpp"
#include "tally/core/store.hpp"

namespace tally::usage {

struct App {
  AppId id;
  std::vector<std::string> purposes;    // IRIs
  std::vector<std::string> roles;       // IRIs
  std::vector<AgreementId> agreements;  // empty: every agreement of this connector
  std::string token_sha256;             // hex
};

// What a request may ask for: everything registered when it names nothing, else what it names;
// what it names beyond the registration stands apart, and the enforcement point refuses it.
struct Narrowed {
  std::vector<std::string> allowed;
  std::vector<std::string> not_registered;
};
Narrowed narrow_purposes(const App& app, const std::vector<std::string>& asked);
Narrowed narrow_roles(const App& app, const std::vector<std::string>& asked);  // likewise
bool may_use(const App& app, const AgreementId& agreement);

struct RegisteredApp {
  App app;
  std::string token;  // shown once
};

class AppRegistry {
 public:
  AppRegistry(Store& store, audit::Journal& journal, Clock& clock, Random& random);
  ~AppRegistry();

  Result<void> load();  // at start, from the store
  // Recorded as admin.action before it takes effect. `token_sha256` is set here. Errors: conflict
  // (usage.app-exists), invalid (usage.app-invalid), those of Journal::commit.
  awaitable<Result<RegisteredApp>> add(App app);
  // Errors: not_found (usage.unknown-app), those of Journal::commit.
  awaitable<Result<void>> remove(AppId id);
  [[nodiscard]] std::shared_ptr<const App> find_by_token(std::string_view token) const;
  [[nodiscard]] std::vector<App> list() const;

 private:
  struct State;
  std::unique_ptr<State> state_;
};

}  // namespace tally::usage
