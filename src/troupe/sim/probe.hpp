#pragma once

/// A stand-in for an actor of any class, in a simulated test: it keeps the messages it is sent
/// instead of handling them, and the test says what was expected and what is answered.
///
///     auto smtp = sim.probe<Smtp>();
///     auto signup = sim.spawn<Signup>(smtp.ref());
///     signup.tell<&Signup::join>("ann");
///     auto call = smtp.expect<&Smtp::send>();
///     EXPECT_EQ(std::get<0>(call.arguments()), "ann");
///     call.reply(true);
///
/// It is an actor: it can be monitored, linked to, stopped and made to fail.

#include <troupe/actor/actor.hpp>
#include <troupe/actor/message.hpp>
#include <troupe/actor/ref.hpp>
#include <troupe/actor/spawn.hpp>
#include <troupe/base/duration.hpp>
#include <troupe/base/result.hpp>

#include <chrono>
#include <cstdint>
#include <deque>
#include <string_view>
#include <utility>

namespace troupe {

class Sim;

namespace sim_internal {

/// How long a probe waits for a message unless the test says otherwise. Virtual, so it costs
/// nothing; longer than an ask's.
inline constexpr Duration kProbePatience = std::chrono::seconds(10);

/// What a probe has been sent and nobody has looked at yet. The engine's thread only.
class ProbeCore {
public:
    explicit ProbeCore(Sim& sim) : sim_(sim) {}
    ProbeCore(const ProbeCore&) = delete;
    ProbeCore& operator=(const ProbeCore&) = delete;
    ~ProbeCore() { drop_all(); }

    void keep(MailNode* message) { kept_.push_back(message); }
    /// Runs until a message has come, which has to be the next one, or with `skip_others` the next
    /// of this method. Otherwise the test fails and its run ends.
    MailNode* take(const void* method, std::string_view name, Duration patience, bool skip_others);
    /// Whether nothing comes, and nothing is there, until then.
    bool quiet(Duration duration);
    /// Whoever waits for answers hears that nobody gives one.
    void drop_all() noexcept;

private:
    Sim& sim_;
    std::deque<MailNode*> kept_;
};

TurnEnd run_probe(Cell& cell);

/// The actor in a probe's cell. Its messages are those of another class: none gets as far as it.
class ProbeActor : public Actor {
public:
    explicit ProbeActor(ProbeCore* core) noexcept : core_(core) {}
    ProbeCore& core() noexcept { return *core_; }

private:
    ProbeCore* core_;
};

}  // namespace sim_internal

template <>
inline constexpr actor_internal::ActorType actor_internal::kActorType<sim_internal::ProbeActor>{
    {&sim_internal::run_probe, actor_internal::kClassName<sim_internal::ProbeActor>,
     &actor_internal::actor_deadline},
    sizeof(sim_internal::ProbeActor),
    actor_internal::kInlineState<sim_internal::ProbeActor>,
    &actor_internal::destroy_object<sim_internal::ProbeActor>,
    actor_internal::base_of<sim_internal::ProbeActor>()};

/// One message a probe has been sent.
template <auto M>
class ProbeCall {
    using Traits = actor_internal::Traits<M>;
    using Kept = typename actor_internal::KeptTuple<typename Traits::Parameters>::type;
    using Value = actor_internal::ReplyOf<M>;
    using Asked = actor_internal::Call<M, true>;
    using Told = actor_internal::Call<M, false>;

public:
    /// For Probe.
    explicit ProbeCall(MailNode* message)
        : arguments_(message->ops == &Asked::kOps ? std::move(Asked::of(message).kept)
                                                  : std::move(Told::of(message).kept)) {
        if (message->ops == &Asked::kOps) {
            asked_ = &Asked::of(message);
        } else {
            Told::finish(message);
        }
    }
    ProbeCall(ProbeCall&& other) noexcept
        : arguments_(std::move(other.arguments_)), asked_(std::exchange(other.asked_, nullptr)) {}
    ProbeCall& operator=(ProbeCall&&) = delete;
    /// An asker that got no answer hears no_reply.
    ~ProbeCall() {
        if (asked_ != nullptr) asked_->ops->drop(asked_, Error(Errc::no_reply));
    }

    /// A tuple, views as their owners.
    const Kept& arguments() const noexcept { return arguments_; }
    /// Whether somebody waits for an answer.
    bool asked() const noexcept { return asked_ != nullptr; }

    /// Answers; does nothing when nobody has asked.
    void reply(Result<Value> result) {
        if (asked_ == nullptr) return;
        Asked* const asked = std::exchange(asked_, nullptr);
        asked->reply.emplace(std::move(result));
        Asked::finish(asked);
    }
    void reply()
        requires std::is_void_v<Value>
    {
        reply(Result<void>());
    }

private:
    Kept arguments_;
    Asked* asked_ = nullptr;
};

template <class A>
class Probe {
public:
    Probe(sim_internal::ProbeCore& core, Ref<A> ref) noexcept : core_(&core), ref_(ref) {}

    Ref<A> ref() const noexcept { return ref_; }

    /// The next message is a call of M, and comes within that time. Otherwise the test fails, its
    /// run ends, and the text says what came instead, or who waits for what.
    template <auto M>
    ProbeCall<M> expect(Duration within = sim_internal::kProbePatience) {
        return take<M>(within, false);
    }
    /// The same, and messages before it are thrown away: their askers hear no_reply.
    template <auto M>
    ProbeCall<M> fish(Duration within = sim_internal::kProbePatience) {
        return take<M>(within, true);
    }
    /// Whether no message is there now, nor comes within that time.
    [[nodiscard]] bool quiet(Duration duration = Duration::zero()) {
        return core_->quiet(duration);
    }

private:
    template <auto M>
    ProbeCall<M> take(Duration within, bool skip_others) {
        static_assert(actor_internal::Traits<M>::kIsMethod,
                      "the template argument is not a method: write probe.expect<&A::method>()");
        static_assert(actor_internal::method_belongs_to<M, A>(),
                      "this method belongs to another class than the one the probe stands in for");
        return ProbeCall<M>(core_->take(&actor_internal::kMethodId<M>,
                                        actor_internal::Call<M, false>::kOps.method, within,
                                        skip_others));
    }

    sim_internal::ProbeCore* core_;
    Ref<A> ref_;
};

}  // namespace troupe
