#!/usr/bin/env python3
"""Checks the rules of STYLE.md and CONTRIBUTING.md that a machine can check.

Usage: tidy.py ROOT            checks the tree; prints file:line: what to write instead
       tidy.py --report ROOT   prints the ten longest source files, for a reviewer to read

Each rule stands below with its reason. No rule has an "ignore" comment: an exception is an entry
in one of the tables of this file, where the number of them can be seen.
"""
import pathlib
import re
import sys

import awaited_temporaries
from cpp_text import CppText, includes_of, is_public_header, is_test_like

# ---------------------------------------------------------------- the exceptions

# Components that implement time, chance and threads for everybody else.
MACHINE_COMPONENTS = ("base", "scheduler")

# Single files above them that must own a thread, and what it does.
THREAD_OWNERS = {
    "src/troupe/actor/run.cpp": "waits for SIGINT and SIGTERM on behalf of a whole program",
}

# Single files above them that must ask the machine for the time, and why.
CLOCK_READERS = {
    "src/troupe/sim/run.cpp": "searches until a budget of real time is spent; no run sees it",
    "src/troupe/sim/shrink.cpp": "the same",
}

# Files above them that stand in for the machine, and what they are.
MACHINE_FILES = {
    "src/troupe/sim/interpose.cpp": "keeps simulated steps from asking the C library",
    "src/troupe/sim/interposed_test.cpp": "asks it, to see that it is kept from it",
}

# Files that walk through a hash table of addresses or pids, and why the order does not show.
HASH_WALKS = {
    "src/troupe/net/gatekeeper.cpp": "sorts what it collects",
    "src/troupe/scheduler/internal/own_threads.cpp": "wakes threads, which no seed replays",
}

# The walls at which exceptions stop (STYLE.md, "When things go wrong"), and what stands there.
# A throw or catch anywhere else in the library is an error.
EXCEPTION_WALLS = {
    "src/troupe/actor/internal/schedule.cpp": "around a hook that hears of slow handlers",
    "src/troupe/actor/internal/turn.cpp": "around a turn",
    "src/troupe/actor/arena.cpp": "a memory resource has no other way to refuse",
    "src/troupe/base/error.cpp": "puts the exception that is being handled into words",
    "src/troupe/actor/pipe.hpp": "around an offloaded job; tells the actor that wanted it done",
    "src/troupe/actor/run.cpp": "around the app, the root task of a program",
    "src/troupe/actor/spawn.hpp": "around an actor's constructor, which is part of its life",
    "src/troupe/http/internal/connection.cpp": "around a request's handler, a root task",
    "src/troupe/http/internal/h2_connection.cpp": "around a request's handler",
    "src/troupe/http/internal/h2_exchange.cpp": "around a request's handler, a root task",
    "src/troupe/sim/run.cpp": "around the body of a simulated test",
    "src/troupe/sim/sim.cpp": "leaves the body of a test whose run is over",
    "src/troupe/sim/sim.hpp": "hands a task's exception to the test that runs it",
    "src/troupe/websocket/session.cpp": "around a session's coroutine, a root task",
    "src/troupe/websocket/socket.cpp": "around a connection's hooks, a root task",
    "src/troupe/websocket/internal/socket_core.cpp": "around a connection's hooks, a root task",
    "src/troupe/task/block_on.hpp": "around a root task; hands its exception to the waiting thread",
    "src/troupe/task/sleep.hpp": "around an offloaded job; hands its exception to the awaiter",
    "src/troupe/task/generator.hpp": "hands a generator's exception to whoever asks for a value",
    "src/troupe/task/task_group.hpp": "around a child's coroutine, which is its failure then",
    "src/troupe/task/task.hpp": "hands a child's exception to its awaiter",
}

# Where the machine's own barrier (membarrier) does the fence's work and only the compiler must be
# held back. The thread sanitizer's build takes another way there.
COMPILER_FENCES = {
    "src/troupe/scheduler/internal/run_queue.hpp": "the owner's side of the biased lock",
}

# Standard mutexes live behind our ranked one.
MUTEX_FILES = ("src/troupe/base/mutex.hpp", "src/troupe/base/mutex.cpp")

