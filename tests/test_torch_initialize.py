"""Existing models, filled by `initialize_module` with a plan or with the modules' own initialisation."""

import contextlib
import math

import numpy as np
import pytest

torch = pytest.importorskip("torch")

from torch import nn  # noqa: E402
from torch_deferral import plain, small_llama  # noqa: E402

import pyinit  # noqa: E402
from pyinit.adapters import torch as pt  # noqa: E402


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
    with pytest.warns(UserWarning, match="normalisation layers, which usually start as ones or zeros: 1.weight"):
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
