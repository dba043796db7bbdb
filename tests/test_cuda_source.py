"""src_c/fill.cu without a GPU: run on the host, its bits are those of the other tiers."""

import math

import numpy as np
import pytest
from cuda_stand_in import OnDevice, host_kernels
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.lib.stride_tricks import as_strided
from test_windows import DTYPES, empty, generators, positions

import pyinit
from pyinit import Stream
from pyinit.cuda import launch
from pyinit.kernels.layouts import THREADS, layout

__all__ = ["host_kernels"]

FILLS = {
    "bits": ("fill_bits", {}),
    "uniform": ("fill_uniform", {"low": -1.0, "high": 2.0}),
    "normal": ("fill_normal", {"mean": 0.5, "std": 2.0}),
    "icdf": ("fill_normal", {"method": "icdf"}),
    "centre": ("fill_truncated_normal", {"lower": -1.5}),
    "mirrored": ("fill_truncated_normal", {"lower": 0.5, "upper": 9.0, "std": 3.0}),
    "tail": ("fill_truncated_normal", {"lower": 6.0, "upper": math.inf}),
    "narrow": ("fill_truncated_normal", {"lower": 1.0, "upper": 1.01}),
    "subnormal": ("fill_normal", {"std": 1e-39}),
}
KINDS = [(name, dtype) for name in FILLS for dtype in (DTYPES if name != "bits" else ["uint32"])]

kinds = st.sampled_from(KINDS)
grids = st.tuples(st.sampled_from([None, 1, 2, 3, 7]), st.sampled_from([1, 2, 31, 33, 64, 256]), st.booleans())


def fill(stream, kind, out, **window):
    method, parameters = FILLS[kind[0]]
    return getattr(stream, method)(out, **parameters, **window)


def guarded(shape, kind, before):
    """An array `before` elements behind a boundary of 64 bytes, and all the memory around it."""
    size = empty((), kind).itemsize
    memory = np.full(256 + size * (before + math.prod(shape)), 0xA5, np.uint8)
    start = -memory.ctypes.data % 64 + size * before
    return memory, memory[start : start + size * math.prod(shape)].view(empty((), kind).dtype).reshape(shape)


def assert_untouched(memory, out):
    """Around the elements and between them nothing has changed."""
    out[...] = np.frombuffer(b"\xa5" * out.itemsize, out.dtype)[0]
    assert (memory == 0xA5).all()


@pytest.mark.parametrize("kind", KINDS, ids=lambda kind: "-".join(kind))
@pytest.mark.parametrize("before", [0, 1, 2, 3])
def test_the_edges_of_runs(host_kernels, generator, kind, before):
    host_kernels.blocks, host_kernels.threads, host_kernels.backwards = 2, 3, False
    whole = fill(Stream(5, generator, position=4), kind, empty(1100, kind))
    words = 2 if kind[1] == "float64" else 1
    for count in (*range(41), 1000):
        for skip in range(4):
            memory, out = guarded((count,), kind, before)
            stream = Stream(5, generator, position=4 + skip * words)
            given = OnDevice(out)
            assert fill(stream, kind, given) is given
            assert out.tobytes() == whole[skip : skip + count].tobytes()
            assert stream.position == 4 + (skip + count) * words
            assert_untouched(memory, out)


@settings(deadline=None, max_examples=200)
@given(generators, kinds, st.integers(0, 5000), st.integers(0, 9), positions, grids)
def test_any_grid_and_position(host_kernels, generator, kind, count, before, position, grid):
    host_kernels.blocks, host_kernels.threads, host_kernels.backwards = grid
    memory, out = guarded((count,), kind, before)
    stream, launched = Stream(2**63 + 5, generator, id=2**64 - 3, position=position), host_kernels.launched
    expected = stream.copy()
    fill(stream, kind, OnDevice(out))
    assert out.tobytes() == fill(expected, kind, empty(count, kind)).tobytes()
    assert stream == expected
    assert host_kernels.launched == launched + (count > 0)
    assert_untouched(memory, out)