# Folders with C++ of ours. tests/mistakes does not compile on purpose; it is checked all the same.
CPP_FOLDERS = ("src", "apps", "examples", "bench", "tests")
SKIPPED_FOLDERS = {"build", ".git", "__pycache__", "node_modules"}
TEXT_SUFFIXES = {".cpp", ".hpp", ".cmake", ".py", ".sh", ".md", ".txt", ".json", ".in", ".yml"}
TEXT_NAMES = {"dev", "run", "LAYERS", ".clang-format", ".clang-tidy", ".editorconfig"}

README_HEADINGS = ["What it is", "Main types", "Rules", "How it is tested", "Start reading at"]
README_LINES_MAX = 40
COLUMNS_MAX = 100

# ---------------------------------------------------------------- rules for words

# (pattern, what to write instead). Applied to code without comments and strings.
CLOCKS = [
    (
        r"\b(?:steady_clock|system_clock|high_resolution_clock|utc_clock)\b",
        "asks the machine for the time; take it from the engine (system.now(), an Engine&)",
    ),
    (
        r"(?<![.>])\b(?:clock_gettime|gettimeofday|timespec_get|monotonic_now|wall_now)\s*\(",
        "asks the machine for the time; take it from the engine (system.now(), an Engine&)",
    ),
    (
        r"\b(?:sleep_for|sleep_until|nanosleep|clock_nanosleep|usleep)\s*\("
        r"|\bthis_thread\s*::\s*yield",
        "blocks a worker; co_await sleep(duration) or yield()",
    ),
]
RANDOM = [
    (
        r"\bstd\s*::\s*(?:random_device|mt19937(?:_64)?|minstd_rand0?|default_random_engine)\b"
        r"|(?<![\w.>:])s?rand\s*\(|\bstd\s*::\s*s?rand\s*\(|\bgetrandom\s*\(|\bgetentropy\s*\(",
        "draws chance that no seed replays; use the engine's Random",
    ),
]
THREADS = [
    (
        r"\bstd\s*::\s*(?:thread|jthread|async)\b(?!\s*::\s*(?:id|hardware_concurrency)\b)"
        r"|\bpthread_create\b",
        "starts a thread of its own; use a task, an actor or offload(f)",
    ),
]
ADDRESS_ORDER = [
    (
        r"\b(?:multi)?(?:map|set)\s*<\s*(?:const\s+)?[\w:]+(?:<[^<>]*>)?\s*(?:const\s*)?\*"
        r"|\bstd\s*::\s*(?:less|greater)\s*<[^<>]*\*\s*>|\bowner_less\b",
        "is ordered by addresses, which no seed replays; key it by a number, a pid or a name",
    ),
]
SIGNAL_FENCE = [
    (
        r"\batomic_signal_fence\b",
        "is invisible to the thread sanitizer; put the order on the atomic operation itself",
    ),
]
FENCES = [
    (
        r"\batomic_thread_fence\b|\b__sync_synchronize\b",
        "is invisible to the thread sanitizer; put the order on the atomic operation itself",
    ),
    (r"\bmemory_order(?:_|\s*::\s*)consume\b", "is not implemented anywhere; use acquire"),
    (
        r"(?<!asm )(?<!__asm__ )(?<!asm)\bvolatile\b(?!\s*\()",
        "orders nothing between threads; use std::atomic",
    ),
]
MUTEXES = [
    (
        r"\bstd\s*::\s*(?:(?:recursive_|shared_)?(?:timed_)?mutex|condition_variable(?:_any)?"
        r"|lock_guard|unique_lock|scoped_lock|shared_lock)\b|\bpthread_mutex_",
        "has no rank; use Mutex, LockGuard and CondVar of <troupe/base/mutex.hpp>",
    ),
]
THROWS = [
    (
        r"(?<![\w.>])(?:throw|catch)\b|\brethrow_exception\b",
        "is outside the walls; return error(...), or add it to EXCEPTION_WALLS in tools/tidy.py",
    ),
]
# Keys that are another in the next run: pointers, and pids, which say where a cell lies.
HASH_TABLE = re.compile(r"\bunordered_(?:multi)?(?:map|set)\s*<")
UNSTABLE_KEY = re.compile(r"\*\s*(?:const\s*)?$|^(?:const\s+)?(?:troupe\s*::\s*)?(?:Pid$|Ref\s*<)")
WALK = re.compile(
    r"\bfor\s*\([^;()]*:\s*(?:[\w:]+\s*\(\s*)?(?:[*\w]+(?:\.|->))*(?P<in_for>\w+)\s*\)"
    r"|\b(?P<begun>\w+)\s*(?:\.|->)\s*c?begin\s*\("
)
STRONG_ORDER = re.compile(r"\bmemory_order(?:_|\s*::\s*)(?:acquire|release|acq_rel|seq_cst)\b")
TEST_NAME = re.compile(
    r"\b(?:TEST|TEST_F|TEST_P|TYPED_TEST|TROUPE_SIM_TEST)\s*\(\s*(\w+)\s*,\s*(\w+)\s*\)"
)
ROW_TEST = re.compile(r"`([A-Z]\w*)?\.(\*|[A-Z]\w*)`")
UNFINISHED = re.compile(r"\b(?:FIXME|XXX|TODO)\b")
CONDITION = re.compile(r"\b(?:if|while)\s*\(")
DECLARES = re.compile(r"\s*(?:const\s+)?(?:auto|bool|int|[A-Z][\w<>]*)\s*[&*]?\s*\w+\s*=[^=]")
LOCK_ROW = re.compile(r"^\|(?:\s*\d+\s*\|)?\s*`?(\w+)`?\s*\|", re.MULTILINE)
LOCK_RANK = re.compile(r"\bLockRank\s*::\s*(\w+)")

