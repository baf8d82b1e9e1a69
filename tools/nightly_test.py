#!/usr/bin/env python3
"""What nightly.py says about tests that are made up."""
import unittest

import nightly

PASSED = """A.B: two processes agree in every step
A.B: 120 runs, 60 distinct schedules, 4000 steps in 1.5 s
A.B: 7 runs, 7 distinct schedules, 30 steps in 2.1e-05 s, exhaustive
"""
FAILED = """A.C: 10 runs, 10 distinct schedules, 100 steps in 0.1 s
../a_test.cpp:5: Failure
A.C fails under the schedule of pct, seed 7, at step 11, virtual time 0 s:
  an expectation of the test failed
  replay: /b/a_test --gtest_filter=A.C --replay t1:AdDt
"""
TOO_LONG = """A.E fails under the schedule of pct, seed 9, at step 11, virtual time 0 s:
  an expectation of the test failed
  its trace is too long to be written down; replay: TROUPE_SEED=9 /b/a_test --gtest_filter=A.E
"""
CRASHED = """troupe: a simulated run has ended the process; it is found again, shrunk and told by: \
TROUPE_APART=1 /b/a_test --gtest_filter=A.D
"""
DIFFERS = """A.F is not deterministic: two processes with the same choices differ in the run of \
seed 2.
  last step in common: 12
"""


def nothing(_):
    return ""


class Summary(unittest.TestCase):
    def test_adds_up_what_was_searched(self):
        text, passed = nightly.summary([("route.A.B", True, PASSED)], "build/x", nothing)
        self.assertTrue(passed)
        row = next(line for line in text.splitlines() if line.startswith("route"))
        self.assertEqual(row.split()[1:], ["1", "2", "127", "67", "4030", "1", "1", "0"])

    def test_ends_with_the_line_that_replays_each_failure(self):
        text, passed = nightly.summary(
            [("route.A.B", True, PASSED), ("route.A.C", False, FAILED)], "build/x", nothing)
        self.assertFalse(passed)
        self.assertIn("A.C fails under the schedule of pct", text)
        self.assertTrue(text.endswith("replay: /b/a_test --gtest_filter=A.C --replay t1:AdDt"))

    def test_knows_runs_that_are_replayed_by_their_seed(self):
        text = "\n".join(nightly.explain("io.A.E", TOO_LONG, nothing))
        self.assertIn("replay: TROUPE_SEED=9 /b/a_test --gtest_filter=A.E", text)

    def test_runs_a_crash_again_in_other_processes(self):
        asked = []

        def again(command):
            asked.append(command)
            return FAILED

        text = "\n".join(nightly.explain("route.A.D", CRASHED, again))
        self.assertEqual(asked, ["TROUPE_APART=1 /b/a_test --gtest_filter=A.D"])
        self.assertIn("--replay t1:AdDt", text)
        text = "\n".join(nightly.explain("route.A.D", CRASHED, nothing))
        self.assertIn("again:  TROUPE_APART=1 /b/a_test", text)

    def test_says_how_a_test_is_run_again_whose_failure_was_not_simulated(self):
        text, _ = nightly.summary([("io.A.G", False, "Segmentation fault")], "build/x", nothing)
        self.assertIn(r"ctest --test-dir build/x -R '^io\.A\.G$'", text)
        self.assertIn("differ in the run of seed 2", "\n".join(
            nightly.explain("io.A.F", DIFFERS, nothing)))


if __name__ == "__main__":
    unittest.main()
