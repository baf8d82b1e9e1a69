#!/usr/bin/env python3
"""Runs clang-tidy over our own sources, and only over what changed since it was last clean.

Usage: run_clang_tidy.py BUILD_FOLDER [NAME...]

BUILD_FOLDER holds compile_commands.json; NAME restricts the run to files whose path contains it.
Tests are left out: they are compiled with every warning, and their macros are GoogleTest's.
Most of the time goes into the headers, so up to eight sources of a component or an example are
checked as one; when there is a complaint, each is checked again on its own, and only that counts.
What was clean is remembered in BUILD_FOLDER/clang-tidy by the hash of its preprocessed text and of
.clang-tidy, since preprocessing costs a tenth of checking.
"""
import collections
import concurrent.futures
import hashlib
import json
import os
import pathlib
import re
import shlex
import subprocess
import sys

import batch_sources

BATCH = 8
TIDY = "clang-tidy-19"
FOLDERS = ("src", "apps", "examples", "bench")
TEST_SUFFIXES = ("_test.cpp", "_bench.cpp", "_fuzz.cpp", "_soak.cpp")


def wanted(root, build, names):
    """The compile command of each source to check."""
    for entry in json.loads((build / "compile_commands.json").read_text(encoding="utf-8")):
        path = pathlib.Path(entry["file"])
        if not path.is_relative_to(root) or path.is_relative_to(build):
            continue
        name = path.relative_to(root).as_posix()
        if name.split("/")[0] not in FOLDERS or name.endswith(TEST_SUFFIXES):
            continue
        if not names or any(part in name for part in names):
            yield name, entry


def flags(entry):
    """The compile command without its launcher, input and output."""
    command = entry.get("arguments") or shlex.split(entry["command"])
    if pathlib.Path(command[0]).name == "ccache":
        command = command[1:]
    output = command.index("-o")
    command = command[:output] + command[output + 2 :]
    return tuple(part for part in command if part not in ("-c", entry["file"]))


def may_hold_unused_using(path):
    """Whether a using declaration names what its source does not mention again. Joined with others
    that do, clang-tidy would not notice."""
    text = path.read_text(encoding="utf-8")
    names = re.findall(r"^\s*using (?:[\w:]+::)(\w+);", text, re.M)
    return any(len(re.findall(rf"\b{name}\b", text)) < 2 for name in names)


def units(root, entries):
    """What is checked in one go: most sources of a folder together, every other on its own."""
    alone = batch_sources.alone()
    together = collections.defaultdict(list)
    for name, entry in sorted(entries.items()):
        if name not in alone and not may_hold_unused_using(root / name):
            # A component, or what is one example or bench.
            folder = name.split("/")[: 3 if name.startswith("src/") else 2]
            together[*folder, flags(entry)].append(root / name)
        else:
            yield [root / name], flags(entry), entry["directory"]
    for (*_, command), paths in together.items():
        count = -(-len(paths) // BATCH)
        for i in range(count):
            part = paths[len(paths) * i // count : len(paths) * (i + 1) // count]
            yield part, command, str(root)


def check(root, build, unit, settings):
    """The complaints about the sources of a unit; nothing when they are clean."""
    paths, command, directory = unit
    name = paths[0].relative_to(root).as_posix()
    if len(paths) > 1:
        file = build / "clang-tidy" / (name.replace("/", "_") + f"_and_{len(paths) - 1}.cpp")
        file.write_text(batch_sources.joined(paths), encoding="utf-8")
    else:
        file = paths[0]
    text = subprocess.run([*command, "-E", "-C", str(file)], cwd=directory, capture_output=True,
                          check=False)
    key = hashlib.sha256(settings + text.stdout).hexdigest()
    memory = build / "clang-tidy" / key
    if text.returncode == 0 and memory.exists():
        return []
    run = subprocess.run(
        [TIDY, "--quiet", f"--config-file={root / '.clang-tidy'}", str(file), "--", *command[1:]],
        cwd=directory,
        capture_output=True,
        text=True,
        check=False,
    )
    if run.returncode != 0 and len(paths) > 1:
        # Each on its own is the rule; together is only for speed, and complains in a joined text.
        return [complaint for path in paths
                for complaint in check(root, build, ([path], command, directory), settings)]
    if run.returncode != 0:
        return [f"{name}:\n{(run.stdout or run.stderr).strip()}\n"]
    memory.write_text(" ".join(path.name for path in paths), encoding="utf-8")
    return []


def main():
    if len(sys.argv) < 2:
        sys.exit(__doc__)
    root = pathlib.Path(__file__).resolve().parent.parent
    build = pathlib.Path(sys.argv[1]).resolve()
    if not (build / "compile_commands.json").exists():
        sys.exit(f"{build} has no compile_commands.json; configure a preset, or set "
                 "CMAKE_EXPORT_COMPILE_COMMANDS=ON")
    (build / "clang-tidy").mkdir(exist_ok=True)
    version = subprocess.run([TIDY, "--version"], capture_output=True, check=True).stdout
    settings = (root / ".clang-tidy").read_bytes() + version
    entries = dict(wanted(root, build, sys.argv[2:]))
    failed = 0
    with concurrent.futures.ThreadPoolExecutor(os.cpu_count()) as pool:
        # The units with many sources last the longest, so they start first.
        work = sorted(units(root, entries), key=lambda unit: -len(unit[0]))
        for run in concurrent.futures.as_completed(
                [pool.submit(check, root, build, unit, settings) for unit in work]):
            for complaint in run.result():
                failed += 1
                print(complaint, flush=True)
    print(f"clang-tidy: {len(entries) - failed} of {len(entries)} sources clean")
    return failed > 0


if __name__ == "__main__":
    sys.exit(main())
