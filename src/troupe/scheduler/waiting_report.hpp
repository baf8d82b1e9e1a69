#pragma once

#include <cstddef>
#include <source_location>
#include <string>

namespace troupe {

class Engine;

/// Who waits, for what, where, and for whom: one line each, then the circles among them. Empty when
/// nobody waits.
///
///     <0.3.1> Client waits in ask Account::balance at bank_test.cpp:41 for <0.4.1> Account
///
/// Threads: the engine must be at rest: deterministic, or stuck for good.
std::string waiting_report(const Engine& engine);

/// "bank_test.cpp:41", as reports name a place; empty when it is nowhere.
std::string place_of(const std::source_location& where);

}  // namespace troupe
