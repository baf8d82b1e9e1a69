#include <troupe/base/assert.hpp>
#include <troupe/http/internal/gzip.hpp>

#include <zlib.h>

#include <algorithm>
#include <limits>

namespace troupe::http_internal {

namespace {

constexpr int kGzipFormat = 16;  // added to the size of the window
constexpr int kWindowBits = 14;  // 16 KiB: half the memory, and a percent more to send
constexpr int kMemoryLevel = 7;

constexpr std::size_t kRoom = std::size_t{16} * 1024;

Bytef* bytes_of(std::string_view text) {
    return reinterpret_cast<Bytef*>(const_cast<char*>(text.data()));  // zlib only reads it
}

}  // namespace

struct GzipWriter::State {
    z_stream stream{};
};

GzipWriter::GzipWriter(int level) : state_(std::make_unique<State>()) {
    const int begun = ::deflateInit2(&state_->stream, level, Z_DEFLATED, kWindowBits + kGzipFormat,
                                     kMemoryLevel, Z_DEFAULT_STRATEGY);
    TROUPE_ASSERT(begun == Z_OK, "zlib has memory, and takes these numbers");
}

GzipWriter::~GzipWriter() {
    ::deflateEnd(&state_->stream);
}

void GzipWriter::write(std::string_view piece, Flush flush, std::string& out) {
    constexpr int kHow[] = {Z_NO_FLUSH, Z_SYNC_FLUSH, Z_FINISH};
    z_stream& stream = state_->stream;
    TROUPE_ASSERT(piece.size() <= std::numeric_limits<uInt>::max(), "a piece is a piece");
    stream.next_in = bytes_of(piece);
    stream.avail_in = static_cast<uInt>(piece.size());
    do {
        const std::size_t before = out.size();
        out.resize(before + kRoom);
        stream.next_out = reinterpret_cast<Bytef*>(out.data() + before);
        stream.avail_out = static_cast<uInt>(kRoom);
        ::deflate(&stream, kHow[static_cast<int>(flush)]);
        out.resize(out.size() - stream.avail_out);
    } while (stream.avail_out == 0);
}

Gunzip gunzip(std::string_view data, std::size_t bytes_max, std::string& out) {
    z_stream stream{};
    if (::inflateInit2(&stream, MAX_WBITS + kGzipFormat) != Z_OK) return Gunzip::too_large;
    stream.next_in = bytes_of(data);
    stream.avail_in = static_cast<uInt>(std::min<std::size_t>(data.size(), 1u << 31));
    const std::size_t begin = out.size();
    Gunzip result = Gunzip::malformed;
    for (;;) {
        const std::size_t before = out.size();
        // One byte more than is allowed shows that there is more.
        const std::size_t room = std::min(kRoom, bytes_max + 1 - (before - begin));
        out.resize(before + room);
        stream.next_out = reinterpret_cast<Bytef*>(out.data() + before);
        stream.avail_out = static_cast<uInt>(room);
        const int status = ::inflate(&stream, Z_NO_FLUSH);
        out.resize(out.size() - stream.avail_out);
        if (out.size() - begin > bytes_max) {
            result = Gunzip::too_large;
            break;
        }
        if (status == Z_STREAM_END) {
            if (stream.avail_in == 0) {
                result = Gunzip::done;
                break;
            }
            ::inflateReset(&stream);  // several streams in a row are one
            continue;
        }
        if (status != Z_OK || (stream.avail_in == 0 && stream.avail_out > 0)) break;
    }
    ::inflateEnd(&stream);
    return result;
}

}  // namespace troupe::http_internal
