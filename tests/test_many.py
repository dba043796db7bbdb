"""Many arrays in one call, on the host and on devices: each is as if filled alone; shared memory is refused."""

import numpy as np
import pytest
from cuda_stand_in import OnDevice, host_kernels
from hypothesis import HealthCheck, assume, example, given, settings
from hypothesis import strategies as st
from kinds import CASES, DTYPES, KINDS, TAILS, empty
from opencl_device import queue
from test_cuda_source import grids, windows
from test_windows import generators

from pyinit import Stream, _core
from pyinit.arrays import view
from pyinit.distributions import constant, normal
from pyinit.kernels.filling import fill_batch

__all__ = ["host_kernels", "queue"]


@st.composite
def arrays(draw, largest):
    """A kind, and an array without gaps, or a block of a tensor in some layout with its place in the tensor."""
    kind = draw(st.sampled_from(KINDS))
    if draw(st.booleans()):
        return kind, empty(draw(st.integers(0, largest)), kind), None, None
    shape, block, order, steps, _ = draw(windows())
    size = [s.stop - s.start for s in block]
    memory = empty([size[i] * abs(steps[i]) for i in order], kind)
    out = memory.transpose(np.argsort(order)) if order else memory
    out = out[(*(slice(None, n * abs(step), abs(step)) for n, step in zip(size, steps)), ...)]
    out = out[(*(slice(None, None, -1 if step < 0 else 1) for step in steps), ...)]
    return kind, out, shape, tuple(s.start for s in block)


def assert_as_alone(given, root):
    """Check that each array equals a fill of it alone."""
    for i, (kind, out, whole, where) in enumerate(given):
        expected = np.zeros_like(out)
        root.child(str(i)).fill(expected, CASES[kind[0]], global_shape=whole, offset=where)
        assert out.tobytes() == expected.tobytes(), (i, kind)


@settings(deadline=None, max_examples=150)
@given(generators, st.lists(arrays(50_000), max_size=12), st.integers(1, 4), st.integers(0, 2**64 - 1))
def test_each_as_if_it_were_alone(generator, given, threads, seed):
    root = Stream(seed, generator)
    batch = _core.Batch(root, {})
    for i, (kind, out, whole, where) in enumerate(given):
        batch.add(str(i), out, CASES[kind[0]], whole, where)
    batch.check()
    batch.fill(threads)
    assert_as_alone(given, root)


@pytest.mark.parametrize("threads", [1, 2, 3])
def test_large_ones_among_many_small_ones(generator, threads):
    """Enough bytes for stores past the caches, in chunks that begin and end anywhere."""
    sizes = [5_000_000, *range(300), 100_000, 3, 9_000_001, *range(300), 2_000_000, 4_000_000]
    given = [(KINDS[i % len(KINDS)], empty(n, KINDS[i % len(KINDS)]), None, None) for i, n in enumerate(sizes)]
    root = Stream(1, generator)
    batch = _core.Batch(root, {})
    for i, (kind, out, _, _) in enumerate(given):
        batch.add(str(i), out, CASES[kind[0]])
    batch.fill(threads)
    assert_as_alone(given, root)


@settings(deadline=None, max_examples=100)
@given(generators, st.lists(arrays(60_000), max_size=9), grids)
def test_each_as_if_it_were_alone_on_a_device(host_kernels, generator, given, grid):
    host_kernels.blocks, host_kernels.threads, host_kernels.backwards = grid
    root, launched = Stream(5, generator), host_kernels.launched
    batch, there = _core.Batch(root, {}), []
    for i, (kind, out, whole, where) in enumerate(given):
        there.append(view(OnDevice(out)))
        batch.add(str(i), there[-1].geometry, CASES[kind[0]], whole, where, there[-1].start, there[-1].queue)
    fill_batch(batch, there)
    assert_as_alone(given, root)
    methods = {_core.check_dtype(CASES[kind[0]], out.dtype) for kind, out, _, _ in given if out.size}
    assert host_kernels.launched - launched == len(methods)


