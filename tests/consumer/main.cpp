// What a stranger writes first, against the installed package: a call that can fail.
#include <troupe/base/result.hpp>

#include <cstdio>

namespace {

troupe::Result<int> half(int n) {
    if (n % 2 != 0) return troupe::error(troupe::Errc::failed, "an odd number has no half");
    return n / 2;
}

}  // namespace

int main() {
    auto answer = half(84);
    if (!answer || half(7)) return 1;
    std::printf("the answer is %d\n", *answer);
    return 0;
}
