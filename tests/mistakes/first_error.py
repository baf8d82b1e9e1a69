#!/usr/bin/env python3
"""Compiles a file with one mistake in it and reads the first error.

Usage: first_error.py MISTAKE.cpp COMPILER [FLAGS...]

The file names our sentence in a line `// First error: ...`; the first line of the compiler's
output that says "error:" must contain it. A file without the mistake, marked `// Compiles.`, must
compile: it shows that the others fail because of their mistake and nothing else.
"""
import re
import subprocess
import sys

FLAGS = ["-std=c++23", "-fsyntax-only", "-Wall", "-Wextra", "-Werror"]


def expectation(text):
    """Our sentence, or None when the file must compile."""
    match = re.search(r"^// First error: (.+?)\s*$((?:\n//   .+$)*)", text, re.MULTILINE)
    if match:
        rest = re.sub(r"\n//   ", " ", match[2])
        return match[1] + rest
    if re.search(r"^// Compiles\.$", text, re.MULTILINE):
        return None
    raise ValueError("no line '// First error: ...' and no '// Compiles.'")


def first_error(output):
    for line in output.splitlines():
        if "error:" in line:
            return line
    return None


def verdict(expected, status, output):
    """What is wrong with the compiler's answer; nothing when it is right."""
    error = first_error(output)
    if expected is None:
        return "" if status == 0 else f"this must compile, but:\n{output}"
    if status == 0:
        return f"this must not compile; the first error should say:\n  {expected}"
    if error is None or expected not in error:
        return f"the first error should say:\n  {expected}\nbut it is:\n  {error}\n\n{output}"
    return ""


def main():
    if len(sys.argv) < 3:
        sys.exit(__doc__)
    with open(sys.argv[1], encoding="utf-8") as file:
        expected = expectation(file.read())
    command = [sys.argv[2], *FLAGS, *sys.argv[3:], sys.argv[1]]
    run = subprocess.run(command, capture_output=True, text=True, check=False)
    wrong = verdict(expected, run.returncode, run.stderr)
    if wrong:
        print(" ".join(command))
        print(wrong)
    return bool(wrong)


if __name__ == "__main__":
    sys.exit(main())
