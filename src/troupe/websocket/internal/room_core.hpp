#pragma once

#include <troupe/websocket/internal/encoded.hpp>
#include <troupe/websocket/room.hpp>
#include <troupe/websocket/socket.hpp>

#include <cstddef>
#include <cstdint>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <unordered_map>
#include <vector>

namespace troupe::websocket_internal {

/// Who is in a room, and what they are still to be told.
///
/// Broadcasts gather in a round. A round is given to the members one after the other, some in each
/// turn, while the next one gathers. A member hears the rounds that began after it came: those who
/// come during a round are behind its end. Members lie in an array without holes, so that who has
/// gone costs nothing; the last one moves into a gap, or waits for the end of the round to do so.
class RoomCore {
public:
    struct Seat {
        websocket::Member member;
        Monitor watch;
        std::uint64_t number = 0;  // in the order they came
        std::uint64_t from = 0;    // the first message that it hears
    };

    explicit RoomCore(const websocket::RoomOptions& the_options) : options(the_options) {}

    Seat* find(Pid pid) noexcept;
    Seat& add(Pid pid, websocket::Member member);
    std::optional<websocket::Member> remove(Pid pid);
    std::size_t size() const noexcept { return places_.size(); }
    std::vector<std::string> names() const;
    websocket::RoomStats stats() const noexcept;

    /// Whether so much more may wait. One that does not is counted.
    bool has_room_for(std::size_t bytes) noexcept;
    void gather(Opcode kind, std::string_view payload, Ref<websocket::Socket> except);
    /// Nothing is gathered and no round is under way.
    bool idle() const noexcept { return gathered_.empty() && !round_; }
    bool between_rounds() const noexcept { return !round_; }
    /// `at_once`: to members that are idle without a message. What it was told before always goes
    /// before.
    void deliver_some(bool at_once);

    const websocket::RoomOptions options;

private:
    struct Message {
        std::uint64_t number;
        Opcode kind;
        std::string payload;
        Ref<websocket::Socket> except;
    };
    /// Messages on their way, and for nearly everybody one form of them.
    struct Round {
        std::vector<Message> messages;
        SharedFrames frames;  // shared with the members until they have sent it
        std::vector<Ref<websocket::Socket>> exceptions;  // who hears not all of it
        std::size_t next = 0;                            // seat
    };

    void begin_round();
    bool deliver(const Seat& seat, bool at_once);
    SharedFrames encoded(const std::vector<Message>& messages, Ref<websocket::Socket> listener,
                         std::uint64_t from, Encoded::Windows windows) const;
    void fill_gaps();

    std::vector<std::optional<Seat>> seats_;
    std::unordered_map<Pid, std::size_t> places_;
    std::vector<std::size_t> gaps_;
    std::vector<Message> gathered_;
    std::size_t gathered_bytes_ = 0;
    std::unique_ptr<Round> round_;
    std::uint64_t came_ = 0;
    std::uint64_t said_ = 0;
    std::uint64_t deliveries_ = 0;
    std::uint64_t straight_ = 0;
    std::uint64_t rounds_ = 0;
    std::uint64_t refused_ = 0;
    std::uint64_t stopped_ = 0;
};

}  // namespace troupe::websocket_internal
