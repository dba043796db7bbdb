"""Random tensors that are bit-identical on every device: `randn`, `rand`, `randn_like` and `rand_like`."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any

import torch

from pyinit import _core, arrays, initializers
from pyinit.adapters.torch.filling import check_stream
from pyinit.adapters.torch.sharding import fill_held, is_distributed
from pyinit.hints import explained, right_call
from pyinit.initializers import Scheme
from pyinit.streams import Stream

__all__ = ["rand", "rand_like", "randn", "randn_like"]


@explained(right_call)
def randn(
    *shape: Any,
    seed: int | None = None,
    stream: Stream | None = None,
    dtype: Any = None,
    device: torch.device | str | None = None,
    requires_grad: bool = False,
    device_mesh: Any = None,
    placements: Sequence[Any] | None = None,
) -> torch.Tensor:
    """Return a tensor of standard normal samples, bit-identical on every device and for every sharding.

    Parameters
    ----------
    *shape : int, or one sequence of int
    seed : int, optional
        Draw from a new ``pyinit.Stream(seed)``.
    stream : Stream, optional
        Draw from this stream, and advance it. Give either `seed` or `stream`.
    dtype : torch.dtype, dtype or str, optional
        A floating-point or complex dtype of torch or NumPy, or its name. None: torch's default. Samples in narrower
        dtypes are the float32 samples, rounded; float64 samples are different. In complex samples, the real and
        imaginary parts have variance 1/2.
    device : torch.device or str, optional
        None: torch's default.
    requires_grad : bool
    device_mesh : DeviceMesh, optional
        Return a DTensor on this mesh, as ``torch.distributed.tensor.randn`` does; each process makes its own part.
    placements : sequence of Placement, optional
        One for each dimension of the mesh; only with `device_mesh`. None: Replicate.

    Returns
    -------
    Tensor

    Raises
    ------
    TypeError, ValueError
        If not exactly one of `seed` and `stream` is given, or an argument has a wrong type or value.

    Examples
    --------
    >>> latents = randn(1, 4, 64, 64, seed=0, dtype=torch.float16)
    >>> torch.equal(latents, randn((1, 4, 64, 64), seed=0).half())
    True
    """
    mesh = device_mesh, placements
    return made(initializers.normal(), shape, seed, stream, dtype, device, requires_grad, mesh)


@explained(right_call)
def rand(
    *shape: Any,
    seed: int | None = None,
    stream: Stream | None = None,
    dtype: Any = None,
    device: torch.device | str | None = None,
    requires_grad: bool = False,
    device_mesh: Any = None,
    placements: Sequence[Any] | None = None,
) -> torch.Tensor:
    """Return a tensor of uniform samples in [0, 1), bit-identical on every device; for the arguments see `randn`.

    Examples
    --------
    >>> rand(2, 3, seed=0).shape
    torch.Size([2, 3])
    """
    mesh = device_mesh, placements
    return made(initializers.uniform(), shape, seed, stream, dtype, device, requires_grad, mesh)


def randn_like(tensor: torch.Tensor, **options: Any) -> torch.Tensor:
    """Return standard normal samples with the shape of a tensor and, by default, its dtype, device and placements.

    Parameters
    ----------
    tensor : Tensor
    **options
        Keyword arguments of `randn`.

    Examples
    --------
    >>> randn_like(torch.zeros(2, 3, dtype=torch.float64), seed=0).dtype
    torch.float64
    """
    return randn(tensor.shape, **{**options_of(tensor), **options})


def rand_like(tensor: torch.Tensor, **options: Any) -> torch.Tensor:
    """Return uniform samples in [0, 1) with the shape of a tensor; see `randn_like`.

    Examples
    --------
    >>> rand_like(torch.zeros(2, 3), seed=0).shape
    torch.Size([2, 3])
    """
    return rand(tensor.shape, **{**options_of(tensor), **options})


def options_of(tensor: Any) -> dict[str, Any]:
    """Return the keyword arguments of `randn` for a tensor like another."""
    if is_distributed(tensor):
        return {"dtype": tensor.dtype, "device_mesh": tensor.device_mesh, "placements": tensor.placements}
    return {"dtype": tensor.dtype, "device": tensor.device}


def made(
    scheme: Scheme,
    shape: tuple[Any, ...],
    seed: int | None,
    stream: Stream | None,
    dtype: Any,
    device: torch.device | str | None,
    requires_grad: bool,
    mesh: tuple[Any, Sequence[Any] | None],
) -> torch.Tensor:
    """Return a tensor of samples."""
    if (seed is None) == (stream is None):
        raise TypeError("give either seed=, an integer, or stream=, a pyinit.Stream, not both")
    check_stream(stream)
    stream = Stream(seed) if stream is None else stream
    size = _core.index_tuple("shape", shape[0] if len(shape) == 1 else shape)
    out = empty(size, dtype_of(dtype), device, *mesh)
    if out.is_complex() and scheme == initializers.normal():
        scheme = initializers.normal(0.0, math.sqrt(0.5))
    return fill_held(out, scheme, stream).requires_grad_(requires_grad)


def dtype_of(dtype: Any) -> torch.dtype | None:
    """Return torch's dtype for a dtype or its name, or raise TypeError.

    Examples
    --------
    >>> dtype_of("bfloat16"), dtype_of("torch.float16"), dtype_of(None)
    (torch.bfloat16, torch.float16, None)
    """
    if dtype is None or isinstance(dtype, torch.dtype):
        return dtype
    found = arrays.dtype_of(dtype)
    row = _core.dtype_row(found)
    named = getattr(torch, found.name if row is None else row.name, None)
    if not isinstance(named, torch.dtype):
        raise TypeError(f"dtype must be one of torch's, or the name of one; got {_core.text_of(dtype)}")
    return named


def empty(
    size: tuple[int, ...],
    dtype: torch.dtype | None,
    device: torch.device | str | None,
    mesh: Any,
    placements: Sequence[Any] | None,
) -> torch.Tensor:
    """Return an unwritten tensor, a DTensor if there is a mesh."""
    if mesh is None:
        if placements is not None:
            raise TypeError("placements need a device_mesh; got None")
        return torch.empty(size, dtype=dtype, device=device)
    if device is not None:
        raise TypeError(f"a tensor on a device_mesh is on the mesh's device; got device={device!r} too")
    from torch.distributed import tensor as distributed

    if placements is not None and any(placement.is_partial() for placement in placements):
        raise ValueError(f"placements must be Shard or Replicate; got {placements}")
    made: torch.Tensor = distributed.empty(size, dtype=dtype, device_mesh=mesh, placements=placements)
    return made
