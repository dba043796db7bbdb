"""The small faults: each changes a constant, a comparison, an operation, an order of arguments or a statement."""

import ast
import io
import random
import re
import tokenize
from hashlib import sha256
from pathlib import Path
from typing import NamedTuple

COMPARISONS = {"<": "<=", "<=": "<", ">": ">=", ">=": ">", "==": "!=", "!=": "=="}
OPERATIONS = {
    **{"+": "-", "-": "+", "*": "+", "/": "*", "//": "*", "%": "/", "&": "|", "|": "&", "^": "|"},
    **{"<<": ">>", ">>": "<<", "&&": "||", "||": "&&", "and": "or", "or": "and"},
}
COMMENT_OR_STRING = {
    "c": r'/\*.*?\*/|//[^\n]*|"(?:\\.|[^"\\\n])*"|\'(?:\\.|[^\'\\\n])+\'|^[ \t]*#[^\n]*(?:\\\n[^\n]*)*',
    "python": r'"""(?:\\.|[^\\])*?"""|#[^\n]*|[frbc]*"(?:\\.|[^"\\\n])*"|[frbc]*\'(?:\\.|[^\'\\\n])*\'',
}
OPERAND = r"[\w.]+(?:->\w+|\[\w+\])*"
STATEMENT = {
    "c": rf"^[ ]+(?:\*?{OPERAND} (?:[-+*/|&^]|<<|>>)?= [^{{}}\n]*;|[a-z]\w*\([^{{}}\n]*\);)$",
    "python": rf"^[ ]+(?:{OPERAND} (?:[-+*/|&^]|<<|>>)?= [^\n]*[^\n,(\[{{]|{OPERAND}\([^\n]*\))$",
}


class Mutant(NamedTuple):
    """A change of one place in one file.

    Attributes
    ----------
    file : str
        Relative to the checkout.
    kind : {"constant", "comparison", "operation", "order", "statement"}
    start, end : int
        The place, in characters.
    new : str
        The new text there.
    """

    file: str
    kind: str
    start: int
    end: int
    new: str

    def applied(self, text: str) -> str:
        """Return the text of the file with the fault."""
        return text[: self.start] + self.new + text[self.end :]

    def row(self, text: str) -> dict[str, object]:
        """Return the mutant's row in the table; the key depends on the line alone, not on the lines above it."""
        begin = text.rfind("\n", 0, self.start) + 1
        line_end = text.find("\n", self.start)
        line = text[begin:line_end]
        place = f"{self.file}|{line}|{self.start - begin}|{self.new}"
        return {
            "key": sha256(place.encode()).hexdigest()[:12],
            "file": self.file,
            "line": text.count("\n", 0, self.start) + 1,
            "kind": self.kind,
            "old": line.strip(),
            "new": (line[: self.start - begin] + self.new + text[self.end : max(line_end, self.end)]).strip(),
        }


def language(file: str) -> str:
    """Return which of the two syntaxes a file has; Cython counts as Python."""
    return "c" if Path(file).suffix in (".c", ".h") else "python"


def without_comments(text: str, syntax: str) -> str:
    """Replace comments, strings and directives by blanks, so that all other text keeps its place."""

    def blank(found: re.Match[str]) -> str:
        return re.sub(r"[^\n]", " ", found[0])

    return re.sub(COMMENT_OR_STRING[syntax], blank, text, flags=re.DOTALL | re.MULTILINE)


def changed_number(number: str, choice: random.Random) -> str | None:
    """Change a literal: an integer by one, a float in its last digit; None for other literals."""
    integer = re.fullmatch(r"(0x[0-9a-fA-F]+|\d+)([uUlL]*)", number)
    if integer:
        value = int(integer[1], 0)
        more = value + 1 if value == 0 or choice.random() < 0.5 else value - 1
        return (hex(more) if integer[1].startswith("0x") else str(more)) + integer[2]
    found = re.fullmatch(r"((?:0x)?[0-9a-fA-F.]*?)([0-9a-fA-F])((?:[ep][-+]?\d+)?f?)", number)
    if not found or "." not in number:
        return None
    base = 16 if number.startswith("0x") else 10
    return f"{found[1]}{(int(found[2], base) + 1) % base:x}{found[3]}"


