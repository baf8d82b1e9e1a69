#pragma once

// Reading files without holding a worker.
//
// The problem: there is no readiness for files. A read of what is in memory takes a microsecond,
// the same read of what is not waits for a disk, and nobody can tell which by looking. Handing
// every read to the blocking pool costs two changes of threads where mostly nothing blocks.
//
// The answer: ask for what is in memory (RWF_NOWAIT), and hand over only what is not.

#include <troupe/base/result.hpp>
#include <troupe/task/task.hpp>

#include <cstddef>
#include <cstdint>
#include <span>
#include <string>

namespace troupe::http_internal {

/// What is read at once. Who writes it on waits until it is taken, so it is also what one response
/// holds of a file.
inline constexpr std::size_t kFilePieceBytes = std::size_t{64} * 1024;

/// Fills the buffer, which stays the caller's, with as many bytes from there as are in memory; how
/// many. Fewer than there is room for: the rest has to be waited for, or is not there.
std::size_t read_what_is_in_memory(int descriptor, std::uint64_t offset, std::span<char> buffer);

/// Reads so many bytes from there into `buffer`, which comes back as long as what there was:
/// shorter only at the end of the file. Waits on the blocking pool for what is not in memory.
///
/// Errors: failed, with what the machine says; mailbox_full, when the pool has too much to do;
///         cancelled; closed.
Task<Result<std::string>> read_file(int descriptor, std::uint64_t offset, std::size_t bytes,
                                    std::string buffer = std::string());

/// Waits on the blocking pool until so many bytes from there are in memory, if they seem not to be:
/// for what then reads them on a worker. They may be gone again by then, which costs that worker a
/// wait and is not otherwise wrong.
///
/// Errors: as read_file.
Task<Result<void>> bring_into_memory(int descriptor, std::uint64_t offset, std::uint64_t bytes);

}  // namespace troupe::http_internal
