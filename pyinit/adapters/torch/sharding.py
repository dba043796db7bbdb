"""The part of a tensor that a process holds: `DTensor`s and their local shards, from their placements alone."""

from __future__ import annotations

import math
import sys
from collections.abc import Iterator
from typing import Any, NamedTuple

import numpy as np
import torch

from pyinit import _core
from pyinit.arrays import dtype_of_torch, mark_modified
from pyinit.initializers import Scheme
from pyinit.models import Parameter, fill
from pyinit.models.sharding import Cut, Shard, blocks, pieces_of
from pyinit.streams import Stream

__all__ = [
    "UNSHARDED",
    "Held",
    "fill_held",
    "held",
    "is_distributed",
    "region_of",
    "reshard",
    "why_not_held",
    "with_local",
]

UNSHARDED = "shard a model after the block that builds it; materialize() then makes the shards of one from deferred()"


class Held(NamedTuple):
    """The part of a tensor that this process holds.

    Attributes
    ----------
    local : Tensor
        A plain tensor: the local shard, which shares its memory with the tensor, or the tensor itself.
    shards : list of Shard or None
        The blocks of the whole tensor that `local` holds; None if it is the whole.
    """

    local: torch.Tensor
    shards: list[Shard] | None


def is_distributed(tensor: torch.Tensor) -> bool:
    """Whether a tensor is a `DTensor`."""
    kind = loaded("torch.distributed.tensor", "DTensor")
    return kind is not None and isinstance(tensor, kind)


def loaded(module: str, name: str) -> Any:
    """Return a class if its module is imported, otherwise None: importing it takes longer than building a model."""
    return getattr(sys.modules.get(module), name, None)


def reshard(model: torch.nn.Module) -> None:
    """Put back the shards of the parameters that `fully_shard` has gathered for a forward pass and kept.

    Raises
    ------
    ValueError
        If the model has flat parts of parameters, from the older `FullyShardedDataParallel`.
    """
    kind = loaded("torch.distributed.fsdp", "FSDPModule")
    older = loaded("torch.distributed.fsdp", "FullyShardedDataParallel")
    for module in model.modules() if kind is not None else ():
        if isinstance(module, kind):
            module.reshard()
        elif isinstance(module, older) and module.training_state.name != "SUMMON_FULL_PARAMS":
            raise ValueError(
                "FullyShardedDataParallel keeps flat parts of the parameters: call this inside its "
                "summon_full_params(model), or shard the model with fully_shard"
            )


def held(tensor: Any) -> Held:
    """Return the part of a tensor that this process holds.

    Raises
    ------
    ValueError
        If the tensor must be reduced first (Partial), has an unknown kind of placement, or has a local shard whose
        shape contradicts its placements.
    """
    if not is_distributed(tensor):
        return Held(tensor.detach(), None)
    with torch.no_grad():
        local: torch.Tensor = tensor.to_local().detach()
    if tensor.device_mesh.get_coordinate() is None:
        return Held(local, [])
    shape, cuts = tuple(tensor.shape), list(cuts_of(tensor))
    said = pieces_of(shape, cuts)
    if sizes(said) != tuple(local.shape) or is_ambiguous(shape, cuts, said):
        raise ValueError(
            f"the local shard has shape {tuple(local.shape)}, but its placements {tensor.placements} say "
            f"{sizes(said)}, or leave open which part it is. PyTorch's placements are wrong if fully_shard and tensor "
            "parallelism cut the same dimension unevenly: pad it"
        )
    return Held(local, blocks(shape, said))


def why_not_held(tensor: torch.Tensor) -> str | None:
    """Return why the part of a tensor that this process holds is unknown; None if it is known."""
    try:
        held(tensor)
    except ValueError as error:
        return str(error)
    return None


def region_of(shard: Shard, local: torch.Tensor) -> tuple[slice, ...]:
    """Return the region of the whole tensor that a block in a local shard holds."""
    return tuple(slice(o, o + n) for o, n in zip(shard.offset, local[shard.where].shape))


