"""Models on the meta device (`deferred`, `materialize`, recipes), and `initialize_module` and `verify`."""

import contextlib
import json
import math
import pickle
import subprocess
import sys
import textwrap
from pathlib import Path

import numpy as np
import pytest

torch = pytest.importorskip("torch")

from torch import nn  # noqa: E402

import pyinit  # noqa: E402
from pyinit.adapters import torch as pt  # noqa: E402
from pyinit.adapters.torch.checkpoints import Chunk, Stored  # noqa: E402
from pyinit.adapters.torch.tensors import made  # noqa: E402
from pyinit.initializers import normal  # noqa: E402
from pyinit.models.comparison import compare  # noqa: E402


class Net(nn.Module):
    """A model with tied weights, a padding row, a computed and a random buffer, a scaled and a computed parameter."""

    def __init__(self):
        super().__init__()
        self.embed = nn.Embedding(50, 8, padding_idx=3)
        self.norm = nn.BatchNorm1d(8)
        self.head = nn.Linear(8, 50)
        self.head.weight = self.embed.weight
        self.scaled = nn.Parameter(torch.randn(40, 6) * 0.3)
        self.positions = nn.Parameter(torch.arange(12.0).view(3, 4), requires_grad=False)
        self.register_buffer("inverse", 1 / torch.arange(1.0, 5.0))
        self.register_buffer("projection", torch.randn(7, 5), persistent=False)
        with torch.no_grad():
            self.head.bias[1::3].mul_(0.5)


def deferred(build=Net):
    """Build a model inside `deferred`; return it and its recipes."""
    with pt.deferred() as recipes:
        model = build()
    return model, recipes


def test_parameters_are_on_the_meta_device_and_buffers_are_real():
    model, recipes = deferred()
    assert {p.device.type for p in model.parameters()} == {"meta"}
    assert model.head.weight is model.embed.weight
    assert torch.equal(model.inverse, 1 / torch.arange(1.0, 5.0))
    assert model.norm.num_batches_tracked.item() == 0
    assert model.projection.device.type == "meta"  # a random buffer, which needs a seed
    assert not model.positions.requires_grad
    assert str(recipes["embed.weight"]) == "Normal(), [3] = 0.0"
    assert recipes["head.weight"].name == "embed.weight"
    assert recipes["projection"].scheme == normal()
    assert set(recipes) == {name for name, _ in model.named_parameters(remove_duplicate=False)} | {"projection"}


@pytest.mark.parametrize("seed", [0, 7])
def test_what_is_materialised_is_what_fast_init_builds(seed):
    model, recipes = deferred()
    assert pt.materialize(model, recipes, seed) is model
    with pt.fast_init(seed) as report:
        fast = Net()
    assert recipes == report.recipes
    for (name, a), (_, b) in zip(
        [*model.named_parameters(), *model.named_buffers()], [*fast.named_parameters(), *fast.named_buffers()]
    ):
        assert torch.equal(a, b), name
        assert a.requires_grad == b.requires_grad
    assert model.head.weight is model.embed.weight
    assert isinstance(model.scaled, nn.Parameter)
    assert pt.verify(model, recipes, seed).equal


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
    with pytest.raises(ValueError, match=r"aten\.mul\.\w+ cannot be run as the recipe says"):
        pt.materialize(model, recipes, 0)


def test_json_that_is_none():
    with pytest.raises(ValueError, match="pyinit recipes 1"):
        pt.Recipes.from_json("weights")


