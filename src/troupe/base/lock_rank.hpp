#pragma once

#include <cstdint>

namespace troupe {

/// The order in which one thread may hold several mutexes: always rising, never two of one rank.
/// Each rank has a row in LOCKS.md that says where it lives and what it protects. The gaps leave
/// room; a mutex under which others call out has a low number, a leaf has a high one.
enum class LockRank : std::uint16_t {
    test_outer = 1,
    test_inner = 2,
    shutdown_plan = 140,
    call_cycle = 150,
    system = 200,
    crash_reports = 210,
    supervision = 220,
    stall_listeners = 250,
    engine_services = 300,
    whereabouts = 310,
    groups = 320,
    router = 330,
    mailbox = 350,
    registry = 360,
    task_group = 370,
    wait_list = 380,
    conduits = 390,
    reactor = 400,
    timers = 500,
    own_threads = 505,
    blocking_pool = 510,
    network = 520,
    tls_identities = 530,
    tls_sessions = 535,
    http_addresses = 540,
    access_log = 545,
    cell_table = 600,
    spare_chunks = 610,
    engine_waiters = 690,
    latch = 700,
    engine_random = 710,
    symbols = 720,
    log_output = 800,
    log_queue = 810,
    block_pool_threads = 900,
    block_pool_depot = 910,
    block_pool_chunks = 920,
};

/// The rank's name as written in LOCKS.md.
constexpr const char* name(LockRank rank) noexcept {
    switch (rank) {
        case LockRank::test_outer:
            return "test_outer";
        case LockRank::test_inner:
            return "test_inner";
        case LockRank::shutdown_plan:
            return "shutdown_plan";
        case LockRank::call_cycle:
            return "call_cycle";
        case LockRank::system:
            return "system";
        case LockRank::crash_reports:
            return "crash_reports";
        case LockRank::supervision:
            return "supervision";
        case LockRank::stall_listeners:
            return "stall_listeners";
        case LockRank::engine_services:
            return "engine_services";
        case LockRank::whereabouts:
            return "whereabouts";
        case LockRank::groups:
            return "groups";
        case LockRank::router:
            return "router";
        case LockRank::mailbox:
            return "mailbox";
        case LockRank::registry:
            return "registry";
        case LockRank::task_group:
            return "task_group";
        case LockRank::wait_list:
            return "wait_list";
        case LockRank::conduits:
            return "conduits";
        case LockRank::reactor:
            return "reactor";
        case LockRank::timers:
            return "timers";
        case LockRank::own_threads:
            return "own_threads";
        case LockRank::blocking_pool:
            return "blocking_pool";
        case LockRank::network:
            return "network";
        case LockRank::tls_identities:
            return "tls_identities";
        case LockRank::tls_sessions:
            return "tls_sessions";
        case LockRank::http_addresses:
            return "http_addresses";
        case LockRank::access_log:
            return "access_log";
        case LockRank::cell_table:
            return "cell_table";
        case LockRank::spare_chunks:
            return "spare_chunks";
        case LockRank::engine_waiters:
            return "engine_waiters";
        case LockRank::latch:
            return "latch";
        case LockRank::symbols:
            return "symbols";
        case LockRank::engine_random:
            return "engine_random";
        case LockRank::log_output:
            return "log_output";
        case LockRank::log_queue:
            return "log_queue";
        case LockRank::block_pool_threads:
            return "block_pool_threads";
        case LockRank::block_pool_depot:
            return "block_pool_depot";
        case LockRank::block_pool_chunks:
            return "block_pool_chunks";
    }
    return "unknown";
}

}  // namespace troupe
