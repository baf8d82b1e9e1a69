#pragma once

/// Files for simulated tests: what was not synced may be lost, torn or kept when the machine
/// crashes, and a disk may err, be full, or give back other bits than it was given.
///
/// Code under test reaches it through an interface of its own, with real files behind that in
/// production. Every fault is a choice of the engine, so it replays.

#include <troupe/base/result.hpp>

#include <cstddef>
#include <cstdint>
#include <map>
#include <string>
#include <string_view>
#include <vector>

namespace troupe {

class Sim;

namespace sim {

struct DiskFaults {
    unsigned errors_per_thousand = 0;              ///< of reads, writes and syncs
    unsigned bit_flips_per_thousand = 0;           ///< of reads
    std::size_t bytes_max = std::size_t{1} << 30;  ///< more do not fit
};

/// Threads: those of the simulation.
class Disk {
public:
    explicit Disk(Sim& sim, const DiskFaults& faults = {}) : sim_(&sim), faults_(faults) {}

    /// Errors:  failed, an I/O error or a full disk, as the text says.
    Result<void> write(const std::string& path, std::size_t offset, std::string_view bytes);
    Result<void> append(const std::string& path, std::string_view bytes);
    /// What is there of it; not_found, when there is no such file.
    Result<std::string> read(const std::string& path, std::size_t offset, std::size_t bytes);
    Result<std::size_t> size(const std::string& path) const;
    /// What was written to the file is safe from here on. The name of a new file is, too.
    Result<void> sync(const std::string& path);
    /// Takes the place of another file at once. Which of the two a crash leaves is not known before
    /// the next sync of the new name.
    Result<void> rename(const std::string& from, const std::string& to);

    /// The machine loses its power: of each write that was not synced, nothing, a part or all is
    /// left, and a later one may be left where an earlier one is not.
    void crash();

    void set_faults(const DiskFaults& faults) noexcept { faults_ = faults; }

private:
    struct Write {
        std::size_t offset;
        std::string bytes;
    };
    struct File {
        std::string safe;             // what a crash cannot take
        bool name_is_safe = false;    // without it the file may be gone
        std::vector<Write> unsynced;  // oldest first
        std::string seen;             // what a read gives
    };

    static void note_use(const std::string& path);
    bool fault(unsigned per_thousand, const char* site);
    std::size_t used() const noexcept;
    static void put(std::string& into, const Write& write, std::size_t bytes);

    Sim* sim_;
    DiskFaults faults_;
    std::map<std::string, File> files_;
    std::map<std::string, File> replaced_;  // by a rename that may come undone
};

}  // namespace sim
}  // namespace troupe
