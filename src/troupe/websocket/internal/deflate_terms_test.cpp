#include <troupe/websocket/internal/deflate_terms.hpp>

#include <gtest/gtest.h>

#include <string>

namespace troupe::websocket_internal {
namespace {

/// What a server answers to an offer; "-": nothing.
std::string answered(const std::string& offer, const DeflateWishes& wishes = DeflateWishes()) {
    const DeflateTerms terms = choose_deflate(offer, wishes);
    return terms.on ? deflate_response(terms) : "-";
}

TEST(DeflateTerms, AServerTakesTheFirstOfferItUnderstands) {
    EXPECT_EQ(answered(""), "-");
    EXPECT_EQ(answered("permessage-deflate"), "permessage-deflate");
    EXPECT_EQ(answered("permessage-deflate; client_max_window_bits"), "permessage-deflate");
    EXPECT_EQ(answered("x-other; a=1, permessage-deflate"), "permessage-deflate");
    EXPECT_EQ(answered("permessage-deflate; unknown, permessage-deflate"), "permessage-deflate");
    EXPECT_EQ(answered("permessage-deflate;server_no_context_takeover"),
              "permessage-deflate; server_no_context_takeover");
    EXPECT_EQ(answered("permessage-deflate; client_no_context_takeover"),
              "permessage-deflate; client_no_context_takeover");
    EXPECT_EQ(answered("permessage-deflate; server_max_window_bits=10"),
              "permessage-deflate; server_max_window_bits=10");
    EXPECT_EQ(answered("permessage-deflate; server_max_window_bits=\"10\""),
              "permessage-deflate; server_max_window_bits=10");
    EXPECT_EQ(answered("permessage-deflate; client_max_window_bits=11"),
              "permessage-deflate; client_max_window_bits=11");
    EXPECT_EQ(answered("permessage-deflate; server_max_window_bits=8, permessage-deflate"),
              "permessage-deflate")
        << "a window that small cannot be made";
}

TEST(DeflateTerms, AServerDeclinesWhatIsMalformed) {
    for (const char* offer :
         {"permessage-deflate; server_max_window_bits",
          "permessage-deflate; server_max_window_bits=7",
          "permessage-deflate; server_max_window_bits=16",
          "permessage-deflate; server_max_window_bits=010",
          "permessage-deflate; client_max_window_bits=99",
          "permessage-deflate; server_no_context_takeover=1",
          "permessage-deflate; server_no_context_takeover; server_no_context_takeover",
          "permessage-deflate; client_max_window_bits; client_max_window_bits=10",
          "permessage-deflate;", "permessage-deflate; =1", "; permessage-deflate",
          "permessage-deflate foo", "permessage-deflate; a=\"b"}) {
        EXPECT_EQ(answered(offer), "-") << offer;
    }
}

TEST(DeflateTerms, AServersOwnWishesAreSaid) {
    DeflateWishes small;
    small.window_bits = 12;
    small.context_takeover = false;
    EXPECT_EQ(answered("permessage-deflate; client_max_window_bits", small),
              "permessage-deflate; server_no_context_takeover; server_max_window_bits=12; "
              "client_max_window_bits=12");
    EXPECT_EQ(answered("permessage-deflate", small),
              "permessage-deflate; server_no_context_takeover; server_max_window_bits=12")
        << "a client that does not know the parameter is not told it";
    EXPECT_EQ(choose_deflate("permessage-deflate", small).client_window_bits, 15);
    DeflateWishes off;
    off.on = false;
    EXPECT_EQ(answered("permessage-deflate", off), "-");
}

TEST(DeflateTerms, AClientTakesWhatItAskedForAndNothingElse) {
    const DeflateWishes wishes;
    EXPECT_EQ(deflate_offer(wishes), "permessage-deflate; client_max_window_bits");
    EXPECT_FALSE(accept_deflate("", wishes)->on);
    EXPECT_TRUE(accept_deflate("permessage-deflate", wishes)->on);
    const auto terms = accept_deflate(
        "permessage-deflate; client_max_window_bits=10; server_no_context_takeover", wishes);
    ASSERT_TRUE(terms.has_value());
    EXPECT_EQ(terms->client_window_bits, 10);
    EXPECT_TRUE(terms->server_forgets);
    for (const char* line :
         {"x-other", "permessage-deflate, permessage-deflate", "permessage-deflate; unknown",
          "permessage-deflate; client_max_window_bits",
          "permessage-deflate; client_max_window_bits=8",
          "permessage-deflate; server_max_window_bits=99"}) {
        EXPECT_FALSE(accept_deflate(line, wishes).has_value()) << line;
    }
    DeflateWishes off;
    off.on = false;
    EXPECT_FALSE(accept_deflate("permessage-deflate", off).has_value());
}

TEST(DeflateTerms, BothEndsComeToTheSame) {
    for (int bits = 9; bits <= 15; ++bits) {
        for (const bool takeover : {false, true}) {
            DeflateWishes wishes;
            wishes.window_bits = static_cast<std::uint8_t>(bits);
            wishes.context_takeover = takeover;
            const DeflateTerms server = choose_deflate(deflate_offer(DeflateWishes()), wishes);
            const auto client = accept_deflate(deflate_response(server), DeflateWishes());
            ASSERT_TRUE(client.has_value());
            EXPECT_EQ(client->server_forgets, server.server_forgets);
            EXPECT_EQ(client->client_forgets, server.client_forgets);
            EXPECT_EQ(client->server_window_bits, server.server_window_bits);
            EXPECT_EQ(client->client_window_bits, server.client_window_bits);
        }
    }
}

}  // namespace
}  // namespace troupe::websocket_internal
