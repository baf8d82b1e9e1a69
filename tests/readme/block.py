"""Copies the first C++ block under a heading of a Markdown file into a file of its own.

    block.py README.md "Let it fail" let_it_fail.inc

The heading may be of any level. No such heading, or no block under it, is an error: a text that has
moved must be looked for by a person.
"""

import re
import sys
from pathlib import Path


def block(text: str, heading: str) -> str:
    """The block's lines, or what is wrong as a ValueError."""
    start = re.search(rf"^#+ {re.escape(heading)}$", text, re.MULTILINE)
    if start is None:
        raise ValueError(f'there is no heading "{heading}"')
    below = text[start.end():]
    following = re.search(r"^#+ ", re.sub(r"^```.*?^```", lambda m: " " * len(m.group()), below,
                                          flags=re.MULTILINE | re.DOTALL), re.MULTILINE)
    section = below[:following.start()] if following else below
    found = re.search(r"^```cpp\n(.*?)^```$", section, re.MULTILINE | re.DOTALL)
    if found is None:
        raise ValueError(f'there is no ```cpp block under "{heading}"')
    return found.group(1)


def main() -> int:
    path, heading, target = sys.argv[1:]
    try:
        code = block(Path(path).read_text(encoding="utf-8"), heading)
    except ValueError as error:
        print(f"{path}: {error}", file=sys.stderr)
        return 1
    Path(target).write_text(code, encoding="utf-8")
    return 0


if __name__ == "__main__":
    sys.exit(main())
