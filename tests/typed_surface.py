"""A program with pyinit's public names, for type checkers: `make lint` checks it strictly. It also runs."""

import sys
from typing import Any

import numpy as np
from numpy.typing import NDArray

import pyinit
from pyinit import Stream, distributions, initializers, isa
from pyinit.child_streams import ChildStreams

if sys.version_info >= (3, 11):
    from typing import assert_type
else:
    from typing_extensions import assert_type


def fills(stream: Stream, weights: NDArray[np.float32], words: NDArray[np.uint32]) -> None:
    """Fill an existing array, whose type is kept, and new ones."""
    assert_type(stream.fill_normal(weights, mean=0.0, std=0.02, method="icdf", num_threads=1), NDArray[np.float32])
    assert_type(stream.fill_uniform(weights, -1, 1, global_shape=(16, 4), offset=(8, 0)), NDArray[np.float32])
    assert_type(stream.fill_truncated_normal(weights), NDArray[np.float32])
    assert_type(stream.fill_bits(words), NDArray[np.uint32])
    assert_type(stream.fill(weights, distributions.normal(std=0.02)), NDArray[np.float32])
    assert_type(stream.normal((2, 3), dtype=np.float64), NDArray[Any])
    assert_type(stream.uniform(5), NDArray[Any])
    assert_type(stream.bits(4), NDArray[np.uint32])


def streams(stream: Stream) -> None:
    """Streams: names, positions and copies."""
    assert_type(stream.child("layer.weight").skip_ahead(4), Stream)
    assert_type(stream.copy(), Stream)
    assert_type(Stream.from_state(stream.state), Stream)
    assert_type((stream.generator, stream.seed, stream.id, stream.position), tuple[str, int, int, int])


def schemes(weights: NDArray[np.float32]) -> None:
    """Schemes by name, by text, and by patterns of names."""
    scheme: initializers.Scheme = initializers.xavier_normal(gain=2.0)
    scheme(weights, Stream(1))
    assert_type(initializers.scheme("kaiming_uniform(nonlinearity='relu')"), initializers.Scheme)
    pyinit.initialize({"w": weights}, 0, {"*": "normal(std=0.02)"})


def generators() -> None:
    """NumPy's distributions from pyinit's words."""
    bits = pyinit.BitGenerator(7)
    assert_type(bits.stream, Stream)
    assert_type(bits.seed_seq, ChildStreams)
    assert_type(bits.jumped(), pyinit.BitGenerator)
    assert_type(np.random.Generator(bits), np.random.Generator)


def machine() -> None:
    """The instruction sets, and the folder of the C headers."""
    assert_type(isa.active(), str)
    assert_type(isa.available(), tuple[str, ...])
    with isa.use("scalar"):
        assert_type(pyinit.get_include(), str)


if __name__ == "__main__":
    fills(Stream(42, "ars5", id=1, position=4), np.empty((8, 4), np.float32), np.empty(3, np.uint32))
    streams(Stream(42))
    schemes(np.empty((8, 4), np.float32))
    generators()
    machine()
