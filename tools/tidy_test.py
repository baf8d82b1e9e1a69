#!/usr/bin/env python3
"""Shows tidy.py one thing at a time: what must be reported, and what looks like it and must not."""
import pathlib
import tempfile
import unittest

import awaited_temporaries
import tidy
from cpp_text import code_of

README = "# base\n" + "".join(f"## {heading}\nx.hpp\n" for heading in tidy.README_HEADINGS)
CLEAN = {
    "LOCKS.md": "| rank | name | where |\n|---|---|---|\n| 10 | `timers` | wheel |\n",
    "src/troupe/base/CMakeLists.txt": "troupe_component(base)\n",
    "src/troupe/base/README.md": README,
    "src/troupe/base/x.hpp": "#pragma once\n",
    "src/troupe/base/x.cpp": "#include <troupe/base/x.hpp>\n",
    "src/troupe/base/x_test.cpp": "#include <gtest/gtest.h>\n",
}


def errors_in(files):
    with tempfile.TemporaryDirectory() as folder:
        root = pathlib.Path(folder)
        for name, text in files.items():
            (root / name).parent.mkdir(parents=True, exist_ok=True)
            (root / name).write_text(text, encoding="utf-8")
        return tidy.check(root)


def planted(name, text):
    return errors_in({**CLEAN, name: text})