def sizes(pieces: list[list[range]]) -> tuple[int, ...]:
    """Return the shape of the held part."""
    return tuple(sum(map(len, runs)) for runs in pieces)


def is_ambiguous(shape: tuple[int, ...], cuts: list[Cut], said: list[list[range]]) -> bool:
    """Whether `fully_shard` may have left the same number of other elements.

    It cuts the part that tensor parallelism has left, but its placement describes the opposite order: a strided cut,
    then the others. The two agree only if the parts are even.
    """
    first, last = list(cuts), []
    for dim in {cut.dim for cut in cuts}:
        cut, *others = (cut for cut in cuts if cut.dim == dim)
        plain = all(other.stride == 1 for other in others)
        if plain and 1 < cut.stride == math.prod(other.pieces for other in others):
            first.remove(cut)
            last.append(cut._replace(stride=1))
    done = pieces_of(shape, first + last)
    return said != done and sizes(said) == sizes(done)


def cuts_of(tensor: Any) -> Iterator[Cut]:
    """Yield the cuts that a DTensor's placements make, in the order in which they are made."""
    mesh, coordinate = tensor.device_mesh, tensor.device_mesh.get_coordinate()
    entries = getattr(getattr(tensor, "_spec", None), "shard_order", None) or ()  # may differ from the mesh's order
    first = [dim for entry in entries for dim in entry.mesh_dims]
    for dim in [*first, *(dim for dim in range(mesh.ndim) if dim not in first)]:
        placement = tensor.placements[dim]
        if placement.is_replicate():
            continue
        if placement.is_partial():
            raise ValueError(
                f"a tensor of Partial placement ({placement}) has no values of its own: redistribute it to Shard or "
                "Replicate first"
            )
        if not isinstance(getattr(placement, "dim", None), int):
            raise ValueError(f"pyinit does not know the placement {placement}")
        yield Cut(placement.dim, mesh.size(dim), coordinate[dim], int(getattr(placement, "split_factor", 1)))


def with_local(tensor: Any, local: torch.Tensor) -> torch.Tensor:
    """Return a DTensor like another, with another local shard. The shard may be offloaded to another device.

    Nothing is communicated.
    """
    (name, *others), context = tensor.__tensor_flatten__()
    inner = {name: local, **{other: getattr(tensor, other) for other in others}}
    made: torch.Tensor = type(tensor).__tensor_unflatten__(inner, context, tensor.shape, tensor.stride())
    return made


def fill_held(tensor: torch.Tensor, scheme: Scheme, stream: Stream | None) -> torch.Tensor:
    """Fill this process's part of a tensor by a scheme, and move the stream past the whole tensor.

    Real and imaginary parts are filled alike, as a last axis of length 2.
    """
    if not is_distributed(tensor):
        scheme(torch.view_as_real(tensor) if tensor.is_complex() else tensor, stream)  # type: ignore[arg-type]
        return tensor
    (local, shards), shape = held(tensor), tuple(tensor.shape)
    assert shards is not None
    if tensor.is_complex():
        local, shape = torch.view_as_real(local), (*shape, 2)
        shards = [Shard(shape, (*shard.offset, 0), shard.where) for shard in shards]
    dtype = dtype_of_torch(local.dtype)
    if dtype is None:
        raise TypeError(f"pyinit cannot fill {local.dtype}")
    if not shards:  # the stream moves all the same
        scheme(np.empty((0,) * len(shape), dtype), stream, global_shape=shape)  # type: ignore[arg-type]
        return tensor
    distribution = scheme.distribution_in(dtype)
    if distribution is not None and stream is not None:
        stream = stream.claim(distribution, _core.check_dtype(distribution, dtype)[1], math.prod(shape)).copy(Stream)
    fill([Parameter(None, local[s.where], scheme, s.global_shape, s.offset) for s in shards], stream or 0)
    mark_modified(tensor)
    return tensor
