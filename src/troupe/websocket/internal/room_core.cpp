#include <troupe/websocket/internal/room_core.hpp>
#include <troupe/websocket/internal/socket_core.hpp>

#include <algorithm>
#include <utility>

namespace troupe::websocket_internal {

namespace {

// Members that are told in one turn: a tenth of a millisecond, so nobody waits long for the room.
constexpr std::size_t kMembersInARow = 512;
// To write to one at once takes as long as to tell so many.
constexpr std::size_t kToldForOneWritten = 16;

}  // namespace

RoomCore::Seat* RoomCore::find(Pid pid) noexcept {
    const auto at = places_.find(pid);
    return at != places_.end() ? &*seats_[at->second] : nullptr;
}

RoomCore::Seat& RoomCore::add(Pid pid, websocket::Member member) {
    places_.emplace(pid, seats_.size());
    Seat seat;
    seat.member = std::move(member);
    seat.number = ++came_;
    seat.from = said_ + 1;
    return *seats_.emplace_back(std::move(seat));
}

std::optional<websocket::Member> RoomCore::remove(Pid pid) {
    const auto at = places_.find(pid);
    if (at == places_.end()) return std::nullopt;
    std::optional<Seat>& seat = seats_[at->second];
    std::optional<websocket::Member> gone(std::move(seat->member));
    seat.reset();
    gaps_.push_back(at->second);
    places_.erase(at);
    if (!round_) fill_gaps();
    return gone;
}

/// Not while a round walks over the seats: it would miss one or tell it twice.
void RoomCore::fill_gaps() {
    for (const std::size_t gap : gaps_) {
        while (!seats_.empty() && !seats_.back())
            seats_.pop_back();
        if (gap >= seats_.size()) continue;
        seats_[gap] = std::move(seats_.back());
        seats_.pop_back();
        places_[seats_[gap]->member.socket.pid()] = gap;
    }
    gaps_.clear();
    while (!seats_.empty() && !seats_.back())
        seats_.pop_back();
}

std::vector<std::string> RoomCore::names() const {
    std::vector<const Seat*> seats;
    seats.reserve(places_.size());
    for (const std::optional<Seat>& seat : seats_) {
        if (seat) seats.push_back(&*seat);
    }
    std::sort(seats.begin(), seats.end(),
              [](const Seat* left, const Seat* right) { return left->number < right->number; });
    std::vector<std::string> names;
    names.reserve(seats.size());
    for (const Seat* seat : seats)
        names.push_back(seat->member.name);
    return names;
}

websocket::RoomStats RoomCore::stats() const noexcept {
    return {size(), said_, deliveries_, straight_, rounds_, refused_, stopped_};
}

bool RoomCore::has_room_for(std::size_t bytes) noexcept {
    const bool fits = gathered_.empty() || gathered_bytes_ + bytes <= options.waiting_bytes_max();
    if (!fits) ++refused_;
    return fits;
}

void RoomCore::gather(Opcode kind, std::string_view payload, Ref<websocket::Socket> except) {
    gathered_bytes_ += payload.size();
    gathered_.push_back({++said_, kind, std::string(payload), except});
}

void RoomCore::deliver_some(bool at_once) {
    if (!round_) begin_round();
    for (std::size_t effort = 0; round_->next < seats_.size() && effort < kMembersInARow;
         ++round_->next) {
        const std::optional<Seat>& seat = seats_[round_->next];
        effort += seat && deliver(*seat, at_once) ? kToldForOneWritten : 1;
    }
    if (round_->next < seats_.size()) return;
    round_.reset();
    fill_gaps();
}

void RoomCore::begin_round() {
    round_ = std::make_unique<Round>();
    ++rounds_;
    round_->messages = std::exchange(gathered_, {});
    gathered_bytes_ = 0;
    Encoded::Windows windows = 0;
    for (const std::optional<Seat>& seat : seats_) {
        if (seat && seat->member.window_bits != 0) {
            windows =
                static_cast<Encoded::Windows>(windows | Encoded::window(seat->member.window_bits));
        }
    }
    for (const Message& message : round_->messages) {
        if (message.except != Ref<websocket::Socket>()) {
            round_->exceptions.push_back(message.except);
        }
    }
    round_->frames = encoded(round_->messages, Ref<websocket::Socket>(), 0, windows);
}

/// True when it was written at once.
bool RoomCore::deliver(const Seat& seat, bool at_once) {
    const Ref<websocket::Socket> socket = seat.member.socket;
    const std::vector<Ref<websocket::Socket>>& exceptions = round_->exceptions;
    SharedFrames frames = round_->frames;
    if (seat.from > round_->messages.front().number ||
        std::find(exceptions.begin(), exceptions.end(), socket) != exceptions.end()) {
        const int bits = seat.member.window_bits;
        frames = encoded(round_->messages, socket, seat.from,
                         bits != 0 ? Encoded::window(bits) : Encoded::Windows{0});
    }
    const std::size_t messages = frames->messages();
    if (messages == 0) return false;
    if (at_once && deliver_at_once(socket, frames)) {
        deliveries_ += messages;
        straight_ += messages;
        return true;
    }
    switch (socket.tell<&websocket::Socket::deliver>(std::move(frames))) {
        case SendStatus::sent:
            deliveries_ += messages;
            break;
        case SendStatus::full:
            // It would miss what the others hear, and not know of it.
            ++stopped_;
            socket.stop();
            break;
        case SendStatus::gone:
            break;  // the news of it is on its way
    }
    return false;
}

/// What `listener` hears of these messages; nobody: all of them.
SharedFrames RoomCore::encoded(const std::vector<Message>& messages,
                               Ref<websocket::Socket> listener, std::uint64_t from,
                               Encoded::Windows windows) const {
    auto frames = std::make_shared<Encoded>();
    const bool anybody = listener == Ref<websocket::Socket>();
    for (const Message& message : messages) {
        if (message.number < from || (!anybody && message.except == listener)) continue;
        frames->add(message.kind, message.payload, windows, options.deflate_bytes_min());
    }
    return frames;
}

}  // namespace troupe::websocket_internal
