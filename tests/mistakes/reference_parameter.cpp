// A result cannot travel back through a reference.
// First error: the method takes a T&; a message carries values: take T, const T& or T&&, and
//   return the result
#include <troupe/actor/actor.hpp>

class Printer : public troupe::Actor {
public:
    void count(int& pages) { pages = 3; }
};

void count(troupe::Ref<Printer> printer, int& pages) {
    printer.tell<&Printer::count>(pages);
}
