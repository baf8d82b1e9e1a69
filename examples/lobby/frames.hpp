#pragma once

// What the page and the server say to each other: JSON documents, one in each text message.

#include <troupe/base/result.hpp>

#include <cstddef>
#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

inline constexpr std::size_t kNameBytesMax = 48;
inline constexpr std::size_t kTextBytesMax = 4000;
inline constexpr std::size_t kIdBytesMax = 64;

enum class FrameErrc : std::uint8_t {
    not_understood = 1,  ///< no JSON object, or one that asks for nothing we know
    bad_name,
    bad_text,
    bad_id,
    no_such_room,
    not_in_a_room,
    busy,  ///< worth another try
};
std::string_view code_of(FrameErrc code) noexcept;

/// What a page asks for.
struct Command {
    enum class Kind : std::uint8_t { enter, say, crash };
    Kind kind = Kind::say;
    std::string room;  // of enter
    std::string name;  // of enter
    std::string id;    // of say: which message of this page it is
    std::string text;  // of say
};

/// Errors: those of FrameErrc, with a sentence for whoever wrote the frame.
troupe::Result<Command> read_command(std::string_view frame);

/// Something that was said in a room.
struct Line {
    std::string id;
    std::string name;
    std::string text;
    std::int64_t at = 0;  // milliseconds since 1970
};

std::string said_frame(const Line& line);
/// This message was said already.
std::string known_frame(std::string_view id);
std::string came_frame(std::string_view name);
std::string left_frame(std::string_view name);
std::string entered_frame(std::string_view room, std::string_view name,
                          const std::vector<std::string>& present,
                          const std::vector<Line>& history);
std::string crashed_frame(std::string_view room, std::string_view why);
/// `id` is that of the message that was refused, or empty.
std::string error_frame(FrameErrc code, std::string_view sentence, std::string_view id);

struct RoomCount {
    std::string name;
    std::int64_t present = -1;  // -1: it is being started again
    std::uint64_t crashes = 0;
};
struct Counts {
    std::size_t people = 0;
    std::uint64_t messages = 0;
    std::uint64_t crashes = 0;
    std::int64_t uptime_seconds = 0;
    std::vector<RoomCount> rooms;
};
std::string counts_frame(const Counts& counts);
