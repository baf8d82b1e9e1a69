#include <troupe/scheduler/internal/test_cell.hpp>
#include <troupe/scheduler/waiting_report.hpp>
#include <troupe/scheduler/waits_for.hpp>

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <memory>
#include <string>

namespace troupe {
namespace {

using scheduler_internal::TestCell;
using testing::HasSubstr;
using testing::Not;

/// Lets a cell wait for another, as an ask does.
TestCell::OnMail waiting_for(const std::unique_ptr<TestCell>& target) {
    return [&target](TestCell& self, int) {
        Awaiting& record = self.begin();
        record.what = "ask";
        record.subject = "Account::balance";
        record.edge = &WaitsFor::of(self.cell());
        record.edge->set(WaitsFor::edge(target->cell(), self.cell().await_number_, false), nullptr);
    };
}

TEST(WaitingReport, NamesWhoWaitsForWhomAndTheCircles) {
    RandomChooser chooser(1);
    const auto engine = make_deterministic_engine(chooser);
    EXPECT_EQ(waiting_report(*engine), "");
    std::unique_ptr<TestCell> a;
    std::unique_ptr<TestCell> b;
    std::unique_ptr<TestCell> alone;
    a = std::make_unique<TestCell>(*engine, waiting_for(b));
    b = std::make_unique<TestCell>(*engine, waiting_for(a));
    alone = std::make_unique<TestCell>(*engine, [](TestCell& self, int) { self.begin(); });
    alone->send(1);
    a->send(1);
    engine->settle();
    EXPECT_THAT(waiting_report(*engine), HasSubstr("waits in ask Account::balance for <0."));
    EXPECT_THAT(waiting_report(*engine), Not(HasSubstr("a circle")));
    b->send(1);
    engine->settle();
    const std::string report = waiting_report(*engine);
    EXPECT_THAT(report, HasSubstr("a circle: <0."));
    EXPECT_EQ(report.find("a circle"), report.rfind("a circle")) << "each is told once:\n"
                                                                 << report;
    WaitsFor::of(a->cell()).clear();
    WaitsFor::of(b->cell()).clear();
    engine->stop();
}

}  // namespace
}  // namespace troupe
