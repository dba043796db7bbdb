"""Functions for the tests of sharded tensors."""

import torch

TRAINS = hasattr(torch.cpu.Stream, "record_event")  # without a GPU, which older versions of fully_shard cannot


def equal(a, b):
    """Whether two tensors have the same shape, dtype and bits."""
    return a.shape == b.shape and a.dtype == b.dtype and torch.equal(a.detach(), b.detach())


def shard_of(whole, mesh, placements):
    """Return torch's own shard, for this process, of a tensor that all processes have, without communication."""
    for dim, placement in enumerate(placements):
        if placement.is_replicate():
            continue
        parts, _ = placement._split_tensor(whole, mesh.size(dim), with_padding=False)
        whole = parts[mesh.get_coordinate()[dim]]
    return whole
