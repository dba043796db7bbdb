"""Train a transformer to reverse digits, with initial weights that depend only on the seed and their names.

Run it with `python train.py`. It builds the model with `fast_init`, prints how some weights were made, verifies them,
trains for a few steps, and counts the weights that have changed.
"""

import torch
from torch import nn

from pyinit.adapters import torch as pt

SEED, DIGITS, LENGTH = 0, 10, 8


class Reverser(nn.Module):
    """An encoder that reads digits and returns scores of the ten digits for each position."""

    def __init__(self, width=64, layers=2):
        super().__init__()
        self.digits = nn.Embedding(DIGITS, width)
        self.places = nn.Parameter(torch.randn(LENGTH, width) * 0.02)
        layer = nn.TransformerEncoderLayer(width, 4, 4 * width, dropout=0.0, batch_first=True, norm_first=True)
        self.encoder = nn.TransformerEncoder(layer, layers, enable_nested_tensor=False)
        self.scores = nn.Linear(width, DIGITS)
        nn.init.trunc_normal_(self.scores.weight, std=0.02)

    def forward(self, x):
        return self.scores(self.encoder(self.digits(x) + self.places))


def batches(steps, size=128):
    """Yield batches that are the same on every machine and device."""
    for step in range(steps):
        x = (pt.rand(size, LENGTH, seed=step) * DIGITS).long()
        yield x, x.flip(1)


def main(steps=100):
    with pt.fast_init(SEED) as report:
        model = Reverser()
    print(report)
    print(report.recipes["places"], "|", report.recipes["scores.weight"])
    assert pt.verify(model, report.recipes, SEED).equal

    optimizer = torch.optim.Adam(model.parameters(), lr=2e-3)
    losses = []
    for x, y in batches(steps):
        loss = nn.functional.cross_entropy(model(x).flatten(0, 1), y.flatten())
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
        losses.append(loss.item())
    print(f"loss {losses[0]:.2f} -> {losses[-1]:.2f}")
    moved = [row for row in pt.verify(model, report.recipes, SEED) if row.verdict == "differs"]
    print(f"{len(moved)} of {len(report.recipes)} tensors have moved, by at most {max(r.largest for r in moved):.2f}")

    with pt.deferred() as recipes:  # the same model, built on the meta device, then allocated
        again = Reverser()
    pt.materialize(again, recipes, SEED)
    assert pt.verify(again, report.recipes, SEED).equal


if __name__ == "__main__":
    main()
