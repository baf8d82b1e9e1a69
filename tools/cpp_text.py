"""Splits C++ text into what the compiler reads and what people read.

The checks look for words like `volatile` or `{`, and those are also found in comments and strings.
`code_of` blanks both out, keeping every line and column where it was.
"""
import re

# Alternatives in the order in which a compiler would try them. A number is one token so that the
# quote in 1'000 starts no character, and a name is one so that the R in FOR"x" starts no string.
_TOKEN = re.compile(
    r"""
      (?P<comment> //(?:\\\n|[^\n])* | /\*.*?(?:\*/|\Z) )
    | (?P<raw>     (?:u8|u|U|L)?R"(?P<delimiter>[^\s()\\"]{0,16})\( .*? \)(?P=delimiter)" )
    | (?P<string>  (?:u8|u|U|L)?"(?:\\.|[^"\\\n])*" )
    | (?P<char>    (?:u8|u|U|L)?'(?:\\.|[^'\\\n])+' )
    | (?P<number>  \.?[0-9](?:[eEpP][+-]|'?[\w.])* )
    | (?P<name>    [^\W\d]\w* )
    """,
    re.VERBOSE | re.DOTALL,
)


class CppText:
    """One file: its lines, the same without comments and strings, and where those are."""

    def __init__(self, text):
        self.text = text
        self.lines = text.split("\n")
        self.commented = set()  # line numbers, from 1, that hold (a part of) a comment
        self.raw = set()  # line numbers that hold (a part of) a raw string, which has no breaks
        pieces, end = [], 0
        for token in _TOKEN.finditer(text):
            if token.lastgroup in ("number", "name"):
                continue
            pieces.append(text[end : token.start()])
            first = text.count("\n", 0, token.start()) + 1
            covered = range(first, first + token[0].count("\n") + 1)
            if token["raw"]:
                self.raw.update(covered)
            if token["comment"]:
                self.commented.update(covered)
                pieces.append(re.sub(r"[^\n]", " ", token[0]))
            elif _is_include(text, token.start()):
                pieces.append(token[0])
            else:
                quote = '"' if '"' in token[0] else "'"
                inside = re.sub(r"[^\n]", " ", token[0][1:-1])
                pieces.append(quote + inside + quote)
            end = token.end()
        pieces.append(text[end:])
        self.code = "".join(pieces)
        self.code_lines = self.code.split("\n")

    def line_of(self, offset):
        return self.code.count("\n", 0, offset) + 1


def _is_include(text, offset):
    line = text[text.rfind("\n", 0, offset) + 1 : offset]
    return re.match(r"\s*#\s*include\s*$", line) is not None


def code_of(text):
    return CppText(text).code


INCLUDE = re.compile(r'^[ \t]*#[ \t]*include[ \t]+([<"])([^">\n]+)[">]', re.MULTILINE)


def includes_of(cpp):
    """(line, quote, path) of every include."""
    for match in INCLUDE.finditer(cpp.code):
        yield cpp.line_of(match.start(1)), match[1], match[2]


def is_test_like(path):
    """Tests, benches, fuzzers and soaks may do what the library may not."""
    return path.stem.endswith(("_test", "_bench", "_fuzz", "_soak"))


def is_public_header(path):
    return path.suffix == ".hpp" and "internal" not in path.parts
