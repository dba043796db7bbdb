"""Filling a model whose schemes are known: a list of parameters, checked together before anything is written."""

import signal
import threading

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from test_windows import generators

import pyinit
from pyinit import Stream, _core, initialize, initializers
from pyinit.distributions import normal
from pyinit.models import Parameter, fill


def nines(*shape):
    return np.full(shape, 9.0, np.float32)


SCHEMES = ["zeros", "normal(std=0.02)", "xavier_uniform", {"name": "constant", "value": 2.5}, initializers.orthogonal()]


@given(
    sizes=st.lists(st.tuples(st.integers(1, 40), st.integers(1, 40), st.sampled_from(SCHEMES)), max_size=8),
    generator=generators,
    threads=st.integers(1, 4),
    seed=st.integers(0, 2**64 - 1),
)
def test_each_parameter_is_filled_from_the_child_of_its_name(sizes, generator, threads, seed):
    given = {str(i): (nines(*shape), scheme) for i, (*shape, scheme) in enumerate(sizes)}
    jobs = (Parameter(name, out, scheme) for name, (out, scheme) in given.items())  # a single pass is enough
    assert fill(jobs, seed, generator=generator, num_threads=threads) is None
    for name, (out, scheme) in given.items():
        expected = initializers.scheme(scheme)(np.empty_like(out), Stream(seed, generator).child(name))
        assert np.array_equal(out, expected)


def test_it_is_what_initialize_does():
    listed, planned = {"a.weight": nines(6, 5), "a.bias": nines(6)}, {"a.weight": nines(6, 5), "a.bias": nines(6)}
    root = Stream(3).child("model")
    fill([Parameter(name, out, "zeros" if "bias" in name else "he_normal") for name, out in listed.items()], root)
    initialize(planned, root, {"*.bias": "zeros", "*": "he_normal"})
    assert all(np.array_equal(listed[name], planned[name]) for name in planned)
    assert root.position == 0


def test_shards_are_windows_of_the_whole():
    whole, parts = nines(7, 5), [nines(3, 5), nines(4, 5)]
    fill([Parameter("w", whole, "xavier_normal")], 1)
    for offset, part in zip((0, 3), parts):
        fill([Parameter("w", part, "xavier_normal", (7, 5), (offset, 0))], 1)
    assert np.array_equal(np.concatenate(parts), whole)


def test_a_function_is_told_where_its_shard_is():
    seen = []

    def scheme(out, stream, **where):
        seen.append((stream, where))

    jobs = [Parameter("whole", nines(2), scheme), Parameter("part", nines(2), scheme, (5,), (3,))]
    fill(jobs, 4)
    assert seen == [(Stream(4).child("whole"), {}), (Stream(4).child("part"), {"global_shape": (5,), "offset": (3,)})]


def one_shape(out, stream):
    out[...] = 1


@pytest.mark.parametrize(
    ("job", "error", "message"),
    [
        (Parameter("b", nines(2), one_shape, (5,), (3,)), TypeError, "'b': a shard's scheme must take global_shape"),
        (Parameter("b", nines(2), "zreos"), ValueError, "'b': no scheme is called 'zreos'; did you mean 'zeros'"),
        (Parameter("b", nines(2), 3), TypeError, "'b': a scheme must be a string, a mapping, or one of"),
        (Parameter("b", nines(2), "xavier_normal"), ValueError, "'b': .*at least 2 dimensions"),
        (Parameter("b", nines(2), "zeros", (5,), (4,)), ValueError, "'b': out must lie inside the tensor"),
        (Parameter("b", [1.0], "zeros"), TypeError, "'b': out must be an array"),
        (Parameter(3, nines(2), "zeros"), TypeError, "name must be a str; got int"),
        (Parameter("a", nines(2), "zeros"), ValueError, "'a' must be one array, or windows of one tensor"),
        (("b", nines(2), "zeros"), TypeError, r"must be of pyinit\.models\.Parameter; got tuple"),
    ],
)
def test_nothing_is_written_where_anything_is_wrong(job, error, message):
    out, ran = nines(3), []
    with pytest.raises(error, match=message):
        fill([Parameter("a", out, "ones"), Parameter("f", nines(1), lambda out, stream: ran.append(1)), job], 0)
    assert (out == 9).all()
    assert not ran


def test_a_dict_is_read_each_time():
    first, second, spec = nines(3), nines(3), {"name": "constant", "value": 1.0}

    def parameters():
        yield Parameter("a", first, spec)
        spec["value"] = 2.0
        yield Parameter("b", second, spec)

    fill(parameters(), 0)
    assert (first == 1).all()
    assert (second == 2).all()


