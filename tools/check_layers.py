#!/usr/bin/env python3
"""Fails when a source file includes what src/troupe/LAYERS does not allow.

Usage: check_layers.py src/troupe

Rules:
  1. a component includes only those its row in LAYERS names, and a row names only rows above it;
  2. nobody reaches into another component's internal/, but tests use others' internal/test_*.hpp;
  3. a public header includes internal/ only where PUBLIC_USES_INTERNAL says why;
  4. includes are written in full and in angle brackets: <troupe/actor/ref.hpp>;
  5. every folder has a row.
Tests, what they share, benches, fuzzers and soaks may also use the components in TEST_EXTRA.
"""
import pathlib
import sys

from cpp_text import CppText, includes_of, is_public_header, is_test_like

TEST_EXTRA = {"sim"}

# Public headers whose templates cannot do without a private helper, and why the helper is not
# simply public. Every entry is a promise that leaks: argue before adding one.
PUBLIC_USES_INTERNAL = {
    "net/attach.hpp": "spawns a feed that is made for the two methods, the codec and the actor",
    "websocket/upgrade.hpp": "keeps a route that is made for the class of the connections",
}


def read_layers(root):
    rows = {}
    for line in (root / "LAYERS").read_text(encoding="utf-8").splitlines():
        line = line.split("#")[0].strip()
        if line:
            name, _, uses = line.partition(":")
            rows[name.strip()] = uses.split()
    return rows


def layer_errors(rows, root):
    seen = set()
    for name, uses in rows.items():
        for other in uses:
            if other not in seen:  # only rows above, so no cycle can be written down
                yield f"LAYERS: '{name}' uses '{other}', which is not a row above it; drop it"
        seen.add(name)
    for folder in sorted(p.name for p in root.iterdir() if p.is_dir()):
        if folder not in rows:
            yield f"LAYERS: folder '{folder}' has no row; add '{folder} : <what it uses>'"


def is_test_helper(path):
    return path.parent.name == "internal" and path.name.startswith("test_")


def shares_test_helper(path, target):
    """What tests are made with may be shared by the tests of several components."""
    return is_test_helper(pathlib.PurePath(target)) and (is_test_like(path) or is_test_helper(path))


def file_errors(path, root, rows, public_uses_internal=None):
    if public_uses_internal is None:
        public_uses_internal = PUBLIC_USES_INTERNAL
    here = path.relative_to(root)
    mine = here.parts[0]
    uses = set(rows.get(mine, ()))
    for_tests = is_test_like(path) or is_test_helper(path)
    allowed = {mine} | uses | (TEST_EXTRA if for_tests else set())
    for line, quote, target in includes_of(CppText(path.read_text(encoding="utf-8"))):
        where = f"{here}:{line}"
        parts = target.split("/")
        if quote == '"' or ".." in parts:
            yield f'{where}: "{target}": write the full path, <troupe/component/file.hpp>'
            continue
        if parts[0] != "troupe" or len(parts) < 3:
            continue
        other, internal = parts[1], "internal" in parts
        if other not in allowed:
            yield (
                f"{where}: {mine} may not include {other}, only"
                f" {' '.join(sorted(uses)) or 'itself'}; move the code to where it may,"
                " or argue for a change of LAYERS"
            )
        elif internal and other != mine and not shares_test_helper(path, target):
            yield f"{where}: {target} is private to {other}; use or add a public header there"
        elif internal and is_public_header(here) and here.as_posix() not in public_uses_internal:
            yield (
                f"{where}: a public header includes {target}; hide it in a .cpp, or make it "
                "public, or give the reason in PUBLIC_USES_INTERNAL of tools/check_layers.py"
            )


def allow_list_errors(root):
    for name in PUBLIC_USES_INTERNAL:
        path = root / name
        used = path.exists() and any(
            "internal" in target.split("/")
            for _, _, target in includes_of(CppText(path.read_text(encoding="utf-8")))
        )
        if not used:
            yield f"check_layers.py: {name} in PUBLIC_USES_INTERNAL needs it no more; drop it"


def check(root):
    rows = read_layers(root)
    errors = list(layer_errors(rows, root))
    for path in sorted(root.rglob("*.[ch]pp")):
        errors += file_errors(path, root, rows)
    return errors


def main():
    if len(sys.argv) != 2:
        sys.exit(__doc__)
    root = pathlib.Path(sys.argv[1])
    errors = check(root) + list(allow_list_errors(root))
    print("\n".join(errors) or "layers: clean")
    return bool(errors)


if __name__ == "__main__":
    sys.exit(main())