class Words(unittest.TestCase):
    def reported(self, code, part, name="src/troupe/actor/a.cpp"):
        errors = planted(name, "\n" + code + "\n")
        self.assertEqual(len(errors), 1, errors)
        self.assertTrue(errors[0].startswith(name + ":2: "), errors[0])
        self.assertIn(part, errors[0])

    def accepted(self, code, name="src/troupe/actor/a.cpp"):
        self.assertEqual(planted(name, code + "\n"), [])

    def test_a_clean_tree_has_no_errors(self):
        self.assertEqual(errors_in(CLEAN), [])

    def test_the_machine_is_not_asked_above_the_scheduler(self):
        self.reported("auto t = std::chrono::steady_clock::now();", "engine")
        self.reported("clock_gettime(CLOCK_MONOTONIC, &t);", "engine")
        self.reported("auto t = monotonic_now();", "engine")
        self.reported("std::this_thread::sleep_for(1ms);", "co_await sleep")
        self.reported("std::random_device seed;", "Random")
        self.reported("int n = rand();", "Random")
        self.reported("std::jthread worker(f);", "offload")

    def test_nothing_is_ordered_by_addresses(self):
        self.reported("std::map<const Cell*, int> turns;", "addresses")
        self.reported("std::set<Ref<A>*> known;", "addresses")
        self.reported("std::sort(a, b, std::less<Cell*>());", "addresses")
        self.accepted("std::map<std::uint32_t, Cell*> cells; std::vector<Cell*> list;")
        self.accepted("std::map<Cell*, int> seen;", "src/troupe/actor/a_test.cpp")

    def test_no_hash_table_of_addresses_or_pids_is_walked_through(self):
        walk = "for (const auto& [pid, one] : peers_) f(one);"
        for key in ("Pid", "const Cell*", "Ref<A>", "troupe::Pid"):
            self.reported(f"std::unordered_map<{key}, int> peers_; {walk}", "peers_")
        table = "std::unordered_set<Pid> peers_; "
        self.reported(table + "auto first = this->peers_.begin();", "no seed replays")
        self.reported(table + "for (auto& one : core->peers_) f(one);", "no seed replays")
        self.accepted(table + "if (peers_.contains(pid)) f(); for (auto& x : others_) f(x);")
        self.accepted("std::unordered_map<std::uint64_t, Cell*> peers_; " + walk)
        self.accepted(table + walk, "src/troupe/actor/a_test.cpp")

    def test_the_table_may_be_declared_in_another_file_of_the_component(self):
        header = "#pragma once\nclass A { std::unordered_map<Pid, int> peers_; };\n"
        walk = "void f() { for (auto& [pid, n] : peers_) g(n); }\n"
        files = {**CLEAN, "src/troupe/actor/internal/a.hpp": header, "src/troupe/actor/a.cpp": walk}
        (error,) = [e for e in errors_in(files) if "peers_" in e]
        self.assertTrue(error.startswith("src/troupe/actor/a.cpp:1: "), error)

    def test_base_and_scheduler_ask_the_machine(self):
        code = "auto t = std::chrono::steady_clock::now(); std::thread w(f); std::random_device r;"
        self.accepted(code, "src/troupe/scheduler/a_test.cpp")
        self.accepted(code, "src/troupe/base/clock_test.cpp")

    def test_a_test_may_have_a_thread_from_outside_but_no_clock(self):
        self.accepted("std::thread outside(f);", "src/troupe/actor/a_test.cpp")
        self.reported("usleep(10);", "co_await", "src/troupe/actor/a_test.cpp")
        self.accepted("auto t = std::chrono::steady_clock::now();", "src/troupe/actor/a_bench.cpp")

    def test_words_in_comments_strings_and_longer_names_are_nothing(self):
        self.accepted('// volatile steady_clock\nauto s = "std::mutex TO" "DO rand()";')
        self.accepted('auto s = R"(throw volatile std::thread)"; auto brand = operand(1\'000);')
        self.accepted("shop.rand(3); on_catch(); my_throw(); auto n = std::thread::id{};")

    def test_fences_volatile_and_consume_are_refused(self):
        self.reported("std::atomic_thread_fence(x);", "thread sanitizer")
        self.reported("std::atomic_signal_fence(x);", "thread sanitizer")
        self.reported("volatile int n = 0;", "std::atomic")
        self.reported("n.load(std::memory_order_consume);", "acquire")
        self.accepted('asm volatile("pause");')

    def test_a_strong_order_needs_a_comment_near_it(self):
        order = "flag.store(true, std::memory_order_release);"
        self.reported(order, "pairs with")
        self.accepted("// Publishes the value; pairs with take().\n\n\n\n" + order)
        self.accepted(order + "  // publishes the value; pairs with take()")
        errors = planted("src/troupe/actor/a.cpp", "// far away\n\n\n\n\n" + order + "\n")
        self.assertEqual(len(errors), 1, errors)
        self.accepted("n.fetch_add(1, std::memory_order_relaxed);")
        self.reported("n.load(std::memory_order::acquire);", "pairs with")

    def test_standard_mutexes_stay_in_base_mutex(self):
        self.reported("std::mutex m;", "LockGuard")
        self.reported("std::condition_variable_any c;", "CondVar")
        allowed = {"src/troupe/base/mutex.cpp": "std::mutex m;\n"}
        errors = errors_in({**CLEAN, **allowed, "src/troupe/base/mutex_test.cpp": ""})
        self.assertEqual(errors, [])

    def test_no_await_stands_in_a_condition(self):
        for line in (
            "if (co_await sleep(d)) hit();",
            "while (!co_await more(f(1))) {}",
            "} else if (n > 1 && !co_await more()) {}",
        ):
            self.reported(line, "miscompiled")
        for line in (
            "bool more = co_await f();\nif (more) hit();",
            "if (auto r = co_await f(); !r) co_return;",
            "if (const Result<int> r = co_await f()) hit();",
            "for (bool more = true; more;) more = co_await f();",
            "// if (co_await f())",
        ):
            self.accepted(line)

    def test_every_rank_is_listed(self):
        self.reported("Mutex m{LockRank::nobody};", "LOCKS.md")
        self.accepted("Mutex m{LockRank::timers};")

    def test_exceptions_stop_at_the_walls(self):
        self.reported("throw Failure();", "EXCEPTION_WALLS")
        self.reported("try { f(); } catch (...) {}", "EXCEPTION_WALLS")
        self.accepted("throw Failure();", "src/troupe/actor/a_test.cpp")
        self.accepted("throw Failure();", "examples/counters/main.cpp")

    def test_an_exception_stands_in_its_table_as_long_as_it_is_needed(self):
        with tempfile.TemporaryDirectory() as folder:
            (wall, *_) = tidy.EXCEPTION_WALLS
            path = pathlib.Path(folder) / wall
            path.parent.mkdir(parents=True)
            path.write_text("try { f(); } catch (...) {}\n", encoding="utf-8")
            self.assertEqual(list(tidy.stale_exceptions(tidy.Tree(folder))), [])
            path.write_text("f();\n", encoding="utf-8")
            (error,) = tidy.stale_exceptions(tidy.Tree(folder))
            self.assertIn("needs it no more", error)

    def test_iostream_is_refused(self):
        self.reported("#include <iostream>", "log(")


class Includes(unittest.TestCase):
    def test_third_parties_stay_out_of_public_headers(self):
        for target in ("fmt/format.h", "boost/json.hpp", "spdlog/spdlog.h", "sqlite3.h"):
            errors = planted("src/troupe/base/x.hpp", f"#pragma once\n#include <{target}>\n")
            self.assertEqual(len(errors), 1, errors)
            self.assertIn("x.hpp:2: <" + target, errors[0])

    def test_standard_and_system_headers_are_no_third_parties(self):
        text = "#pragma once\n#include <expected>\n#include <sys/epoll.h>\n#include <unistd.h>\n"
        self.assertEqual(planted("src/troupe/base/x.hpp", text), [])

    def test_an_internal_header_may_use_one_until_a_public_header_leads_to_it(self):
        inner = "#pragma once\n#include <boost/json.hpp>\n"
        files = {**CLEAN, "src/troupe/base/internal/i.hpp": inner}
        self.assertEqual(errors_in(files), [])
        files["src/troupe/base/x.hpp"] = "#pragma once\n#include <troupe/base/internal/i.hpp>\n"
        (error,) = errors_in(files)
        self.assertIn("i.hpp:2: <boost/json.hpp> reaches the user through src/troupe/base", error)

    def test_a_header_is_guarded(self):
        (error,) = planted("src/troupe/base/x.hpp", "int x();\n")
        self.assertIn("#pragma once", error)


