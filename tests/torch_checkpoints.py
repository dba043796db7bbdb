"""Checkpoints of PyTorch models: built, loaded, changed and compared."""

import contextlib
import random

import pytest
import torch
from safetensors.torch import load_file
from torch import nn
from torch_zoo import transformers_models

from pyinit.adapters import torch as pt

SEED = random.Random().randrange(2**64)
UNTOLD = "not compared: its scheme is not in the file; give a configuration"


@contextlib.contextmanager
def default_dtype(name):
    before = torch.get_default_dtype()
    torch.set_default_dtype(getattr(torch, name))
    try:
        yield
    finally:
        torch.set_default_dtype(before)


def built(name, dtype="float32"):
    """Return a model of the zoo: deferred, and with its weights."""
    build = transformers_models()[name]  # with a configuration that no other test has changed
    with default_dtype(dtype):
        with pt.deferred():
            model = build()
        with pt.fast_init(SEED):
            expected = build()
        if name == "rwkv" and dtype == "bfloat16":  # computes constants: torch in bfloat16, a recipe in float32
            with pt.deferred() as recipes:
                expected = build()
            pt.materialize(expected, recipes, SEED)
    assert getattr(torch, dtype) in {parameter.dtype for parameter in expected.parameters()}
    return model, expected


def loaded(folder):
    """Return all tensors of a folder, read by safetensors alone."""
    found = {}
    for file in sorted(folder.glob("*.safetensors")):
        found |= load_file(file)
    return found


def assert_same(found, expected):
    assert found.keys() == expected.keys()
    for name, tensor in expected.items():
        assert found[name].dtype == tensor.dtype, name
        assert torch.equal(found[name], tensor), name


class Odd(nn.Module):
    """Parameters with a row of zeros, scaled, drawn twice, in channels_last, and one that is made whole."""

    def __init__(self):
        super().__init__()
        self.padded = nn.Parameter(torch.randn(6, 8, 10))
        self.scaled = nn.Parameter(torch.randn(6, 8, 10) * 0.25 + torch.rand(6, 8, 10))
        self.conv = nn.Parameter(torch.randn(4, 6, 3, 5).to(memory_format=torch.channels_last))
        self.halves = nn.Parameter(torch.empty(6, 8, 10))
        self.square = nn.Parameter(torch.empty(6, 8, 10))
        with torch.no_grad():
            self.padded[:, 3].zero_()
            self.halves[:3].uniform_()
            self.halves[3:].normal_()
        nn.init.orthogonal_(self.square)


@pytest.fixture(scope="module")
def experts():
    """Return a mixture of experts on the meta device, and its recipes."""
    with pt.deferred() as recipes:
        model = transformers_models()["qwen3_moe"]()
    return model, recipes
