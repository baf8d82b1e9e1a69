#!/usr/bin/env python3
"""Runs the simulated tests of a build for long, and says at the end what was searched and found.

Usage: nightly.py BUILD_FOLDER [COMPONENT...] [-- CTEST-ARGUMENTS...]

The settings of the searches are in the environment (TROUPE_BUDGET, ...), as for any simulated test.
What the tests print is kept in BUILD_FOLDER/nightly.log. A test whose run ended its process is run
once more in processes of its own, where that is shrunk and told. Every failure ends with the line
that replays it. Exit status: 0 when all passed, 1 when not, 2 when nothing was run.
"""
import os
import pathlib
import re
import subprocess
import sys
import xml.etree.ElementTree

SIMULATED = ("io", "task", "actor", "route", "sim", "net", "http", "websocket")
SEARCHED = re.compile(
    r"^(\S+): (\d+) runs, (\d+) distinct schedules, (\d+) steps in [\d.e+-]+ s(, exhaustive)?$",
    re.MULTILINE)
AGREES = re.compile(r"^(\S+): two processes agree in every step$", re.MULTILINE)
REPLAYS = re.compile(r"^ *(?:.*; )?replay: (.+)$", re.MULTILINE)
APART = re.compile(r"told by: (TROUPE_APART=1 .+)$", re.MULTILINE)
DIFFERS = re.compile(r"^\S+ is not deterministic: ", re.MULTILINE)
# What says most first.
FAILS = (re.compile(r"^\S+ fails under the schedule of .+$", re.MULTILINE),
         re.compile(r"^\S+ is not deterministic: .+$", re.MULTILINE),
         re.compile(r"^\S+: no run has met this.+$", re.MULTILINE),
         re.compile(r"^.+: Failure$", re.MULTILINE))
OUTPUT_BYTES_MAX = 4 << 20  # of one test; the story of a long run is long


class Totals:
    """What the searches of one component have done."""

    def __init__(self):
        self.tests = self.bodies = self.runs = self.distinct = self.steps = 0
        self.exhausted = self.compared = self.failed = 0

    def add(self, output, passed):
        self.tests += 1
        self.failed += not passed
        self.compared += len(AGREES.findall(output))
        for _, runs, distinct, steps, exhaustive in SEARCHED.findall(output):
            self.bodies += 1
            self.runs += int(runs)
            self.distinct += int(distinct)
            self.steps += int(steps)
            self.exhausted += bool(exhaustive)


def in_own_processes(command):
    """What the command prints that finds a crash again, shrinks and tells it."""
    try:
        found = subprocess.run(["bash", "-c", command], text=True, errors="replace", check=False,
                               stdout=subprocess.PIPE, stderr=subprocess.STDOUT, timeout=1800)
    except subprocess.TimeoutExpired:
        return ""
    return found.stdout


def explain(name, output, run_apart=in_own_processes):
    """The lines of the summary for a test that has failed."""
    lines = [name]
    crash = APART.search(output)
    if crash and not REPLAYS.search(output):
        output += run_apart(crash.group(1))
    first = next((found for found in (what.search(output) for what in FAILS) if found), None)
    if first:
        following = output[first.end():].lstrip("\n").split("\n", 1)[0].strip()
        lines += ["  " + first.group(0)] + (["    " + following] if following else [])
    replays = list(dict.fromkeys(REPLAYS.findall(output)))
    lines += ["  replay: " + line for line in replays]
    if not replays:
        differs = DIFFERS.search(output)
        if crash:
            lines.append("  again:  " + crash.group(1))
        elif differs:
            lines.append("  again:  TROUPE_CHECK_DETERMINISM=5 "
                         f"ctest --test-dir BUILD_FOLDER -R '^{re.escape(name)}$'")
        else:
            lines.append("  no simulated run of it has failed; again: "
                         f"ctest --test-dir BUILD_FOLDER -R '^{re.escape(name)}$'")
    return lines


def summary(cases, build, run_apart=in_own_processes):
    """The text for [(name, passed, output)], and whether all have passed."""
    totals = {}
    failures = []
    for name, passed, output in cases:
        component = name.split(".", 1)[0]
        totals.setdefault(component, Totals()).add(output, passed)
        if not passed:
            failures += explain(name, output, run_apart)
    columns = ("component", "tests", "bodies", "runs", "distinct", "steps", "exhausted",
               "compared", "failed")
    rows = [columns]
    everything = Totals()
    for component in sorted(totals):
        of = totals[component]
        rows.append((component, of.tests, of.bodies, of.runs, of.distinct, of.steps, of.exhausted,
                     of.compared, of.failed))
        for field in vars(everything):
            setattr(everything, field, getattr(everything, field) + getattr(of, field))
    of = everything
    rows.append(("all", of.tests, of.bodies, of.runs, of.distinct, of.steps, of.exhausted,
                 of.compared, of.failed))
    lines = [" ".join([f"{row[0]:<10}"] + [f"{cell:>11}" for cell in row[1:]]) for row in rows]
    lines += [line.replace("BUILD_FOLDER", str(build)) for line in failures]
    return "\n".join(lines), of.failed == 0


def cases_in(junit):
    for case in xml.etree.ElementTree.parse(junit).getroot().iter("testcase"):
        yield (case.get("name"), case.get("status") == "run",
               "".join(part.text or "" for part in case.iter("system-out")))


def run_ctest(build, components, arguments):
    """Runs the tests; what is no success is printed as it happens, everything is in the log."""
    junit = build / "nightly.xml"
    junit.unlink(missing_ok=True)
    names = "|".join(re.escape(component) for component in components)
    command = ["ctest", "--preset", build.name, "-R", rf"^({names})\.", "--no-label-summary",
               "-j", str(len(os.sched_getaffinity(0))), "--output-junit", str(junit),
               "--test-output-size-passed", str(OUTPUT_BYTES_MAX),
               "--test-output-size-failed", str(OUTPUT_BYTES_MAX)] + arguments
    with open(build / "nightly.log", "w", encoding="utf-8", errors="replace") as log:
        with subprocess.Popen(command, text=True, errors="replace", stdout=subprocess.PIPE,
                              stderr=subprocess.STDOUT) as tests:
            for line in tests.stdout:
                log.write(line)
                if re.search(r"Test +#\d+: .*\*\*\*", line) or "rror" in line[:10]:
                    print(line.rstrip(), flush=True)
    return junit


def main(arguments):
    ctest_arguments = []
    if "--" in arguments:
        at = arguments.index("--")
        arguments, ctest_arguments = arguments[:at], arguments[at + 1:]
    if not arguments:
        sys.exit(__doc__.strip())
    build = pathlib.Path(arguments[0]).resolve()
    components = arguments[1:] or list(SIMULATED) + ["examples"]
    for component in components:
        if component not in SIMULATED + ("examples",):
            print(f"nightly: no component '{component}' has simulated tests; there are "
                  f"{', '.join(SIMULATED)} and examples", file=sys.stderr)
            return 2
    junit = run_ctest(build, components, ctest_arguments)
    if not junit.exists():
        print(f"nightly: no test was run; see {build / 'nightly.log'}", file=sys.stderr)
        return 2
    text, passed = summary(list(cases_in(junit)), build)
    print(text)
    print(f"what the tests have printed: {build / 'nightly.log'}")
    return 0 if passed else 1


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
