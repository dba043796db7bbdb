"""Recipes as JSON, and verification of models made from them."""

import json
import math
import pickle

import numpy as np
import pytest

torch = pytest.importorskip("torch")

from torch import nn  # noqa: E402
from torch_deferral import deferred  # noqa: E402

import pyinit  # noqa: E402
from pyinit.adapters import torch as pt  # noqa: E402
from pyinit.adapters.torch.checkpoints import Chunk, Stored  # noqa: E402
from pyinit.adapters.torch.tensors import made  # noqa: E402
from pyinit.models.comparison import compare  # noqa: E402


def test_recipes_print_compare_pickle_and_become_json(tmp_path):
    _, recipes = deferred()
    assert repr(recipes) == "<Recipes of 8 parameters>"
    assert str(recipes).splitlines()[0].split() == ["name", "scheme", "shape"]
    row = next(row for row in recipes.plan() if row.name == "head.bias")
    assert row.scheme.endswith(", mul_([1:50:3], 0.5)")
    assert row.shape == (50,)
    for other in (
        pickle.loads(pickle.dumps(recipes)),
        pt.Recipes.from_json(recipes.to_json(tmp_path / "recipes.json")),
        pt.Recipes.from_json(tmp_path / "recipes.json"),
        deferred()[1],
    ):
        assert other == recipes
        assert other["head.weight"].name == "embed.weight"
    assert deferred(lambda: nn.Linear(8, 50))[1] != recipes
    a, b = (pt.materialize(deferred()[0], r, 3) for r in (recipes, pt.Recipes.from_json(recipes.to_json())))
    for (name, x), (_, y) in zip(a.named_parameters(), b.named_parameters()):
        assert torch.equal(x, y), name


def test_a_plan_of_recipes_fills_arrays_of_numpy():
    model, recipes = deferred(lambda: nn.Sequential(nn.Linear(8, 6), nn.LayerNorm(6), nn.Linear(6, 2, bias=False)))
    pt.materialize(model, recipes, 4)
    plan = {row.name: recipes[row.name].scheme for row in recipes.plan()}
    arrays = {row.name: np.empty(row.shape, np.float32) for row in recipes.plan()}
    pyinit.initialize(arrays, 4, plan)
    for name, parameter in model.named_parameters():
        assert np.array_equal(arrays[name], parameter.detach().numpy())


@pytest.mark.parametrize(
    "change",
    [
        lambda d: d.update(format="pyinit recipes 9"),
        lambda d: d.pop("recipes"),
        lambda d: d["recipes"]["norm.weight"].update(scheme="__import__('os')"),
        lambda d: d["recipes"]["norm.weight"].update(shape=["x"]),
        lambda d: d["recipes"]["norm.weight"].update(dtype="load"),
        lambda d: d["recipes"]["norm.weight"].pop("scheme"),
        lambda d: d["recipes"].update({"norm.weight": "nowhere"}),
        lambda d: call(d).update(function="aten.from_file.default"),
        lambda d: call(d).update(function="torchvision.nms.default"),
        lambda d: call(d).update(function="__init__.x.y"),
        lambda d: call(d)["arguments"].__setitem__(0, {"view": 10**9, "where": [[1], [1], 0]}),
        lambda d: call(d)["arguments"].__setitem__(0, {"layout": "ops"}),
    ],
)
def test_json_that_is_wrong_is_refused(change):
    found = json.loads(deferred()[1].to_json())
    change(found)
    with pytest.raises(ValueError, match="pyinit recipes 1"):
        pt.Recipes.from_json(json.dumps(found))


def call(found):
    """Return the first operation in the recipes' JSON."""
    return next(node for node in found["recipes"]["scaled"]["tape"]["nodes"] if "function" in node)


def test_json_whose_operations_cannot_be_run():
    found = json.loads(deferred()[1].to_json())
    call(found)["arguments"][1] = [1, 2]
    model, recipes = deferred()[0], pt.Recipes.from_json(json.dumps(found))
    with pytest.raises(ValueError, match=r"aten\.mul\.\w+ cannot run as in the recipe"):
        pt.materialize(model, recipes, 0)


def test_json_that_is_none():
    with pytest.raises(ValueError, match="pyinit recipes 1"):
        pt.Recipes.from_json("weights")


