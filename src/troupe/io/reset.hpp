#pragma once

/// Breaking a connection on purpose, as faults do.

#include <troupe/io/stream.hpp>

namespace troupe {

/// Closes the stream, and its peer hears of a reset in place of an end: what it has not read yet
/// may be lost. Over a Unix socket or a Conduit it is closed as ever. Does nothing to a closed one.
///
/// Errors:  none.
/// Threads: in the turn of the actor or task it belongs to, or where nobody has it.
void reset_connection(Stream stream) noexcept;

}  // namespace troupe
