"""Finds the temporaries that GCC 12 destroys twice.

When a full expression contains a co_await, GCC 12 runs the destructor of some of its temporaries
twice: lambdas that capture by value and aggregates made in place, `Order{...}` or a bare `{...}`
argument. No warning says so, and Clang is right, so we look for the shapes ourselves. A class with
a constructor is safe, as is a value that has a name.

The text is cut into statements first, with the body of a lambda or a block as statements of its
own: only what shares a statement with a co_await matters. It is a reader of our own style, not a
parser of C++; where it cannot tell (a type it has never seen) it asks for a name, which is right on
every compiler.
"""
import re

_TOKEN = re.compile(r"[A-Za-z_]\w*|->|::|&&|\|\||[^\s\w]|\d[\w.']*")
_DIRECTIVE = re.compile(r"^[ \t]*#(?:\\\n|[^\n])*", re.MULTILINE)
_CONTROL = {"if", "while", "for", "switch"}
_TYPE_HEADS = {"struct", "class", "union", "enum", "namespace"}
# After these a `[` opens a lambda although they look like names.
_BEFORE_LAMBDA = {"return", "co_return", "co_await", "co_yield", "case", "throw", "else", "do"}
_BLOCK_AFTER = {")", ";", ":", '"', "else", "do", "try", "const", "noexcept", "override", "final"}
_BLOCK_AFTER |= {"mutable", "constexpr"}
# Types of the standard library that GCC 12 cannot build from a list in such a statement at all.
_STANDARD_LISTS = {"vector", "array", "map", "set", "unordered_map", "unordered_set", "deque"}
_BODY = "<body>"


class _Statement:
    def __init__(self):
        self.tokens = []  # (text, offset)
        self.opens = []  # "(", "(control", "[", "[lambda", "{"
        self.findings = []  # (offset, what, advice)
        self.has_lambda = False

    def previous(self):
        return self.tokens[-1][0] if self.tokens else None


class TypeTable:
    """Which class names of ours are safe to make in place, because they have a constructor."""

    def __init__(self):
        self._safe, self._unsafe = set(), set()

    _DEFINITION = re.compile(
        r"\b(class|struct|enum(?:\s+(?:class|struct))?)\s+(?:\[\[[^\]]*\]\]\s*)?"
        r"(?:alignas\s*\([^)]*\)\s*)?([A-Z]\w*)\b([^;{}()=]*)\{"
    )
    _ALIAS = re.compile(r"\busing\s+([A-Z]\w*)\s*=\s*std::chrono::")

    def add(self, code):
        for match in self._ALIAS.finditer(code):
            self._safe.add(match[1])
        for match in self._DEFINITION.finditer(code):
            name = match[2]
            if match[1].startswith("enum"):
                self._safe.add(name)
                continue
            body = code[match.end() : _closing(code, match.end())]
            constructor = rf"(?<![\w~.>]){name}\s*\(|\busing\s+[\w:]+::\w+\s*;"
            (self._safe if re.search(constructor, body) else self._unsafe).add(name)

    def knows_as_safe(self, name):
        return name in self._safe and name not in self._unsafe

    def knows(self, name):
        return name in self._safe or name in self._unsafe


def _closing(code, start):
    depth = 1
    for match in re.compile(r"[{}]").finditer(code, start):
        depth += 1 if match[0] == "{" else -1
        if depth == 0:
            return match.start()
    return len(code)


def find(code, all_types):
    """Yields (offset, what) for each dangerous temporary in comment-free `code`."""
    own_types = TypeTable()
    own_types.add(code)

    def safe(name):
        types = own_types if own_types.knows(name) else all_types
        return types.knows_as_safe(name)

    code = _DIRECTIVE.sub(lambda match: re.sub(r"[^\n]", " ", match[0]), code)
    tokens = [(match[0], match.start()) for match in _TOKEN.finditer(code)]
    stack, found = [_Statement()], []

    def flush(statement):
        if any(text in ("co_await", "co_yield") for text, _ in statement.tokens):
            found.extend(statement.findings)
        statement.tokens, statement.findings, statement.has_lambda = [], [], False

    for index, (token, offset) in enumerate(tokens):
        statement = stack[-1]
        previous = statement.previous()
        if token == "{" and _opens_block(statement):
            if not statement.opens and not statement.has_lambda:
                flush(statement)
            stack.append(_Statement())
            continue
        if token == "}" and "{" not in statement.opens:
            flush(statement)
            if len(stack) > 1:
                stack.pop()
                if stack[-1].tokens:
                    stack[-1].tokens.append((_BODY, offset))
            continue
        if token == "{":
            _note_braces(statement, offset, safe)
            statement.opens.append("{")
        elif token == "(":
            control = previous in _CONTROL or (
                previous == "constexpr" and len(statement.tokens) > 1
                and statement.tokens[-2][0] == "if"
            )
            statement.opens.append("(control" if control else "(")
        elif token == "[":
            captures = _captures(tokens, index) if _opens_lambda(statement, tokens, index) else None
            statement.opens.append("[" if captures is None else "[lambda")
            if captures is not None:
                statement.has_lambda = True
                by_value = [c for c in captures if c and not c.startswith("&") and c != "this"]
                if by_value:
                    statement.findings.append((offset, f"a lambda capturing {by_value[0]}"))
        elif token in (")", "]", "}") and statement.opens:
            opened = statement.opens.pop()
            if opened == "(control" and not statement.opens:
                flush(statement)
                continue
        elif token == ";":
            if not statement.opens:
                flush(statement)
                continue
            if statement.opens[-1] == "(control":
                flush(statement)
                continue
        statement.tokens.append((token, offset))
    for statement in stack:
        flush(statement)
    return sorted(found)


