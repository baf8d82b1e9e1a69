#include <troupe/base/assert.hpp>
#include <troupe/sim/internal/shared_memory.hpp>

#include <sys/mman.h>

namespace troupe::sim_internal {

SharedMemory::SharedMemory(std::size_t bytes)
    : data_(::mmap(nullptr, bytes, PROT_READ | PROT_WRITE,
                   MAP_SHARED | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0)),
      bytes_(bytes) {
    TROUPE_ASSERT(data_ != MAP_FAILED, "there is no memory to be shared with other processes");
}

SharedMemory::~SharedMemory() {
    ::munmap(data_, bytes_);
}

}  // namespace troupe::sim_internal
