#pragma once

#include <troupe/actor/actor.hpp>
#include <troupe/io/lines.hpp>
#include <troupe/io/stream.hpp>
#include <troupe/net/attach.hpp>

#include <string>
#include <utility>
#include <vector>

class Guest;

/// Passes on what is said to everybody who is here.
class Room : public troupe::Actor {
public:
    void enter(troupe::Ref<Guest> guest);
    void say(troupe::Ref<Guest> from, std::string line);

private:
    void left(troupe::Down down, troupe::Ref<Guest> guest);

    std::vector<troupe::Ref<Guest>> guests_;
};

/// One connection. Every line that comes is a message, and so is every line that the room has.
class Guest : public troupe::Actor {
public:
    Guest(troupe::Stream stream, troupe::Ref<Room> room);

    /// Something was said in the room.
    void hear(std::string line);

private:
    static constexpr std::size_t kLineBytesMax = 1000;

    void line(std::string line);
    void hung_up(troupe::Result<void> why);

    troupe::Ref<Room> room_;
    troupe::net::Outlet<troupe::codec::Lines> peer_;
};