def _opens_lambda(statement, tokens, index):
    previous = statement.previous()
    following = tokens[index + 1][0] if index + 1 < len(tokens) else ""
    if following == "[" or previous == "[":  # an attribute
        return False
    if previous is None:
        return True
    if previous in (")", "]", ">", '"', "'", _BODY):
        return False
    if re.match(r"\w", previous):
        return previous in _BEFORE_LAMBDA
    before = [text for text, _ in statement.tokens[-3:]]
    while before and before[-1] in ("&", "&&"):
        before.pop()
    return not (before and before[-1] == "auto")  # a structured binding


def _captures(tokens, index):
    depth, captures, current = 0, [], ""
    for token, _ in tokens[index:]:
        if token in ("[", "(", "{", "<"):
            depth += 1
        if token in ("]", ")", "}", ">"):
            depth -= 1
            if depth == 0:
                break
        if token == "," and depth == 1:
            captures.append(current)
            current = ""
        elif not (token == "[" and depth == 1 and not current):
            current += token
    return captures + [current]


def _opens_block(statement):
    """Whether a `{` here starts a body; otherwise it starts a list of values."""
    previous = statement.previous()
    if previous is None or previous in _BLOCK_AFTER or previous == _BODY:
        return True
    if previous == "}":  # after a list: the body of a constructor `A() : x_{1} {`
        return not statement.opens
    texts = [text for text, _ in statement.tokens]
    if previous == "]":
        return statement.has_lambda and _matches_lambda(texts)
    if not re.match(r"[\w>&*]", previous) or previous in ("return", "co_return", "co_yield"):
        return False
    for at, text in enumerate(texts):
        if text in _TYPE_HEADS and (at == 0 or texts[at - 1] not in ("<", ",")):
            return True
    if "requires" in texts:
        return True
    return _ends_with_trailing_return(texts)


def _matches_lambda(texts):
    depth = 0
    for at in range(len(texts) - 1, -1, -1):
        depth += {"]": 1, "[": -1}.get(texts[at], 0)
        if depth == 0:
            before = texts[at - 1] if at else None
            return before is None or not re.match(r"\w", before) or before in _BEFORE_LAMBDA
    return False


def _ends_with_trailing_return(texts):
    for at in range(len(texts) - 1, 0, -1):
        if texts[at] == "->":
            return texts[at - 1] in (")", "]", "mutable", "noexcept", "const")
        if not re.match(r"\w+$|::|[<>,&*]|&&", texts[at]):
            return False
    return False


def _note_braces(statement, offset, safe):
    texts = [text for text, _ in statement.tokens]
    previous = texts[-1] if texts else None
    if previous in ("(", ","):
        if statement.opens and statement.opens[-1] == "(":
            statement.findings.append((offset, "a bare {...} argument"))
        return
    end = len(texts) - 1
    if previous == ">":
        depth = 0
        while end >= 0:
            depth += {">": 1, "<": -1}.get(texts[end], 0)
            end -= 1
            if depth == 0:
                break
    if end < 0 or not re.match(r"[A-Za-z_]", texts[end]):
        return
    name = texts[end]
    qualified = end >= 2 and texts[end - 1] == "::"
    standard = qualified and texts[end - 2] == "std"
    if standard:
        if name in _STANDARD_LISTS:
            statement.findings.append((statement.tokens[end][1], f"std::{name}{{...}}"))
        return
    # A lower-case name is a variable with its initial value, and kName is one too.
    if not name[0].isupper() or safe(name):
        return
    statement.findings.append((statement.tokens[end][1], f"{name}{{...}}"))
