#include "routes.hpp"

#include <troupe/http/compress.hpp>
#include <troupe/http/cookies.hpp>
#include <troupe/http/events.hpp>
#include <troupe/http/files.hpp>
#include <troupe/http/multipart.hpp>
#include <troupe/task/sleep.hpp>

#include "page.hpp"
#include <fcntl.h>
#include <unistd.h>

#include <cerrno>
#include <cstdio>
#include <cstring>
#include <memory>
#include <string>
#include <string_view>
#include <utility>

namespace http = troupe::http;
using namespace std::chrono_literals;

namespace {

/// A file that appears under its name when it is whole, and not at all otherwise.
class NewFile {
public:
    explicit NewFile(std::string path) : path_(std::move(path)), draft_(path_ + ".part") {}
    ~NewFile() {
        if (descriptor_ >= 0) ::close(descriptor_);
        if (descriptor_ >= 0 && !kept_) ::unlink(draft_.c_str());
    }
    NewFile(const NewFile&) = delete;
    NewFile& operator=(const NewFile&) = delete;

    /// These block. 0, or what the machine says.
    int open_blocking() {
        descriptor_ = ::open(draft_.c_str(), O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, 0644);
        return descriptor_ >= 0 ? 0 : errno;
    }
    int write_blocking(std::string_view text) const {
        while (!text.empty()) {
            const ssize_t written = ::write(descriptor_, text.data(), text.size());
            if (written < 0 && errno == EINTR) continue;
            if (written < 0) return errno;
            text.remove_prefix(static_cast<std::size_t>(written));
        }
        return 0;
    }
    int keep_blocking() {
        if (::rename(draft_.c_str(), path_.c_str()) != 0) return errno;
        kept_ = true;
        return 0;
    }

private:
    const std::string path_;
    const std::string draft_;
    int descriptor_ = -1;
    bool kept_ = false;
};

http::Response cannot_store(int reason) {
    return http::text(reason == EEXIST ? 409 : 507,
                      std::string("This file cannot be stored: ") + std::strerror(reason) + ".\n");
}

/// Writes what is left of a part to a file. Each piece is written on the blocking pool, and while
/// that takes its time nothing is read from the client.
troupe::Task<troupe::Result<int>> store(http::MultipartReader* form, std::string path,
                                        std::uint64_t* bytes) {
    constexpr std::size_t kWrittenAtOnce = 256 * 1024;
    auto file = std::make_shared<NewFile>(std::move(path));  // shared with the job under way
    auto open = [file] { return file->open_blocking(); };
    int reason = co_await troupe::or_return(co_await troupe::offload(open));
    std::string gathered;
    for (bool more = true; more && reason == 0;) {
        const std::string_view piece = co_await troupe::or_return(co_await form->read());
        gathered += piece;
        *bytes += piece.size();
        more = !piece.empty();
        if (more && gathered.size() < kWrittenAtOnce) continue;
        auto write = [file, text = std::move(gathered)] { return file->write_blocking(text); };
        reason = co_await troupe::or_return(co_await troupe::offload(std::move(write)));
        gathered.clear();
    }
    if (reason != 0) co_return reason;
    auto keep = [file] { return file->keep_blocking(); };
    co_return co_await troupe::offload(keep);
}

troupe::Task<http::Response> upload(std::string folder, troupe::Ref<News> news,
                                    http::Request request, http::BodyReader body) {
    http::MultipartReader form(request, body);
    std::string told;
    for (;;) {
        auto part = co_await form.next();
        if (!part) co_return http::from(part.error());
        if (!*part) break;
        const http::Part& head = **part;
        if (!head.is_file() || head.sent_file_name().empty()) continue;
        const std::string name(head.file_name());
        std::uint64_t bytes = 0;
        std::string path = folder;
        path.append("/").append(name);
        auto stored = co_await store(&form, std::move(path), &bytes);
        if (!stored) co_return http::from(stored.error());
        if (*stored != 0) co_return cannot_store(*stored);
        const std::string line = name + ", " + std::to_string(bytes) + " bytes";
        troupe::ignore(news.tell<&News::publish>(line), "a crowd of uploads is no news");
        told += "stored " + line + "\n";
    }
    if (told.empty()) co_return http::text(400, "There is no file in this form.\n");
    co_return http::ok(std::move(told));
}

troupe::Task<http::Response> listen(troupe::Ref<News> news, http::Request) {
    auto [sender, receiver] = troupe::channel<http::Event>(100);
    auto subscribed = co_await news.ask<&News::subscribe>(std::move(sender));
    if (!subscribed) co_return http::from(subscribed.error());
    co_return http::events(std::move(receiver));
}

/// Counts the visits of each browser, in a cookie that only we can have written.
http::Response page(const http::CookieSigner& signer, const http::Request& request) {
    constexpr std::string_view kName = "visits";
    const auto sent = http::cookie(request, kName);
    const auto believed = sent ? signer.verify(kName, *sent) : std::nullopt;
    const int visits = believed ? std::atoi(believed->c_str()) + 1 : 1;
    http::Response response = http::html(kPage);
    http::SetCookie cookie(std::string(kName), signer.sign(kName, std::to_string(visits)));
    troupe::ignore(http::set_cookie(response, cookie.max_age(24h)), "digits are in order");
    response.header("X-Visits", std::to_string(visits));
    return response;
}

troupe::Result<std::string> random_key() {
    std::string key(32, '\0');
    std::FILE* const random = std::fopen("/dev/urandom", "rb");
    if (!random) return troupe::error(troupe::Errc::failed, "there is no /dev/urandom");
    const bool read = std::fread(key.data(), 1, key.size(), random) == key.size();
    std::fclose(random);
    if (!read) return troupe::error(troupe::Errc::failed, "/dev/urandom gives nothing");
    return key;
}

}  // namespace

troupe::Result<http::Router> routes(const std::string& folder, troupe::Ref<News> news) {
    TROUPE_TRY(http::Files files,
               http::files(folder, http::FileOptions().index("index.html").precompressed()));
    // For as long as the program runs. One that is started again, or on several machines, would
    // read its keys from somewhere.
    TROUPE_TRY(const std::string key, random_key());
    TROUPE_TRY(const http::CookieSigner signer, http::CookieSigner::make({key}));

    http::Router router;
    router.use(http::compressed());
    router.get("/", [signer](const http::Request& request) { return page(signer, request); });
    router.get("/files/*", files);
    router.post("/upload", [folder, news](http::Request request, http::BodyReader body) {
        return upload(folder, news, std::move(request), body);
    });
    router.get("/events",
               [news](http::Request request) { return listen(news, std::move(request)); });
    return router;
}
