#include <troupe/base/hash.hpp>
#include <troupe/route/members.hpp>

#include <algorithm>
#include <utility>

namespace troupe {

const char* name(Route route) noexcept {
    switch (route) {
        case Route::power_of_two:
            return "power_of_two";
        case Route::round_robin:
            return "round_robin";
        case Route::random:
            return "random";
        case Route::smallest_mailbox:
            return "smallest_mailbox";
        case Route::consistent_hash:
            return "consistent_hash";
        case Route::broadcast:
            return "broadcast";
    }
    return "unknown";
}

namespace route_internal {
namespace {

Load load_of(const Member& member) noexcept {
    return actor_internal::load_of(member.cell, member.generation);
}

/// Rendezvous hashing: of all members the one that scores highest with the key. When one goes,
/// only the keys it has won move, to whoever came second for each of them.
std::size_t winner(const std::vector<Member>& members, std::uint64_t key) noexcept {
    std::size_t best = 0;
    std::uint64_t best_score = 0;
    for (std::size_t i = 0; i < members.size(); ++i) {
        const std::uint64_t score = hash_combine(key, members[i].number);
        if (i == 0 || score > best_score) {
            best = i;
            best_score = score;
        }
    }
    return best;
}

std::size_t least_loaded(const std::vector<Member>& members) noexcept {
    std::size_t best = 0;
    std::size_t least = 0;
    for (std::size_t i = 0; i < members.size(); ++i) {
        const std::size_t waiting = load_of(members[i]).waiting;
        if (i == 0 || waiting < least) {
            best = i;
            least = waiting;
        }
    }
    return best;
}

/// Two different ones at random, and of them the one with less mail.
std::size_t better_of_two(const std::vector<Member>& members) noexcept {
    if (members.size() == 1) return 0;
    const std::size_t n = members.size();
    const auto first = static_cast<std::size_t>(actor_internal::draw_below(members[0].cell, n));
    auto second = static_cast<std::size_t>(actor_internal::draw_below(members[0].cell, n - 1));
    if (second >= first) ++second;
    return load_of(members[second]).waiting < load_of(members[first]).waiting ? second : first;
}

}  // namespace

std::uint64_t hash_of_key(std::uint64_t key) noexcept {
    return mix_64(key);
}
std::uint64_t hash_of_key(std::string_view key) noexcept {
    return mix_64(fnv1a_64(key));
}

Error no_member(std::string_view what) {
    return Error(
        RouteErrc::no_member,
        std::string(what) + " has no member: nobody was added to it, or all have ended for good");
}

void Members::add(Member member, std::optional<std::string_view> name) {
    LockGuard lock(mutex_);
    if (std::find(members_.begin(), members_.end(), member) != members_.end()) return;
    member.number = name ? fnv1a_64(*name) : mix_64(numbered_);
    ++numbered_;
    if (member.cell != nullptr) last_added_ = member.cell;
    members_.push_back(member);
}

void Members::lose(MailNode* message) {
    const Cell* of_system = nullptr;
    {
        LockGuard lock(mutex_);
        of_system = last_added_;
    }
    actor_internal::lose_unrouted(of_system, message);
}

bool Members::remove(const Member& member) {
    LockGuard lock(mutex_);
    return std::erase(members_, member) != 0;
}

std::vector<Member> Members::all() {
    LockGuard lock(mutex_);
    strike_off();
    return members_;
}

std::vector<Member> Members::everybody() {
    Use use;
    LockGuard lock(mutex_);
    note(use);
    strike_off();
    return members_;
}

void Members::watch_use(OnUse on_use) {
    auto shared = std::make_shared<OnUse>(std::move(on_use));
    LockGuard lock(mutex_);
    on_use_ = *shared ? std::move(shared) : nullptr;
    resting_ = false;
}

bool Members::rest() {
    LockGuard lock(mutex_);
    resting_ = !std::exchange(used_, false);
    return resting_;
}

void Members::note(Use& use) {
    used_ = true;
    if (std::exchange(resting_, false)) use.told = on_use_;
}

void Members::strike_off() {
    std::erase_if(members_, [](const Member& member) { return !load_of(member).there; });
}

Result<void> Members::check(std::optional<std::uint64_t> key) {
    strike_off();
    if (members_.empty()) {
        return std::unexpected(
            no_member("a router that goes by " + std::string(troupe::name(route_))));
    }
    if (route_ == Route::consistent_hash && !key) {
        return error(RouteErrc::no_key,
                     "this router goes by consistent_hash: name the key, router.by(key).tell<...>");
    }
    return {};
}

std::vector<Member> Members::those_up() {
    std::vector<Member> up;
    up.reserve(members_.size());
    for (const Member& member : members_) {
        if (load_of(member).up) up.push_back(member);
    }
    return up.empty() ? members_ : up;
}

std::size_t Members::choose(const std::vector<Member>& from, std::optional<std::uint64_t> key) {
    if (key) return winner(from, *key);
    switch (route_) {
        case Route::round_robin:
            return static_cast<std::size_t>(turn_++ % from.size());
        case Route::random:
            return static_cast<std::size_t>(actor_internal::draw_below(from[0].cell, from.size()));
        case Route::smallest_mailbox:
            return least_loaded(from);
        case Route::power_of_two:
        case Route::broadcast:  // of an ask, which one member answers
            return better_of_two(from);
        case Route::consistent_hash:  // has a key: see check
            break;
    }
    return 0;
}

/// The usual pick, without a look at all members: whom it falls on is there and up. Null when not,
/// or when the route wants to see all.
const Member* Members::quick_pick() {
    const bool sees_all = route_ == Route::smallest_mailbox || route_ == Route::consistent_hash;
    if (members_.empty() || sees_all) return nullptr;
    const std::uint64_t turn = turn_;
    const Member& chosen = members_[choose(members_, std::nullopt)];
    const Load load = load_of(chosen);
    if (load.there && load.up) return &chosen;
    turn_ = turn;  // whoever is picked instead is picked in this turn
    return nullptr;
}

Result<Member> Members::pick(std::optional<std::uint64_t> key) {
    Use use;
    LockGuard lock(mutex_);
    note(use);
    const Member* const quick = key ? nullptr : quick_pick();
    if (quick != nullptr) return *quick;
    Result<void> good = check(key);
    if (!good) return std::unexpected(std::move(good).error());
    // A key keeps its member over a restart: its mail waits there.
    if (key) return members_[winner(members_, *key)];
    const std::vector<Member> up = those_up();
    return up[choose(up, key)];
}

Result<std::vector<Member>> Members::pick_several(std::size_t count,
                                                  std::optional<std::uint64_t> key) {
    Use use;
    LockGuard lock(mutex_);
    note(use);
    Result<void> good = check(key);
    if (!good) return std::unexpected(std::move(good).error());
    std::vector<Member> left = key ? members_ : those_up();
    std::vector<Member> picked;
    // Those after the first one in turn, not each at a turn of its own.
    const std::uint64_t turn = turn_ + 1;
    while (picked.size() < count && !left.empty()) {
        const auto at = static_cast<std::ptrdiff_t>(choose(left, key));
        picked.push_back(left[static_cast<std::size_t>(at)]);
        left.erase(left.begin() + at);
    }
    if (route_ == Route::round_robin) turn_ = turn;
    return picked;
}

}  // namespace route_internal
}  // namespace troupe
