"""Random tensors that are bit-identical on every device: `randn`, `rand`, `randn_like` and `rand_like`."""

from __future__ import annotations

import math
from collections.abc import Sequence
from operator import index
from typing import Any

import torch

from pyinit import distributions
from pyinit.adapters.torch.init import check_stream
from pyinit.streams import Stream

__all__ = ["rand", "rand_like", "randn", "randn_like"]


def randn(
    *shape: Any,
    seed: int | None = None,
    stream: Stream | None = None,
    dtype: torch.dtype | None = None,
    device: torch.device | str | None = None,
    requires_grad: bool = False,
) -> torch.Tensor:
    """Return a tensor of standard normal samples, bit-identical on every device.

    Parameters
    ----------
    *shape : int, or one sequence of int
    seed : int, optional
        Draw from a new ``pyinit.Stream(seed)``.
    stream : Stream, optional
        Draw from this stream, and advance it. Give either `seed` or `stream`.
    dtype : torch.dtype, optional
        A floating-point or complex dtype. None: torch's default. Samples in narrower dtypes are the float32 samples,
        rounded; float64 samples are different ones. The real and imaginary parts of complex samples have variance 1/2.
    device : torch.device or str, optional
        None: torch's default.
    requires_grad : bool

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
    return made(distributions.normal(), shape, seed, stream, dtype, device, requires_grad)


def rand(
    *shape: Any,
    seed: int | None = None,
    stream: Stream | None = None,
    dtype: torch.dtype | None = None,
    device: torch.device | str | None = None,
    requires_grad: bool = False,
) -> torch.Tensor:
    """Return a tensor of uniform samples in [0, 1), bit-identical on every device; for the arguments see `randn`.

    Examples
    --------
    >>> rand(2, 3, seed=0).shape
    torch.Size([2, 3])
    """
    return made(distributions.uniform(), shape, seed, stream, dtype, device, requires_grad)


def randn_like(tensor: torch.Tensor, **options: Any) -> torch.Tensor:
    """Return standard normal samples with the shape of a tensor and, by default, its dtype and device.

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
    return randn(tensor.shape, **{"dtype": tensor.dtype, "device": tensor.device, **options})


def rand_like(tensor: torch.Tensor, **options: Any) -> torch.Tensor:
    """Return uniform samples in [0, 1) with the shape of a tensor; see `randn_like`.

    Examples
    --------
    >>> rand_like(torch.zeros(2, 3), seed=0).shape
    torch.Size([2, 3])
    """
    return rand(tensor.shape, **{"dtype": tensor.dtype, "device": tensor.device, **options})


def made(
    distribution: Any,
    shape: tuple[Any, ...],
    seed: int | None,
    stream: Stream | None,
    dtype: torch.dtype | None,
    device: torch.device | str | None,
    requires_grad: bool,
) -> torch.Tensor:
    """Return a tensor of samples of a distribution."""
    if (seed is None) == (stream is None):
        raise TypeError("give either seed=, an integer, or stream=, a pyinit.Stream, not both")
    check_stream(stream)
    stream = Stream(seed) if stream is None else stream
    size = tuple(map(index, shape[0] if len(shape) == 1 and isinstance(shape[0], Sequence) else shape))
    if min(size, default=0) < 0:
        raise ValueError(f"shape must not have negative dimensions; got {size}")
    out = torch.empty(size, dtype=dtype, device=device)
    if out.is_complex():
        if distribution == distributions.normal():
            distribution = distributions.normal(0.0, math.sqrt(0.5))
        stream.fill(torch.view_as_real(out), distribution)
    else:
        stream.fill(out, distribution)
    return out.requires_grad_(requires_grad)
