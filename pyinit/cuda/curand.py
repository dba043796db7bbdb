"""backend="cupy": samples of CuPy's own generator, cuRAND's Philox."""

from __future__ import annotations

import hashlib
from typing import Any

import numpy as np

from pyinit._core import Distribution, StreamState
from pyinit.cuda.driver import cupy


def check(distribution: Distribution, dtype: np.dtype[Any]) -> None:
    """Raise ValueError for samples that CuPy's generator lacks."""
    if distribution.sampler not in ("bits", "uniform", "normal"):
        raise ValueError('backend="cupy" has only bits, uniform samples, and normal samples with "box_muller"')
    if dtype.itemsize == 1:
        raise ValueError(f'backend="cupy" has no samples of {dtype}')


def samples(distribution: Distribution, begin: StreamState, shape: tuple[int, ...], dtype: np.dtype[Any]) -> Any:
    """Draw from ``cupy.random.Generator(cupy.random.Philox4x3210(seed))``.

    The seed is hashed from the stream's state, and CuPy keeps 32 bits of it. The samples depend on CuPy's version.

    Returns
    -------
    cupy.ndarray
        Has dtype `dtype`; for bfloat16, the bits.
    """
    generator = cupy().random.Generator(cupy().random.Philox4x3210(_seed(begin)))
    if distribution.sampler == "bits":
        # `integers` fails for this range before CuPy 14.2 (https://github.com/cupy/cupy/issues/9745).
        return generator.bit_generator.random_raw(shape)
    real = np.float64 if dtype == np.float64 else np.float32
    if distribution.sampler == "uniform":
        low, high = distribution.parameters.values()
        drawn = generator.random(shape, real)  # with only `out` it would repeat one number
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
    """A 64-bit hash of a stream's whole state."""
    text = f"{state.generator} {state.seed} {state.id} {state.position}"
    return int.from_bytes(hashlib.blake2b(text.encode(), digest_size=8).digest(), "little")
