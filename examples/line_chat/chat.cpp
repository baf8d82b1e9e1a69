#include "chat.hpp"

#include <algorithm>

void Room::enter(troupe::Ref<Guest> guest) {
    guests_.push_back(guest);
    monitor<&Room::left>(guest, guest);
}

void Room::left(troupe::Down, troupe::Ref<Guest> guest) {
    std::erase(guests_, guest);
}

void Room::say(troupe::Ref<Guest> from, std::string line) {
    for (const auto& guest : guests_) {
        if (guest != from) guest.tell<&Guest::hear>(line);
    }
}

Guest::Guest(troupe::Stream stream, troupe::Ref<Room> room)
    : room_(room),
      peer_(troupe::net::attach<&Guest::line, &Guest::hung_up>(
          std::move(stream), troupe::codec::Lines(kLineBytesMax), self(this))) {
    room_.tell<&Room::enter>(self(this));
}

void Guest::line(std::string line) {
    if (line.empty()) return;
    room_.tell<&Room::say>(self(this), std::move(line));
}

/// Does not wait for a guest who reads slowly: what there is no room for is not said to him.
void Guest::hear(std::string line) {
    troupe::ignore(peer_.try_send(line), "a slow reader misses a line, a gone one needs none");
}

void Guest::hung_up(troupe::Result<void>) {
    self(this).stop(troupe::Stop::stop, troupe::ExitReason(troupe::ExitReason::Kind::normal));
}