def test_what_cannot_be_materialised_is_listed_and_nothing_is_allocated():
    model, recipes = deferred()
    lacking = pt.Recipes({name: recipes[name] for name in recipes if name not in ("scaled", "projection")})
    with pytest.raises(ValueError, match=r"scaled, projection: there is no recipe"):
        pt.materialize(model, lacking, 0)
    wrong = pt.Recipes({**recipes, "scaled": recipes["head.bias"]})
    with pytest.raises(ValueError, match=r"scaled: the recipe has shape \(50,\), the tensor \(40, 6\)"):
        pt.materialize(model, wrong, 0)
    assert {p.device.type for p in model.parameters()} == {"meta"}

    class Unwritten(nn.Module):
        def __init__(self):
            super().__init__()
            self.a, self.b = nn.Parameter(torch.empty(3)), nn.Parameter(torch.empty(3, 2))
            nn.init.ones_(self.b[0:2])

    model, recipes = deferred(Unwritten)
    with pytest.raises(ValueError, match="a, b: nothing was written to it"):
        pt.materialize(model, recipes, 0)
    with torch.device("meta"):
        model = nn.BatchNorm1d(3)
    with pytest.raises(ValueError, match="running_mean, running_var, num_batches_tracked: there is no recipe"):
        pt.materialize(model, pt.Recipes({**deferred(lambda: nn.BatchNorm1d(3))[1]}), 0)
    model, recipes = deferred(lambda: nn.Sequential(nn.LazyLinear(3)))
    with pytest.raises(ValueError, match=r"0.weight, 0.bias: its shape is not known yet"):
        pt.materialize(model, recipes, 0)


def test_what_deferred_refuses():
    with pytest.raises(RuntimeError, match="fast_init"), pt.deferred():
        torch.randn(3).tolist()
    with pytest.raises(RuntimeError, match="fast_init"), pt.deferred():
        torch.multinomial(torch.ones(3), 2)
    with pytest.raises(ValueError, match="several: Linear, BatchNorm1d"), pt.deferred():
        kept = nn.Linear(3, 2), nn.BatchNorm1d(3)
    assert kept
    with pytest.raises(ValueError, match=r"neither parameters nor buffers"), pt.deferred():
        kept = torch.randn(3), nn.Linear(3, 2)


def test_a_large_tensor_is_never_allocated():
    class Large(nn.Module):
        def __init__(self):
            super().__init__()
            self.a = nn.Parameter(torch.randn(1 << 25, 1 << 15) * 0.5)
            self.b = nn.Parameter(torch.ones(1 << 40))
            self.c = nn.Linear(1 << 20, 1 << 20)

    model, recipes = deferred(Large)
    assert str(recipes["a"]) == "mul(Normal(), 0.5)"
    assert recipes["b"].scheme == pyinit.initializers.ones()
    assert {p.device.type for p in model.parameters()} == {"meta"}


def test_constants_outside_of_modules_are_there_after_the_block():
    with pt.deferred():
        ones = torch.empty(3).fill_(1)
        net = nn.Linear(3, 2)
    assert ones.tolist() == [1, 1, 1]
    assert net.weight.device.type == "meta"


def test_real_tensors_keep_their_values():
    """Megatron-LM#4155: `to_empty` wipes buffers; `materialize` must keep them."""
    model, recipes = deferred()
    model.inverse.mul_(3)
    model.head.bias = nn.Parameter(torch.full((50,), 7.0))
    pt.materialize(model, recipes, 0)
    assert torch.equal(model.inverse, 3 / torch.arange(1.0, 5.0))
    assert torch.equal(model.head.bias, torch.full((50,), 7.0))


def test_megatron_lm_4155_buffers_are_not_wiped():
    test_real_tensors_keep_their_values()


def small_llama():
    transformers = pytest.importorskip("transformers")
    config = transformers.LlamaConfig(
        hidden_size=64, num_hidden_layers=2, num_attention_heads=4, intermediate_size=128, vocab_size=300
    )
    return transformers.LlamaForCausalLM(config)


def test_transformers_45902_inv_freq_survives():
    model, recipes = deferred(small_llama)
    pt.materialize(model, recipes, 0)
    plain = small_llama()
    assert torch.equal(model.model.rotary_emb.inv_freq, plain.model.rotary_emb.inv_freq)
    tokens = torch.arange(6).view(1, 6)
    assert torch.isfinite(model(tokens).logits).all()


# VmHWM, and not getrusage, which tells of the process that started this one if that had more.
needs_proc = pytest.mark.skipif(not Path("/proc/self/status").exists(), reason="no /proc that tells the peak of memory")