class Awaited(unittest.TestCase):
    """Each sample says what g++ 12.2 does with it; see docs/design/0002."""

    TYPES = "struct Order { std::string item; int n; };\n" \
            "class Sure { public: Sure(std::string s); };\n" \
            "enum class Mode { fast };\nusing Duration = std::chrono::nanoseconds;\n"

    def found(self, code):
        types = awaited_temporaries.TypeTable()
        types.add(self.TYPES)
        return [what for _, what in awaited_temporaries.find(code_of(code), types)]

    def body(self, code):
        return self.found("Task<int> f() {\n" + code + "\n}\n")

    def test_destroyed_twice(self):
        for code in (
            "co_await shop.ask<&Shop::order>(Order{\"nail\", 3});",
            "co_await f(Order{});",
            "co_await f({});",
            "co_await f(1, {name, 2});",
            "auto r = Order{x, co_await y};",
            "co_yield Order{\"nail\", 3};",
            "co_await f([c = std::move(name)] { use(c); });",
            "co_await f([name] { use(name); });",
            "co_await f([=] { use(name); });",
            "co_await f([&a, b](int n) -> int { return n; });",
            "co_await [c]() -> Task<int> { co_return 1; }();",
            "int n = (co_await g()).value_or(Order{\"nail\", 3}).n;",
            "v.emplace_back(Order{to_string(co_await x)});",
            "co_await f(std::vector<std::string>{\"a\", \"b\"});",
            "co_await f(std::vector{a, b});",
            "co_await f(shop::Order{name, 1});",
            "co_await f(Pair<int, std::string>{1, name});",
            "if (auto r = co_await f(Order{\"nail\", 1}); !r) co_return 1;",
            "co_await f(\n    1,\n    Order{\n        \"nail\", 3});",
            "throw Order{\"nail\", co_await n()};",
            "co_await group.add([name](int n) { if (n) { use(name); } });",
        ):
            self.assertEqual(len(self.body(code)), 1, (code, self.body(code)))

    def test_right_on_both_compilers(self):
        for code in (
            "Order order{\"nail\", 3}; co_await f(std::move(order));",
            "auto order = Order{\"nail\", 3};\nco_await f(std::move(order));",
            "auto call = f(Order{\"nail\", 3}); co_await std::move(call);",
            "co_await f(Order());",
            "co_await f(Sure{\"it has a constructor\"});",
            "co_await f(Mode{1}); co_await sleep(Duration{5});",
            "co_return Order{\"nail\", 3};",
            "co_await f([&] { use(name); });",
            "co_await f([&name](int n) { return Order{name, n}; });",
            "co_await f([](std::string s) { use(s); });",
            "co_await f([this] { use(name); });",
            "auto job = [name] { use(name); }; co_await offload(std::move(job));",
            "auto job = [name]() -> Task<int> { co_return co_await g(name); }; co_await job();",
            "shop.tell<&Shop::order>(Order{\"nail\", 3}); co_await g();",
            "if (check(Order{\"nail\", 3})) co_return co_await g();",
            "if (check(Order{\"nail\", 3})) { co_await g(); }",
            "for (auto& o : {1, 2}) { co_await g(o); }",
            "while (co_await sleep(1s)) { shop.tell<&Shop::order>(Order{\"nail\", 3}); }",
            "switch (co_await g()) { case 1: f(Order{\"nail\", 3}); }",
            "auto [a, b] = co_await g();",
            "auto&& [a, b] = co_await g();",
            "int n[3] = {1, 2, 3}; co_await g(n[0]);",
            "[[maybe_unused]] auto n = co_await g();",
            "std::string text{co_await g()};",
            "co_await g(); // f(Order{1, 2})",
            "co_await g(\"f({})\");",
            "delete[] p; co_await g();",
        ):
            self.assertEqual(self.body(code), [], code)

    def test_declarations_around_a_coroutine_confuse_nothing(self):
        code = """
            namespace shop {
            enum class Errc { gone = 1 };
            class Till : public troupe::Actor {
            public:
                explicit Till(int n) : name_{"till"}, n_{n} {}
                auto size() const -> std::vector<int> { return {1, 2}; }
                template <class T> requires Plain<T> T as() { return T{}; }
                Order last() const { return Order{name_, n_}; }
                Task<int> count() { co_return co_await g(n_); }
                int operator[](int i) const { return i; }
            private:
                std::string name_ = {"x"};
                Order kept_ = Order{"nail", 1};
            };
            Task<int> run(Till& till) noexcept {
                auto both = std::array{1, 2};
                for (auto x : both) co_await till.count();
                co_return 0;
            }
            TEST(Till, Counts) { f(Order{"nail", 2}); run_all([](Sim& s) { s.run(g()); }); }
            }
        """
        self.assertEqual(self.found(code), [])

    def test_a_type_of_the_same_file_counts_before_one_of_another(self):
        code = "struct Sure { std::string s; };\nTask<int> f() { co_await g(Sure{name}); }\n"
        self.assertEqual(len(self.found(code)), 1)


