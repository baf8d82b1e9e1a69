#include <troupe/base/random.hpp>
#include <troupe/sim/trace.hpp>

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <cstdint>
#include <string>
#include <vector>

namespace troupe::sim {
namespace {

using testing::HasSubstr;

Choice choice(std::uint64_t answer, std::uint64_t n, ChoiceKind kind = ChoiceKind::next_runnable) {
    return {answer, n, question_of(kind, "trace_test"), 0};
}

TEST(Trace, ComesBackFromItsText) {
    Random random(5);
    for (int round = 0; round < 500; ++round) {
        Trace trace;
        const std::uint64_t length = random.below(60);
        for (std::uint64_t i = 0; i < length; ++i) {
            const std::uint64_t n = 2 + random.below(std::uint64_t{1} << random.below(40));
            const std::uint64_t answer = random.chance(0.5) ? 0 : random.below(n);
            trace.push_back(choice(answer, n, static_cast<ChoiceKind>(random.below(6))));
        }
        const std::string text = to_text(trace);
        const Result<Trace> back = trace_from(text);
        ASSERT_TRUE(back) << back.error().message();
        ASSERT_TRUE(same_in_text(trace, *back)) << text;
    }
}

TEST(Trace, IsShortWhereTheFirstAlternativeWasTaken) {
    Trace trace(100'000, choice(0, 5));
    EXPECT_EQ(to_text(trace), "t1:AA");
    trace.push_back(choice(3, 5));
    EXPECT_LT(to_text(trace).size(), 24U);
    EXPECT_EQ(departures(trace), 1U);
}

TEST(Trace, SaysWhatIsWrongWithAText) {
    const auto what = [](const char* text) { return trace_from(text).error().text(); };
    EXPECT_THAT(what("8123"), HasSubstr("does not begin with t1:"));
    EXPECT_THAT(what("t1:A*"), HasSubstr("no letter '*'"));
    EXPECT_THAT(what("t1:AIA"), HasSubstr("ends in the middle"));
    EXPECT_THAT(what("t1:AAMBAg"), HasSubstr("answers what was not asked"));
    EXPECT_THAT(what("t1:AP7_"), HasSubstr("not a trace"));
    EXPECT_THAT(what("t1:AP7_____Dw"), HasSubstr("endless"));
    EXPECT_THAT(what("@/nowhere/at/all"), HasSubstr("cannot read"));
}

/// What a program asks: three steps, and a fault between them.
std::vector<std::uint64_t> ask(Chooser& chooser, const char* fault_site = "fault") {
    std::vector<std::uint64_t> answers;
    answers.push_back(chooser.choose(4, ChoiceKind::next_runnable, "step"));
    answers.push_back(chooser.choose(3, ChoiceKind::next_runnable, "step"));
    answers.push_back(chooser.choose(1000, ChoiceKind::fault, fault_site));
    answers.push_back(chooser.choose(5, ChoiceKind::next_runnable, "step"));
    return answers;
}

struct Recording {
    std::vector<Choice> room = std::vector<Choice>(100);
    TraceBuffer buffer{room};
    Trace trace() const { return {room.begin(), room.begin() + std::ptrdiff_t(buffer.used)}; }
};

TEST(Replayer, AnswersAsWasRecorded) {
    for (std::uint64_t seed = 1; seed < 50; ++seed) {
        RandomChooser random(seed);
        Recording recording;
        Recorder recorder(random, &recording.buffer);
        const auto answers = ask(recorder);
        Replayer replayer(*trace_from(to_text(recording.trace())));
        EXPECT_EQ(ask(replayer), answers);
        EXPECT_EQ(replayer.diverged_at(), Replayer::kNowhere);
    }
}

TEST(Replayer, GoesOnByAnotherWhereTheProgramAsksSomethingElse) {
    const Trace trace{choice(1, 4), choice(2, 3), choice(7, 1000), choice(4, 5)};
    Trace of_program = trace;
    for (Choice& one : of_program)
        one.question = question_of(kind_of(one), "step");
    of_program[2].question = question_of(ChoiceKind::fault, "fault");
    RandomChooser random(3);
    Replayer same(of_program, &random);
    EXPECT_EQ(ask(same), (std::vector<std::uint64_t>{1, 2, 7, 4}));

    Replayer changed(of_program);
    EXPECT_EQ(ask(changed, "another fault"), (std::vector<std::uint64_t>{1, 2, 0, 0}));
    EXPECT_EQ(changed.diverged_at(), 2U);
}

TEST(Replayer, GoesOnBehindTheEnd) {
    RandomChooser random(9);
    RandomChooser same(9);
    Replayer replayer({}, &random);
    EXPECT_EQ(ask(replayer), ask(same));
    EXPECT_EQ(replayer.diverged_at(), Replayer::kNowhere);
}

TEST(Recorder, SaysWhenThereWasNoRoom) {
    RandomChooser random(1);
    std::vector<Choice> room(2);
    TraceBuffer buffer{room};
    Recorder recorder(random, &buffer);
    ask(recorder);
    EXPECT_EQ(buffer.used, 2U);
    EXPECT_TRUE(buffer.overflowed);
}

TEST(Recorder, TakesTheFirstOnceItHasFinished) {
    RandomChooser random(1);
    Recording recording;
    Recorder recorder(random, &recording.buffer);
    recorder.finish();
    EXPECT_EQ(ask(recorder), (std::vector<std::uint64_t>{0, 0, 0, 0}));
    EXPECT_EQ(recording.buffer.used, 0U);
}

TEST(LooseReplayer, FollowsWhoeverWasTaken) {
    Choice second = {1, 3, question_of(ChoiceKind::next_runnable, kStepSite), 7};
    const Trace trace{second};
    LooseReplayer replayer(trace);
    const std::vector<Alternative> steps{
        {StepKind::turn, 4}, {StepKind::turn, 5}, {StepKind::turn, 7}};
    EXPECT_EQ(replayer.choose_step(steps), 2U) << "7 stands elsewhere now";
    EXPECT_EQ(replayer.choose_step(steps), 0U) << "behind the end";
}

}  // namespace
}  // namespace troupe::sim
