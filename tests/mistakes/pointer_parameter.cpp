// A pointer may dangle before the message is handled.
// First error: the method takes a raw pointer or reference_wrapper; a message owns what it
//   carries: use a value, unique_ptr, shared_ptr or Ref<A>
#include <troupe/actor/actor.hpp>

class Printer : public troupe::Actor {
public:
    void print(const int* page) { last_ = *page; }

private:
    int last_ = 0;
};

void print(troupe::Ref<Printer> printer, const int* page) {
    printer.tell<&Printer::print>(page);
}
