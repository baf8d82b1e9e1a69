#pragma once

// For tests: a process that has run out of descriptors.

#include <gtest/gtest.h>
#include <sys/resource.h>
#include <unistd.h>

namespace troupe::io_internal {

/// Lowers the limit of descriptors to what is in use, for as long as it lives.
class NoDescriptors {
public:
    NoDescriptors() {
        EXPECT_EQ(::getrlimit(RLIMIT_NOFILE, &before_), 0);
        const int next = ::dup(0);
        ::close(next);
        rlimit low = before_;
        low.rlim_cur = static_cast<rlim_t>(next);
        EXPECT_EQ(::setrlimit(RLIMIT_NOFILE, &low), 0);
    }
    ~NoDescriptors() { EXPECT_EQ(::setrlimit(RLIMIT_NOFILE, &before_), 0); }
    NoDescriptors(const NoDescriptors&) = delete;
    NoDescriptors& operator=(const NoDescriptors&) = delete;

private:
    rlimit before_{};
};

}  // namespace troupe::io_internal
