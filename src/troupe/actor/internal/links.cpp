#include <troupe/actor/actor.hpp>
#include <troupe/actor/internal/extension.hpp>
#include <troupe/actor/internal/links.hpp>
#include <troupe/actor/internal/node.hpp>
#include <troupe/base/assert.hpp>

#include <utility>

namespace troupe::actor_internal {

// ---- one actor's view ---------------------------------------------------------------------------

namespace {

Links& links_of(Cell& cell) {
    Ties& ties = ties_of(cell);
    if (ties.links == nullptr) ties.links = make_node<Links>();
    return *ties.links;
}

Links* existing_links(Cell& cell) noexcept {
    Ties* const ties = existing_ties(cell);
    return ties != nullptr ? ties->links : nullptr;
}

LinkHalf*& half_of(LinkedPeer& peer, bool made_there) noexcept {
    return made_there ? peer.made_there : peer.made_here;
}

void free_half(LinkHalf*& half) noexcept {
    if (half != nullptr) free_node(std::exchange(half, nullptr));
}

}  // namespace

Links::~Links() {
    while (!peers.empty())
        erase(peers.front());
}

LinkedPeer& Links::at(Pid pid) {
    LinkedPeer*& peer = by_pid[pid];
    if (peer == nullptr) {
        peer = make_node<LinkedPeer>();
        peer->pid = pid;
        peers.push_back(*peer);
    }
    return *peer;
}

LinkedPeer* Links::find(Pid pid) const noexcept {
    const auto at = by_pid.find(pid);
    return at != by_pid.end() ? at->second : nullptr;
}

void Links::erase(LinkedPeer& peer) noexcept {
    free_half(peer.made_here);
    free_half(peer.made_there);
    by_pid.erase(peer.pid);
    peers.erase(peer);
    free_node(&peer);
}

// ---- what travels -------------------------------------------------------------------------------

namespace {

/// Ends the actor as its peer has ended: at once, as a kill does, since it did not ask to be told.
void die_with_peer(Cell& cell, const ExitReason& reason) {
    if ((cell.flags_ & kKillAsked) != 0) return;
    links_of(cell).died_with_peer = true;
    set_stop_reason(cell, reason);
    cell.flags_ = static_cast<std::uint8_t>(cell.flags_ | kKillAsked);
}

bool exit_arrived(MailNode* node, Cell& cell) {
    auto* const exit = static_cast<LinkHalf*>(node);
    Links* const links = existing_links(cell);
    LinkedPeer* const peer = links != nullptr ? links->find(exit->ended) : nullptr;
    const LinkHalf* const mine = peer != nullptr ? half_of(*peer, !exit->made_by_hearer) : nullptr;
    if (mine == nullptr || mine->number != exit->number) {
        free_node(exit);  // unlinked meanwhile, or told already
        return false;
    }
    links->erase(*peer);
    if (links->make_exit != nullptr) {
        hear(cell, exit);
        return false;
    }
    if (exit->reason.kind() != ExitReason::Kind::normal) die_with_peer(cell, exit->reason);
    free_node(exit);
    return false;
}

MailNode* to_exit(News* news, Cell& hearer) {
    const Links& links = *existing_links(hearer);
    auto* const half = static_cast<LinkHalf*>(news);
    MailNode* const message =
        links.make_exit(links.exit_offset, Exit{half->ended, std::move(half->reason)});
    message->generation = hearer.generation();
    free_node(half);
    return message;
}

bool unlink_arrived(MailNode* node, Cell& cell) {
    auto* const signal = static_cast<UnlinkSignal*>(node);
    Links* const links = existing_links(cell);
    if (LinkedPeer* const peer = links != nullptr ? links->find(signal->sender) : nullptr) {
        LinkHalf*& half = half_of(*peer, signal->made_by_sender);
        if (half != nullptr && half->number == signal->number) free_half(half);
        if (peer->made_here == nullptr && peer->made_there == nullptr) links->erase(*peer);
    }
    free_node(signal);
    return false;
}

}  // namespace

const MailOps LinkHalf::kLinkOps{
    MailKind::signal,
    [](MailNode* node, const Error&) noexcept {
        static_cast<LinkHalf*>(node)->tell_exit(ExitReason(ExitReason::Kind::noproc));
    },
    [](MailNode* node, Cell& cell) {
        auto* const half = static_cast<LinkHalf*>(node);
        Links& links = links_of(cell);
        LinkedPeer& peer = links.at(pid_of(half->hearer, half->hearer_generation));
        TROUPE_ASSERT(peer.made_there == nullptr, "an actor makes one link to another at a time");
        peer.made_there = half;
        return false;
    }};

const NewsOps LinkHalf::kExitOps{
    {MailKind::signal,
     [](MailNode* node, const Error&) noexcept { free_node(static_cast<LinkHalf*>(node)); },
     &exit_arrived},
    &to_exit};

const MailOps UnlinkSignal::kOps{
    MailKind::signal,
    [](MailNode* node, const Error&) noexcept { free_node(static_cast<UnlinkSignal*>(node)); },
    &unlink_arrived};

bool died_with_peer(const Cell& cell) noexcept {
    const Ties* const ties = existing_ties(cell);
    return ties != nullptr && ties->links != nullptr && ties->links->died_with_peer;
}

// ---- what an actor does -------------------------------------------------------------------------

void post_link(Cell& cell, Cell* other, std::uint32_t generation) {
    const Pid me = pid_of(&cell, cell.generation());
    const Pid pid = pid_of(other, generation);
    if (pid == me) return;
    Links& links = links_of(cell);
    if (links.find(pid) != nullptr) return;

    auto* const here = make_node<LinkHalf>();
    here->hearer = other;
    here->hearer_generation = generation;
    here->ended = me;
    here->number = ++links.made;

    auto* const there = make_node<LinkHalf>();
    there->ops = &LinkHalf::kLinkOps;
    there->hearer = &cell;
    there->hearer_generation = cell.generation();
    there->ended = pid;
    there->number = here->number;
    there->made_by_hearer = true;

    links.at(pid).made_here = here;
    if (other == nullptr) {
        there->tell_exit(ExitReason(ExitReason::Kind::noproc));
    } else {
        post_signal(*other, generation, there);
    }
}

void post_unlink(Cell& cell, Cell* other, std::uint32_t generation) {
    const Pid pid = pid_of(other, generation);
    Links* const links = existing_links(cell);
    if (links == nullptr) return;
    if (LinkedPeer* const peer = links->find(pid)) {
        for (const bool made_there : {false, true}) {
            const LinkHalf* const half = half_of(*peer, made_there);
            if (half == nullptr || other == nullptr) continue;
            auto* const signal = make_node<UnlinkSignal>();
            signal->ops = &UnlinkSignal::kOps;
            signal->sender = pid_of(&cell, cell.generation());
            signal->number = half->number;
            signal->made_by_sender = !made_there;
            post_signal(*other, generation, signal);
        }
        links->erase(*peer);
    }
    // The news may have arrived and not been handled.
    discard_news(cell, [&](const News& news) {
        return news.ops == &LinkHalf::kExitOps && static_cast<const LinkHalf&>(news).ended == pid;
    });
}

void trap_exits(Cell& cell, std::ptrdiff_t offset,
                MailNode* (*make_exit)(std::ptrdiff_t offset, Exit exit)) {
    Links& links = links_of(cell);
    links.make_exit = make_exit;
    links.exit_offset = offset;
}

void tell_links(Cell& cell, const ExitReason& reason) noexcept {
    Links* const links = existing_links(cell);
    if (links == nullptr) return;
    links->make_exit = nullptr;
    links->died_with_peer = false;
    while (!links->peers.empty()) {
        LinkedPeer& peer = links->peers.front();
        // Of two links between the same two one tells; the other goes with its end.
        LinkHalf* const half =
            std::exchange(peer.made_here != nullptr ? peer.made_here : peer.made_there, nullptr);
        const bool somebody = half->hearer != nullptr;
        if (!somebody) free_node(half);
        links->erase(peer);
        if (somebody) half->tell_exit(reason);
    }
    links->make_exit = nullptr;  // the next incarnation decides anew
}

}  // namespace troupe::actor_internal