@st.composite
def windows(draw):
    """A tensor's shape, a block of it as slices, and how the block lies in memory: order of axes, steps, reversals."""
    dims = draw(st.integers(0, 5))
    shape = draw(st.lists(st.integers(1, (300, 60, 17, 8, 6)[max(dims - 1, 0)]), min_size=dims, max_size=dims))
    block = []
    for n in shape:
        start = draw(st.one_of(st.just(0), st.integers(0, n)))
        block.append(slice(start, draw(st.one_of(st.just(n), st.integers(start, n)))))
    order = draw(st.permutations(range(dims)))
    steps = [draw(st.sampled_from([1, 1, 1, 2, -1, -3])) for _ in shape]
    pads = [draw(st.sampled_from([0, 0, 1, 5])) for _ in shape]
    return tuple(shape), tuple(block), order, steps, pads


@settings(deadline=None, max_examples=400)
@given(generators, kinds, windows(), st.integers(0, 4), positions, grids)
def test_any_window_and_strides(host_kernels, generator, kind, window, before, position, grid):
    host_kernels.blocks, host_kernels.threads, host_kernels.backwards = grid
    shape, block, order, steps, pads = window
    size = [s.stop - s.start for s in block]
    lengths = [n * abs(step) + pad for n, step, pad in zip(size, steps, pads)]
    memory, around = guarded([lengths[i] for i in order], kind, before)
    out = around.transpose(np.argsort(order)) if order else around
    out = out[(*(slice(None, n * abs(step), abs(step)) for n, step in zip(size, steps)), ...)]
    out = out[(*(slice(None, None, -1 if step < 0 else 1) for step in steps), ...)]
    assert out.shape == tuple(size)

    stream = Stream(5, generator, position=position)
    expected = stream.copy()
    whole = fill(expected, kind, empty(shape, kind))
    fill(stream, kind, OnDevice(out), global_shape=shape, offset=[s.start for s in block])
    assert out.tobytes() == whole[block].tobytes()
    assert stream == expected
    assert_untouched(memory, out)


def test_a_wrong_order_would_be_noticed(host_kernels):
    host_kernels.blocks, host_kernels.threads, host_kernels.backwards = 3, 64, False
    out = np.zeros((30, 20), np.float32).T
    Stream(1).fill_normal(OnDevice(out))
    assert not np.array_equal(out, Stream(1).normal((30, 20)).T)
    assert np.array_equal(out, Stream(1).normal((20, 30)))


def test_many_dimensions(host_kernels):
    for dims in (7, 33 if np.lib.NumpyVersion(np.__version__) >= "2.0.0" else 32):
        shape = (1,) * (dims - 6) + (2, 3, 2, 5, 2, 3)
        whole = Stream(1).normal(shape)
        out = np.zeros(shape[::-1], np.float32).T
        Stream(1).fill_normal(OnDevice(out))
        assert np.array_equal(out, whole)
    packed = layout((2,) * 40, [4 + 4 * i for i in range(40)], 4).packed()
    assert packed[32:40] == (40).to_bytes(4, "little") + (39).to_bytes(4, "little")


@pytest.mark.parametrize("aligned", [True, False])
@pytest.mark.parametrize("kind", KINDS, ids=lambda kind: "-".join(kind))
def test_the_end_of_a_run_beyond_2_to_the_32_elements(host_kernels, generator, kind, aligned):
    """Of a grid that would write so much, the last CUDA blocks, into memory that holds what they write."""
    words = 2 if kind[1] == "float64" else 1
    # What a CUDA block has: a thread takes several blocks of words in a turn where they are stored whole, else one.
    share = THREADS * 4 // words * (host_kernels.library.cuda_blocks() if aligned else 1)
    memory, out = guarded((2 * share,), kind, 0 if aligned else 1)
    count = 2**32 + out.size
    jobs = []
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(launch, "launch", lambda job, *_: jobs.append(job))
        fill(Stream(3, generator, position=4), kind, OnDevice(empty(1, kind)))
    where = layout((count,), (out.itemsize,), out.itemsize)
    assert where.is_run
    host_kernels.blocks, host_kernels.threads, host_kernels.backwards = count // share, THREADS, False
    pointer = out.ctypes.data - 2**32 * out.itemsize
    last = (host_kernels.blocks - 2, host_kernels.blocks)
    host_kernels.launch(jobs[0]._replace(layout=where), pointer, 0, None, some=last)
    expected = fill(Stream(3, generator, position=4 + 2**32 * words), kind, empty(out.size, kind))
    assert out.tobytes() == expected.tobytes()
    assert_untouched(memory, out)


