"""The calls in the tables of docs/coming_from.md run: pyinit's, and those of each library that is installed."""

import re
from pathlib import Path

import numpy as np
import pytest

import pyinit

ROOT = Path(__file__).parents[1]
PAGE = (ROOT / "docs" / "coming_from.md").read_text()
SECTIONS = dict(re.findall(r"^## (.+?)\n(.*?)(?=^## |\Z)", PAGE, re.M | re.S))
HEADER = (ROOT / "src_c" / "pyinit.h").read_text() + (ROOT / "src_c" / "tables.h").read_text()


def numpy_names():
    bit_generator = np.random.Philox(0)
    return {"np": np, "a": np.empty(4), "n": 8, "bit_generator": bit_generator}


def torch_names():
    torch = pytest.importorskip("torch", minversion="2.6")
    from pyinit.adapters import torch as pt

    names = {"torch": torch, "nn": torch.nn, "pt": pt, "w": torch.empty(4, 6), "g": torch.Generator()}
    return names | {"Model": lambda: torch.nn.Linear(3, 4), "s": pyinit.Stream(0)}


def jax_names():
    jax = pytest.importorskip("jax", minversion="0.9")
    linen = pytest.importorskip("flax.linen")
    from pyinit.adapters import jax as pj

    model, key, x = linen.Dense(3), jax.random.key(0), np.ones((1, 4), np.float32)
    shapes = jax.eval_shape(model.init, key, x)
    return {"jax": jax, "pj": pj, "key": key, "x": x, "model": model, "shapes": shapes, "plan": {"*": "normal"}}


def keras_names():
    keras = pytest.importorskip("keras")
    from pyinit.adapters import keras as pk

    return {"keras": keras, "pk": pk}


PYTHON = {
    "numpy.random": numpy_names,
    "torch.nn.init": torch_names,
    "jax.nn.initializers": jax_names,
    "Keras": keras_names,
}


def rows(section):
    """Return the code in the first two cells of each row below the table's head, as lists."""
    lines = [line for line in SECTIONS[section].splitlines() if line.startswith("|")][2:]
    return [[re.findall("`([^`]+)`", cell) for cell in line.split(" | ")[:2]] for line in lines]


@pytest.mark.parametrize("section", PYTHON)
def test_calls_of_python(section):
    names = {"np": np, "pyinit": pyinit, **PYTHON[section]()}
    theirs, ours = dict(names), dict(names)  # a later row may use what an earlier one made
    assert len(rows(section)) > 2
    for cells in rows(section):
        for code, where in ((code, where) for cell, where in zip(cells, (theirs, ours)) for code in cell):
            exec(code.replace("...", "1.0"), where)


def test_calls_of_c():
    calls = [code for _, cell in rows("MKL VSL") for code in cell]
    named = {name for code in calls for name in re.findall(r"\b(?:pyi|PYI)_\w+", code)}
    assert {"pyi_stream_new", "pyi_skip_ahead"} < named
    assert all(re.search(rf"\b{name}\b", HEADER) for name in named)


def test_every_library_has_a_table():
    assert set(SECTIONS) == {*PYTHON, "MKL VSL", "cuRAND and CuPy"}
    assert all(rows(section) for section in SECTIONS)
