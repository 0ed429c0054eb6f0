// What a service manager that started this process wants to know (sd_notify(3)): one datagram to
// the socket that NOTIFY_SOCKET names. Without that variable nothing happens; nothing here fails,
// since a manager that is not told asks for itself.
#pragma once

#include <string_view>

namespace tally::daemon {

// "READY=1", "STOPPING=1", "STATUS=…", a line each.
void tell_service_manager(std::string_view state);

}  // namespace tally::daemon
