#include <troupe/io/internal/test_task.hpp>
#include <troupe/io/listener.hpp>
#include <troupe/io/stream.hpp>
#include <troupe/task/block_on.hpp>

#include <gtest/gtest.h>

#include <string>

namespace troupe {
namespace {

using io_internal::TestTask;

Task<void> echo(Listener* listener) {
    auto accepted = co_await listener->accept();
    EXPECT_TRUE(accepted.has_value()) << accepted.error().message();
    if (!accepted) co_return;
    Stream stream = std::move(*accepted);
    char buffer[1000];
    for (;;) {
        const auto got = co_await stream.read_some(buffer);
        EXPECT_TRUE(got.has_value()) << got.error().message();
        if (!got || *got == 0) co_return;
        const auto sent = co_await stream.write_all(std::string_view(buffer, *got));
        EXPECT_TRUE(sent.has_value()) << sent.error().message();
    }
}

Task<Result<std::string>> say(Engine* engine, Endpoint where, std::string text) {
    Stream stream = co_await or_return(co_await connect(*engine, where));
    co_await or_return(co_await stream.write_all(text));
    co_await or_return(stream.shutdown_write());
    std::string answer;
    char buffer[700];
    for (;;) {
        const std::size_t got = co_await or_return(co_await stream.read_some(buffer));
        if (got == 0) co_return answer;
        answer.append(buffer, got);
    }
}

TEST(Stream, EchoesOnSockets) {
    const auto engine = make_threaded_engine();
    auto listener = Listener::listen(*engine, Endpoint("127.0.0.1", 0));
    ASSERT_TRUE(listener.has_value()) << listener.error().message();
    TestTask server(*engine, echo(&*listener));
    const std::string text(100'000, 'x');
    const auto answer = block_on(*engine, say(engine.get(), listener->local(), text));
    ASSERT_TRUE(answer.has_value()) << answer.error().message();
    EXPECT_EQ(*answer, text);
    EXPECT_TRUE(server.join());
    listener->close();
    engine->stop();
}

}  // namespace
}  // namespace troupe
