#!/usr/bin/env python3
"""Joins several sources into one text, so that their common headers are read and compiled once.

Usage: batch_sources.py OUTPUT SOURCE...

Messages, assertions and debug information keep naming the sources, and what is included from beside
a source is still found. Of a test, unnamed namespaces
are wrapped into one named after the file: tests of a component may call their actors alike. What
nevertheless cannot be joined is named in tools/batch_alone.txt; docs/design/0055-ci-time.md.
"""
import pathlib
import re
import sys

ALONE = pathlib.Path(__file__).with_name("batch_alone.txt")


def alone():
    """The sources that are compiled on their own, as paths from the root."""
    lines = (line.split("#")[0].strip() for line in ALONE.read_text(encoding="utf-8").splitlines())
    return {line for line in lines if line}


def wrapped(text, name):
    """A test's text, whose unnamed namespaces are in a namespace of that name."""
    # clang-format writes both lines in exactly this way.
    text = re.sub(r"^namespace \{$", f"namespace {name} {{ namespace {{", text, flags=re.M)
    return re.sub(r"^\}  // namespace$", "}}", text, flags=re.M)


def joined(paths):
    parts = []
    for path in paths:
        text = path.read_text(encoding="utf-8")
        beside = path.parent.as_posix()
        text = re.sub(r'^#include "(.+)"$', rf'#include "{beside}/\1"', text, flags=re.M)
        if path.name.endswith("_test.cpp"):
            text = wrapped(text, f"in_{path.parent.name}_{path.stem}")
        parts.append(f'#line 1 "{path.as_posix()}"\n{text}\n')
    return "".join(parts)


def main():
    if len(sys.argv) < 3:
        sys.exit(__doc__)
    output = pathlib.Path(sys.argv[1])
    output.parent.mkdir(parents=True, exist_ok=True)
    output.write_text(joined([pathlib.Path(path) for path in sys.argv[2:]]), encoding="utf-8")


if __name__ == "__main__":
    main()
