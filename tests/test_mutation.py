"""The mutants: the operators' changes, and an explanation for each survivor in the table."""

import json
import random
from collections import Counter

import pytest
from conftest import ROOT
from mutation.__main__ import EXPLAINED, QUOTAS, SEED, rows, standing
from mutation.operators import chosen, mutants_of

CODE = {
    "a.c": """
/* 1 < 2 */
static int f(int n, const char text[7])
{
    unsigned a, b, c, d = 2u;
    int m = 0x10u; // n + 1
    if (n < 3 && m >> 1)
        m += n - 1;
    puts("n == 1");
    return g(n, m) + 1.5f;
}
""",
    "b.pxi": """
cdef int f(a, b):
    '''Whether a < b.'''
    if a <= 2 and b:  # or not
        a.c = f"{a == b}"
    g(a, b)
""",
}
NEW_LINES = {
    "a.c": {
        "if (n <= 3 && m >> 1)",
        "if (n < 3 || m >> 1)",
        "if (n < 3 && m << 1)",
        "m += n + 1;",
        ";",
        "return g(m, n) + 1.5f;",
        "return g(n, m) - 1.5f;",
        "return g(n, m) + 1.6f;",
    },
    "b.pxi": {"if a < 2 and b:  # or not", "if a <= 2 or b:  # or not", "pass", "g(b, a)"},
}


@pytest.mark.parametrize("file", CODE)
def test_each_operator_changes_one_place_outside_comments_and_texts(file):
    text = CODE[file].replace("'''", '"""')
    found = mutants_of(file, text, random.Random(0))
    assert {kind for _, kind, *_ in found} >= {"comparison", "operation", "order", "statement", "constant"}
    changed = {mutant.row(text)["new"] for mutant in found}
    assert NEW_LINES[file] <= changed
    for mutant in found:
        old, new = text.splitlines(), mutant.applied(text).splitlines()
        assert len(old) == len(new)
        assert sum(a != b for a, b in zip(old, new)) == 1
        for untouched in ("1 < 2", "text[7]", "a, b, c", "// n + 1", "Whether a < b", "# or not"):
            assert (untouched in mutant.applied(text)) == (untouched in text)


def test_the_choice_is_always_the_same_and_spread_over_files_and_kinds():
    some = {file: QUOTAS[file] for file in ("src_c/window.c", "pyinit/boundary/arrays.pxi")}
    mutants = chosen(ROOT, some, SEED)
    assert mutants == chosen(ROOT, some, SEED)
    assert Counter(mutant.file for mutant in mutants) == some
    assert len({mutant.kind for mutant in mutants}) == 5
    assert all((ROOT / file).exists() for file in QUOTAS)


def test_rows_of_lines_that_are_gone_are_removed_and_those_that_moved_get_their_present_number():
    lines = [line.strip() for line in (ROOT / "src_c/window.c").read_text().splitlines()]
    at = next(number for number, line in enumerate(lines, 1) if lines.count(line) == 1)
    row = {"key": "k", "file": "src_c/window.c", "line": at + 7, "old": lines[at - 1], "new": ";"}
    gone = [row | {"old": lines[at - 1] + " no more"}, row | {"file": "src_c/no_such_file.c"}]
    assert list(standing([*gone, row])) == [row | {"line": at}]
    twice = next(line for line in lines if line and lines.count(line) == 2)
    places = [number for number, line in enumerate(lines, 1) if line == twice]
    for place in places:
        assert list(standing([row | {"line": place, "old": twice}])) == [row | {"line": place, "old": twice}]


def test_each_mutant_of_the_table_was_noticed_or_is_explained():
    table = [row for row in rows() if "invalid" not in row]
    explained = json.loads(EXPLAINED.read_text())
    assert len({row["key"] for row in table}) == len(table)
    for row in table:
        assert {"key", "file", "line", "kind", "old", "new"} <= row.keys()
        assert row["old"] != row["new"]
        assert row["file"] in QUOTAS
        assert bool(row.get("killed_by")) != bool(explained.get(row["key"])), row
    assert explained.keys() <= {row["key"] for row in table}
    assert len(list(standing(table))) >= 200  # after larger changes of the code, run `make mutation`