# A header with a dot or a folder that is not one of these belongs to a third party.
SYSTEM_FOLDERS = ("sys", "linux", "netinet", "arpa", "net", "asm", "bits")
SYSTEM_HEADERS = {
    "cxxabi.h", "dlfcn.h", "errno.h", "execinfo.h", "fcntl.h", "netdb.h", "poll.h", "pthread.h",
    "sched.h", "signal.h", "stdint.h", "stddef.h", "string.h", "termios.h", "time.h", "ucontext.h",
    "unistd.h",
}  # fmt: skip


class Tree:
    """The files of the repository, each read and taken apart once."""

    def __init__(self, root):
        self.root = pathlib.Path(root)
        self._cpp = {}
        self.texts = sorted(p for p in self._walk(self.root) if _is_text(p))
        self.sources = [
            p
            for p in self.texts
            if p.suffix in (".cpp", ".hpp") and self.name(p).split("/")[0] in CPP_FOLDERS
        ]
        self.tables = {}  # of each component: names of hash tables with keys that change
        for path in self.sources:
            component = component_of(self.name(path))
            if component is not None:
                self.tables.setdefault(component, set()).update(_tables_in(self.cpp(path).code))
        self.types = awaited_temporaries.TypeTable()
        for path in self.sources:
            if self.name(path).startswith("src/"):
                self.types.add(self.cpp(path).code)

    def _walk(self, folder):
        for path in folder.iterdir():
            if path.is_dir():
                if path.name not in SKIPPED_FOLDERS:
                    yield from self._walk(path)
            elif path.is_file():
                yield path

    def name(self, path):
        return path.relative_to(self.root).as_posix()

    def cpp(self, path):
        if path not in self._cpp:
            self._cpp[path] = CppText(path.read_text(encoding="utf-8"))
        return self._cpp[path]


def _is_text(path):
    return path.suffix in TEXT_SUFFIXES or path.name in TEXT_NAMES


def _tables_in(code):
    """The names that are declared as hash tables whose keys are another in every run."""
    for match in HASH_TABLE.finditer(code):
        depth, end, key_end = 1, match.end(), None
        while depth > 0 and end < len(code):
            depth += {"<": 1, ">": -1}.get(code[end], 0)
            if key_end is None and (depth == 0 or (depth == 1 and code[end] == ",")):
                key_end = end
            end += 1
        key = code[match.end() : key_end].strip()
        declared = re.match(r"\s*(\w+)", code[end:])
        if declared and UNSTABLE_KEY.search(key):
            yield declared[1]


