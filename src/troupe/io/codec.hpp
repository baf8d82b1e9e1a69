#pragma once

/// From a stream of bytes to frames and back: what the codecs have in common.
///
/// A codec does no I/O. It is shown bytes as they come, in pieces of any size, and gives a frame
/// whenever one is whole; how the bytes were cut never shows. It holds one unfinished frame at
/// most, and each codec's constructor asks for the limit on that: there is no default, because
/// whoever reads from strangers has to decide how much memory a stranger may take.

#include <troupe/base/error.hpp>
#include <troupe/base/result.hpp>

#include <concepts>
#include <cstddef>
#include <cstdint>
#include <optional>
#include <string>
#include <string_view>

namespace troupe::codec {

/// What a codec can find wrong. The text of the error names the limit and the place: the number of
/// bytes before it since the stream began.
enum class CodecErrc {
    frame_too_large = 1,  ///< beyond the limit given to the codec
    malformed,            ///< no frame begins like that, or goes on like that
    too_deep,             ///< nested beyond the limit given to the codec
    cut_short,            ///< the stream has ended within a frame
    not_encodable,        ///< the other side would read another frame than this one
};

/// Something that decodes and encodes frames.
///
///  * `decode` takes bytes off the front of `input`, all of them or up to the end of a frame, and
///    gives that frame; nothing, when it needs more. Once it has failed it stays failed.
///  * `finish` says that the stream has ended: it gives the last frame, if the end completes one.
///  * `encode` appends a frame as it travels to `out`, or leaves `out` as it was.
///  * `fresh` gives one with the same limits for another stream.
template <class C>
concept Codec = requires(C codec, const C& constant, std::string_view& input, std::string& out,
                         const typename C::Frame& frame) {
    { codec.decode(input) } -> std::same_as<Result<std::optional<typename C::Frame>>>;
    { codec.finish() } -> std::same_as<Result<std::optional<typename C::Frame>>>;
    { constant.encode(frame, out) } -> std::same_as<Result<void>>;
    { constant.fresh() } -> std::same_as<C>;
};

}  // namespace troupe::codec