@pytest.mark.parametrize("kind", [np.uint8, np.int16, int])
def test_threads_may_be_any_integer(kind):
    out = np.empty(70_000, np.float32)
    fill([Parameter("w", out, "normal")], 0, num_threads=kind(2))
    assert np.array_equal(out, Stream(0).child("w").normal(70_000))
    with pytest.raises(ValueError, match="num_threads must be at least 1; got 0"):
        fill([Parameter("w", out, "normal")], 0, num_threads=kind(0))


def test_two_names_of_one_id_are_refused():
    """Finding a 64-bit collision takes too long, so the test marks the id of 'xy' as taken."""
    root = Stream(0)
    batch = _core.Batch(root, {root.child("xy").id: ("ab", None)})
    batch.add("xy", nines(3), normal())
    with pytest.raises(ValueError, match="'ab' and 'xy' must have streams of their own; both have id 0x"):
        batch.check()
    again = nines(3)
    with pytest.raises(ValueError, match="'ab' must be one array, or windows"):
        fill([Parameter("ab", nines(3), "normal"), Parameter("ab", again, "normal")], 0)
    assert (again == 9).all()


def test_memory_mapped_files_and_other_subclasses(tmp_path):
    mapped = np.memmap(tmp_path / "w", np.float32, "w+", shape=(20, 30))
    tied = nines(5, 4).view(np.matrix)
    initialize({"w": mapped, "m": tied, "z": nines(3)}, 1, {"*": "normal"})
    assert np.array_equal(mapped, Stream(1).child("w").normal((20, 30)))
    assert np.array_equal(tied, Stream(1).child("m").normal((5, 4)))
    mapped.flush()
    assert np.array_equal(np.fromfile(tmp_path / "w", np.float32), mapped.ravel())


def test_tensors_without_memory_are_refused():
    torch = pytest.importorskip("torch")
    freed = torch.ones(1000)
    part = freed[10:]
    freed.untyped_storage().resize_(0)
    for tensor in (freed, part):
        with pytest.raises(ValueError, match="out must have memory for all of its elements"):
            Stream(1).fill_normal(tensor)
        with pytest.raises(ValueError, match="'w': out must have memory"):
            initialize({"w": tensor}, 0, {"*": "normal"})
    assert initialize({"w": torch.empty(0)}, 0, {"*": "normal"})["w"].numel() == 0


def test_tensors_in_all_layouts():
    """In the fast way and in NumPy's: transposed, with steps, views of others, in every dtype, parameters."""
    torch = pytest.importorskip("torch")
    for dtype in ("float32", "float64", "float16", "bfloat16", "float8_e5m2"):
        base = torch.zeros(24, 20, dtype=torch.float32).to(getattr(torch, dtype))
        for tensor in (base, base.T, base[3:, ::2], base[:, 5], torch.nn.Parameter(base.clone(), requires_grad=False)):
            expected = Stream(2).child("w").normal(tuple(tensor.shape), dtype)
            version = tensor._version
            initialize({"w": tensor}, 2, {"*": "normal"})
            bits = tensor.contiguous().view(torch.uint8).numpy()
            assert bits.tobytes() == expected.tobytes()
            assert tensor._version == version + 1
    negated = torch.zeros(3, dtype=torch.complex64).conj().imag
    with pytest.raises(TypeError, match="out must be an array that NumPy can view in place"):
        Stream(1).fill_normal(negated)


def test_what_the_callback_of_progress_raises_ends_the_fill():
    def stop(count):
        raise KeyboardInterrupt

    batch = _core.Batch(Stream(0), {})
    batch.add("w", nines(100), normal())
    with pytest.raises(KeyboardInterrupt):
        batch.fill(1, stop)


@pytest.mark.skipif(not hasattr(signal, "pthread_kill"), reason="no signal to one thread")
def test_ctrl_c_is_not_taken_for_the_end():
    """In a fill that reports its progress: it reports no more than it has done."""
    told, large = [], np.zeros(1 << 26, np.float32)
    batch = _core.Batch(Stream(0), {})
    batch.add("w", large, normal())
    previous = signal.signal(signal.SIGINT, signal.default_int_handler)
    threading.Timer(0.2, signal.pthread_kill, (threading.main_thread().ident, signal.SIGINT)).start()
    try:
        with pyinit.isa.use("scalar"), pytest.raises(KeyboardInterrupt):
            batch.fill(1, told.append)
    finally:
        signal.signal(signal.SIGINT, previous)
    assert sum(told) < large.size
    assert not large[-1]