@pytest.mark.parametrize("kind", KINDS, ids=lambda kind: "-".join(kind))
def test_numbers_of_blocks_that_pass_a_multiple_of_2_to_the_32(host_kernels, generator, kind):
    """Within what a CUDA block takes in a turn, between two turns, and in a run that begins with it."""
    host_kernels.blocks, host_kernels.threads, host_kernels.backwards = 2, 4, False
    for blocks_before in (0, 1, 15, 16, 37, 32 + 16):
        for before in (0, 2) if kind[1] != "float64" else (0,):
            position = 2**34 * 3 - 4 * blocks_before
            memory, out = guarded((600,), kind, 2 * before)
            fill(Stream(3, generator, position=position), kind, OnDevice(out))
            expected = fill(Stream(3, generator, position=position), kind, empty(600, kind))
            assert out.tobytes() == expected.tobytes()
            assert_untouched(memory, out)


def test_a_window_beyond_2_to_the_32_samples_and_bytes(host_kernels):
    shape, offset = (2**31 + 11, 2, 2**30), (2**31, 1, 2**30 - 40)
    for threads in (1, 33):
        host_kernels.blocks, host_kernels.threads, host_kernels.backwards = 5, threads, False
        out = np.zeros((33, 1, 11), np.float32).T
        expected = np.zeros((11, 1, 33), np.float32)
        Stream(1, position=7).fill_normal(OnDevice(out), global_shape=shape, offset=offset)
        Stream(1, position=7).fill_normal(expected, global_shape=shape, offset=offset)
        assert np.array_equal(out, expected)


def test_a_window_of_more_than_2_to_the_32_units(host_kernels):
    """All of its rows in one place, and the last units alone."""
    jobs, out, rows = [], np.zeros(4, np.float32), 2**33
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(launch, "launch", lambda job, *_: jobs.append(job))
        Stream(3, position=5).fill_normal(OnDevice(np.zeros(1, np.float32)))
    where = layout((rows, 4), (0, 4), 4)
    assert where.units == 2 * rows
    host_kernels.blocks, host_kernels.threads, host_kernels.backwards = where.units // 256, 256, False
    host_kernels.launch(
        jobs[0]._replace(layout=where), out.ctypes.data, 0, None, some=(where.units // 256 - 1, where.units // 256)
    )
    last_row = Stream(3, position=5 + 4 * (rows - 1)).normal(4)
    assert (out[3], out[:3].any()) == (last_row[3], False)  # a row's second block, of which it has one sample


def test_rows_more_than_2_to_the_32_bytes_apart(host_kernels):
    stride = 2**32 + 64
    try:
        memory = np.empty(stride + 64, np.uint8)  # of which two pages are touched
    except MemoryError:
        pytest.skip("needs 4 GiB of addresses")
    host_kernels.blocks, host_kernels.threads, host_kernels.backwards = 2, 3, False
    forwards = as_strided(memory.view(np.float32), (2, 5), (stride, 4))
    for rows in (forwards, forwards[::-1]):
        Stream(1, position=3).fill_normal(OnDevice(rows))
        assert np.array_equal(rows, Stream(1, position=3).normal((2, 5)))


def test_both_sides_agree_on_sizes(host_kernels):
    state = Stream(0)
    kinds = []
    begin, job = pyinit._core.fill_bits(state, np.zeros(3, np.uint32), ready=kinds.append)
    assert len(job) == host_kernels.library.job_size() == pyinit._core.JOB_BYTES
    assert len(layout((3, 2), (4, 12), 4).packed()) == host_kernels.library.window_size()
    assert host_kernels.library.cuda_threads() == THREADS
    assert kinds == [(0, 0, 0)]
    assert (begin.position, state.position) == (0, 3)


def test_the_end_of_a_stream(host_kernels):
    stream = Stream(1, position=2**66 - 11)
    with pytest.raises(ValueError, match=r"beyond position 2\*\*66"):
        stream.fill_normal(OnDevice(np.zeros((3, 4), np.float32)))
    assert stream.position == 2**66 - 11