def mutants_of(file: str, text: str, choice: random.Random) -> list[Mutant]:
    """Return a fault for each place of a file that can have one."""
    syntax = language(file)
    code = without_comments(text, syntax)
    found: list[Mutant] = []
    for m in re.finditer(r"(?<![\w.])(?:0x[\da-fA-F.]+(?:p[-+]?\d+)?|\d[\d.]*(?:e[-+]?\d+)?)[uUlLf]*(?![\w.])", code):
        number = changed_number(m[0], choice)
        sizes_an_array = code[m.start() - 1] == "[" and code[m.end() : m.end() + 2] in ("];", "],", "])")
        if number is not None and not (syntax == "c" and sizes_an_array):
            found.append(Mutant(file, "constant", m.start(), m.end(), number))
    for m in re.finditer(r"(?<= )(?:[<>]=?|[!=]=)(?= )", code):
        found.append(Mutant(file, "comparison", m.start(), m.end(), COMPARISONS[m[0]]))
    for m in re.finditer(r"(?<=[\w)\]] )(?://|<<|>>|&&|\|\||[-+*/%&|^]|and\b|or\b)(?= )", code):
        found.append(Mutant(file, "operation", m.start(), m.end(), OPERATIONS[m[0]]))
    for m in re.finditer(rf"(?<=[(,])\s*({OPERAND}), ({OPERAND})(?=[,)])", code):
        if m[1] != m[2] and not is_declaration(code, m.start()):
            found.append(Mutant(file, "order", m.start(1), m.end(2), f"{m[2]}, {m[1]}"))
    for m in re.finditer(STATEMENT[syntax], code, re.MULTILINE):
        before = code[: m.start()].rstrip()
        if syntax == "c" and before[-1:] not in ";{})":
            continue
        if syntax == "python" and not re.search(r"[\w)\]\"':]$", before):
            continue
        begin = m.start() + len(m[0]) - len(m[0].lstrip())
        found.append(Mutant(file, "statement", begin, m.end(), ";" if syntax == "c" else "pass"))
    return sorted(found)


def is_declaration(code: str, place: int) -> bool:
    """Whether a place is in a list of variables, the parameters of a function that is being defined, or an import."""
    line = code[code.rfind("\n", 0, place) + 1 : place]
    lists_variables = re.match(r"\s+(?:const |unsigned )*[a-z]\w* \*?\w+(?:\[\w+\])?(?:, \*?\w+)*,", line)
    return bool(lists_variables or re.match(r"\s*(?:static|void|cdef|def|from|import|lambda|PYI_)", line))


def is_valid(file: str, text: str) -> bool:
    """Whether Python can parse a file; compilers check other files."""
    if not file.endswith(".py"):
        return True
    try:
        ast.parse(text)
        list(tokenize.generate_tokens(io.StringIO(text).readline))
    except (SyntaxError, tokenize.TokenError):
        return False
    return True


def chosen(root: Path, quotas: dict[str, int], seed: int) -> list[Mutant]:
    """Choose a number of mutants of each file at random, of all kinds that the file has places for."""
    picked: list[Mutant] = []
    for file, quota in quotas.items():
        choice = random.Random(f"{seed} {file}")
        text = (root / file).read_text()
        places = [m for m in mutants_of(file, text, choice) if is_valid(file, m.applied(text))]
        by_kind: dict[str, list[Mutant]] = {}
        for mutant in choice.sample(places, len(places)):
            by_kind.setdefault(mutant.kind, []).append(mutant)
        kinds = choice.sample(sorted(by_kind), len(by_kind))
        taken: list[Mutant] = []
        while len(taken) < min(quota, len(places)):
            taken += [by_kind[kind].pop() for kind in kinds if by_kind[kind]]
        picked += taken[:quota]
    return picked
