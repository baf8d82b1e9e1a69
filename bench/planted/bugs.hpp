#pragma once

#include <troupe/sim/sim.hpp>

#include <string>
#include <vector>

namespace planted {

/// A small program in two forms: as it should be, and with one mistake.
struct Bug {
    std::string name;
    std::string mistake;  ///< in a few words
    void (*body)(troupe::Sim& sim, bool planted);
};

std::vector<Bug> bugs_of_actors();
std::vector<Bug> bugs_of_order();
std::vector<Bug> bugs_of_time();
/// Their mistakes are patches, so that what they are depends on the program they are linked into.
std::vector<Bug> bugs_of_components();
std::vector<Bug> bugs_of_windows();

}  // namespace planted
