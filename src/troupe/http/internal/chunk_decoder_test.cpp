#include <troupe/http/internal/chunk_decoder.hpp>

#include <gtest/gtest.h>

#include <string>
#include <string_view>
#include <vector>

namespace troupe::http_internal {
namespace {

using Status = ChunkDecoder::Status;

struct Outcome {
    std::string body;
    std::string trailers;
    int refused = 0;
    bool done = false;
    std::size_t left = 0;
};

/// Decodes what arrives in pieces of the given size.
Outcome decode(std::string_view bytes, std::size_t piece, std::uint64_t body_bytes_max = 1000) {
    ChunkDecoder decoder;
    decoder.begin();
    decoder.limit(body_bytes_max);
    http::Headers trailers;
    Outcome outcome;
    std::string pending;
    while (!outcome.done && outcome.refused == 0) {
        ChunkDecoder::Step step = decoder.advance(pending, trailers);
        outcome.body += step.data;
        pending.erase(0, step.consumed);
        if (step.status == Status::done) outcome.done = true;
        if (step.status == Status::refused) outcome.refused = decoder.refusal().status;
        if (step.status != Status::need_more) continue;
        if (bytes.empty()) break;
        pending += bytes.substr(0, piece);
        bytes.remove_prefix(std::min(piece, bytes.size()));
    }
    for (std::size_t i = 0; i < trailers.size(); ++i) {
        outcome.trailers += std::string(trailers.at(i).name) + "=";
        outcome.trailers += std::string(trailers.at(i).value) + ";";
    }
    outcome.left = outcome.refused == 0 ? pending.size() + bytes.size() : 0;
    return outcome;
}

TEST(ChunkDecoder, GivesTheDataAndTheTrailersHoweverTheBytesAreCut) {
    std::string body =
        "3\r\nabc\r\n00A;x=\"a;\\\"b\";y\r\n0123456789\r\n0\r\nSum: 1\r\nB:  2 \r\n\r\nGET /";
    for (std::size_t piece = 1; piece <= body.size(); ++piece) {
        Outcome outcome = decode(body, piece);
        EXPECT_TRUE(outcome.done);
        EXPECT_EQ(outcome.body, "abc0123456789");
        EXPECT_EQ(outcome.trailers, "Sum=1;B=2;");
        EXPECT_EQ(outcome.left, 5U) << "what follows is not its business";
    }
}

TEST(ChunkDecoder, RefusesWhatIsMalformedHoweverTheBytesAreCut) {
    struct Row {
        int status;
        std::string bytes;
    };
    std::vector<Row> rows = {
        {400, "\r\n"},
        {400, "g\r\n"},
        {400, " 1\r\na\r\n"},
        {400, "1 \r\na\r\n"},
        {400, "+1\r\na\r\n"},
        {400, "0x1\r\na\r\n"},
        {400, "00000000000000001\r\na\r\n"},
        {400, "1\na\r\n"},
        {400, "1\r\r\na\r\n"},
        {400, "1\r\nab\r\n"},
        {400, "1\r\na\n0\r\n\r\n"},
        {400, "1\r\na\rb"},
        {400, "1;\r\na\r\n"},
        {400, "1;;\r\na\r\n"},
        {400, "1;a=\"\n\"\r\na\r\n"},
        {400, "1;a=\"\r\n\"\r\na\r\n"},
        {400, "1;a\x01\r\na\r\n"},
        {400, "0\r\n A: b\r\n\r\n"},
        {400, "0\r\nA: b\r\n\tc\r\n\r\n"},
        {400, "0\r\nA b\r\n\r\n"},
        {400, "0\r\nA: b\n\r\n"},
        {400, "0\r\n\n"},
        {400, "0\r\nContent-Length: 1\r\n\r\n"},
        {400, "0\r\ntransfer-encoding: chunked\r\n\r\n"},
        {400, "0\r\nHost: a\r\n\r\n"},
        {413, "3e9\r\n"},
        {413, "3e8\r\n" + std::string(1000, 'x') + "\r\n1\r\n"},
        {413, "ffffffffffffffff\r\n"},
    };
    for (const Row& row : rows) {
        Outcome whole = decode(row.bytes, row.bytes.size());
        EXPECT_EQ(whole.refused, row.status) << row.bytes;
        for (std::size_t piece = 1; piece < std::min<std::size_t>(row.bytes.size(), 40); ++piece)
            EXPECT_EQ(decode(row.bytes, piece).refused, row.status) << piece << ": " << row.bytes;
    }
}

TEST(ChunkDecoder, WaitsWhileNothingIsWrong) {
    for (std::string_view bytes : {"", "1", "1;x", "1\r", "1\r\n", "1\r\na", "1\r\na\r", "0\r\n",
                                   "0\r\nA", "0\r\nA: b\r", "0\r\nA: b\r\n\r"}) {
        Outcome outcome = decode(bytes, 1);
        EXPECT_FALSE(outcome.done) << bytes;
        EXPECT_EQ(outcome.refused, 0) << bytes;
    }
}

TEST(ChunkDecoder, RefusesFramingOutOfProportion) {
    std::string extensions;
    for (int i = 0; i < 200; ++i)
        extensions += "1;" + std::string(200, 'e') + "\r\nx\r\n";
    EXPECT_EQ(decode(extensions, extensions.size()).refused, 400);
    EXPECT_EQ(decode(extensions, 7).refused, 400);
    EXPECT_EQ(decode("0\r\nA: " + std::string(17 * 1024, 'b'), 100).refused, 400);
    std::string many = "0\r\n";
    for (int i = 0; i < 65; ++i)
        many += "A: b\r\n";
    EXPECT_EQ(decode(many + "\r\n", 10).refused, 431);
}

TEST(ChunkDecoder, WritesSizesItCanRead) {
    for (std::size_t bytes : {1, 9, 10, 15, 16, 255, 999}) {
        ByteBuffer head;
        append_chunk_head(head, bytes);
        std::string text = std::string(head.pending()) + std::string(bytes, 'x') + "\r\n0\r\n\r\n";
        EXPECT_EQ(decode(text, text.size()).body.size(), bytes);
    }
}

}  // namespace
}  // namespace troupe::http_internal
