"""Train a small GPT on its own source, with initial weights that depend only on the seed and their names.

Run it with `python nanogpt.py`; it needs PyTorch. The model is built with `fast_init` and initialised like GPT-2:
weights have a standard deviation of 0.02; where a layer writes to the residual stream, this is divided by the square
root of twice the number of layers. The program prints how some weights were made, the loss, and how many tensors have
moved.
"""

import math
from pathlib import Path

import torch
from torch import nn

from pyinit.adapters import torch as pt

SEED = 0
TEXT = torch.tensor(list(Path(__file__).read_bytes()))


class Block(nn.Module):
    """Causal attention and a feed-forward network, each added to the residual stream."""

    def __init__(self, width, heads):
        super().__init__()
        self.heads = heads
        self.norm_1, self.norm_2 = nn.LayerNorm(width), nn.LayerNorm(width)
        self.attention, self.attention_out = nn.Linear(width, 3 * width), nn.Linear(width, width)
        self.up, self.down = nn.Linear(width, 4 * width), nn.Linear(4 * width, width)

    def forward(self, x):
        q, k, v = self.attention(self.norm_1(x)).unflatten(-1, (3, self.heads, -1)).permute(2, 0, 3, 1, 4)
        attended = nn.functional.scaled_dot_product_attention(q, k, v, is_causal=True)
        x = x + self.attention_out(attended.transpose(1, 2).flatten(2))
        return x + self.down(nn.functional.gelu(self.up(self.norm_2(x))))


class GPT(nn.Module):
    """A GPT on bytes, with the output layer tied to the embedding."""

    def __init__(self, symbols=128, context=64, width=64, heads=4, layers=3):
        super().__init__()
        self.tokens, self.places = nn.Embedding(symbols, width), nn.Embedding(context, width)
        self.blocks = nn.ModuleList(Block(width, heads) for _ in range(layers))
        self.norm = nn.LayerNorm(width)
        self.head = nn.Linear(width, symbols, bias=False)
        self.head.weight = self.tokens.weight
        for name, parameter in self.named_parameters():
            if name.endswith(("attention_out.weight", "down.weight")):
                nn.init.normal_(parameter, std=0.02 / math.sqrt(2 * layers))
            elif name.endswith(".bias"):
                nn.init.zeros_(parameter)
            elif parameter.dim() == 2:
                nn.init.normal_(parameter, std=0.02)

    def forward(self, x):
        x = self.tokens(x) + self.places.weight[: x.shape[1]]
        for block in self.blocks:
            x = block(x)
        return self.head(self.norm(x))


def batches(steps, size=16, context=64):
    """Yield pieces of the text and the byte after each byte; they are the same on every machine and device."""
    for step in range(steps):
        starts = (pt.rand(size, seed=step) * (len(TEXT) - context)).long()
        pieces = TEXT[starts[:, None] + torch.arange(context + 1)]
        yield pieces[:, :-1], pieces[:, 1:]


def main(steps=60):
    with pt.fast_init(SEED) as report:
        model = GPT()
    print(report)
    for name in ("blocks.0.up.weight", "blocks.0.down.weight"):
        print(f"{name}: {report.recipes[name]}")
    assert pt.verify(model, report).equal

    optimizer = torch.optim.AdamW(model.parameters(), lr=3e-3)
    for step, (x, y) in enumerate(batches(steps)):
        loss = nn.functional.cross_entropy(model(x).flatten(0, 1), y.flatten())
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
        if step % 20 == 0 or step == steps - 1:
            print(f"step {step}: loss {loss.item():.2f}")
    moved = [row for row in pt.verify(model, report) if row.verdict == "differs"]
    print(f"{len(moved)} of {len(report.recipes)} tensors have moved, by at most {max(r.largest for r in moved):.2f}")

    with pt.deferred() as recipes:  # the same model, built on the meta device, then allocated
        again = GPT()
    pt.materialize(again, recipes, SEED)
    assert pt.verify(again, report).equal


if __name__ == "__main__":
    main()
