"""Train a sharded transformer to reverse digits; each process makes only the weights that it holds.

Run it with `torchrun --nproc-per-node 2 train.py`. The weights, and so the hash, are the same for every number of
processes, and nothing is communicated to make them.
"""

import hashlib

import torch
import torch.distributed as dist
from torch import nn
from torch.distributed.device_mesh import init_device_mesh
from torch.distributed.fsdp import fully_shard
from torch.distributed.tensor import DTensor

from pyinit.adapters import torch as pt

SEED, DIGITS, LENGTH, BATCH = 0, 10, 8, 64


class Reverser(nn.Module):
    """An encoder that reads digits, scores the ten digits for each position, and returns the loss."""

    def __init__(self, width=64, layers=2):
        super().__init__()
        self.digits = nn.Embedding(DIGITS, width)
        self.places = nn.Parameter(torch.randn(LENGTH, width) * 0.02)
        self.blocks = nn.ModuleList(
            nn.TransformerEncoderLayer(width, 4, 4 * width, dropout=0.0, batch_first=True, norm_first=True)
            for _ in range(layers)
        )
        self.scores = nn.Linear(width, DIGITS)

    def forward(self, x, y):
        x = self.digits(x) + self.places
        for block in self.blocks:
            x = block(x)
        return nn.functional.cross_entropy(self.scores(x).flatten(0, 1), y.flatten())


def digest(model):
    """Return a hash of all weights; the processes gather one weight at a time."""
    found = hashlib.sha256()
    for weight in model.state_dict().values():
        whole = weight.full_tensor() if isinstance(weight, DTensor) else weight
        found.update(whole.contiguous().numpy())
    return found.hexdigest()


def train(model, steps):
    """Return the losses of the first and the last step."""
    optimizer, losses = torch.optim.Adam(model.parameters(), lr=2e-3), []
    for step in range(steps):
        whole = (pt.rand(BATCH, LENGTH, seed=step) * DIGITS).long()  # the same in every process; each takes its part
        x = whole[dist.get_rank() :: dist.get_world_size()]
        loss = model(x, x.flip(1))
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
        losses.append(loss.item())
    return losses[0], losses[-1]


def main(steps=60):
    dist.init_process_group("gloo")
    mesh = init_device_mesh("cpu", (dist.get_world_size(),))

    with pt.deferred() as recipes:  # on the meta device, without memory
        model = Reverser()
    for block in model.blocks:
        fully_shard(block, mesh=mesh)
    fully_shard(model, mesh=mesh)
    pt.materialize(model, recipes, SEED)
    assert pt.verify(model, recipes, SEED).equal

    before, (first, last) = digest(model), train(model, steps)
    if dist.get_rank() == 0:
        print(f"{dist.get_world_size()} processes: {before}")
        print(f"loss {first:.2f} -> {last:.2f}")
    dist.destroy_process_group()


if __name__ == "__main__":
    main()
