// Every case is decoded whole, byte by byte, and cut once at every place: the outcome is the same.

#include <troupe/websocket/internal/frame_decoder.hpp>
#include <troupe/websocket/internal/test_frames.hpp>

#include <gtest/gtest.h>

#include <algorithm>
#include <cstddef>
#include <string>
#include <string_view>
#include <vector>

namespace troupe::websocket_internal {
namespace {

constexpr std::size_t kBytesMax = 70'000;

/// All that comes out of a stream of bytes, as lines of text.
class Reader {
public:
    explicit Reader(Role role, const DeflateTerms& terms = DeflateTerms())
        : decoder_(role, kBytesMax) {
        decoder_.use_deflate(terms);
    }

    void feed(std::string_view piece) {
        pending_ += piece;
        while (!over_) {
            const FrameDecoder::Step step = decoder_.advance(pending_.data(), pending_.size());
            pending_.erase(0, step.consumed);
            if (step.status == FrameDecoder::Status::need_more) return;
            note(step.status);
        }
    }

    const std::string& seen() const { return seen_; }

private:
    void note(FrameDecoder::Status status) {
        switch (status) {
            case FrameDecoder::Status::message:
                seen_ += decoder_.kind() == Opcode::text ? "text " : "binary ";
                seen_ += decoder_.take_payload() + "\n";
                break;
            case FrameDecoder::Status::ping:
                seen_ += "ping " + decoder_.payload() + "\n";
                break;
            case FrameDecoder::Status::pong:
                seen_ += "pong " + decoder_.payload() + "\n";
                break;
            case FrameDecoder::Status::close:
                over_ = true;
                seen_ += "close " + std::to_string(decoder_.close_code()) + " " +
                         decoder_.payload() + "\n";
                break;
            default:
                over_ = true;
                seen_ += "failed " + std::to_string(decoder_.close_code()) + "\n";
        }
    }

