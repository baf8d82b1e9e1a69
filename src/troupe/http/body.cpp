#include <troupe/base/error.hpp>
#include <troupe/http/body.hpp>
#include <troupe/http/internal/file_reading.hpp>

#include <algorithm>
#include <string>
#include <utility>

namespace troupe::http_internal {

Task<Result<void>> BodySink::write_file(int descriptor, std::uint64_t offset, std::uint64_t bytes) {
    std::string buffer;
    while (bytes > 0) {
        const auto wanted =
            static_cast<std::size_t>(std::min<std::uint64_t>(bytes, kFilePieceBytes));
        buffer =
            co_await or_return(co_await read_file(descriptor, offset, wanted, std::move(buffer)));
        if (buffer.size() < wanted) co_return error(Errc::failed, "the file has become shorter");
        co_await or_return(co_await write(buffer));
        offset += wanted;
        bytes -= wanted;
    }
    co_return Result<void>();
}

Task<Result<void>> BodySink::send_now() {
    co_return Result<void>();
}

}  // namespace troupe::http_internal