class Lines(unittest.TestCase):
    def one(self, name, text, part):
        errors = planted(name, text)
        self.assertEqual(len(errors), 1, errors)
        self.assertIn(part, errors[0])

    def test_spaces_and_widths(self):
        self.one("src/troupe/base/x.hpp", "#pragma once\n\tint x();\n", "four spaces")
        self.one("src/troupe/base/x.hpp", "#pragma once\nint x(); \n", "trailing space")
        self.one("src/troupe/base/x.hpp", "#pragma once\n// " + "a" * 98 + "\n", "101 columns")
        link = "#pragma once\n// https://a.example/" + "a" * 98 + "\n"
        self.assertEqual(planted("src/troupe/base/x.hpp", link), [])
        text = '#pragma once\nauto page = R"(\n\t' + "a" * 101 + ' \n)";\n'
        self.assertEqual(planted("src/troupe/base/x.hpp", text), [])
        self.assertEqual(planted("a.md", "a" * 200 + "\n"), [])

    def test_unfinished_things_are_refused(self):
        self.one("src/troupe/base/x.hpp", "#pragma once\n// FIXME: later\n", "unfinished")
        text = '#pragma once\nauto n = "fXXXXXX";\n'
        self.assertEqual(planted("src/troupe/base/x.hpp", text), [])


class References(unittest.TestCase):
    def test_a_page_that_is_named_exists(self):
        for name, text in (
            ("src/troupe/base/x.hpp", "#pragma once\n/// Source: docs/design/0099-no.md\n"),
            ("a.md", "[why](docs/design/0099-no.md)\n"),
        ):
            (error,) = planted(name, text)
            self.assertIn("0099-no.md does not exist", error)

    def test_links_outside_and_into_a_page_are_followed_no_further(self):
        text = "[a](https://a.example/b.md) [b](LOCKS.md#ranks) [c](#here)\n"
        self.assertEqual(planted("a.md", text), [])


class Components(unittest.TestCase):
    def one(self, files, part):
        errors = errors_in({k: v for k, v in files.items() if v is not None})
        self.assertEqual(len(errors), 1, errors)
        self.assertIn(part, errors[0])

    def test_a_component_has_a_readme(self):
        self.one({**CLEAN, "src/troupe/base/README.md": None}, "no README.md")

    def test_the_readme_has_its_five_headings(self):
        text = README.replace("## Rules\n", "")
        self.one({**CLEAN, "src/troupe/base/README.md": text}, "headings")

    def test_the_readme_names_every_public_header(self):
        self.one({**CLEAN, "src/troupe/base/new.hpp": "#pragma once\n"}, "does not name new.hpp")

    def test_the_readme_is_short(self):
        self.one({**CLEAN, "src/troupe/base/README.md": README + "line\n" * 40}, "longer than")

    def test_a_source_has_a_test_or_a_reason(self):
        files = {**CLEAN, "src/troupe/base/y.cpp": "int y;\n"}
        self.one(files, "no y_test.cpp")
        files["src/troupe/base/CMakeLists.txt"] += "# UNTESTED y.cpp: only a table of names\n"
        self.assertEqual(errors_in(files), [])

    def test_a_page_of_requirements_names_tests_that_there_are(self):
        test = "TEST(Door, Opens) {}\nTEST_F(Door,\n       Closes) {}\n"
        tree = {**CLEAN, "src/troupe/base/x_test.cpp": test}
        page = "| doors | `Door.Opens`, `.Closes`, `Door.*`, `x.cpp` |\n"
        self.assertEqual(errors_in({**tree, "docs/door_rows.md": page}), [])
        page = "\n| doors | `Door.Opens`, `.Locks` |\n| windows | `Window.*` |\n"
        errors = errors_in({**tree, "docs/door_rows.md": page})
        self.assertEqual([e.split(";")[0] for e in errors], [
            "docs/door_rows.md:2: there is no test Door.Locks",
            "docs/door_rows.md:3: there is no test Window.*",
        ])  # fmt: skip

    def test_a_component_under_construction_is_left_alone(self):
        self.assertEqual(planted("src/troupe/io/y.cpp", "int y;\n"), [])


if __name__ == "__main__":
    unittest.main()
