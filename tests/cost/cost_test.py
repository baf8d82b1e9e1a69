"""Counts instructions, so that a slow-down fails on any machine, however busy.

Each operation of cost_probe runs under callgrind twice, with two numbers of repetitions; the
difference is what one repetition costs, without the start and the end of the program. It may be
TOLERANCE more than counts.txt says. When it is less by that much, the test asks for the new count,
so that a gain cannot be lost again unseen.

    cost_test.py PROBE            compares
    cost_test.py PROBE --write    writes counts.txt anew, after a change that is meant to cost more
"""

import pathlib
import re
import subprocess
import sys
import tempfile

COUNTS = pathlib.Path(__file__).with_name("counts.txt")
# Other versions of the compiler's and the C library's packages move the counts by a few percent.
TOLERANCE = 0.08
FEW, MANY = 1000, 3000


def instructions(probe: str, operation: str, repetitions: int) -> int:
    with tempfile.TemporaryDirectory() as scratch:
        run = subprocess.run(
            ["valgrind", "--tool=callgrind", f"--callgrind-out-file={scratch}/out",
             probe, operation, str(repetitions)],
            capture_output=True, text=True, timeout=300)
    found = re.search(r"Collected : (\d+)", run.stderr)
    if run.returncode != 0 or found is None:
        sys.exit(f"cost_probe {operation} {repetitions} failed:\n{run.stderr}")
    return int(found.group(1))


def cost(probe: str, operation: str) -> float:
    return (instructions(probe, operation, MANY) - instructions(probe, operation, FEW)) / (
        MANY - FEW)


def read_counts() -> dict[str, float]:
    rows = (line.split() for line in COUNTS.read_text().splitlines()
            if line and not line.startswith("#"))
    return {operation: float(count) for operation, count in rows}


def main() -> int:
    probe = sys.argv[1]
    expected = read_counts()
    measured = {operation: cost(probe, operation) for operation in expected}
    if "--write" in sys.argv[2:]:
        head = [line for line in COUNTS.read_text().splitlines() if line.startswith("#")]
        rows = [f"{operation:8}{count:.0f}" for operation, count in measured.items()]
        COUNTS.write_text("\n".join(head + rows) + "\n")
        return 0
    wrong = []
    for operation, count in measured.items():
        change = count / expected[operation] - 1
        print(f"{operation:8}{count:8.0f} instructions, {change:+.1%} of "
              f"{expected[operation]:.0f}")
        if abs(change) > TOLERANCE:
            wrong.append(operation)
    if wrong:
        print(f"\nThe cost of {', '.join(wrong)} has changed by more than {TOLERANCE:.0%}.\n"
              f"When it is meant to: python3 {pathlib.Path(__file__).name} {probe} --write, and "
              "say why in the commit.")
    return 1 if wrong else 0


if __name__ == "__main__":
    sys.exit(main())
