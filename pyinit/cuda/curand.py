"""backend="cupy": the numbers of CuPy's own generator, which are cuRAND's."""

from __future__ import annotations

import hashlib
from typing import Any

import numpy as np

from pyinit._core import Distribution, StreamState
from pyinit.cuda.driver import cupy


def check(distribution: Distribution, dtype: np.dtype[Any]) -> None:
    """Raise ValueError for what CuPy's generator does not make."""
    if distribution.sampler not in ("bits", "uniform", "normal"):
        raise ValueError('backend="cupy" has bits, uniform samples and normal ones by "box_muller" alone')
    if dtype.itemsize == 1:
        raise ValueError(f'backend="cupy" has no samples of {dtype}')


def samples(distribution: Distribution, begin: StreamState, shape: tuple[int, ...], dtype: np.dtype[Any]) -> Any:
    """Draw from ``cupy.random.Generator(cupy.random.Philox4x3210(seed))``.

    The seed is hashed from where the stream stands, and CuPy keeps 32 bits of it. Which samples these are depends on
    CuPy's version.

    Returns
    -------
    cupy.ndarray
        Of `dtype`, of bfloat16 its bits.
    """
    generator = cupy().random.Generator(cupy().random.Philox4x3210(_seed(begin)))
    if distribution.sampler == "bits":
        # Not `integers`, which below CuPy 14.2 fails for this range (https://github.com/cupy/cupy/issues/9745).
        return generator.bit_generator.random_raw(shape)
    real = np.float64 if dtype == np.float64 else np.float32
    if distribution.sampler == "uniform":
        low, high = distribution.parameters.values()
        drawn = generator.random(shape, real)  # with `out` alone it makes one number for all
        drawn *= high - low
        drawn += low
    else:
        mean, std = distribution.parameters.values()
        drawn = generator.standard_normal(shape, real)
        drawn *= std
        drawn += mean
    if dtype == np.float16 or drawn.dtype == dtype:
        return drawn
    bits = drawn.view(np.uint32)  # bfloat16: the upper half, rounded to nearest even
    bits += 0x7FFF + (bits >> 16 & 1)
    return bits >> 16


def _seed(state: StreamState) -> int:
    """A seed of 64 bits of all that a stream is."""
    text = f"{state.generator} {state.seed} {state.id} {state.position}"
    return int.from_bytes(hashlib.blake2b(text.encode(), digest_size=8).digest(), "little")
