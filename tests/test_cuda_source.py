"""src_c/fill.cu without a GPU: run on the host, it has the bits of the other tiers."""

import math

import numpy as np
import pytest
from cuda_stand_in import OnDevice, host_kernels
from hypothesis import given, settings
from hypothesis import strategies as st
from kinds import CASES, KINDS, claim, empty, fill, name, words
from numpy.lib.stride_tricks import as_strided
from test_windows import generators, positions

from pyinit import Stream, _core
from pyinit.kernels.layouts import THREADS, TURN, layout

__all__ = ["host_kernels"]

kinds = st.sampled_from(KINDS)
grids = st.tuples(st.sampled_from([None, 1, 2, 3, 7]), st.sampled_from([1, 2, 31, 33, 64, 256, 512]), st.booleans())


def guarded(shape, kind, before):
    """Return an array `before` elements after a 64-byte boundary, and all the memory around it."""
    size = empty((), kind).itemsize
    memory = np.full(256 + size * (before + math.prod(shape)), 0xA5, np.uint8)
    start = -memory.ctypes.data % 64 + size * before
    return memory, memory[start : start + size * math.prod(shape)].view(empty((), kind).dtype).reshape(shape)


def assert_untouched(memory, out):
    """Check that nothing around and between the elements has changed."""
    out[...] = np.frombuffer(b"\xa5" * out.itemsize, out.dtype)[0]
    assert (memory == 0xA5).all()


def job_of(stream, kind):
    """Return the bytes of a fill's job."""
    distribution = CASES[kind[0]]
    return _core.make_job(stream, distribution, _core.check_dtype(distribution, empty((), kind).dtype)[1])


@pytest.mark.parametrize("kind", KINDS, ids=name)
@pytest.mark.parametrize("before", [0, 1, 2, 3])
def test_the_edges_of_runs(host_kernels, generator, kind, before):
    host_kernels.blocks, host_kernels.threads, host_kernels.backwards = 2, 3, False
    whole = fill(Stream(5, generator, position=4), kind, empty(1100, kind))
    for count in (*range(41), 1000):
        for position in range(4, 8):
            memory, out = guarded((count,), kind, before)
            stream, given = Stream(5, generator, position=position), OnDevice(out)
            begin, end = claim(kind, position, count)
            skip = (begin - 4) // words(kind)
            assert fill(stream, kind, given) is given
            assert out.tobytes() == whole[skip : skip + count].tobytes()
            assert stream.position == end
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
    """A tensor's shape, a block of it as slices, and the block's layout in memory: order of axes, steps, reversals."""
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
    assert packed[24:32] == (40).to_bytes(4, "little") + (39).to_bytes(4, "little")


@pytest.mark.parametrize("aligned", [True, False])
@pytest.mark.parametrize("kind", KINDS, ids=name)
def test_the_end_of_a_run_beyond_2_to_the_32_elements(host_kernels, generator, kind, aligned):
    """Run only the last CUDA blocks of a grid of this size, with memory for their part."""
    # A CUDA block's part: per turn a thread takes several blocks of words if they are stored whole, otherwise one.
    share = THREADS * 4 // words(kind) * (host_kernels.library.cuda_blocks() if aligned else 1)
    memory, out = guarded((2 * share,), kind, 0 if aligned else 1)
    count = 2**32 + out.size
    job = job_of(Stream(3, generator, position=4), kind)
    where = layout((count,), (out.itemsize,), out.itemsize)
    assert where.is_run
    host_kernels.blocks, host_kernels.threads, host_kernels.backwards = count // share, THREADS, False
    pointer = out.ctypes.data - 2**32 * out.itemsize
    last = (host_kernels.blocks - 2, host_kernels.blocks)
    host_kernels.launch_run(job, pointer, where, some=last)
    expected = fill(Stream(3, generator, position=4 + 2**32 * words(kind)), kind, empty(out.size, kind))
    assert out.tobytes() == expected.tobytes()
    assert_untouched(memory, out)


@pytest.mark.parametrize("kind", KINDS, ids=name)
def test_numbers_of_blocks_that_pass_a_multiple_of_2_to_the_32(host_kernels, generator, kind):
    """Within a CUDA block's turn, between two turns, and at the start of a run."""
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
    """All of its rows are in one place, and only the last units are run."""
    out, rows = np.zeros(4, np.float32), 2**33
    where = layout((rows, 4), (0, 4), 4)
    assert where.units == 2 * rows
    launch = _core.Launch()
    launch.add(Stream(3, position=6), CASES["normal"], _core.DTYPES["float32"].number, out.ctypes.data, where)
    unit = where.units // launch.tiles
    host_kernels.blocks, host_kernels.threads, host_kernels.backwards = launch.tiles, unit, False
    host_kernels.launch_items(launch, some=(launch.tiles - 1, launch.tiles))
    last_row = fill(Stream(3, position=6 + 4 * (rows - 1)), ("normal", "float32"), np.zeros(4, np.float32))
    assert (out[2:].tolist(), out[:2].any()) == (
        last_row[2:].tolist(),
        False,
    )  # a row's second block, which has two samples of the row


def test_rows_more_than_2_to_the_32_bytes_apart(host_kernels):
    stride = 2**32 + 64
    try:
        memory = np.empty(stride + 64, np.uint8)  # only two pages of it are touched
    except MemoryError:
        pytest.skip("needs 4 GiB of addresses")
    host_kernels.blocks, host_kernels.threads, host_kernels.backwards = 2, 3, False
    forwards = as_strided(memory.view(np.float32), (2, 5), (stride, 4))
    for rows in (forwards, forwards[::-1]):
        Stream(1, position=3).fill_normal(OnDevice(rows))
        assert np.array_equal(rows, Stream(1, position=3).normal((2, 5)))


def test_both_sides_agree_on_sizes(host_kernels):
    job = job_of(Stream(0), ("bits", "uint32"))
    assert len(job) == host_kernels.library.job_size() == _core.JOB_BYTES
    assert len(layout((3, 2), (4, 12), 4).packed()) == host_kernels.library.window_size()
    assert host_kernels.library.cuda_threads() == THREADS
    assert host_kernels.library.cuda_blocks() == TURN


def test_the_end_of_a_stream(host_kernels):
    stream = Stream(1, position=2**66 - 11)
    with pytest.raises(ValueError, match=r"beyond position 2\*\*66"):
        stream.fill_normal(OnDevice(np.zeros((3, 4), np.float32)))
    assert stream.position == 2**66 - 11
