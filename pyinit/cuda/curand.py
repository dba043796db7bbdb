"""backend="cupy": the numbers of CuPy's own generator, which are cuRAND's."""

from __future__ import annotations

import hashlib
from typing import TYPE_CHECKING, Any

import numpy as np

from pyinit import _core
from pyinit.cuda.driver import cupy, current, device_of
from pyinit.kernels.jobs import Kind, Write

if TYPE_CHECKING:
    from pyinit.cuda.arrays import CudaArray


def fill(view: CudaArray, write: Write, state: _core.StreamState, arguments: tuple[Any, ...]) -> None:
    """Fill an array on a GPU, as `View.fill` says, with other samples than those of the stream.

    They are those of ``cupy.random.Generator(cupy.random.Philox4x3210(seed))``, with a seed that is hashed from where
    the stream stands, and of which CuPy keeps 32 bits; the stream moves on as ever. Which samples these are depends on
    CuPy's version.
    """
    *parameters, global_shape, offset, _ = arguments
    device = 0
    if write not in (_core.fill_bits, _core.fill_uniform, _core.fill_normal) or parameters[2:] == ["icdf"]:
        raise ValueError('backend="cupy" has bits, uniform samples and normal ones by "box_muller" alone')
    if global_shape is not None or offset is not None:
        raise ValueError('backend="cupy" fills whole arrays: its samples have no place in a tensor for global_shape')

    def ready(kind: Kind) -> None:
        nonlocal device
        device = device_of(view.start) if view.size else 0

    begin, _ = write(state, view.geometry, *arguments, ready=ready)
    if view.size:
        with current(device, view.stream):
            _fill(view, write, begin, parameters)


def _fill(view: CudaArray, write: Write, begin: _core.StreamState, parameters: list[Any]) -> None:
    cp = cupy()
    generator = cp.random.Generator(cp.random.Philox4x3210(_seed(begin)))
    if write is _core.fill_bits:
        # Not `integers`, which below CuPy 14.2 fails for this range (https://github.com/cupy/cupy/issues/9745).
        view.as_cupy(np.uint32)[...] = generator.bit_generator.random_raw(view.shape)
        return
    dtype = np.float64 if view.dtype == np.float64 else np.float32
    if write is _core.fill_uniform:
        low, high = map(float, parameters)
        samples = generator.random(view.shape, dtype)  # with `out` alone it makes one number for all
        samples *= high - low
        samples += low
    else:
        mean, std = map(float, parameters[:2])
        samples = generator.standard_normal(view.shape, dtype)
        samples *= std
        samples += mean
    if view.dtype == np.float16 or samples.dtype == view.dtype:
        view.as_cupy(view.dtype)[...] = samples
    else:  # bfloat16: the upper half, rounded to nearest even
        bits = samples.view(np.uint32)
        bits += 0x7FFF + (bits >> 16 & 1)
        view.as_cupy(np.uint16)[...] = bits >> 16


def _seed(state: _core.StreamState) -> int:
    """A seed of 64 bits of all that a stream is."""
    text = f"{state.generator} {state.seed} {state.id} {state.position}"
    return int.from_bytes(hashlib.blake2b(text.encode(), digest_size=8).digest(), "little")
