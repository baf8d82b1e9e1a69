#include <troupe/http/internal/multipart_parser.hpp>

#include <gtest/gtest.h>

#include <string>
#include <vector>

namespace troupe::http_internal {
namespace {

using Status = MultipartParser::Status;

/// What is seen of a body that comes in pieces of that size: "<name|file name>data</>" for each
/// part, and how it ends.
std::string seen(std::string_view body, std::size_t piece, MultipartLimits limits) {
    MultipartParser parser("XX", limits);
    std::string held;
    std::string out;
    PartHead head;
    for (;;) {
        const MultipartParser::Step step = parser.step(held, head);
        if (step.status == Status::part) {
            out += "<" + head.name + "|" + head.file_name.value_or("-") + ">";
        }
        if (step.status == Status::data) out += step.data;
        if (step.status == Status::part_end) out += "</>";
        if (step.status == Status::end) return out + " end";
        if (step.status > Status::end) return out + " " + std::string(parser.problem());
        held.erase(0, step.consumed);
        if (step.status != Status::need_more) continue;
        if (body.empty()) return out + " cut";
        held += body.substr(0, piece);
        body.remove_prefix(std::min(piece, body.size()));
    }
}

/// The same however it is cut.
std::string seen(const std::string& body, MultipartLimits limits = MultipartLimits()) {
    const std::string whole = seen(body, body.size() + 1, limits);
    for (std::size_t piece : {1, 2, 3, 7, 50}) {
        EXPECT_EQ(seen(body, piece, limits), whole) << "in pieces of " << piece;
    }
    return whole;
}

std::string field(const std::string& name, const std::string& value) {
    return "--XX\r\nContent-Disposition: form-data; name=\"" + name + "\"\r\n\r\n" + value + "\r\n";
}

TEST(MultipartParser, GivesThePartsAsTheyWereSent) {
    EXPECT_EQ(seen(field("a", "1") + field("b", "") + "--XX--\r\n"), "<a|->1</><b|-></> end");
    EXPECT_EQ(seen("--XX--"), " end");
    EXPECT_EQ(seen("a preamble\r\n" + field("a", "1") + "--XX--\r\nan epilogue --XX"),
              "<a|->1</> end");
    EXPECT_EQ(seen("--XX \t\r\nContent-Disposition: form-data; name=a\r\n\r\n--XX--"),
              "<a|-></> end")
        << "white space behind a boundary, and a part with nothing in it";
    EXPECT_EQ(seen("--XX\r\ncontent-disposition: Form-Data; filename=\"x y.png\"; name=\"f\"\r\n"
                   "Content-Type: image/png\r\n\r\n\r\n--X\r\n--XY\r\n\r\n\r\n--XX--"),
              "<f|x y.png>\r\n--X\r\n--XY\r\n\r\n</> end")
        << "what only begins like a boundary is data";
}

TEST(MultipartParser, UndoesWhatClientsEscape) {
    auto named = [](const std::string& parameters) {
        return seen("--XX\r\nContent-Disposition: form-data; " + parameters + "\r\n\r\n\r\n--XX--");
    };
    EXPECT_EQ(named("name=\"a%22b\"; filename=\"c\\\"d\\\\e\""), "<a\"b|c\"d\\e></> end");
    EXPECT_EQ(named("name=\"%41;=\"; filename=\"\""), "<%41;=|></> end");
    EXPECT_EQ(named("name=\"a\"; filename*=UTF-8''x.png"), "<a|-></> end");
    EXPECT_EQ(named("name=\"a\";"), "<a|-></> end");
}

TEST(MultipartParser, RefusesWhatIsNoForm) {
    const std::string nameless = "A part does not say which field it is.";
    const std::string disposition = "--XX\r\nContent-Disposition: ";
    for (const char* value :
         {"attachment; name=\"a\"", "form-data", "form-data; filename=\"a\"", "form-data; name=\"a",
          "form-data; name", "form-data; name=\"a\" x=\"b\"", "form-data; name=\"a\"; name=\"b\"",
          "form-data; name=\"a\"; filename=x; filename=y"}) {
        EXPECT_EQ(seen(disposition + value + "\r\n\r\nx\r\n--XX--"), " " + nameless) << value;
    }
    EXPECT_EQ(seen("--XX\r\nContent-Type: text/plain\r\n\r\nx\r\n--XX--"), " " + nameless);
    EXPECT_EQ(seen(disposition + "form-data; name=a\r\nContent-Disposition: form-data; name=b\r\n"
                                 "\r\nx\r\n--XX--"),
              " " + nameless);
    EXPECT_EQ(seen(disposition + "form-data; name=\"a\"\r\n x\r\n\r\n"),
              " A part's header line is none.");
    EXPECT_EQ(seen("--XX\nContent-Disposition: form-data; name=a\n\nx\n--XX--"),
              " Something stands behind a boundary.");
    EXPECT_EQ(seen(field("a", "1") + "--XXY\r\n"), "<a|->1</> Something stands behind a boundary.");
    EXPECT_EQ(seen(field("a", "1") + "--XX-\r\n"), "<a|->1</> Something stands behind a boundary.");
    EXPECT_EQ(seen(std::string(5000, 'x')), " The form does not begin with its boundary.");
}

TEST(MultipartParser, SaysWhenAFormIsCutShort) {
    const std::string body = field("a", "12345") + "--XX--";
    for (std::size_t size = 0; size < body.size(); ++size) {
        EXPECT_TRUE(seen(body.substr(0, size)).ends_with(" cut")) << size;
    }
}

TEST(MultipartParser, HasLimits) {
    MultipartLimits limits;
    limits.parts_max = 2;
    limits.head_bytes_max = 100;
    EXPECT_EQ(seen(field("a", "1") + field("b", "2") + "--XX--", limits), "<a|->1</><b|->2</> end");
    EXPECT_EQ(seen(field("a", "1") + field("b", "2") + field("c", "3") + "--XX--", limits),
              "<a|->1</><b|->2</> The form has too many parts.");
    EXPECT_EQ(seen(field(std::string(100, 'n'), "1") + "--XX--", limits),
              " The header lines of a part are too long.");
    EXPECT_EQ(seen(field(std::string(100, 'n') + "\x01", "1") + "--XX--", limits),
              " The header lines of a part are too long.")
        << "nobody looks behind the limit";
    std::string lines = "--XX\r\n";
    for (int i = 0; i < 40; ++i)
        lines += "A: b\r\n";
    EXPECT_EQ(seen(lines + "\r\n"), " A part has too many header lines.");
}

TEST(MultipartBoundary, IsAParameterOfTheType) {
    EXPECT_EQ(multipart_boundary("multipart/form-data; boundary=abc"), "abc");
    EXPECT_EQ(multipart_boundary("Multipart/Form-Data; charset=utf-8; Boundary=\"a b:c\""),
              "a b:c");
    const std::string longest(70, 'x');
    EXPECT_EQ(multipart_boundary("multipart/form-data; boundary=" + longest), longest);
    for (const std::string& type :
         {std::string("multipart/form-data"), std::string("multipart/mixed; boundary=a"),
          std::string("multipart/form-data; boundary="),
          std::string("multipart/form-data; boundary=\"a "),
          std::string("multipart/form-data; boundary=\"a \""),
          std::string("multipart/form-data; boundary=a; boundary=b"),
          std::string("multipart/form-data; boundary=a@b"),
          "multipart/form-data; boundary=" + longest + "x", std::string()}) {
        EXPECT_EQ(multipart_boundary(type), std::nullopt) << type;
    }
}

TEST(SafeFileName, LeadsNowhere) {
    EXPECT_EQ(safe_file_name("photo.png"), "photo.png");
    EXPECT_EQ(safe_file_name("../../etc/passwd"), "passwd");
    EXPECT_EQ(safe_file_name("C:\\Users\\ann\\a b.txt"), "a b.txt");
    EXPECT_EQ(safe_file_name("...htaccess"), "htaccess");
    EXPECT_EQ(safe_file_name(std::string("a\0b\r\n\x7f"
                                         "c",
                                         7)),
              "abc");
    for (const char* nothing : {"", ".", "..", "a/", "a\\..", "/"}) {
        EXPECT_EQ(safe_file_name(nothing), "unnamed") << nothing;
    }
    EXPECT_LE(safe_file_name(std::string(1000, 'x')).size(), 255u);
    std::string accents;
    for (int i = 0; i < 200; ++i)
        accents += "\xc3\xa4";
    EXPECT_EQ(safe_file_name(accents).size() % 2, 0u) << "no half characters";
}

}  // namespace
}  // namespace troupe::http_internal
