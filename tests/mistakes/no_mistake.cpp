// Everything the other files do wrong, done right.
// Compiles.
#include <troupe/actor/actor.hpp>
#include <troupe/actor/run.hpp>

class Account : public troupe::Actor {
public:
    explicit Account(int opening) : balance_(opening) {}
    void deposit(int amount) { balance_ += amount; }
    int balance() const { return balance_; }

private:
    int balance_;
};

troupe::Task<int> twice(troupe::Ref<Account> account) {
    auto balance = co_await account.ask<&Account::balance>();
    co_return balance ? *balance * 2 : 0;
}

troupe::Task<int> app(troupe::System& system) {
    auto ann = system.spawn<Account>(100);
    ann.tell<&Account::deposit>(50);
    int doubled = co_await twice(ann);
    co_return doubled == 300 ? 0 : 1;
}

int main(int argc, char** argv) {
    return troupe::run(argc, argv, app);
}
