#include "frames.hpp"

#include <troupe/http/json.hpp>

#include <boost/json.hpp>

#include <algorithm>

namespace json = boost::json;
using troupe::http::append_json_string;

namespace {

// No frame of ours nests; what nests deeper than that is no honest mistake.
constexpr std::size_t kDepthMax = 4;

/// The text of a field; empty when it is none.
std::string_view text_of(const json::object& object, std::string_view field) {
    const json::value* const found = object.if_contains({field.data(), field.size()});
    if (found == nullptr || !found->is_string()) return {};
    return {found->get_string().data(), found->get_string().size()};
}

bool is_control_character(char c) noexcept {
    return static_cast<unsigned char>(c) < 0x20 || c == 0x7f;
}

std::string_view trimmed(std::string_view text) {
    const std::size_t first = text.find_first_not_of(" \t\r\n");
    if (first == std::string_view::npos) return {};
    return text.substr(first, text.find_last_not_of(" \t\r\n") - first + 1);
}

troupe::Result<Command> read_enter(const json::object& object) {
    Command command;
    command.kind = Command::Kind::enter;
    command.room = text_of(object, "room");
    command.name = trimmed(text_of(object, "name"));
    if (command.name.empty()) return troupe::error(FrameErrc::bad_name, "Please give a name.");
    if (command.name.size() > kNameBytesMax) {
        return troupe::error(FrameErrc::bad_name, "This name is too long.");
    }
    if (std::any_of(command.name.begin(), command.name.end(), is_control_character)) {
        return troupe::error(FrameErrc::bad_name, "A name has no control characters.");
    }
    return command;
}

troupe::Result<Command> read_say(const json::object& object) {
    Command command;
    command.kind = Command::Kind::say;
    command.id = text_of(object, "id");
    command.text = trimmed(text_of(object, "text"));
    if (command.id.empty() || command.id.size() > kIdBytesMax) {
        return troupe::error(FrameErrc::bad_id, "A message has an id of 1 to 64 bytes.");
    }
    if (command.text.empty()) return troupe::error(FrameErrc::bad_text, "There is nothing in it.");
    if (command.text.size() > kTextBytesMax) {
        return troupe::error(FrameErrc::bad_text, "A message has 4000 bytes at most.");
    }
    return command;
}

/// `{"is":"kind"`, open for more.
std::string begin(std::string_view kind) {
    return "{\"is\":" + troupe::http::json_string(kind);
}
void add(std::string& frame, std::string_view field, std::string_view value) {
    frame.append(",\"").append(field).append("\":");
    append_json_string(frame, value);
}
void add(std::string& frame, std::string_view field, std::int64_t value) {
    frame.append(",\"").append(field).append("\":").append(std::to_string(value));
}
void add_line(std::string& frame, const Line& line) {
    add(frame, "id", line.id);
    add(frame, "name", line.name);
    add(frame, "text", line.text);
    add(frame, "at", line.at);
}

}  // namespace

std::string_view code_of(FrameErrc code) noexcept {
    switch (code) {
        case FrameErrc::not_understood:
            return "not_understood";
        case FrameErrc::bad_name:
            return "bad_name";
        case FrameErrc::bad_text:
            return "bad_text";
        case FrameErrc::bad_id:
            return "bad_id";
        case FrameErrc::no_such_room:
            return "no_such_room";
        case FrameErrc::not_in_a_room:
            return "not_in_a_room";
        case FrameErrc::busy:
            return "busy";
    }
    return "not_understood";
}

troupe::Result<Command> read_command(std::string_view frame) {
    json::parse_options options;
    options.max_depth = kDepthMax;
    json::error_code failed;
    const json::value value =
        json::parse({frame.data(), frame.size()}, failed, json::storage_ptr(), options);
    const json::object* const object = failed ? nullptr : value.if_object();
    if (object == nullptr) {
        return troupe::error(FrameErrc::not_understood, "This is no JSON object.");
    }
    const std::string_view kind = text_of(*object, "do");
    if (kind == "enter") return read_enter(*object);
    if (kind == "say") return read_say(*object);
    if (kind == "crash") {
        Command command;
        command.kind = Command::Kind::crash;
        return command;
    }
    return troupe::error(FrameErrc::not_understood, "\"do\" is enter, say or crash.");
}

std::string said_frame(const Line& line) {
    std::string frame = begin("said");
    add_line(frame, line);
    return frame + "}";
}

std::string known_frame(std::string_view id) {
    std::string frame = begin("known");
    add(frame, "id", id);
    return frame + "}";
}

std::string came_frame(std::string_view name) {
    std::string frame = begin("came");
    add(frame, "name", name);
    return frame + "}";
}

std::string left_frame(std::string_view name) {
    std::string frame = begin("left");
    add(frame, "name", name);
    return frame + "}";
}

std::string entered_frame(std::string_view room, std::string_view name,
                          const std::vector<std::string>& present,
                          const std::vector<Line>& history) {
    std::string frame = begin("entered");
    add(frame, "room", room);
    add(frame, "name", name);
    frame += ",\"present\":[";
    for (const std::string& one : present) {
        if (&one != present.data()) frame += ",";
        append_json_string(frame, one);
    }
    frame += "],\"history\":[";
    for (const Line& line : history) {
        if (&line != history.data()) frame += ",";
        frame += said_frame(line);
    }
    return frame + "]}";
}

std::string crashed_frame(std::string_view room, std::string_view why) {
    std::string frame = begin("crashed");
    add(frame, "room", room);
    add(frame, "why", why);
    return frame + "}";
}

std::string error_frame(FrameErrc code, std::string_view sentence, std::string_view id) {
    std::string frame = begin("error");
    add(frame, "code", code_of(code));
    add(frame, "text", sentence);
    if (!id.empty()) add(frame, "id", id);
    return frame + "}";
}

std::string counts_frame(const Counts& counts) {
    std::string frame = begin("counts");
    add(frame, "people", static_cast<std::int64_t>(counts.people));
    add(frame, "messages", static_cast<std::int64_t>(counts.messages));
    add(frame, "crashes", static_cast<std::int64_t>(counts.crashes));
    add(frame, "uptime", counts.uptime_seconds);
    frame += ",\"rooms\":[";
    for (const RoomCount& room : counts.rooms) {
        if (&room != counts.rooms.data()) frame += ",";
        frame += "{\"name\":";
        append_json_string(frame, room.name);
        add(frame, "present", room.present);
        add(frame, "crashes", static_cast<std::int64_t>(room.crashes));
        frame += "}";
    }
    return frame + "]}";
}
