#!/usr/bin/env python3
"""Counts the tests that ctest ran in a build folder: prints "PASSED FAILED SKIPPED".

Usage: count_tests.py BUILD_FOLDER

ctest's own tests.xml has one case for each of its entries. Where an entry is several tests of a
GoogleTest program (cmake/tests.cmake), that program has said what became of each of them in
results/<entry>.xml. An entry that failed without a failing test there, since it crashed, hung or
left something behind at its end, counts as one failure more.
"""
import pathlib
import sys
import xml.etree.ElementTree as xml


def of_program(path):
    """(passed, failed, skipped) of the tests of an entry, as its program has written them."""
    passed = failed = skipped = 0
    for case in xml.parse(path).getroot().iter("testcase"):
        if case.find("failure") is not None:
            failed += 1
        elif case.get("status") == "notrun" or case.get("result") in ("skipped", "suppressed"):
            skipped += 1
        else:
            passed += 1
    return passed, failed, skipped


def of_entry(folder, case):
    """The same of any entry of ctest's."""
    path = folder / "results" / (case.get("name") + ".xml")
    status = case.get("status")
    if not path.exists():
        return {"run": (1, 0, 0), "fail": (0, 1, 0)}.get(status, (0, 0, 1))
    passed, failed, skipped = of_program(path)
    if status == "fail":
        failed = max(failed, 1)
    return passed, failed, skipped


def main():
    if len(sys.argv) != 2:
        sys.exit(__doc__)
    folder = pathlib.Path(sys.argv[1])
    try:
        cases = list(xml.parse(folder / "tests.xml").getroot().iter("testcase"))
    except (OSError, xml.ParseError) as error:
        sys.exit(f"{folder / 'tests.xml'}: {error}")
    print(*map(sum, zip((0, 0, 0), *(of_entry(folder, case) for case in cases))))


if __name__ == "__main__":
    main()
