"""Runs the examples in the README and in the docstrings; checks the tests that pages of docs/ name."""

import ast
import doctest
import importlib
import inspect
import pkgutil
import re
from pathlib import Path

import numpy as np
import pytest

import pyinit

ROOT = Path(__file__).parents[1]
README = ROOT / "README.md"
MODULES = [
    "pyinit",
    *(m.name for m in pkgutil.walk_packages(pyinit.__path__, "pyinit.") if not m.name.endswith("__main__")),
]
# The packages that the README's blocks import, and the oldest sufficient versions.
OLDEST = {"dask": "2025.1", "jax": "0.9", "keras": "3.6", "pyopencl": None, "torch": "2.6"}


def loaded(name):
    """Import a module of the package; an adapter is skipped if its framework is missing or too old."""
    try:
        return importlib.import_module(name)
    except ImportError:
        if not name.startswith("pyinit.adapters."):
            raise
        pytest.importorskip(name.split(".")[2], minversion=OLDEST.get(name.split(".")[2]))
        raise


def public(module):
    return [n for n, v in vars(module).items() if getattr(v, "__module__", None) == module.__name__ and n[0] != "_"]


class Finder(doctest.DocTestFinder):
    """A finder that also finds the examples of decorated functions."""

    def _from_module(self, module, object):
        return super()._from_module(module, inspect.unwrap(object))


@pytest.mark.parametrize("name", MODULES)
def test_docstring_examples(name):
    module = loaded(name)
    runner = doctest.DocTestRunner(optionflags=doctest.ELLIPSIS)
    for case in Finder(exclude_empty=True).find(module, name, extraglobs={"np": np, "pyinit": pyinit}):
        if any("torch" in example.source for example in case.examples):
            pytest.importorskip("torch")
        output = []
        runner.run(case, out=output.append)
        assert not output, "".join(output)


@pytest.mark.parametrize("name", MODULES)
def test_public_names_are_documented(name):
    module = loaded(name)
    assert module.__doc__
    for symbol in public(module):
        assert getattr(module, symbol).__doc__, symbol


def test_examples_are_found():
    found = {case.name: case.examples for case in Finder().find(pyinit.fills, "pyinit.fills")}
    assert sum(map(len, found.values())) > 10
    assert found["pyinit.fills.Fills.normal"]


BLOCKS = re.findall(r"```python\n(.*?)```", README.read_text(), re.S)


@pytest.mark.parametrize("code", BLOCKS, ids=range(len(BLOCKS)))
def test_readme_blocks(code, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    for package, oldest in OLDEST.items():
        if re.search(rf"\bimport {package}\b", code):
            pytest.importorskip(package, minversion=oldest)
    exec(compile(code, "README.md", "exec"), {})


def test_the_citation_names_this_version():
    text = (ROOT / "CITATION.cff").read_text()
    assert re.findall(r"^version: (.+)$", text, re.M) == [pyinit.__version__]
    assert re.findall(r"^license: (.+)$", text, re.M) == re.findall(
        r'^license = "(.+)"$', (ROOT / "pyproject.toml").read_text(), re.M
    )


def test_what_is_to_be_installed_is_pyinit_weights():
    """In messages and pages: on PyPI, pyinit is another project."""
    pages = [*ROOT.glob("*.md"), *(ROOT / "docs").rglob("*.md"), *(ROOT / "pyinit").rglob("*.py")]
    told = [(path.name, text) for path in pages for text in re.findall(r"pip install [^\n]*", path.read_text())]
    assert any("'pyinit-weights[torch]'" in text for _, text in told)
    assert not [(name, text) for name, text in told if re.search(r"install '?pyinit(?!-weights)\b", text)]


# Pages of tables whose last column names tests, and their least number of rows.
TABLES = {"reliability.md": 25, "elsewhere.md": 25}
PAGES = {name: (ROOT / "docs" / name).read_text() for name in TABLES}
ROWS = [
    (name, row)
    for name, page in PAGES.items()
    for row in re.findall(r"^\| .*$", re.sub(r"^\| .*\n(?=\|---)", "", page, flags=re.M), re.M)
]


@pytest.mark.parametrize(("page", "row"), ROWS, ids=[f"{page}-{i}" for i, (page, _) in enumerate(ROWS)])
def test_each_row_has_tests(page, row):
    *cells, tests = (cell.strip() for cell in row.strip("|").split(" | "))
    assert all(cells)
    named = tests.rstrip(" |").split()
    assert named
    for test in named:
        file, function = re.fullmatch(r"`(tests/test_\w+\.py)::(test_\w+)`", test).groups()
        tree = ast.parse((ROOT / file).read_text())
        assert function in {node.name for node in ast.walk(tree) if isinstance(node, ast.FunctionDef)}, test


@pytest.mark.parametrize("page", TABLES)
def test_all_rows_are_checked(page):
    rows = [row for name, row in ROWS if name == page]
    assert len(rows) >= TABLES[page]
    assert sum(row.count("::test_") for row in rows) == PAGES[page].count("::test_")


def test_links_to_reports_lead_where_they_say():
    links = re.findall(
        r"\[([^]]+)\]\(https://github\.com/[\w-]+/([\w-]+)/(?:issues|pull)/(\d+)\)", PAGES["elsewhere.md"]
    )
    assert len(links) == PAGES["elsewhere.md"].count("https://") >= TABLES["elsewhere.md"]
    assert [text for text, *_ in links] == [f"{name}#{number}" for _, name, number in links]


def test_readme_has_blocks():
    assert len(BLOCKS) >= 3
