#pragma once

#include <troupe/base/result.hpp>
#include <troupe/task/task.hpp>

#include <string>
#include <vector>

namespace troupe {

class Engine;

/// Finds the addresses of a host, as text for an Endpoint, the best one first. A host in numbers is
/// its own address and localhost is 127.0.0.1; for every other name the machine is asked, on the
/// blocking pool. The deterministic engine knows the names it was told, see set_host_addresses.
///
/// Errors:  not_found, when nobody knows the name; failed, when the machine cannot find out now;
///          mailbox_full and closed, as for offload. The text names the host.
/// Threads: in an actor or task of this engine; suspends it, never the worker. A stop does not end
///          the wait, and it may take the machine many seconds: bound it with an ask.
Task<Result<std::vector<std::string>>> resolve(Engine& engine, std::string host);

/// Tells a deterministic engine what a name stands for from now on. No addresses: nothing.
///
/// Errors:  none; the engine must be deterministic.
/// Threads: the engine's own.
void set_host_addresses(Engine& engine, std::string host, std::vector<std::string> addresses);

}  // namespace troupe
