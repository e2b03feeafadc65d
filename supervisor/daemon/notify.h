// Tells the service manager where the supervisor stands (sd_notify(3)'s protocol: one datagram).
//
// Runs in: supervisor. Without NOTIFY_SOCKET nothing happens. Never blocks.
#pragma once

#include <string_view>

namespace tenantd {

// "READY=1", "STOPPING=1", "RELOADING=1\nMONOTONIC_USEC=..."
void notify_service_manager(std::string_view state);

}  // namespace tenantd
