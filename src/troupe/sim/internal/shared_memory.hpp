#pragma once

#include <cstddef>
#include <new>

namespace troupe::sim_internal {

/// Memory that this process shares with those it forks; pages that nobody touches cost nothing.
class SharedMemory {
public:
    explicit SharedMemory(std::size_t bytes);
    ~SharedMemory();
    SharedMemory(const SharedMemory&) = delete;
    SharedMemory& operator=(const SharedMemory&) = delete;

    void* data() const noexcept { return data_; }

private:
    void* data_;
    std::size_t bytes_;
};

/// A T in such memory. Its destructor is not run: it must not need one.
template <class T>
class Shared {
public:
    Shared() : memory_(sizeof(T)), value_(::new(memory_.data()) T) {}
    T* operator->() const noexcept { return value_; }
    T& operator*() const noexcept { return *value_; }

private:
    SharedMemory memory_;
    T* value_;
};

}  // namespace troupe::sim_internal
