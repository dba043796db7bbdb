"""Windows of views: a part of a recorded tensor can be made alone, with the bits of the whole."""

import itertools
import random

import numpy as np
import pytest

torch = pytest.importorskip("torch")
pytest.importorskip("transformers")
safetensors = pytest.importorskip("safetensors.torch")

from torch import nn  # noqa: E402
from torch_checkpoints import SEED, Odd  # noqa: E402

import pyinit  # noqa: E402
from pyinit.adapters import torch as pt  # noqa: E402
from pyinit.adapters.torch.playing import Player  # noqa: E402
from pyinit.adapters.torch.recording import Recorder  # noqa: E402
from pyinit.adapters.torch.tape import Geometry, View  # noqa: E402
from pyinit.adapters.torch.watching import recording  # noqa: E402
from pyinit.adapters.torch.windows import is_divisible, part, placed  # noqa: E402


def turned(tensor, rng):
    """Return a random view of a tensor, or a copy of one."""
    for _ in range(rng.randrange(1, 5)):
        kind, dim = rng.randrange(7), rng.randrange(tensor.dim()) if tensor.dim() else 0
        if kind == 0 and tensor.dim() > 1:
            tensor = tensor.select(dim, rng.randrange(tensor.shape[dim]))
        elif kind == 1 and tensor.dim():
            tensor = rng.choice(tensor.chunk(2, dim))
        elif kind == 2 and tensor.dim() > 1:
            tensor = tensor.transpose(dim, rng.randrange(tensor.dim()))
        elif kind == 3:
            tensor = tensor.unsqueeze(rng.randrange(tensor.dim() + 1))
        elif kind == 4:
            tensor = tensor.contiguous()
        elif kind == 5 and tensor.dim():
            tensor = tensor[
                (slice(None),) * dim + (slice(rng.randrange(tensor.shape[dim]), None, rng.choice((1, 2, 3))),)
            ]
        elif tensor.dim() and rng.random() < 0.3:
            tensor = torch.cat([tensor, tensor * 2], dim)
    return tensor


def test_windows_of_random_views():
    with pt.deferred() as recipes:
        model = Odd()
    with pt.fast_init(SEED):
        whole_model = Odd()
    expected = dict(whole_model.named_parameters())
    del model
    divisible = compared = 0
    for number in range(400):
        name = sorted(expected)[number % 5]
        view, rng = recipes[name].view, random.Random(f"{SEED} {number}")
        state = rng.getstate()
        recorder = Recorder(None)
        flat = torch.empty(view.contents.size, device="meta")
        recorder.enter(flat).contents = view.contents
        with recording(recorder), torch.no_grad():
            there = turned(view.geometry.on(flat), rng)
        rng.setstate(state)
        whole = turned(expected[name].detach(), rng)
        found = View(recorder.entry(there).contents, Geometry.of(there))
        begins = [rng.randrange(n) for n in whole.shape]
        region = tuple(slice(b, rng.randrange(b + 1, n + 1)) for b, n in zip(begins, whole.shape))
        made = Player(pyinit.Stream(SEED)).make(part(found, region), torch.device("cpu"))
        assert torch.equal(made, whole[region]), (SEED, number)
        memory = torch.zeros(2 * made.numel() + 3)
        gapped = memory[3:].view(*made.shape, 2)[..., 0]
        contents = placed(part(found, region), gapped)
        assert (contents.size, contents.dtype) == (len(memory), memory.dtype)
        Player(pyinit.Stream(SEED)).play([(contents, memory)])
        assert torch.equal(gapped, made), (SEED, number)
        assert memory.count_nonzero() == made.count_nonzero()
        compared += name in ("padded", "conv", "scaled")
        divisible += name in ("padded", "conv", "scaled") and is_divisible(found)
    assert divisible > compared * 0.25
    last = Geometry.whole((6, 8, 10))._replace(shape=(2, 8, 10), offset=4 * 80)
    assert is_divisible(View(recipes["halves"].view.contents, last))  # it is a part of the second draw alone


UNARY = ("softplus", "sigmoid", "gelu", "exp", "log1p", "expm1", "sin", "cos", "tanh", "rsqrt", "atan", "silu", "mish")


@pytest.mark.parametrize("transposed", [False, True])
@pytest.mark.parametrize("name", [*UNARY, "pow", "square", "div"])
def test_what_torch_computes_does_not_depend_on_how_it_is_cut(name, transposed):
    functions = {"pow": lambda x: x**1.5, "div": lambda x: 1.0 / x}
    function = functions.get(name) or getattr(nn.functional, name, None) or getattr(torch, name)

    class Model(nn.Module):
        def __init__(self):
            super().__init__()
            values = function(torch.rand(301, 97) + 0.1)
            self.weight = nn.Parameter(values.t() if transposed else values)

    with pt.deferred():
        model = Model()
    [tensor], _, _ = pt.tensors_of(model, pyinit.Stream(SEED), None, "disk")
    whole, parts = np.empty((2, tensor.size), np.float32)
    tensor.fill(whole, 0)
    cuts = sorted({0, tensor.size, *np.random.default_rng(SEED % 2**32).integers(0, tensor.size, 9).tolist()})
    for start, stop in itertools.pairwise(cuts):
        tensor.fill(parts[start:stop], start)
    assert whole.tobytes() == parts.tobytes()


@pytest.mark.parametrize("name", UNARY)
def test_what_torch_computes_does_not_depend_on_its_threads(name):
    function = getattr(nn.functional, name, None) or getattr(torch, name)

    class Model(nn.Module):
        def __init__(self):
            super().__init__()
            self.weight = nn.Parameter(function(torch.rand(3001, 101) + 0.1))

    made, before = [], torch.get_num_threads()
    try:
        for threads in (1, 2, 3):
            torch.set_num_threads(threads)
            with pt.fast_init(SEED):
                model = Model()
            assert torch.get_num_threads() == threads
            made.append(model.weight.detach())
    finally:
        torch.set_num_threads(before)
    assert all(torch.equal(weight, made[0]) for weight in made)
