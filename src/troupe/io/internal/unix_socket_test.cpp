// Unix domain sockets: as streams on both networks, and the file on real ones.

#include <troupe/io/internal/socket_address.hpp>
#include <troupe/io/internal/test_engines.hpp>
#include <troupe/io/internal/test_pair.hpp>
#include <troupe/io/internal/test_task.hpp>
#include <troupe/io/listener.hpp>
#include <troupe/task/block_on.hpp>

#include <gtest/gtest.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cstdlib>
#include <filesystem>
#include <fstream>
#include <string>
#include <vector>

namespace troupe::io_internal {
namespace {

/// A folder of its own, which goes with it.
class Folder {
public:
    Folder() {
        std::string pattern = testing::TempDir() + "/troupe-XXXXXX";
        EXPECT_NE(::mkdtemp(pattern.data()), nullptr);
        path_ = pattern;
    }
    ~Folder() { std::filesystem::remove_all(path_); }
    std::string file(const std::string& name) const { return path_ + "/" + name; }

private:
    std::string path_;
};

std::size_t entries_of(const Folder& folder) {
    const std::filesystem::directory_iterator all(folder.file(""));
    return static_cast<std::size_t>(std::distance(begin(all), end(all)));
}

/// All up to the end.
Task<std::string> read_all(Stream* stream) {
    std::string heard;
    char buffer[100];
    for (;;) {
        const Result<std::size_t> got = co_await stream->read_some(buffer);
        EXPECT_TRUE(got.has_value());
        if (!got || *got == 0) break;
        heard.append(buffer, *got);
    }
    co_return heard;
}

Task<void> echo_once(Listener* listener) {
    Result<Stream> stream = co_await listener->accept();
    EXPECT_TRUE(stream.has_value());
    if (!stream) co_return;
    EXPECT_EQ(stream->peer(), Endpoint("unix:", 0)) << "who connects has no address";
    const std::string heard = co_await read_all(&*stream);
    EXPECT_TRUE((co_await stream->write_all(heard)).has_value());
}

Task<void> say_hello(Engine* engine, Endpoint endpoint) {
    Result<Stream> stream = co_await connect(*engine, endpoint);
    EXPECT_TRUE(stream.has_value()) << stream.error().message();
    if (!stream) co_return;
    EXPECT_EQ(stream->peer(), endpoint);
    EXPECT_TRUE((co_await stream->write_all("hello")).has_value());
    EXPECT_TRUE(stream->shutdown_write().has_value());
    const std::string heard = co_await read_all(&*stream);
    EXPECT_EQ(heard, "hello");
}

TEST(UnixSocket, CarriesBytesBothWays) {
    const Folder folder;
    on_both_networks(20, [&](Engine& engine) {
        const Endpoint place = Endpoint::unix_socket(folder.file("echo"));
        Result<Listener> listener = Listener::listen(engine, place);
        ASSERT_TRUE(listener.has_value()) << listener.error().message();
        EXPECT_EQ(listener->local(), place);
        EXPECT_EQ(listener->port(), 0);
        TestTask server(engine, echo_once(&*listener));
        block_on(engine, say_hello(&engine, place));
        EXPECT_TRUE(server.join());
    });
    EXPECT_EQ(entries_of(folder), 0U);
}

TEST(UnixSocket, SaysWhenItsPathIsInUse) {
    const Folder folder;
    on_both_networks(3, [&](Engine& engine) {
        const Endpoint place = Endpoint::unix_socket(folder.file("one"));
        Result<Listener> first = Listener::listen(engine, place);
        ASSERT_TRUE(first.has_value()) << first.error().message();
        const Result<Listener> second = Listener::listen(engine, place);
        EXPECT_EQ(second.error(), Errc::already_registered);
        EXPECT_NE(second.error().text().find(place.host + " is in use already"), std::string::npos);
        first->close();
        EXPECT_TRUE(Listener::listen(engine, place).has_value());
    });
}

TEST(UnixSocket, RefusesAPathThatIsEmptyOrTooLong) {
    on_both_networks(1, [&](Engine& engine) {
        for (const std::string& path : {std::string(), "/tmp/" + std::string(200, 'x')}) {
            const Result<Listener> listener = Listener::listen(engine, Endpoint::unix_socket(path));
            EXPECT_EQ(listener.error(), Errc::failed);
        }
    });
}

TEST(UnixSocket, NobodyListensThereAnyMore) {
    const Folder folder;
    on_both_networks(5, [&](Engine& engine) {
        const Endpoint place = Endpoint::unix_socket(folder.file("gone"));
        Result<Stream> stream;
        TestTask task(engine, connect_into(&engine, place, &stream));
        EXPECT_TRUE(task.join());
        EXPECT_EQ(stream.error(), Errc::unreachable) << stream.error().message();
    });
}

void on_sockets(void (*body)(Engine& engine, const Folder& folder)) {
    const Folder folder;
    const auto engine = make_threaded_engine();
    body(*engine, folder);
    engine->stop();
}

TEST(UnixSocket, TakesThePlaceOfOneThatItsServerHasLeftBehind) {
    on_sockets([](Engine& engine, const Folder& folder) {
        const Endpoint place = Endpoint::unix_socket(folder.file("stale"));
        const Result<SocketAddress> address = to_address(place);
        const int dead = ::socket(AF_UNIX, SOCK_STREAM, 0);
        ASSERT_EQ(::bind(dead, &address->any, address->bytes), 0);
        ::close(dead);
        ASSERT_EQ(entries_of(folder), 1U) << "as after a kill -9";
        {
            const Result<Listener> listener = Listener::listen(engine, place);
            EXPECT_TRUE(listener.has_value()) << listener.error().message();
        }
        EXPECT_EQ(entries_of(folder), 0U);
    });
}

TEST(UnixSocket, RemovesNothingThatIsNoSocket) {
    on_sockets([](Engine& engine, const Folder& folder) {
        std::ofstream(folder.file("notes")) << "precious";
        const Result<Listener> listener =
            Listener::listen(engine, Endpoint::unix_socket(folder.file("notes")));
        EXPECT_EQ(listener.error(), Errc::failed);
        EXPECT_NE(listener.error().text().find("it is no socket"), std::string::npos);
        EXPECT_EQ(std::filesystem::file_size(folder.file("notes")), 8U);
    });
}

TEST(UnixSocket, RemovesNoSocketOfItsSuccessor) {
    on_sockets([](Engine& engine, const Folder& folder) {
        const Endpoint place = Endpoint::unix_socket(folder.file("moved"));
        Result<Listener> first = Listener::listen(engine, place);
        ASSERT_TRUE(first.has_value());
        std::filesystem::remove(folder.file("moved"));
        const Result<Listener> second = Listener::listen(engine, place);
        ASSERT_TRUE(second.has_value());
        first->close();
        EXPECT_EQ(entries_of(folder), 1U);
    });
}

TEST(UnixSocket, HasThePermissionsThatWereAskedFor) {
    on_sockets([](Engine& engine, const Folder& folder) {
        for (const std::uint32_t mode : {0600U, 0660U, 0666U}) {
            const Result<Listener> listener =
                Listener::listen(engine, Endpoint::unix_socket(folder.file("mode")),
                                 ListenOptions().unix_permissions(mode));
            ASSERT_TRUE(listener.has_value()) << listener.error().message();
            struct stat file{};
            ASSERT_EQ(::stat(folder.file("mode").c_str(), &file), 0);
            EXPECT_EQ(file.st_mode & 0777U, mode);
        }
    });
}

}  // namespace
}  // namespace troupe::io_internal
