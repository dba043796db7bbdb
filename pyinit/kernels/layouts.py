"""How the threads of a GPU share an array."""

import math
import struct
from collections.abc import Sequence
from typing import NamedTuple

THREADS = 256  # of a CUDA block; fill.cu's PYI_CUDA_THREADS
BLOCKS_PER_MULTIPROCESSOR = 8  # a multiprocessor holds at most 2048 threads
WAVES = 8  # a wave is as many CUDA blocks as the device holds; 4 to 8 waves were up to 6% faster than 1 on an H200
TURN = 4  # units that a thread takes in one turn of a run's loop; fill.cu's PYI_CUDA_BLOCKS
MAX_AXES = 65  # in pyi_cuda_window


class Axis(NamedTuple):
    """A dimension's length, and its steps in samples and in bytes."""

    length: int
    step: int
    stride: int


class Layout(NamedTuple):
    """Where the samples go: runs of `length` consecutive samples, `stride` bytes apart, and the axes over the runs.

    If a run takes several blocks of words, `axes` has one more, for its blocks: number `block_axis`. The first axis
    varies fastest between threads. Without axes there is one run, without gaps.
    """

    first: int
    length: int
    stride: int
    axes: tuple[Axis, ...]
    block_axis: int
    units: int

    @property
    def is_run(self) -> bool:
        """Whether the array is one run without gaps, which has a kernel of its own."""
        return not self.axes

    def packed(self) -> bytes:
        """The `pyi_cuda_window` of fill.cu."""
        axes = b"".join(struct.pack("=QQq", *axis) for axis in self.axes)
        head = struct.pack("=QQqII", self.first, self.length, self.stride, len(self.axes), self.block_axis)
        return (head + axes).ljust(len(head) + MAX_AXES * 24, b"\0")


def run_of(length: int, itemsize: int, first: int = 0) -> Layout:
    """The layout of `length` elements without gaps, from sample `first` on.

    Examples
    --------
    >>> from pyinit.kernels.layouts import layout, run_of
    >>> run_of(12, 4) == layout((3, 4), (16, 4), 4)
    True
    """
    return Layout(first, length, itemsize, (), 0, length // (2 if itemsize == 8 else 4) + 2)


def layout(
    shape: Sequence[int],
    strides: Sequence[int],
    itemsize: int,
    global_shape: Sequence[int] | None = None,
    offset: Sequence[int] | None = None,
) -> Layout:
    """How threads share an array that is a block of a larger tensor.

    Parameters
    ----------
    shape, strides : sequence of int
        Those of the array, which must not be empty; strides in bytes.
    itemsize : {1, 2, 4, 8}
        Bytes per element.
    global_shape, offset : sequence of int, optional
        As for `Stream.fill_normal`, checked.

    Returns
    -------
    Layout

    Examples
    --------
    >>> pyinit.kernels.layouts.layout((3, 4), (16, 4), 4).is_run
    True
    >>> pyinit.kernels.layouts.layout((3, 4), (4, 12), 4).axes
    (Axis(length=3, step=4, stride=4), Axis(length=2, step=0, stride=0))
    """
    whole = shape if global_shape is None else global_shape
    where = (0,) * len(whole) if offset is None else offset
    steps = [math.prod(whole[i + 1 :]) for i in range(len(whole))]
    first = sum(o * step for o, step in zip(where, steps))
    axes = _joined([Axis(*axis) for axis in zip(shape, steps, strides) if axis[0] > 1])

    run = axes.pop() if axes and axes[-1].step == 1 else Axis(1, 1, itemsize)
    per_block = 2 if itemsize == 8 else 4
    if not axes and run.stride == itemsize:
        return run_of(run.length, itemsize, first)
    # The most blocks that a run of that length can touch, wherever in a block it begins.
    blocks = Axis((run.length + 2 * per_block - 2) // per_block, per_block, per_block * run.stride)
    if blocks.length > 1:
        axes.append(blocks)
    axes.sort(key=lambda axis: abs(axis.stride))  # neighbouring threads write neighbouring elements
    block_axis = axes.index(blocks) if blocks.length > 1 else len(axes)
    # The kernel computes the steps of a run's blocks itself.
    ordered = tuple(Axis(a.length, 0, 0) if i == block_axis else a for i, a in enumerate(axes))
    return Layout(first, run.length, run.stride, ordered, block_axis, math.prod(a.length for a in ordered))


def _joined(axes: list[Axis]) -> list[Axis]:
    """Join axes that are contiguous both in memory and in the tensor."""
    joined: list[Axis] = []
    for axis in axes:
        if joined and joined[-1][1:] == (axis.length * axis.step, axis.length * axis.stride):
            axis = axis._replace(length=joined.pop().length * axis.length)
        joined.append(axis)
    return joined


def grid(
    units: int,
    multiprocessors: int,
    blocks_per_multiprocessor: int = BLOCKS_PER_MULTIPROCESSOR,
    threads: int = THREADS,
) -> int:
    """The number of CUDA blocks for `units` units of work.

    Small work gets one thread per unit, up to the number of blocks that the device holds at a time. Larger work gets up
    to `WAVES` times this number, so that a multiprocessor whose blocks end early gets others; each thread then has a
    whole turn.

    Parameters
    ----------
    units : int
        The units of a `Layout`.
    multiprocessors : int
        The device's number of multiprocessors.
    blocks_per_multiprocessor : int
        The number of the kernel's CUDA blocks that one holds at a time; its registers decide.
    threads : int
        The threads of a CUDA block.

    Returns
    -------
    int

    Examples
    --------
    >>> pyinit.kernels.layouts.grid(1000, multiprocessors=132)
    4
    >>> pyinit.kernels.layouts.grid(10**9, multiprocessors=132) // (132 * 8)
    8
    """
    if units <= threads:
        return 1
    filled, at_once = -(-units // threads), multiprocessors * blocks_per_multiprocessor
    return min(filled, max(at_once, min(filled // TURN, WAVES * at_once)))
