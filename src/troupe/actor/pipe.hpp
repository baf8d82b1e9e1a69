#pragma once

/// Results that come as messages, for handlers that do not wait:
///
///     rates_.ask<&Rates::get>(currency).within(1s).pipe_to<&Till::priced>(self(this), cents);
///     offload(read).pipe_to<&Till::loaded>(self(this), path);
///
/// The actor goes on with other mail meanwhile. The answer calls `priced(Result<int>, cents)` and
/// waits its turn like any message, but is never refused.

#include <troupe/actor/ask.hpp>
#include <troupe/actor/ref.hpp>
#include <troupe/base/block_pool.hpp>
#include <troupe/scheduler/engine.hpp>
#include <troupe/task/sleep.hpp>

#include <cstdint>
#include <new>
#include <tuple>
#include <type_traits>
#include <utility>

namespace troupe::actor_internal {

/// How a result gets into the message that was made for it.
struct PipeOps {
    /// Takes the reply over and frees its envelope.
    void (*set_reply)(MailNode* message, MailNode* reply) = nullptr;
    void (*set_error)(MailNode* message, Error&& why) = nullptr;
};

template <auto Then, class T>
struct PipedInto {
    static Result<T>& result(MailNode* message) {
        return std::get<0>(static_cast<Call<Then, false>*>(message)->kept);
    }
    static void set_reply(MailNode* message, MailNode* reply) {
        auto* const envelope = static_cast<AskEnvelope<T>*>(reply);
        result(message) = std::move(*envelope->reply);
        AskEnvelope<T>::free_reply(envelope);
    }
    static void set_error(MailNode* message, Error&& why) {
        result(message) = std::unexpected(std::move(why));
    }
    static constexpr PipeOps kOps{&set_reply, &set_error};
};

/// The call of Then, with a result to be put in.
template <auto Then, class T, class A, class... Extra>
Call<Then, false>* make_piped(const Self<A>& self, Extra&&... extra) {
    using Class = typename Traits<Then>::Class;
    static_assert(
        std::is_same_v<std::tuple_element_t<0, typename Call<Then, false>::Kept>, Result<T>>,
        "pipe_to<&A::then>: its first parameter is the Result of what was asked");
    return make_call<Then, false>(RefAccess::offset(self) + offset_of_base<A, Class>(),
                                  Result<T>(std::unexpect, Errc::no_reply),
                                  std::forward<Extra>(extra)...);
}

/// Sends the request. The answer, or why there is none, comes to `cell` in `message`, once.
void begin_pipe(Cell& cell, std::uint32_t cell_generation, MailNode* message, const PipeOps& ops,
                Cell* target, std::uint32_t generation, AskHeader* request, Duration timeout);

template <auto Then, class T, class A, class... Extra>
void pipe_ask(const Self<A>& self, Cell* target, std::uint32_t generation, AskEnvelope<T>* request,
              Duration timeout, Extra&&... extra) {
    begin_pipe(*RefAccess::cell(self), RefAccess::generation(self),
               make_piped<Then, T>(self, std::forward<Extra>(extra)...), PipedInto<Then, T>::kOps,
               target, generation, request, timeout);
}

/// Blocking work whose result is to become a message.
struct PipedJob : Job {
    Cell* cell = nullptr;
    std::uint32_t generation = 0;
    MailNode* message = nullptr;

    /// Sends the message; to an actor that has ended it is a dead letter. Any thread.
    void deliver() noexcept;
    /// What the exception being handled says to the actor.
    static Error thrown();
};

/// Hands the job over. False when the pool has refused it: the message is on its way with the
/// error, and the job is the caller's.
bool begin_piped_job(PipedJob& job, const PipeOps& ops);

template <auto Then, class F>
struct PipedJobOf final : PipedJob {
    using Returned = std::invoke_result_t<F&>;
    using Value = typename ReplyType<Returned>::type;
    using Into = PipedInto<Then, Value>;

    explicit PipedJobOf(F&& f) : function(std::move(f)) {
        run = [](Job* job) noexcept { static_cast<PipedJobOf*>(job)->work(); };
        drop = [](Job* job) noexcept { static_cast<PipedJobOf*>(job)->finish(); };
    }
    void work() noexcept {
        // What blocking code throws is told to the actor that wanted it done.
        try {
            if constexpr (std::is_void_v<Returned>) {
                function();
                Into::result(message) = Result<void>();
            } else {
                Into::result(message) = function();
            }
        } catch (...) {
            Into::set_error(message, thrown());
        }
        finish();
    }
    void finish() noexcept {
        deliver();
        free();
    }
    void free() noexcept {
        this->~PipedJobOf();
        free_block(this, sizeof(PipedJobOf));
    }

    F function;
};

}  // namespace troupe::actor_internal

namespace troupe {

/// For `offload(f).pipe_to<&A::then>(self(this), extra...)`: the task component knows no actors.
template <auto Then, class A, class F, class... Extra>
void pipe_offloaded(const Self<A>& self, F&& function, Extra&&... extra) {
    using Piped = actor_internal::PipedJobOf<Then, std::remove_cvref_t<F>>;
    using Value = typename Piped::Value;
    if constexpr (actor_internal::check_call<Then, A, Result<Value>, Extra...>()) {
        auto* const message =
            actor_internal::make_piped<Then, Value>(self, std::forward<Extra>(extra)...);
        auto* const job = ::new (allocate_block(sizeof(Piped))) Piped(std::forward<F>(function));
        job->cell = actor_internal::RefAccess::cell(self);
        job->generation = actor_internal::RefAccess::generation(self);
        job->message = message;
        if (!actor_internal::begin_piped_job(*job, actor_internal::PipedInto<Then, Value>::kOps)) {
            job->free();
        }
    }
}

}  // namespace troupe
