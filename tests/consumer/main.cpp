// What a stranger writes first, against the installed package: the actor of the README.
#include <troupe/actor/actor.hpp>

#include <cstdio>

class Account : public troupe::Actor {
public:
    void deposit(long cents) { balance_ += cents; }
    long balance() const { return balance_; }

private:
    long balance_ = 0;
};

troupe::Task<int> app(troupe::System& system) {
    auto ann = system.spawn<Account>();
    ann.tell<&Account::deposit>(40);
    ann.tell<&Account::deposit>(2);
    auto balance = co_await ann.ask<&Account::balance>();
    if (!balance) co_return 1;
    std::printf("the answer is %ld\n", *balance);
    co_return 0;
}

int main(int argc, char** argv) {
    return troupe::run(argc, argv, app);
}