def component_of(name):
    """The component of src/troupe/<component>/..., or None."""
    parts = name.split("/")
    return parts[2] if len(parts) > 3 and parts[:2] == ["src", "troupe"] else None


# ---------------------------------------------------------------- rules, one function each


def words(tree, path):
    """Nothing but base and scheduler asks the machine, so that every run can be replayed."""
    name, component = tree.name(path), component_of(tree.name(path))
    rules = list(FENCES)
    if name not in COMPILER_FENCES:
        rules += SIGNAL_FENCE
    if component is not None:
        if component not in MACHINE_COMPONENTS and name not in MACHINE_FILES:
            rules += RANDOM
            # A bench measures with the real clock, a test may need a thread from outside.
            if not is_test_like(path) and name not in THREAD_OWNERS:
                rules += THREADS
            reads_clock = name in CLOCK_READERS
            if not reads_clock and (not is_test_like(path) or path.stem.endswith("_test")):
                rules += CLOCKS
        if not is_test_like(path):
            rules += ADDRESS_ORDER
        if name not in MUTEX_FILES and not path.stem.endswith("_bench"):
            rules += MUTEXES
        if not is_test_like(path) and name not in EXCEPTION_WALLS:
            rules += THROWS
    cpp = tree.cpp(path)
    for number, line in enumerate(cpp.code_lines, 1):
        if line.lstrip().startswith("#"):
            continue
        for pattern, advice in rules:
            match = re.search(pattern, line)
            if match:
                yield number, f"{match[0].strip().rstrip('(').strip()} {advice}"


def hash_walks(tree, path):
    """The order of a hash table whose keys are addresses or pids is another in every run."""
    name, component = tree.name(path), component_of(tree.name(path))
    if component is None or is_test_like(path):
        return
    tables = tree.tables.get(component, ())
    if not tables or name in HASH_WALKS:
        return
    cpp = tree.cpp(path)
    for match in WALK.finditer(cpp.code):
        table = match["in_for"] or match["begun"]
        if table in tables:
            yield cpp.line_of(match.start()), (
                f"walks through {table}, a hash table of addresses or pids, whose order no seed "
                "replays; keep the order in a list beside it, or sort what you collect"
            )


def memory_orders(tree, path):
    """An order stronger than relaxed pairs with another place, and a comment says with which."""
    cpp = tree.cpp(path)
    for number, line in enumerate(cpp.code_lines, 1):
        match = STRONG_ORDER.search(line)
        if match and not cpp.commented.intersection(range(number - 4, number + 1)):
            yield number, (
                f"{match[0]} without a comment on its line or the four above; "
                "write what it publishes or sees and which operation it pairs with"
            )


def awaited(tree, path):
    """GCC 12 destroys some temporaries of an awaited statement twice."""
    cpp = tree.cpp(path)
    for offset, what in awaited_temporaries.find(cpp.code, tree.types):
        yield cpp.line_of(offset), (
            f"{what} in a statement with co_await is destroyed twice by GCC 12; "
            "give it a name on the line before and pass std::move(name)"
        )


def awaited_conditions(tree, path):
    """GCC 12 takes the wrong branch, or none, when the coroutine has no local variable."""
    cpp = tree.cpp(path)
    for match in CONDITION.finditer(cpp.code):
        depth, end = 1, match.end()
        while depth > 0 and end < len(cpp.code):
            depth += {"(": 1, ")": -1}.get(cpp.code[end], 0)
            end += 1
        condition = cpp.code[match.end() : end - 1]
        if "co_await" in condition and not DECLARES.match(condition):
            yield cpp.line_of(match.start()), (
                "co_await in a condition is miscompiled by GCC 12 in a coroutine without local "
                "variables; write auto more = co_await ...; on the line before"
            )


def lock_ranks(tree, path):
    """LOCKS.md is the one order in which mutexes are taken."""
    table = tree.root / "LOCKS.md"
    listed = set()
    if table.exists():
        listed.update(LOCK_ROW.findall(table.read_text(encoding="utf-8")))
    cpp = tree.cpp(path)
    for match in LOCK_RANK.finditer(cpp.code):
        if match[1] not in listed and not match[1].startswith("test_"):
            yield cpp.line_of(match.start()), (
                f"LockRank::{match[1]} has no row in LOCKS.md; "
                f"add '| number | {match[1]} | where | protects |'"
            )


