"""Fills inside programs that JAX compiles.

On the CPU the program calls the C core through XLA's foreign function interface, with the key and the offset as
operands; each of several devices makes its own part. On other platforms the host makes the values in a callback.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass, replace
from functools import cache, lru_cache, partial
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
from jax.custom_batching import custom_vmap
from jax.experimental.custom_partitioning import custom_partitioning
from jax.sharding import Mesh, NamedSharding, PartitionSpec
from numpy.typing import NDArray

from pyinit import _core
from pyinit.adapters.jax.keys import stream_of
from pyinit.initializers import Scheme

__all__ = ["Fill", "program"]

TARGET = "pyinit_fill"
VERSIONS = (1, 2, 3)  # minor versions of XLA's interface that have the layout of src_c/xla.h
AXIS = "device"


@dataclass(frozen=True)
class Fill:
    """The static part of a fill, known when the program is traced.

    Parameters
    ----------
    scheme : Scheme
        The scheme, resolved for the tensor's shape.
    generator : {"philox", "ars5", "ars7"}
    dtype : dtype
    shape, global_shape : tuple of int
        The shapes of the block and of the tensor.
    batch : tuple of int
        The numbers of blocks, each with its own key, along the result's first axes.
    """

    scheme: Scheme
    generator: str
    dtype: np.dtype[Any]
    shape: tuple[int, ...]
    global_shape: tuple[int, ...]
    batch: tuple[int, ...] = ()

    @property
    def result(self) -> jax.ShapeDtypeStruct:
        """The result's shape and dtype."""
        return jax.ShapeDtypeStruct((*self.batch, *self.shape), self.dtype)


@lru_cache(maxsize=1024)
def program(fill: Fill) -> Callable[..., jax.Array]:
    """Return a fill's compiled function of a key's words and of the offset in the tensor, both uint32.

    Under `jax.vmap` each key gets the same array as alone.
    """

    @custom_vmap
    def run(words: jax.Array, offset: jax.Array) -> jax.Array:
        if fill.scheme.distribution_in(fill.dtype) is None or not is_registered():
            return call_back(fill, words, offset)
        return jax.lax.platform_dependent(
            words, offset, cpu=partial(on_all_devices, fill), default=partial(call_back, fill)
        )

    @run.def_vmap
    def run_batch(size: int, is_batched: Any, words: jax.Array, offset: jax.Array) -> tuple[jax.Array, bool]:
        words, offset = (
            x if batched else jnp.broadcast_to(x, (size, *x.shape)) for x, batched in zip((words, offset), is_batched)
        )
        return program(replace(fill, batch=(size, *fill.batch)))(words, offset), True

    return jax.jit(run)


@cache
def is_registered() -> bool:
    """Register the C core with XLA; return False if there is no CPU, or XLA accepts none of its versions."""
    try:
        jax.local_devices(backend="cpu")  # only afterwards does XLA check a version
    except RuntimeError:
        return False
    for version in VERSIONS:
        try:
            jax.ffi.register_ffi_target(TARGET, _core.xla_handler(version), platform="cpu")
        except RuntimeError:
            continue
        return True
    return False


def call_core(fill: Fill, words: jax.Array, offset: jax.Array) -> jax.Array:
    """Call the C core from the program."""
    distribution = fill.scheme.distribution_in(fill.dtype)
    assert distribution is not None
    parameters = np.zeros(4)
    parameters[: len(distribution.parameters)] = list(distribution.parameters.values())
    call = jax.ffi.ffi_call(TARGET, fill.result)
    result: jax.Array = call(
        words,
        offset,
        generator=np.int64(_core.GENERATORS[fill.generator]),
        sampler=np.int64(_core.SAMPLERS[distribution.sampler].number),
        parameters=parameters,
        global_shape=np.array(fill.global_shape, np.int64),
    )
    return result


def call_back(fill: Fill, words: jax.Array, offset: jax.Array) -> jax.Array:
    """Call Python on the host from the program."""
    result: jax.Array = jax.pure_callback(partial(on_host, fill), fill.result, words, offset)
    return result


def on_host(fill: Fill, words: Any, offset: Any) -> NDArray[Any]:
    """Make the values with NumPy."""
    count = math.prod(fill.batch)
    out = np.empty((count, *fill.shape), fill.dtype)
    words, offset = np.asarray(words).reshape(count, -1), np.asarray(offset).reshape(count, len(fill.shape))
    for part, key, start in zip(out, words, offset):
        fill.scheme(part, stream_of(key, fill.generator), global_shape=fill.global_shape, offset=start.tolist())
    return out.reshape(fill.result.shape)


def on_all_devices(fill: Fill, words: jax.Array, offset: jax.Array) -> jax.Array:
    """Call the C core for each device's part, if the compiler splits the result."""

    @custom_partitioning
    def run(words: jax.Array, offset: jax.Array) -> jax.Array:
        return call_core(fill, words, offset)

    def partition(mesh: Any, arguments: Any, result: Any) -> Any:
        shards = Shards(result.sharding, fill.result.shape)
        return shards.mesh, partial(call_part, fill, shards), result.sharding, (shards.replicated,) * 2

    def inferred(mesh: Any, arguments: Any, result: Any) -> Any:
        return Shards(arguments[0].sharding, arguments[0].shape).replicated

    keys = " ".join(f"key{i}" for i in range(len(fill.batch)))
    axes = " ".join(f"axis{i}" for i in range(len(fill.shape)))
    run.def_partition(
        partition=partition,
        infer_sharding_from_operands=inferred,  # older versions of JAX need it
        decode_shardings=False,
        sharding_rule=f"{keys} word, {keys} number -> {keys} {axes}",
    )
    result: jax.Array = run(words, offset)
    return result


class Shards:
    """How an array is split over devices.

    Attributes
    ----------
    mesh : Mesh
        All its devices, along one axis.
    shape : tuple of int
        The shape of a shard. If the number of shards does not divide an axis, the last shards are padded.
    starts : numpy.ndarray of uint32, shape (devices, dimensions)
        The offset of each device's shard.
    """

    def __init__(self, sharding: Any, shape: tuple[int, ...]) -> None:
        size = sharding.num_devices
        # JAX describes the split only of a shape that is divisible by the number of devices.
        divisible = tuple(size * n for n in shape)
        places = sharding.devices_indices_map(divisible)
        block = sharding.shard_shape(divisible)
        self.mesh = Mesh(np.array(list(places)), (AXIS,))
        self.shape = tuple(-(-n * b // m) if m else 0 for n, b, m in zip(shape, block, divisible))
        self.starts = np.array(
            [
                [(axis.start or 0) // (b or 1) * n for axis, b, n in zip(index, block, self.shape)]
                for index in places.values()
            ],
            np.uint32,
        )

    @property
    def replicated(self) -> NamedSharding:
        """The sharding of an array with a copy on each device."""
        return NamedSharding(self.mesh, PartitionSpec())


def call_part(fill: Fill, shards: Shards, words: jax.Array, offset: jax.Array) -> jax.Array:
    """Call the C core for one device's part, with the words and the offset of all."""
    n = len(fill.batch)
    start = jnp.asarray(shards.starts)[jax.lax.axis_index(AXIS)]
    if n:
        first = [*start[:n], np.uint32(0)]
        words, offset = (jax.lax.dynamic_slice(x, first, (*shards.shape[:n], x.shape[-1])) for x in (words, offset))
    part = replace(fill, batch=shards.shape[:n], shape=shards.shape[n:])
    return call_core(part, words, offset + start[n:])
