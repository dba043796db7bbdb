"""The README's table of packages equals the output of docs/works_with.py, and the tests that it names exist."""

import ast
import importlib.util
import re
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]
SPEC = importlib.util.spec_from_file_location("works_with", ROOT / "docs" / "works_with.py")
works_with = importlib.util.module_from_spec(SPEC)
SPEC.loader.exec_module(works_with)


def written():
    """Return the table in the README, as lists of cells."""
    [(_, table, _)] = works_with.PLACE.findall((ROOT / "README.md").read_text())
    return [line.strip("|").split(" | ") for line in table.strip().splitlines()]


def test_the_table_is_what_the_script_writes_but_for_versions():
    versions = {cells[0].strip(): cells[1] for cells in written()}
    assert versions.keys() >= {row.name for row in works_with.ROWS}, "run docs/works_with.py"
    made = works_with.table(versions).strip().splitlines()
    assert written() == [line.strip("|").split(" | ") for line in made], "run docs/works_with.py"


def test_each_version_is_of_the_rows_distribution():
    for row, cells in zip(works_with.ROWS, written()[2:], strict=True):
        pattern = rf"{re.escape(row.distribution)} \d[\w.]*|{works_with.NOT_RUN}"
        assert re.fullmatch(pattern, cells[1]), cells


@pytest.mark.parametrize("row", works_with.ROWS, ids=lambda row: row.name)
def test_the_tests_of_a_row_exist(row):
    for test in row.tests:
        file, function, case = works_with.parts_of(test)
        tree = ast.parse((ROOT / "tests" / file).read_text())
        assert function in {node.name for node in tree.body if isinstance(node, ast.FunctionDef)}
        assert not case or case in {node.value for node in ast.walk(tree) if isinstance(node, ast.Constant)}


def test_names_are_given_once():
    names = [row.name for row in works_with.ROWS]
    assert len(set(names)) == len(names)