@settings(deadline=None, max_examples=30, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(generators, st.lists(arrays(60_000), max_size=9))
def test_each_as_if_it_were_alone_on_an_opencl_device(queue, generator, given):
    """Parts of one buffer share a launch for each kernel; an array in its own buffer takes another launch."""
    cla = pytest.importorskip("pyopencl.array")
    starts = np.cumsum([0, *(-(-_room(out) // 64) * 64 for _, out, _, _ in given)])
    memory = cla.to_device(queue, np.full(starts[-1] + 64, 0xA5, np.uint8))
    root, batches, outs = Stream(5, generator), {}, []
    for i, (kind, out, whole, where) in enumerate(given):
        low = _core.extent(out)[0] if out.size else out.ctypes.data
        buffer, start = memory.base_data, int(starts[i]) + out.ctypes.data - low
        if i % 4 == 3:
            buffer, start = (
                cla.to_device(queue, np.full(_room(out) + 64, 0xA5, np.uint8)).base_data,
                out.ctypes.data - low,
            )
        there = cla.Array(queue, out.shape, out.dtype, data=buffer, offset=start, strides=out.strides)
        seen = view(there)
        batch, members = batches.setdefault(seen.memory, (_core.Batch(root, {}), []))
        batch.add(str(i), seen.geometry, CASES[kind[0]], whole, where, seen.start, seen.queue)
        members.append(seen)
        outs.append((buffer, start))
    for batch, members in batches.values():
        batch.check()
        fill_batch(batch, members)
    for (buffer, start), (_, out, _, _) in zip(outs, given):
        if out.size:
            host = cla.Array(queue, buffer.size, np.uint8, data=buffer).get()
            out[...] = np.ndarray(out.shape, out.dtype, host, start, out.strides)
    assert_as_alone(given, root)


def _room(out):
    """Return the bytes from an array's first to its last."""
    low, high = _core.extent(out) if out.size else (0, 0)
    return high - low


def test_tails_of_several_distributions_in_one_launch(host_kernels):
    """Each has its own table, which the threads of a CUDA block share while they fill its arrays."""
    host_kernels.blocks, host_kernels.threads, host_kernels.backwards = 2, 32, False
    outs = [np.zeros(40_000, np.float32) for _ in range(6)]
    batch, there = _core.Batch(Stream(3), {}), [view(OnDevice(out)) for out in outs]
    for i, array in enumerate(there):
        batch.add(str(i), array.geometry, TAILS[i % 3], None, None, array.start, array.queue)
    (launch,) = batch.launches(None)
    assert (launch.count, launch.tiles) == (6, 6 * 3)
    fill_batch(batch, there)
    for i, out in enumerate(outs):
        assert out.tobytes() == Stream(3).child(str(i)).fill(np.zeros_like(out), TAILS[i % 3]).tobytes()


def test_constants_have_one_kernel_whatever_the_generator():
    for generator in _core.GENERATORS:
        batch = _core.Batch(Stream(0, generator), {})
        for i, value in enumerate((0.0, 1.0, -2.5)):
            batch.add(str(i), np.empty(9, np.float32), constant(value), None, None, 4096 * (i + 1), "queue")
        (launch,) = batch.launches(None)
        assert launch.key == (0, _core.METHODS.index("PYI_METHOD_CONSTANT"), _core.DTYPES["float32"].number)
        assert launch.members == [0, 1, 2]


@pytest.mark.parametrize("dtype", [name for name in DTYPES if name != "uint32"])
@pytest.mark.parametrize("value", [0.0, -0.0, 0.1, -2.3e-41, 3.0, 447.9, np.inf, -np.inf])
def test_a_constant_is_the_value_rounded(tier, dtype, value):
    out, stream = np.full(1037, 7, np.uint8).repeat(8)[: 1037 * DTYPES[dtype].itemsize].view(DTYPES[dtype]), Stream(1)
    stream.fill(out, constant(value))
    assert stream.position == 0
    single = np.float64(value) if dtype == "float64" else np.float32(value)
    if dtype in ("float64", "float32"):
        expected = np.full(1037, single)
    elif dtype == "float16":
        expected = np.full(1037, single.astype(np.float16))
    else:
        expected = _core.rounded(np.full(1037, single), DTYPES[dtype])
    assert out.tobytes() == expected.tobytes()


def test_constants_that_a_type_cannot_hold():
    out = np.ones(3, np.float16)
    with pytest.raises(ValueError, match=r"value must be at most 65504 in size, or infinite; got 65505\.0 in float16"):
        Stream(0).fill(out, constant(65505))
    with pytest.raises(ValueError, match="value must be a number; got nan"):
        constant(np.nan)
    with pytest.raises(TypeError, match="value must be a real number; got str"):
        constant("1")
    with pytest.raises(TypeError, match="out must have dtype float32"):
        Stream(0).fill(np.ones(3, np.uint32), constant(1))
    assert (out == 1).all()


@st.composite
def views(draw):
    """Two views of one buffer, with any lengths, steps and item sizes."""
    found = []
    for _ in range(2):
        dims = draw(st.integers(0, 4))
        shape = draw(st.lists(st.integers(0, 5), min_size=dims, max_size=dims))
        strides = draw(st.lists(st.integers(-40, 40), min_size=dims, max_size=dims))
        dtype = np.dtype(draw(st.sampled_from(["f2", "f4", "f8"])))
        low = sum(s * (n - 1) for s, n in zip(strides, shape) if s < 0 and n)
        found.append((dtype, tuple(shape), tuple(strides), -low + draw(st.integers(0, 60))))
    return found


@settings(deadline=None, max_examples=2000)
@given(views())
@example([(np.dtype("f4"), (3,), (8,), 0), (np.dtype("f4"), (3,), (8,), 4)])
@example([(np.dtype("f4"), (3,), (8,), 0), (np.dtype("f4"), (3,), (8,), 6)])
def test_whether_two_arrays_share_memory_is_what_numpy_says(pair):
    memory = np.zeros(2000, np.uint8)
    first, second = (np.ndarray(shape, dtype, memory, 500 + start, strides) for dtype, shape, strides, start in pair)
    for one in (first, second):
        assume(not _overlaps_itself(one))
    batch = _core.Batch(Stream(0), {})
    batch.add("a", first, normal())
    batch.add("b", second, normal())
    if np.shares_memory(first, second):
        with pytest.raises(ValueError, match="'a' and 'b' must not share memory"):
            batch.check()
    else:
        batch.check()


def _overlaps_itself(array):
    try:
        _core.check_memory(array)
    except ValueError:
        return True
    return False


def test_of_many_arrays_any_two_that_share_memory_are_found():
    """In any order in memory, also if an array that ends far behind begins before all others."""
    rng = np.random.default_rng(5)
    memory = np.zeros((400, 50), np.float32)
    for _ in range(60):
        rows = [memory[i, :50] for i in rng.permutation(400)]
        i, j = rng.choice(400, 2, replace=False)
        tied = rows[i][rng.integers(50) :][:1] if rng.integers(2) else memory[:, 7][rng.integers(400) :][:1]
        rows.insert(j, tied)
        batch = _core.Batch(Stream(0), {})
        for k, row in enumerate(rows):
            batch.add(str(k), row, normal())
        with pytest.raises(ValueError, match=rf"'{j}' and|and '{j}' must not share memory"):
            batch.check()
    batch = _core.Batch(Stream(0), {})
    for k in range(50):
        batch.add(str(k), memory[:, k], normal())
    batch.check()


def test_arrays_of_any_type_are_looked_at():
    """Also arrays that other code fills, with elements that the core lacks."""
    memory = np.zeros((6, 8), np.complex128)
    for first, second, shared in (
        (memory[:, 0], memory.real[:, 0], True),
        (memory[:, 0], memory.real[:, 1], False),
        (memory[0], memory.view("S16")[1:].T, False),
        (memory.view("u1")[:, 3:6:2], memory.view("u1")[:, 4], False),
    ):
        batch = _core.Batch(Stream(0), {})
        batch.add("a", first, None)
        batch.add("b", second, None)
        assert np.shares_memory(first, second) == shared
        if shared:
            with pytest.raises(ValueError, match="must not share"):
                batch.check()
        else:
            batch.check()
        batch.fill()
    assert not memory.any()