    FrameDecoder decoder_;
    std::string pending_;
    std::string seen_;
    bool over_ = false;
};

/// What a stream means, however it is cut.
std::string decoded(const std::string& stream, Role role = Role::server,
                    const DeflateTerms& terms = DeflateTerms()) {
    Reader whole(role, terms);
    whole.feed(stream);
    Reader bytes(role, terms);
    for (const char byte : stream)
        bytes.feed(std::string_view(&byte, 1));
    EXPECT_EQ(bytes.seen(), whole.seen()) << "byte by byte";
    const std::size_t cuts = std::min<std::size_t>(stream.size(), 300);
    for (std::size_t cut = 0; cut <= cuts; ++cut) {
        Reader halves(role, terms);
        halves.feed(std::string_view(stream).substr(0, cut));
        halves.feed(std::string_view(stream).substr(cut));
        EXPECT_EQ(halves.seen(), whole.seen()) << "cut at " << cut;
    }
    return whole.seen();
}

TEST(FrameDecoder, ReadsMessagesOfBothKinds) {
    EXPECT_EQ(decoded(text_frame("hello")), "text hello\n");
    EXPECT_EQ(decoded(binary_frame("\x01\xFFz")), "binary \x01\xFFz\n");
    EXPECT_EQ(decoded(text_frame("")), "text \n");
    EXPECT_EQ(decoded(text_frame("a") + binary_frame("b") + text_frame("c")),
              "text a\nbinary b\ntext c\n");
}

TEST(FrameDecoder, UnmasksWithEveryKeyAndEveryLength) {
    for (int value = 0; value < 256; ++value) {
        for (std::size_t place = 0; place < 4; ++place) {
            RawFrame frame;
            frame.first = 0x82;
            frame.key = {};
            frame.key[place] = static_cast<std::uint8_t>(value);
            frame.payload = "twenty bytes of data";
            Reader reader(Role::server);
            reader.feed(frame.bytes());
            ASSERT_EQ(reader.seen(), "binary twenty bytes of data\n") << value << " " << place;
        }
    }
    for (std::size_t size = 0; size <= 20; ++size) {
        const std::string payload = std::string("twenty bytes of data").substr(0, size);
        EXPECT_EQ(decoded(binary_frame(payload)), "binary " + payload + "\n");
    }
}

TEST(FrameDecoder, PutsFragmentsTogetherAroundControlFrames) {
    EXPECT_EQ(decoded(raw_frame(0x01, "Hel") + ping_frame("1") + raw_frame(0x00, "l") +
                      raw_frame(0x8A, "2") + raw_frame(0x00, "") + raw_frame(0x80, "o")),
              "ping 1\npong 2\ntext Hello\n");
    EXPECT_EQ(decoded(raw_frame(0x02, "") + raw_frame(0x80, "")), "binary \n");
}

TEST(FrameDecoder, KnowsTheBoundariesOfLengths) {
    for (const std::size_t size : {0U, 1U, 125U, 126U, 127U, 65'535U, 65'536U, 65'537U}) {
        const std::string payload(size, 'x');
        Reader reader(Role::server);
        reader.feed(binary_frame(payload));
        EXPECT_EQ(reader.seen(), "binary " + payload + "\n") << size;
    }
}

TEST(FrameDecoder, RefusesWhatIsNoFrame) {
    struct Case {
        const char* what;
        std::string bytes;
        const char* outcome;
    };
    RawFrame unmasked;
    unmasked.masked = false;
    unmasked.payload = "x";
    RawFrame long_16;
    long_16.length_bytes = 2;
    long_16.payload = std::string(125, 'x');
    RawFrame long_64;
    long_64.length_bytes = 8;
    long_64.payload = std::string(65'535, 'x');
    RawFrame negative;
    negative.length_bytes = 8;
    negative.announced = std::uint64_t{1} << 63;
    RawFrame huge;
    huge.length_bytes = 8;
    huge.announced = (std::uint64_t{1} << 63) - 1;
    RawFrame large_ping;
    large_ping.first = 0x89;
    large_ping.payload = std::string(126, 'x');
    const std::vector<Case> cases = {
        {"not masked", unmasked.bytes(), "failed 1002\n"},
        {"RSV1 without an extension", raw_frame(0xC1, "x"), "failed 1002\n"},
        {"RSV2", raw_frame(0xA1, "x"), "failed 1002\n"},
        {"RSV3", raw_frame(0x91, "x"), "failed 1002\n"},
        {"opcode 3", raw_frame(0x83, "x"), "failed 1002\n"},
        {"opcode 7", raw_frame(0x87, "x"), "failed 1002\n"},
        {"opcode 11", raw_frame(0x8B, "x"), "failed 1002\n"},
        {"opcode 15", raw_frame(0x8F, "x"), "failed 1002\n"},
        {"nothing to continue", raw_frame(0x80, "x"), "failed 1002\n"},
        {"a message within another", raw_frame(0x01, "a") + text_frame("b"), "failed 1002\n"},
        {"a ping in fragments", raw_frame(0x09, "x"), "failed 1002\n"},
        {"a close in fragments", raw_frame(0x08, ""), "failed 1002\n"},
        {"a ping of 126 bytes", large_ping.bytes(), "failed 1002\n"},
        {"125 in 16 bits", long_16.bytes(), "failed 1002\n"},
        {"65535 in 64 bits", long_64.bytes(), "failed 1002\n"},
        {"a length with the highest bit", negative.bytes(), "failed 1002\n"},
        {"more than anybody has", huge.bytes(), "failed 1009\n"},
        {"too large by one", binary_frame(std::string(kBytesMax + 1, 'x')), "failed 1009\n"},
        {"too large together", raw_frame(0x02, std::string(kBytesMax, 'x')) + raw_frame(0x80, "x"),
         "failed 1009\n"},
    };
    for (const Case& one : cases) {
        SCOPED_TRACE(one.what);
        if (one.bytes.size() < 1000) {
            EXPECT_EQ(decoded(one.bytes + text_frame("behind")), one.outcome);
        } else {
            Reader reader(Role::server);
            reader.feed(one.bytes);
            EXPECT_EQ(reader.seen(), one.outcome);
        }
    }
}

TEST(FrameDecoder, RefusesALengthBeforeItBuffersAnything) {
    FrameDecoder decoder(Role::server, 16 * 1024 * 1024);
    RawFrame huge;
    huge.length_bytes = 8;
    huge.announced = (std::uint64_t{1} << 63) - 1;
    std::string head = huge.bytes().substr(0, 10);
    const FrameDecoder::Step step = decoder.advance(head.data(), head.size());
    EXPECT_EQ(step.status, FrameDecoder::Status::failed) << "the key and the payload are not here";
    EXPECT_EQ(decoder.close_code(), 1009U);
}

TEST(FrameDecoder, TakesUnmaskedFramesOfAServerOnly) {
    EXPECT_EQ(decoded(server_frame(0x81, "hello"), Role::client), "text hello\n");
    EXPECT_EQ(decoded(text_frame("hello"), Role::client), "failed 1002\n");
}

TEST(FrameDecoder, ReadsCloses) {
    EXPECT_EQ(decoded(raw_frame(0x88, "")), "close 1005 \n");
    EXPECT_EQ(decoded(raw_frame(0x88, "\x03")), "failed 1002\n");
    EXPECT_EQ(decoded(close_frame(1001, "bye") + text_frame("x")), "close 1001 bye\n");
    EXPECT_EQ(decoded(close_frame(1000, std::string(123, 'r'))),
              "close 1000 " + std::string(123, 'r') + "\n");
    EXPECT_EQ(decoded(close_frame(1000, "\xCE\xBA\xE1")), "failed 1007\n");
    for (const unsigned code :
         {0U, 999U, 1004U, 1005U, 1006U, 1015U, 1016U, 1100U, 2000U, 2999U, 5000U, 65'535U}) {
        EXPECT_EQ(decoded(close_frame(code)), "failed 1002\n") << code;
    }
    for (const unsigned code : {1000U, 1001U, 1002U, 1003U, 1007U, 1008U, 1009U, 1010U, 1011U,
                                1012U, 1013U, 1014U, 3000U, 3999U, 4000U, 4999U}) {
        EXPECT_EQ(decoded(close_frame(code)), "close " + std::to_string(code) + " \n");
    }
}

TEST(FrameDecoder, ChecksTextAsItComes) {
    EXPECT_EQ(decoded(text_frame("κόσμε")), "text κόσμε\n");
    EXPECT_EQ(decoded(raw_frame(0x01, "\xF0\x9D") + raw_frame(0x80, "\x84\x9E")),
              "text \xF0\x9D\x84\x9E\n");
    EXPECT_EQ(decoded(text_frame("\xED\xA0\x80")), "failed 1007\n") << "a surrogate";
    EXPECT_EQ(decoded(text_frame("\xC0\xAF")), "failed 1007\n") << "overlong";
    EXPECT_EQ(decoded(text_frame("\xF4\x90\x80\x80")), "failed 1007\n") << "too high";
    EXPECT_EQ(decoded(text_frame("\xCE")), "failed 1007\n") << "cut off";
    EXPECT_EQ(decoded(raw_frame(0x01, "\xCE") + raw_frame(0x80, "x")), "failed 1007\n");
    EXPECT_EQ(decoded(binary_frame("\xED\xA0\x80")), "binary \xED\xA0\x80\n");

    Reader reader(Role::server);
    RawFrame frame;
    frame.payload = "\xFF and more that never comes";
    reader.feed(frame.bytes().substr(0, 7));
    EXPECT_EQ(reader.seen(), "failed 1007\n") << "with the first wrong byte";
}

// ---- compressed ---------------------------------------------------------------------------------

DeflateTerms deflate_terms() {
    DeflateTerms terms;
    terms.on = true;
    return terms;
}

std::string compressed(Deflater& deflater, std::string_view text) {
    std::string out;
    deflater.compress(text, out);
    return out;
}

TEST(FrameDecoder, InflatesMessagesThatReferToEarlierOnes) {
    Deflater deflater(15, false);
    const std::string text = "a sentence that will be said again: a sentence";
    const std::string first = compressed(deflater, text);
    const std::string second = compressed(deflater, text);
    EXPECT_LT(second.size(), first.size() / 2) << "it refers to the first";
    EXPECT_EQ(decoded(raw_frame(0xC1, first) + raw_frame(0xC1, second) + text_frame("plain"),
                      Role::server, deflate_terms()),
              "text " + text + "\ntext " + text + "\ntext plain\n");
    EXPECT_EQ(decoded(raw_frame(0x41, first.substr(0, 5)) + ping_frame("p") +
                          raw_frame(0x80, first.substr(5)),
                      Role::server, deflate_terms()),
              "ping p\ntext " + text + "\n");
}

TEST(FrameDecoder, AllowsTheCompressionBitOnFirstFramesOnly) {
    Deflater deflater(15, false);
    const std::string data = compressed(deflater, "hello");
    EXPECT_EQ(decoded(raw_frame(0x41, data) + raw_frame(0xC0, ""), Role::server, deflate_terms()),
              "failed 1002\n");
    EXPECT_EQ(decoded(raw_frame(0xC9, "x"), Role::server, deflate_terms()), "failed 1002\n");
}

TEST(FrameDecoder, RefusesWhatDeflatesIntoTooMuch) {
    Deflater deflater(15, false);
    const std::string bomb = compressed(deflater, std::string(100 * kBytesMax, 'x'));
    ASSERT_LT(bomb.size(), kBytesMax);
    Reader reader(Role::server, deflate_terms());
    reader.feed(raw_frame(0xC2, bomb));
    EXPECT_EQ(reader.seen(), "failed 1009\n");
}

TEST(FrameDecoder, RefusesRubbishInPlaceOfCompressedData) {
    EXPECT_EQ(decoded(raw_frame(0xC2, "\xFF\xFF\xFF\xFF"), Role::server, deflate_terms()),
              "failed 1007\n");
    Deflater deflater(15, false);
    const std::string data = compressed(deflater, "\xED\xA0\x80 is no text");
    EXPECT_EQ(decoded(raw_frame(0xC1, data), Role::server, deflate_terms()), "failed 1007\n");
}

}  // namespace
}  // namespace troupe::websocket_internal
