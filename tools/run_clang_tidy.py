#!/usr/bin/env python3
"""Runs clang-tidy over our own sources, and only over what changed since it was last clean.

Usage: run_clang_tidy.py BUILD_FOLDER [NAME...]

BUILD_FOLDER holds compile_commands.json; NAME restricts the run to files whose path contains it.
Tests are left out: they are compiled with every warning, and their macros are GoogleTest's.
A file that was clean is remembered in BUILD_FOLDER/clang-tidy by the hash of its preprocessed text
and of .clang-tidy, since preprocessing costs a tenth of checking.
"""
import concurrent.futures
import hashlib
import json
import os
import pathlib
import shlex
import subprocess
import sys

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


def preprocessed(entry):
    command = entry.get("arguments") or shlex.split(entry["command"])
    if pathlib.Path(command[0]).name == "ccache":
        command = command[1:]
    output = command.index("-o")
    command = command[:output] + command[output + 2 :]
    command = [part for part in command if part != "-c"] + ["-E", "-C"]
    return subprocess.run(command, cwd=entry["directory"], capture_output=True, check=True).stdout


def check(root, build, name, entry, settings):
    """The complaint about one source; nothing when it is clean."""
    try:
        key = hashlib.sha256(settings + preprocessed(entry)).hexdigest()
    except subprocess.CalledProcessError as error:
        return error.stderr.decode(errors="replace")
    memory = build / "clang-tidy" / key
    if memory.exists():
        return ""
    run = subprocess.run(
        [TIDY, "--quiet", "-p", str(build), entry["file"]],
        cwd=root,
        capture_output=True,
        text=True,
        check=False,
    )
    if run.returncode != 0:
        return run.stdout or run.stderr
    memory.write_text(name, encoding="utf-8")
    return ""


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
        runs = {
            pool.submit(check, root, build, name, entry, settings): name
            for name, entry in entries.items()
        }
        for run in concurrent.futures.as_completed(runs):
            complaint = run.result()
            if complaint:
                failed += 1
                print(f"{runs[run]}:\n{complaint.strip()}\n", flush=True)
    print(f"clang-tidy: {len(entries) - failed} of {len(entries)} sources clean")
    return failed > 0


if __name__ == "__main__":
    sys.exit(main())
