#include <troupe/base/assert.hpp>
#include <troupe/websocket/internal/deflate.hpp>

#include <zlib.h>

#include <algorithm>
#include <limits>
#include <utility>

namespace troupe::websocket_internal {

namespace {

// What every message would end with, so that nobody sends it (RFC 7692, section 7.2.1).
constexpr std::string_view kTail("\x00\x00\xff\xff", 4);

// Messages are short and sent at once: most of the gain comes at the lowest levels.
constexpr int kLevel = Z_BEST_SPEED;

// Of 9: the hash chains of a small window need no more, and they are most of the memory.
int memory_level(int window_bits) noexcept {
    return std::clamp(window_bits - 7, 1, 8);
}

Bytef* bytes_of(std::string_view text) noexcept {
    // zlib does not write there; its interface is older than const.
    return reinterpret_cast<Bytef*>(const_cast<char*>(text.data()));
}

/// Room of some size behind what is in `out`; never more than `most`.
std::size_t make_room(std::string& out, std::size_t wanted, std::size_t most) {
    const std::size_t used = out.size();
    const std::size_t room = std::min(std::max<std::size_t>(wanted, 256), most);
    out.resize(used + room);
    return room;
}

uInt limited(std::size_t size) noexcept {
    return static_cast<uInt>(std::min<std::size_t>(size, std::numeric_limits<uInt>::max()));
}

}  // namespace

// ---- Deflater -----------------------------------------------------------------------------------

Deflater::Deflater(int window_bits, bool forgets) noexcept
    : window_bits_(window_bits), forgets_(forgets) {}

Deflater::~Deflater() {
    rest();
}

void Deflater::begin() {
    stream_ = std::make_unique<z_stream_s>();
    const int status = deflateInit2(stream_.get(), kLevel, Z_DEFLATED, -window_bits_,
                                    memory_level(window_bits_), Z_DEFAULT_STRATEGY);
    TROUPE_ASSERT(status == Z_OK, "zlib refuses what it documents, or there is no memory left");
}

void Deflater::compress(std::string_view message, std::string& out) {
    if (!stream_) begin();
    z_stream_s& stream = *stream_;
    const std::size_t before = out.size();
    std::size_t fed = 0;
    int flush = Z_NO_FLUSH;
    do {
        const uInt part = limited(message.size() - fed);
        stream.next_in = bytes_of(message.substr(fed));
        stream.avail_in = part;
        fed += part;
        flush = fed == message.size() ? Z_SYNC_FLUSH : Z_NO_FLUSH;
        do {
            const std::size_t used = out.size();
            const std::size_t room = make_room(out, part / 2 + 64, 1024 * 1024);
            stream.next_out = reinterpret_cast<Bytef*>(out.data() + used);
            stream.avail_out = static_cast<uInt>(room);
            deflate(&stream, flush);
            out.resize(used + room - stream.avail_out);
        } while (stream.avail_out == 0);
    } while (flush == Z_NO_FLUSH);

    const std::string_view written = std::string_view(out).substr(before);
    if (written.ends_with(kTail)) out.resize(out.size() - kTail.size());
    // Nothing compresses to nothing; the peer wants one block all the same.
    if (out.size() == before) out.push_back('\0');
    if (forgets_) deflateReset(&stream);
}

void Deflater::rest() noexcept {
    if (!stream_) return;
    deflateEnd(stream_.get());
    stream_.reset();
}

// ---- Inflater -----------------------------------------------------------------------------------

Inflater::Inflater(int window_bits, bool forgets) noexcept
    : window_bits_(window_bits), forgets_(forgets) {}

Inflater::~Inflater() {
    end();
}

void Inflater::begin() {
    stream_ = std::make_unique<z_stream_s>();
    // The largest window understands what was made with any smaller one, and is only allocated as
    // far as the agreed size; zlib itself does not take 8 bits here.
    const int status = inflateInit2(stream_.get(), -std::max(window_bits_, 9));
    TROUPE_ASSERT(status == Z_OK, "zlib refuses what it documents, or there is no memory left");
    restore_window();
}

void Inflater::restore_window() {
    ended_ = false;
    if (window_.empty()) return;
    inflateSetDictionary(stream_.get(), bytes_of(window_), static_cast<uInt>(window_.size()));
    window_ = std::string();
}

void Inflater::keep_window() {
    uInt size = 0;
    inflateGetDictionary(stream_.get(), nullptr, &size);
    window_.resize(size);
    if (size == 0) return;
    inflateGetDictionary(stream_.get(), reinterpret_cast<Bytef*>(window_.data()), &size);
}

void Inflater::end() noexcept {
    if (!stream_) return;
    inflateEnd(stream_.get());
    stream_.reset();
}

Inflater::Outcome Inflater::expand(std::string_view piece, std::string& out,
                                   std::size_t bytes_max) {
    if (!stream_) begin();
    z_stream_s& stream = *stream_;
    while (!piece.empty()) {
        if (ended_) {
            // A last block inside of a message: what follows is a new stream, which may refer to
            // the window as before (RFC 7692, section 7.2.3.4).
            keep_window();
            inflateReset(&stream);
            restore_window();
        }
        const uInt part = limited(piece.size());
        stream.next_in = bytes_of(piece);
        stream.avail_in = part;
        do {
            const std::size_t used = out.size();
            // One byte beyond the limit tells whether there is more.
            const std::size_t room =
                make_room(out, std::size_t{stream.avail_in} * 3,
                          std::min<std::size_t>(bytes_max - used + 1, 256 * 1024));
            stream.next_out = reinterpret_cast<Bytef*>(out.data() + used);
            stream.avail_out = static_cast<uInt>(room);
            const int status = inflate(&stream, Z_SYNC_FLUSH);
            out.resize(used + room - stream.avail_out);
            if (out.size() > bytes_max) return Outcome::too_large;
            if (status == Z_STREAM_END) {
                ended_ = true;
                break;
            }
            if (status == Z_BUF_ERROR) break;  // nothing more without more input
            if (status != Z_OK) return Outcome::malformed;
        } while (stream.avail_in != 0 || stream.avail_out == 0);
        piece.remove_prefix(part - stream.avail_in);
        if (!ended_ && stream.avail_in != 0) return Outcome::malformed;
    }
    return Outcome::done;
}

Inflater::Outcome Inflater::end_message(std::string& out, std::size_t bytes_max) {
    const Outcome outcome = expand(kTail, out, bytes_max);
    if (outcome != Outcome::done) return outcome;
    if (forgets_) {
        inflateReset(stream_.get());
        ended_ = false;
    }
    return outcome;
}

bool Inflater::rest() {
    if (stream_) {
        if (!forgets_) keep_window();
        end();
    }
    return window_.empty();
}

}  // namespace troupe::websocket_internal
