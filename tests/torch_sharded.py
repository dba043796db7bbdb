"""What the tests of sharded tensors have in common."""

import torch

TRAINS = hasattr(torch.cpu.Stream, "record_event")  # without a GPU; older versions of fully_shard do not


def equal(a, b):
    """Whether two tensors have the same shape, dtype and bits."""
    return a.shape == b.shape and a.dtype == b.dtype and torch.equal(a.detach(), b.detach())


def shard_of(whole, mesh, placements):
    """What torch itself gives this process of a tensor that all have, without a word between them."""
    for dim, placement in enumerate(placements):
        if placement.is_replicate():
            continue
        parts, _ = placement._split_tensor(whole, mesh.size(dim), with_padding=False)
        whole = parts[mesh.get_coordinate()[dim]]
    return whole