@needs_proc
@pytest.mark.parametrize(
    ("name", "config", "parameters"),
    [
        (
            "OPT-175B",
            "transformers.OPTConfig(hidden_size=12288, num_hidden_layers=96, num_attention_heads=96, ffn_dim=49152, "
            "word_embed_proj_dim=12288)",
            175e9,
        ),
        (
            "Llama-70B",
            "transformers.LlamaConfig(hidden_size=8192, num_hidden_layers=80, num_attention_heads=64, "
            "num_key_value_heads=8, intermediate_size=28672, vocab_size=128256)",
            70.6e9,
        ),
    ],
)
def test_transformers_21687_large_models_need_no_memory(name, config, parameters):
    pytest.importorskip("transformers")
    script = f"""
    import re, transformers
    from pyinit.adapters import torch as pt
    with pt.deferred() as recipes:
        model = transformers.AutoModelForCausalLM.from_config({config})
    peak = re.search(r"VmHWM:\\s*(\\d+)", open("/proc/self/status").read())[1]
    print(sum(p.numel() for p in model.parameters()), len(recipes), peak)
    """
    done = subprocess.run([sys.executable, "-c", textwrap.dedent(script)], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    count, recipes, kilobytes = map(int, done.stdout.split())
    assert abs(count / parameters - 1) < 0.01
    assert recipes > 700
    # Imports alone take 340 MB, and the CUDA libraries 200 MB more.
    assert kilobytes * 1024 < (600e6 if torch.version.cuda is None else 800e6)


class Rows(nn.Module):
    def __init__(self):
        super().__init__()
        self.weight = nn.Parameter(torch.empty(9, 7))
        with torch.no_grad():
            self.weight.copy_(torch.randn(7))


def test_a_row_that_is_copied_to_all_rows_writes_them():
    with pt.fast_init(3):
        expected = Rows()
    with pt.deferred() as recipes:
        model = Rows()
    assert torch.equal(pt.materialize(model, recipes, 3).weight, expected.weight)
    assert torch.equal(model.weight, model.weight[:1].expand(9, 7))


def test_a_model_that_cannot_be_made_stays_as_it_was():
    with pt.deferred() as recipes:
        model = nn.Sequential(nn.Linear(2, 3), nn.Linear(1 << 28, 1 << 28, bias=False))
    for wrong in ({"num_threads": 0}, {"device": "meta"}, {}):  # and there is no such memory
        with pytest.raises((ValueError, RuntimeError), match=r"num_threads must|device must have memory|memory"):
            pt.materialize(model, recipes, 0, **wrong)
        assert {parameter.device.type for parameter in model.parameters()} == {"meta"}


def test_what_materialize_refuses():
    model, recipes = deferred()
    for wrong, message in ((None, "NoneType"), ({"*": "ones"}, "a plan goes to initialize_module")):
        with pytest.raises(TypeError, match=f"recipes must be Recipes.*{message}"):
            pt.materialize(model, wrong, 0)
    with pytest.raises(TypeError, match="seed must be"):
        pt.materialize(model, recipes, None)
    with pytest.raises(TypeError, match=r"model must be a torch.nn.Module; got OrderedDict"):
        pt.materialize(model.state_dict(), recipes, 0)
    pt.materialize(model, recipes, 0)
    with pytest.raises(ValueError, match="no tensor on the meta device; initialize_module"):
        pt.materialize(model, recipes, 0)


def test_recipes_fill_an_existing_model():
    model, recipes = deferred()
    pt.materialize(model, recipes, 3)
    other = Net()
    pt.initialize_module(other, 3, recipes)
    for (name, a), (_, b) in zip(model.named_parameters(), other.named_parameters()):
        assert torch.equal(a, b), name
    with pytest.raises(ValueError, match="scaled: there is no recipe"):
        pt.initialize_module(other, 3, pt.Recipes({name: recipes[name] for name in recipes if name != "scaled"}))


# Existing models


def plain():
    return nn.Sequential(nn.Linear(8, 6), nn.BatchNorm1d(6), nn.Linear(6, 2))


def test_a_plan_fills_parameters_alone():
    model = plain()
    model[1].num_batches_tracked.fill_(9)
    model[1].running_mean.fill_(0.5)
    plan = {"*.bias": "zeros", "1.weight": "ones", "0.*": "kaiming_normal", "*": "normal(std=0.02)"}
    table = pt.initialize_module(model, 3, plan)
    assert [row.name for row in table] == [name for name, _ in model.named_parameters()]
    assert table[0] == ("0.weight", f"Normal(std={math.sqrt(2 / 8)!r})", (6, 8))
    assert str(table).splitlines()[0].split() == ["name", "scheme", "shape"]
    arrays = {name: np.empty(tuple(p.shape), np.float32) for name, p in model.named_parameters()}
    pyinit.initialize(arrays, 3, plan)
    for name, parameter in model.named_parameters():
        assert np.array_equal(arrays[name], parameter.detach().numpy())
        assert parameter.requires_grad
    assert model[1].num_batches_tracked.item() == 9
    assert model[1].running_mean.tolist() == [0.5] * 6
    assert pt.verify(model, plan, 3).equal


def test_without_a_plan_each_module_has_its_own_scheme():
    with pt.fast_init(3):
        fast = plain()
    model = plain()
    model[1].running_mean.fill_(0.5)
    table = pt.initialize_module(model, 3)
    for (name, a), (_, b) in zip(model.named_parameters(), fast.named_parameters()):
        assert torch.equal(a, b), name
    assert [row.scheme for row in table][2:4] == ["1.0", "0.0"]
    assert model[1].running_mean.tolist() == [0.5] * 6


def test_without_a_plan_transformers_and_timm():
    model = small_llama()
    state = {name: buffer.clone() for name, buffer in model.named_buffers()}
    with pt.fast_init(3):
        fast = small_llama()
    pt.initialize_module(model, 3)
    for (name, a), (_, b) in zip(model.named_parameters(), fast.named_parameters()):
        assert torch.equal(a, b), name
    assert all(torch.equal(state[name], buffer) for name, buffer in model.named_buffers())


def test_parameters_that_no_module_sets_are_listed_and_nothing_is_written():
    class Own(nn.Module):
        def __init__(self):
            super().__init__()
            self.layer, self.scale = nn.Linear(3, 2), nn.Parameter(torch.ones(3))

    model = Own()
    before = model.layer.weight.detach().clone()
    with pytest.raises(ValueError, match="scale: nothing was written to it"):
        pt.initialize_module(model, 0)
    assert torch.equal(model.layer.weight, before)


def test_wrong_plans_and_models_write_nothing():
    model = plain()
    before = {name: p.detach().clone() for name, p in model.named_parameters()}
    with pytest.raises(ValueError, match="on the meta device"):
        pt.initialize_module(plain().to("meta"), 0, {"*": "zeros"})
    for plan, error in (
        ({"0.*": "normal"}, "no pattern matches"),
        ({"nothing": "normal", "*": "zeros"}, "no name matches"),
        ({"*": "orthogonal"}, "'0.bias': orthogonal needs .* '1.weight': orthogonal .* '2.bias': orthogonal"),
        ({"*": "xavier_normal"}, "'0.bias': fans need .* '2.bias': fans need"),
        ({"*": "normal(std=1e39)"}, "std"),
    ):
        with pytest.raises(ValueError, match=error):
            pt.initialize_module(model, 0, plan)
    with pytest.raises(TypeError, match="plan must be a mapping"):
        pt.initialize_module(model, 0, ["normal"])
    with pytest.raises(TypeError, match="model must be"):
        pt.initialize_module(dict(model.named_parameters()), 0)
    assert all(torch.equal(before[name], p) for name, p in model.named_parameters())


def test_a_plan_that_draws_norms_warns():
    with pytest.warns(UserWarning, match="normalisation layers, which start as ones or zeros: 1.weight"):
        pt.initialize_module(plain(), 0, {"*.bias": "zeros", "*": "normal(std=0.02)"})


def test_functions_and_structured_schemes_in_a_plan():
    def sevens(out, stream):
        out.fill_(7)

    model = nn.Linear(8, 6)
    pt.initialize_module(model, 3, {"bias": sevens, "*": "orthogonal(gain=2.0)"})
    assert model.bias.tolist() == [7] * 6
    assert torch.allclose(model.weight @ model.weight.T, 4 * torch.eye(6), atol=1e-5)


def test_progress_tells_of_every_element(monkeypatch):
    seen = []

    @contextlib.contextmanager
    def bar(total, what, show):
        seen.append((total, what, show))
        yield seen.append

    monkeypatch.setattr("pyinit.models.filling.progress_bar", bar)
    model = plain()
    pt.initialize_module(model, 3, progress=True)
    count = sum(p.numel() for p in model.parameters())
    assert seen[0] == (count, "initialising", True)
    assert sum(seen[1:]) == count


def test_autograd_notices_that_the_weights_have_changed():
    model = nn.Linear(3, 2)
    loss = (model.weight**2).sum()
    pt.initialize_module(model, 0, {"*": "normal"})
    with pytest.raises(RuntimeError, match="modified by an inplace operation"):
        loss.backward()


# Verification


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


@needs_proc
def test_verify_takes_little_memory():
    script = """
    import re, torch
    from pyinit.adapters import torch as pt

    def build():
        table = torch.nn.Embedding(40_000, 1_000, padding_idx=0)
        table.more = torch.nn.Parameter(torch.randn(20_000, 1_000) * 0.5)
        return table

    with pt.fast_init(0) as report:
        model = build()
    peak = lambda: int(re.search(r"VmHWM:\\s*(\\d+)", open("/proc/self/status").read())[1])
    before = peak()
    assert pt.verify(model, report.recipes, 0).equal
    print((peak() - before) // 1024)
    """
    done = subprocess.run([sys.executable, "-c", textwrap.dedent(script)], capture_output=True, text=True, check=True)
    assert int(done.stdout) < 100  # of 240 MB


def test_verify_finds_complex_differences():
    with pt.fast_init(0) as report:
        model = nn.Module()
        model.weight = nn.Parameter(torch.randn(4, dtype=torch.complex64))
    assert pt.verify(model, report.recipes, 0).equal
    with torch.no_grad():
        model.weight[2] += 1j
    assert pt.verify(model, report.recipes, 0)[0][1:] == ("differs", (2,), 1 / 8, pytest.approx(1))


# What a deferred model must not lose


def beside(value, through_both=False):
    """A module whose parameter is written through the tensor that it was given."""
    net, weight = nn.Module(), nn.Parameter(value(3, 4))
    net.weight = weight
    with torch.no_grad():
        if through_both:
            net.weight.add_(1)
        nn.init.normal_(weight[1])
        weight.mul_(2)
    return net


@pytest.mark.parametrize("value", [torch.randn, torch.ones, torch.empty])
def test_a_parameter_that_is_written_beside_its_module(value):
    def build():
        net, weight = nn.Module(), nn.Parameter(value(3, 4))
        net.register_parameter("weight", weight)
        nn.init.xavier_normal_(weight)
        return net

    for make in (build, lambda: beside(value if value is not torch.empty else torch.zeros)):
        with pt.fast_init(5):
            fast = make()
        model, recipes = deferred(make)
        assert torch.equal(pt.materialize(model, recipes, 5).weight, fast.weight)


def test_a_parameter_that_is_written_beside_its_module_and_through_it():
    with pytest.raises(ValueError, match=r"shape \(3, 4\) was written through two tensors"):
        deferred(lambda: beside(torch.randn, through_both=True))


def test_real_memory_that_is_drawn_in_part():
    def build():
        net, weight = nn.Module(), torch.ones(6)
        weight[:2].normal_()
        net.weight = nn.Parameter(weight)
        return net

    with pt.fast_init(3):
        fast = build()
    model, recipes = deferred(build)
    assert torch.equal(pt.materialize(model, recipes, 3).weight, fast.weight)


def test_a_part_that_is_drawn_twice_does_not_count_twice():
    def build():
        net = nn.Module()
        net.weight = nn.Parameter(torch.empty(6))
        for _ in range(2):
            nn.init.normal_(net.weight[:3])
        return net

    with pytest.raises(ValueError, match="weight: nothing was written to it"):
        pt.materialize(*deferred(build), 0)


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
    found[1:4, :2] = 7  # which is not in the checkpoint
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
