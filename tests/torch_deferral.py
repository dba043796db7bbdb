"""A model built inside deferred(), and a few that are not."""

import pytest
import torch
from torch import nn

from pyinit.adapters import torch as pt


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


def small_llama():
    transformers = pytest.importorskip("transformers")
    config = transformers.LlamaConfig(
        hidden_size=64, num_hidden_layers=2, num_attention_heads=4, intermediate_size=128, vocab_size=300
    )
    return transformers.LlamaForCausalLM(config)


def plain():
    return nn.Sequential(nn.Linear(8, 6), nn.BatchNorm1d(6), nn.Linear(6, 2))
