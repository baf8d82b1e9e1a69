#include <troupe/base/error.hpp>
#include <troupe/base/hash.hpp>
#include <troupe/scheduler/choice.hpp>
#include <troupe/scheduler/shared_use.hpp>
#include <troupe/sim/disk.hpp>
#include <troupe/sim/sim.hpp>

#include <algorithm>
#include <utility>

namespace troupe::sim {

void Disk::note_use(const std::string& path) {
    note_shared_use(thing_of(fnv1a_64(path)));
}

bool Disk::fault(unsigned per_thousand, const char* site) {
    return sim_->engine().happens(per_thousand, site);
}

std::size_t Disk::used() const noexcept {
    std::size_t bytes = 0;
    for (const auto& [path, file] : files_)
        bytes += file.seen.size();
    return bytes;
}

void Disk::put(std::string& into, const Write& write, std::size_t bytes) {
    if (bytes == 0) return;
    if (into.size() < write.offset + bytes) into.resize(write.offset + bytes, '\0');
    into.replace(write.offset, bytes, write.bytes, 0, bytes);
}

Result<void> Disk::write(const std::string& path, std::size_t offset, std::string_view bytes) {
    note_use(path);
    if (fault(faults_.errors_per_thousand, "disk write")) {
        return error(Errc::failed, "writing " + path + ": I/O error");
    }
    File& file = files_[path];
    const std::size_t grows = std::max(file.seen.size(), offset + bytes.size()) - file.seen.size();
    if (used() + grows > faults_.bytes_max) {
        return error(Errc::failed, "writing " + path + ": no space left on the disk");
    }
    const Write& write = file.unsynced.emplace_back(Write{offset, std::string(bytes)});
    put(file.seen, write, bytes.size());
    return {};
}

Result<void> Disk::append(const std::string& path, std::string_view bytes) {
    return write(path, files_[path].seen.size(), bytes);
}

Result<std::string> Disk::read(const std::string& path, std::size_t offset, std::size_t bytes) {
    note_use(path);
    const auto found = files_.find(path);
    if (found == files_.end()) return error(Errc::not_found, "there is no file " + path);
    if (fault(faults_.errors_per_thousand, "disk read")) {
        return error(Errc::failed, "reading " + path + ": I/O error");
    }
    const std::string& seen = found->second.seen;
    std::string text = offset < seen.size() ? seen.substr(offset, bytes) : std::string();
    if (!text.empty() && fault(faults_.bit_flips_per_thousand, "disk bit flip")) {
        const std::uint64_t bit = sim_->choose(text.size() * 8, "which bit");
        text[bit / 8] =
            static_cast<char>(static_cast<unsigned char>(text[bit / 8]) ^ (1U << (bit % 8)));
    }
    return text;
}

Result<std::size_t> Disk::size(const std::string& path) const {
    note_use(path);
    const auto found = files_.find(path);
    if (found == files_.end()) return error(Errc::not_found, "there is no file " + path);
    return found->second.seen.size();
}

Result<void> Disk::sync(const std::string& path) {
    note_use(path);
    const auto found = files_.find(path);
    if (found == files_.end()) return error(Errc::not_found, "there is no file " + path);
    if (fault(faults_.errors_per_thousand, "disk sync")) {
        // As with fsync on Linux, nobody knows what has become of what was written.
        return error(Errc::failed, "syncing " + path + ": I/O error");
    }
    File& file = found->second;
    file.safe = file.seen;
    file.unsynced.clear();
    file.name_is_safe = true;
    replaced_.erase(path);
    return {};
}

Result<void> Disk::rename(const std::string& from, const std::string& to) {
    note_use(from);
    note_use(to);
    const auto found = files_.find(from);
    if (found == files_.end()) return error(Errc::not_found, "there is no file " + from);
    File moved = std::move(found->second);
    files_.erase(found);
    if (const auto before = files_.find(to);
        before != files_.end() && before->second.name_is_safe) {
        replaced_.emplace(to, before->second);  // the oldest that may come back
    }
    moved.name_is_safe = false;
    files_[to] = std::move(moved);
    return {};
}

void Disk::crash() {
    for (auto& [path, file] : replaced_) {
        // Either of the two has the name.
        if (sim_->choose(2, "rename lost in a crash") == 0) {
            files_[path].name_is_safe = true;
            continue;
        }
        files_[path] = std::move(file);
    }
    replaced_.clear();
    for (auto at = files_.begin(); at != files_.end();) {
        File& file = at->second;
        const bool gone = !file.name_is_safe && sim_->choose(2, "file lost in a crash") != 0;
        if (gone) {
            at = files_.erase(at);
            continue;
        }
        for (const Write& write : file.unsynced) {
            // The first alternative is the worst that is plain: all of it is lost.
            std::size_t kept = 0;
            switch (sim_->choose(3, "write lost in a crash")) {
                case 0:
                    break;
                case 1:
                    kept = write.bytes.size();
                    break;
                default:
                    kept = static_cast<std::size_t>(
                        write.bytes.empty() ? 0 : sim_->choose(write.bytes.size(), "torn write"));
            }
            put(file.safe, write, kept);
        }
        file.unsynced.clear();
        file.seen = file.safe;
        file.name_is_safe = true;
        ++at;
    }
}

}  // namespace troupe::sim