def includes(tree, path):
    """A user needs no third party's headers to include ours."""
    name = tree.name(path)
    if component_of(name) is None:
        return
    exposed = path in tree.exposed
    for line, _, target in includes_of(tree.cpp(path)):
        if target == "iostream" and not is_test_like(path):
            yield line, "<iostream> costs every program its static set-up; use log(...) or <cstdio>"
        if exposed and is_third_party(target):
            reader = "a public header" if is_public_header(path) else tree.exposed[path]
            yield line, (
                f"<{target}> reaches the user through {reader}; "
                "include it in a .cpp and show the user a type of ours"
            )


def is_third_party(target):
    first, _, rest = target.partition("/")
    if rest:
        return first not in SYSTEM_FOLDERS + ("troupe",)
    return "." in target and target not in SYSTEM_HEADERS


def exposed_headers(tree):
    """Every header a public header leads to, with the public header that does."""
    exposed, queue = {}, []
    for path in tree.sources:
        if component_of(tree.name(path)) and is_public_header(path.relative_to(tree.root)):
            queue.append((path, tree.name(path)))
    while queue:
        path, reader = queue.pop()
        if path in exposed:
            continue
        exposed[path] = reader
        for _, _, target in includes_of(tree.cpp(path)):
            other = tree.root / "src" / target
            if target.startswith("troupe/") and other.is_file():
                queue.append((other, reader))
    return exposed


def pragma_once(tree, path):
    if path.suffix == ".hpp" and "#pragma once" not in tree.cpp(path).lines:
        yield 1, "no #pragma once; write it above the first include"


def lines(tree, path):
    """What makes a diff hard to read or says that a thing is not finished."""
    code = path.suffix != ".md"
    raw = tree.cpp(path).raw if path in tree.sources else ()
    for number, line in enumerate(path.read_text(encoding="utf-8").split("\n"), 1):
        if "\t" in line and number not in raw:
            yield number, "a tab; write four spaces"
        if line != line.rstrip() and number not in raw:
            yield number, "trailing space; delete it"
        if code and len(line) > COLUMNS_MAX and "://" not in line and number not in raw:
            yield number, f"{len(line)} columns; break the line before {COLUMNS_MAX}"
        if code and path.name not in ("tidy.py", "tidy_test.py") and UNFINISHED.search(line):
            yield number, "an unfinished thing; finish it or open an issue, and delete the mark"


def references(tree, path):
    """A page that is named can be opened."""
    text = path.read_text(encoding="utf-8")
    if path.suffix == ".md":
        pattern, start = r"\]\(([^)#:\s]+)(?:#[^)]*)?\)", path.parent
    elif path.suffix in (".cpp", ".hpp", ".cmake", ".txt"):
        pattern, start = r"(?<![\w/.:])((?:[\w-]+/)+[\w-]+\.md)\b", tree.root
    else:
        return
    for match in re.finditer(pattern, text):
        if not (start / match[1]).exists():
            yield text.count("\n", 0, match.start()) + 1, (
                f"{match[1]} does not exist; name a page of this repository"
            )


def named_tests(tree):
    """A page of requirements (docs/*_rows.md) names tests that there are."""
    names = set()
    for path in tree.sources:
        if path.name.endswith("_test.cpp"):
            code = tree.cpp(path).code
            names.update((m[1], m[2]) for m in TEST_NAME.finditer(code))
    suites = {suite for suite, _ in names}
    for path in sorted((tree.root / "docs").glob("*_rows.md")):
        text = path.read_text(encoding="utf-8")
        suite = None
        for match in ROW_TEST.finditer(text):
            suite = match[1] or suite
            if (suite, match[2]) in names or match[2] == "*" and suite in suites:
                continue
            line = text.count("\n", 0, match.start()) + 1
            yield (
                f"{tree.name(path)}:{line}: there is no test {suite}.{match[2]}; name one that "
                f"fails when the row does not hold"
            )


