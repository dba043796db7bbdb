"""The examples in the README and in the docstrings, run as they stand."""

import doctest
import importlib
import importlib.util
import pkgutil
import re
from pathlib import Path

import numpy as np
import pytest

import pyinit

TORCH = importlib.util.find_spec("torch") is not None
README = Path(__file__).parents[1] / "README.md"
MODULES = [
    "pyinit",
    *(m.name for m in pkgutil.walk_packages(pyinit.__path__, "pyinit.") if not m.name.endswith("__main__")),
]


def public(module):
    return [n for n, v in vars(module).items() if getattr(v, "__module__", None) == module.__name__ and n[0] != "_"]


@pytest.mark.parametrize("name", MODULES)
def test_docstring_examples(name):
    module = importlib.import_module(name)
    runner = doctest.DocTestRunner(optionflags=doctest.ELLIPSIS)
    for case in doctest.DocTestFinder(exclude_empty=True).find(module, name, extraglobs={"np": np, "pyinit": pyinit}):
        if not TORCH and any("torch" in example.source for example in case.examples):
            continue
        output = []
        runner.run(case, out=output.append)
        assert not output, "".join(output)


def test_public_names_are_documented():
    for name in MODULES:
        module = importlib.import_module(name)
        assert module.__doc__, name
        for symbol in public(module):
            assert getattr(module, symbol).__doc__, f"{name}.{symbol}"


def test_examples_are_found():
    found = doctest.DocTestFinder().find(pyinit.fills, "pyinit.fills")
    assert sum(len(case.examples) for case in found) > 10


BLOCKS = re.findall(r"```python\n(.*?)```", README.read_text(), re.S)


@pytest.mark.parametrize("code", BLOCKS, ids=range(len(BLOCKS)))
def test_readme_blocks(code, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    if "pyopencl" in code:
        pytest.importorskip("pyopencl")
    exec(compile(code, "README.md", "exec"), {})


def test_readme_has_blocks():
    assert len(BLOCKS) >= 3
