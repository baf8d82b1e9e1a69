// An app that is no coroutine.
// First error: run(argc, argv, app) wants app to be: troupe::Task<int> app(troupe::System& system)
#include <troupe/actor/actor.hpp>
#include <troupe/actor/run.hpp>

int app(troupe::System&) {
    return 0;
}

int main(int argc, char** argv) {
    return troupe::run(argc, argv, app);
}