def components(tree):
    """Every component has a README of five short parts that names its public headers, and tests."""
    root = tree.root / "src" / "troupe"
    for folder in sorted(p for p in root.iterdir() if (p / "CMakeLists.txt").exists()):
        name = tree.name(folder)
        yield from _readme(tree, folder, name)
        cmake = (folder / "CMakeLists.txt").read_text(encoding="utf-8")
        tested = {p.name for p in folder.rglob("*_test.cpp")}
        for source in sorted(folder.rglob("*.cpp")):
            if is_test_like(source) or f"{source.stem}_test.cpp" in tested:
                continue
            if not re.search(rf"#\s*UNTESTED\s+\S*{source.name}:\s*\S", cmake):
                yield (
                    f"{tree.name(source)}:1: no {source.stem}_test.cpp; write it, or say why not "
                    f"in {name}/CMakeLists.txt: '# UNTESTED {source.name}: reason'"
                )


def _readme(tree, folder, name):
    readme = folder / "README.md"
    if not readme.exists():
        yield f"{name}: no README.md; write one with the headings {', '.join(README_HEADINGS)}"
        return
    text = readme.read_text(encoding="utf-8")
    headings = re.findall(r"^#{2,3} (.+?)\s*$", text, re.M)
    if headings != README_HEADINGS:
        yield f"{name}/README.md:1: the headings are {', '.join(README_HEADINGS)}, in this order"
    if text.count("\n") > README_LINES_MAX:
        yield f"{name}/README.md:{README_LINES_MAX}: longer than {README_LINES_MAX} lines; cut it"
    for header in sorted(folder.glob("*.hpp")):
        if not re.search(rf"(?<!\w){re.escape(header.name)}", text):
            yield f"{name}/README.md:1: does not name {header.name}; add its line under Main types"


def stale_exceptions(tree):
    """An entry that nothing needs any more would let the next mistake through."""
    tables = (
        ("EXCEPTION_WALLS", EXCEPTION_WALLS, THROWS),
        ("COMPILER_FENCES", COMPILER_FENCES, SIGNAL_FENCE),
        ("THREAD_OWNERS", THREAD_OWNERS, THREADS),
        ("CLOCK_READERS", CLOCK_READERS, CLOCKS[1:]),
    )
    for table, names, rules in tables:
        for name in names:
            path = tree.root / name
            if path.exists() and not re.search(rules[0][0], tree.cpp(path).code):
                yield f"tools/tidy.py:1: {table} names {name}, which needs it no more; drop it"
    for name in HASH_WALKS:
        path = tree.root / name
        tables = tree.tables.get(component_of(name), ())
        walks = WALK.finditer(tree.cpp(path).code) if path.exists() else ()
        if path.exists() and not any((w["in_for"] or w["begun"]) in tables for w in walks):
            yield f"tools/tidy.py:1: HASH_WALKS names {name}, which needs it no more; drop it"


CPP_RULES = [
    words,
    hash_walks,
    memory_orders,
    awaited,
    awaited_conditions,
    lock_ranks,
    includes,
    pragma_once,
]


def check(root):
    tree = Tree(root)
    tree.exposed = exposed_headers(tree)
    errors = []
    for path in tree.sources:
        for rule in CPP_RULES:
            errors += [f"{tree.name(path)}:{line}: {text}" for line, text in rule(tree, path)]
    for path in tree.texts:
        errors += [f"{tree.name(path)}:{line}: {text}" for line, text in lines(tree, path)]
        errors += [f"{tree.name(path)}:{line}: {text}" for line, text in references(tree, path)]
    if (tree.root / "src" / "troupe").is_dir():
        errors += components(tree)
        errors += named_tests(tree)
    return errors


def report(root):
    tree = Tree(root)
    longest = sorted(((len(tree.cpp(p).lines), tree.name(p)) for p in tree.sources), reverse=True)
    print("\n".join(f"{count:6} {name}" for count, name in longest[:10]))


def main():
    arguments = sys.argv[1:]
    if len(arguments) == 2 and arguments[0] == "--report":
        report(arguments[1])
        return 0
    if len(arguments) != 1 or arguments[0].startswith("-"):
        sys.exit(__doc__)
    errors = check(arguments[0]) + list(stale_exceptions(Tree(arguments[0])))
    print("\n".join(errors) or "tidy: clean")
    return bool(errors)


if __name__ == "__main__":
    sys.exit(main())