@pytest.mark.parametrize("window", [1, 40, 96, 1 << 20])
def test_verify_finds_the_first_difference(window, monkeypatch):
    monkeypatch.setattr("pyinit.models.comparison.BLOCK_BYTES", window * 4)
    model, recipes = deferred()
    pt.materialize(model, recipes, 2)
    assert pt.verify(model, recipes, 2).equal
    with torch.no_grad():
        model.embed.weight[3, 5] = -0.25
        model.embed.weight[40, 2] += 1
        model.scaled[39, 5] = math.nan
        model.positions[0, 0] = -0.0
    found = {row.name: row for row in pt.verify(model, recipes, 2)}
    assert found["embed.weight"][1:] == ("differs", (3, 5), 2 / 400, pytest.approx(1, abs=1e-6))
    assert found["scaled"][1:4] == ("differs", (39, 5), 1 / 240)
    assert math.isnan(found["scaled"].largest)
    assert found["positions"][1:] == ("differs", (0, 0), 1 / 12, 0)
    assert {row.verdict for name, row in found.items() if name not in ("embed.weight", "scaled", "positions")} == {
        "equal"
    }
    assert "head.weight" not in found
    other = {row.name: row.verdict for row in pt.verify(model, recipes, 3)}
    assert other["norm.weight"] == "equal"
    assert other["head.bias"] == "differs"


def test_verify_says_what_it_cannot_compare():
    model, recipes = deferred()
    pt.materialize(model, recipes, 2)
    del model.norm
    model.more = nn.Linear(2, 2)
    model.head = nn.Linear(8, 51)
    model.scaled = nn.Parameter(model.scaled.detach().half())
    found = {row.name: row.verdict for row in pt.verify(model, recipes, 2)}
    assert found["norm.weight"] == "missing"
    assert found["more.weight"] == "no recipe"
    assert found["head.bias"] == "shape (51,), made with (50,)"
    assert found["scaled"] == "equal in float16"
    assert not pt.verify(model, recipes, 2).equal
    with pytest.raises(TypeError, match="seed"):
        pt.verify(model, recipes, None)


def test_verify_finds_complex_differences():
    with pt.fast_init(0) as report:
        model = nn.Module()
        model.weight = nn.Parameter(torch.randn(4, dtype=torch.complex64))
    assert pt.verify(model, report.recipes, 0).equal
    with torch.no_grad():
        model.weight[2] += 1j
    assert pt.verify(model, report.recipes, 0)[0][1:] == ("differs", (2,), 1 / 8, pytest.approx(1))


@pytest.mark.parametrize(
    "edit",
    [
        {"fill": "1 +"},
        {"fill": "'abc'"},
        {"draw": "randint(1, 2, 3)", "double": False, "key": "a"},
    ],
)
def test_edits_in_json_that_are_wrong_are_refused(edit):
    found = json.loads(deferred()[1].to_json())
    found["recipes"]["scaled"]["tape"]["nodes"][0]["edits"][0][1] = edit
    with pytest.raises(ValueError, match="pyinit recipes 1"):
        pt.Recipes.from_json(json.dumps(found))


@pytest.mark.parametrize(
    "change",
    [
        lambda tape: tape["nodes"][0].update(size=math.inf),
        lambda tape: tape["nodes"][0].update(size=-4),
        lambda tape: tape.update(where=[[40, 6], [-6, 1], 0]),
        lambda tape: tape.update(where=[[40, 7], [7, 1], 0]),
        lambda tape: next(n for n in tape["nodes"] if "function" in n).update(function="aten.resize_.default"),
        lambda tape: next(n for n in tape["nodes"] if "function" in n).update(function="aten.set_.source_Tensor"),
    ],
)
def test_tapes_in_json_that_are_wrong_are_refused(change):
    found = json.loads(deferred()[1].to_json())
    change(found["recipes"]["scaled"]["tape"])
    with pytest.raises(ValueError, match="pyinit recipes 1"):
        pt.Recipes.from_json(json.dumps(found))


def test_the_first_difference_is_that_of_the_tensor_whatever_the_order_of_its_parts():
    with pt.deferred() as recipes:
        model = nn.Linear(4, 6)
    found = pt.materialize(model, recipes, 3).weight.detach().clone()
    found[1:, 2:] += 1
    found[1:4, :2] = 7  # the checkpoint lacks this change
    chunks = [Chunk((4, 0), (2, 4), "a"), Chunk((1, 2), (3, 2), "b"), Chunk((0, 0), (1, 4), "c")]

    class InMemory:
        def values(self, chunk):
            return found[tuple(slice(o, o + n) for o, n in zip(chunk.offset, chunk.shape))]

    class Part(Stored):
        problem = None

    stored = Part("weight", (6, 4), torch.float32, chunks, InMemory())
    expected = made("weight", recipes["weight"].view, pyinit.Stream(3))
    [row] = compare({"weight": stored}, {"weight": expected})
    assert (row.verdict, row.first, row.share) == ("differs", (1, 2), 10 / 18)
